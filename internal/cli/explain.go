package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/lifecycle"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/observe/flight"

	"github.com/spf13/cobra"
)

// explainFlags are the flags of explain.
type explainFlags struct {
	fields           []string
	client, listener string
	offline, all     bool
	live             bool
	life             time.Duration
}

func (a *app) explainCommand() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain REQUEST-ID | [METHOD] URL | --live",
		Short: "Show what happened to a request, or what would happen to one",
		Long: `With a URL, show what a request would meet: the listener and its certificate, the route and
why each other one doesn't take it, what every policy says (with what is left of rate
limits), the path that the upstream sees, the targets and which of them would get it, the
timeouts, retries and the fallback. The running sentinel walks the request by the code that
serves requests, and neither sends nor counts anything; credentials aren't tried. Where none
runs, or with --offline, the configuration file is used.

With the id of a request, show what happened to one of the last minutes that failed, was
refused or was among the slowest: where it went, how long each phase took, every try at a
target, the fault, what it means and what to do. The id is in the access log and in the
answer that the client got.

With --live, print a header field that has every request which carries it kept whole,
whatever becomes of it, and its answer tell the id. The running sentinel signs it; it is good
for five minutes, or as long as --for says, and nobody else's token is. No upstream sees it.

Exit code 1: the request isn't among those that are kept, or can't be explained. Exit code
3: no sentinel is running.`,
		Example: `  sentinel explain https://shop.example/cart
  sentinel explain POST https://shop.example/cart -H 'Content-Type: application/json' --client 192.0.2.7
  sentinel explain 0a1b2c3d4e5f60718293a4b5c6d7e8f9
  curl -i -H "$(sentinel explain --live)" https://shop.example/cart`,
		Args: func(_ *cobra.Command, args []string) error {
			if f.live && len(args) == 0 {
				return nil
			}
			if f.live || len(args) < 1 || len(args) > 2 {
				return usagef("the id of a request, or a method and a URL wanted")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case f.live:
				return a.explainLive(cmd.Context(), f.life)
			case len(args) == 2:
				return a.explainURL(cmd.Context(), args[0], args[1], &f)
			case strings.Contains(args[0], "://"):
				return a.explainURL(cmd.Context(), "GET", args[0], &f)
			}
			return a.explainID(cmd.Context(), args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.fields, "header", "H", nil, "a header `LINE` of the request, such as 'Accept: text/html'; several times for more")
	flags.StringVar(&f.client, "client", "", "the `ADDRESS` that the request comes from (default 127.0.0.1)")
	flags.StringVar(&f.listener, "listener", "", "the listener `NAME` that it comes to (default: the one of the URL's scheme and port)")
	flags.BoolVar(&f.all, "all", false, "all routes that don't take it, not only the nearest")
	flags.BoolVar(&f.offline, "offline", false, "by the configuration file, not by the running sentinel")
	flags.BoolVar(&f.live, "live", false, "print a header field that has requests kept")
	flags.DurationVar(&f.life, "for", 5*time.Minute, "with --live: how long the field is good, up to 1h")
	a.socketFlagOn(cmd)
	return cmd
}

// explainLive prints the field alone, so that it can stand in another command.
func (a *app) explainLive(ctx context.Context, life time.Duration) error {
	t, err := a.client(askTimeout).Live(ctx, life)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(t)
	}
	fmt.Fprintf(a.err, "good until %s; with the id in the answer: sentinel explain ID\n", t.Expires.UTC().Format(time.RFC3339))
	_, err = fmt.Fprintf(a.out, "%s: %s\n", t.Field, t.Value)
	return err
}

func (a *app) explainURL(ctx context.Context, method, url string, f *explainFlags) error {
	q := admin.ExplainRequest{Method: strings.ToUpper(method), URL: url, Fields: f.fields, Client: f.client, Listener: f.listener, Everyone: f.all}
	var e admin.Explanation
	err := admin.ErrNotRunning
	if !f.offline {
		e, err = a.client(askTimeout).Explain(ctx, q)
	}
	if errors.Is(err, admin.ErrNotRunning) {
		if !f.offline {
			fmt.Fprintf(a.err, "sentinel: none is running: explained by %s alone\n", a.configFile())
		}
		e, err = lifecycle.ExplainFile(a.configFile(), q)
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(e)
	}
	return printExplanation(a.out, &e)
}

