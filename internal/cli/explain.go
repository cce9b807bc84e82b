package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/observe/flight"

	"github.com/spf13/cobra"
)

func (a *app) explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain REQUEST-ID",
		Short: "Show what happened to a request",
		Long: `Show what happened to a request of the last minutes that failed, was refused or was among
the slowest: where it went, how long each phase took, every try at a target, the fault, what
it means and what to do. The id is in the access log and in the answer that the client got.
Exit code 1: the request isn't among those that are kept. Exit code 3: no sentinel is
running.`,
		Example: "  sentinel explain 0a1b2c3d4e5f60718293a4b5c6d7e8f9",
		Args:    exactly(1, "the id of a request"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.explainID(cmd.Context(), args[0]) },
	}
	a.socketFlagOn(cmd)
	return cmd
}

func (a *app) explainID(ctx context.Context, id string) error {
	records, err := a.client(askTimeout).Flight(ctx, &flight.Query{ID: id})
	if err != nil {
		return err
	}
	if len(records.Records) == 0 {
		return fmt.Errorf("no request %q is kept: only those of the last minutes that failed, were refused or were among the slowest are; the access log has all", id)
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