// printExplanation writes what a request would meet.
func printExplanation(w io.Writer, e *admin.Explanation) error {
	fmt.Fprintf(w, "%s\n  %s\n", escaped(e.Request), e.Outcome)
	if e.Offline {
		fmt.Fprintln(w, "  by the configuration alone: states, counts and bans of a running sentinel aren't in it")
	}
	fmt.Fprintf(w, "\n  listener     %s: %s\n", e.Listener, e.ListenerWhy)
	if e.Certificate != "" {
		fmt.Fprintf(w, "  certificate  %s\n", e.Certificate)
	}
	fmt.Fprintf(w, "  client       %s\n", e.Client)
	if e.Path != "" {
		fmt.Fprintf(w, "  path         %s\n", escaped(e.Path))
	}
	switch {
	case e.Route != "":
		fmt.Fprintf(w, "  route        %s: %s\n", e.Route, e.RouteWhy)
	case e.Path != "":
		fmt.Fprintln(w, "  route        none")
	}
	if e.Sent != "" && e.Sent != e.Path {
		fmt.Fprintf(w, "  rewritten    %s\n", escaped(e.Sent))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printOthers(t, e)
	printPolicies(t, e.Policies)
	if e.Onward != nil {
		printOnward(t, e.Onward)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return printFault(w, e.Fault)
}

func printOthers(w io.Writer, e *admin.Explanation) {
	if len(e.Others) == 0 {
		return
	}
	fmt.Fprintln(w, "\n  NOT ROUTE\tPRIORITY\tBECAUSE")
	for _, o := range e.Others {
		fmt.Fprintf(w, "  %s\t%d\t%s\n", o.Route, o.Priority, strings.Join(o.Why, "; "))
	}
	if e.MoreOthers > 0 {
		fmt.Fprintf(w, "  and %s (--all)\n", count(e.MoreOthers, "more route"))
	}
}

func printPolicies(w io.Writer, list []admin.PolicyAnswer) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(w, "\n  POLICY\tSAYS\tDETAIL")
	for _, p := range list {
		name := p.Policy
		if p.Name != "" {
			name += " " + p.Name
		}
		says := p.Answer
		if p.Fault != "" {
			says += " (" + p.Fault + ")"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", name, says, p.Detail)
	}
}

func printOnward(w io.Writer, o *admin.OnwardPlan) {
	fmt.Fprintf(w, "\n  UPSTREAM %s\tTARGET\tWEIGHT\tSTATE\tBREAKER\tIN FLIGHT\tLATENCY\tTAKES IT\n", o.Upstream)
	for _, t := range o.Targets {
		takes := "yes"
		if t.Refusal != "" {
			takes = "no: " + t.Refusal
		}
		mark := ""
		if t.Target == o.Target {
			mark = "->"
		}
		fmt.Fprintf(w, "  %s\t%s\t%d\t%s\t%s\t%d\t%s\t%s\n", mark, t.Target, t.Weight, t.State, dash(t.Breaker), t.InFlight, seconds(t.LatencyMS/1000), takes)
	}
	line := func(what, text string) {
		if text != "" {
			fmt.Fprintf(w, "\n  %s: %s", what, text)
		}
	}
	line("target", strings.TrimSpace(o.Target+" "+o.Why))
	line("split", strings.Join(o.Split, ", "))
	line("requests", o.Queue)
	line("timeouts", strings.Join(o.Timeouts, ", "))
	line("tries", o.Retries)
	line("fallback", o.Fallback)
	fmt.Fprintln(w)
}

func (a *app) explainID(ctx context.Context, id string) error {
	records, err := a.client(askTimeout).Flight(ctx, &flight.Query{ID: id})
	if err != nil {
		return err
	}
	if len(records.Records) == 0 {
		return notKept(id, records.LeftOut)
	}
	if a.json {
		return a.printJSON(records.Records)
	}
	for i := range records.Records {
		if err := printRecord(a.out, &records.Records[i]); err != nil {
			return err
		}
	}
	return nil
}

// notKept says why a request may not be there.
func notKept(id string, leftOut map[string]uint64) error {
	more := ""
	if n, refused := leftOut["failed"], leftOut["refused"]; n+refused > 0 {
		more = fmt.Sprintf(" (%d that failed and %d that were refused came too fast to be kept)", n, refused)
	}
	return fmt.Errorf("no request %q is kept: only those of the last minutes that failed, were refused or were among the slowest are%s; the access log has all", id, more)
}

// printRecord writes what happened to a request.
func printRecord(w io.Writer, e *flight.Entry) error {
	fmt.Fprintf(w, "%s\n  request %s, %s\n", requestLine(e), escaped(e.ID), e.Time.UTC().Format("2006-01-02T15:04:05.000Z"))
	if e.Query != "" {
		fmt.Fprintf(w, "  query %s\n", escaped(e.Query))
	}
	fmt.Fprintf(w, "  client %s, user agent %s\n", e.Client, dash(escaped(e.Agent)))
	fmt.Fprintf(w, "  listener %s, route %s, upstream %s, target %s\n", e.Listener, dash(e.Route), dash(e.Upstream), dash(e.Target))
	fmt.Fprintf(w, "  answered %d after %s, %d bytes in, %d bytes out; kept because it was %s\n", e.Status, seconds(e.Seconds), e.BytesIn, e.BytesOut, whyKept(e.Class))
	if e.Limit != "" {
		fmt.Fprintf(w, "  too many by rate limit %s\n", e.Limit)
	}
	if e.Shadowed != "" {
		fmt.Fprintf(w, "  %s, in shadow mode, would have refused it\n", e.Shadowed)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\n  PHASE\tTOOK\tWHAT")
	for _, p := range e.Phases {
		end := ""
		if p.Phase == e.Ended && e.Fault != "" {
			end = "; it failed here"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s%s\n", p.Phase, seconds(p.Seconds), phaseMeaning(p.Phase), end)
	}
	if e.Tries > 0 {
		fmt.Fprintln(t, "\n  TRY\tAT\tTARGET\tTOOK\tOUTCOME")
		for i, try := range e.Tried {
			fmt.Fprintf(t, "  %d\t%s\t%s\t%s\t%s\n", i+1, time.Duration(try.After*float64(time.Second)).Round(time.Millisecond), try.Upstream+" "+try.Target, seconds(try.Seconds), outcome(try.Fault, try.Status))
		}
		if more := e.Tries - len(e.Tried) - 1; more > 0 {
			fmt.Fprintf(t, "  %s more\n", count(more, "try"))
		}
		fmt.Fprintf(t, "  last\t\t%s\t\t%s\n", e.Upstream+" "+dash(e.Target), outcome(e.Fault, e.Status))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return printFault(w, e.Fault)
}

func whyKept(class string) string {
	switch class {
	case flight.Slow.String():
		return "one of the slowest of its route"
	case flight.Asked.String():
		return "asked for"
	}
	return class
}

func outcome(label string, status int) string {
	if label != "" {
		return label
	}
	return fmt.Sprintf("answered %d", status)
}

// phaseMeaning says what happens in a phase.
func phaseMeaning(name string) string {
	return map[string]string{
		"head":    "the request came and its head was read",
		"admit":   "route, bans, access, limits, challenges, credentials, or the whole answer where no upstream is asked",
		"content": "content was waited for, to be kept for another try",
		"queue":   "a place at the upstream was waited for",
		"retry":   "tries before the last one, and pauses",
		"connect": "a target was chosen and a connection to it taken or made",
		"answer":  "the request was sent and the head of the response waited for",
		"relay":   "the response went to the client",
	}[name]
}

// printFault says what a fault means and what to do.
func printFault(w io.Writer, label string) error {
	k, ok := fault.Parse(label)
	if !ok {
		return nil
	}
	row := k.Row()
	_, err := fmt.Fprintf(w, "\n  %s (%s): %s\n  likely: %s\n  do: %s\n  more: sentinel why %s\n", row.Label, row.Code, row.Meaning, row.Causes[0], row.Remedy, row.Label)
	return err
}
