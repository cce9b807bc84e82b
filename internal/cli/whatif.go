package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/lifecycle"

	"github.com/spf13/cobra"
)

// whatIfTimeout is how long an answer may take: a processor counts some ten million requests
// a second.
const whatIfTimeout = 30 * time.Second

func (a *app) whatIfCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "what-if",
		Short: "Try a change on the traffic of the last minutes",
		Args:  a.noSuchCommand,
		RunE:  func(*cobra.Command, []string) error { return usagef("sentinel what-if wants a command: limits") },
	}
	cmd.AddCommand(a.whatIfLimitsCommand())
	return cmd
}

func (a *app) whatIfLimitsCommand() *cobra.Command {
	var window time.Duration
	cmd := &cobra.Command{
		Use:   "limits FILE",
		Short: "Say how many requests and clients limits would have hit",
		Long: `Say how many requests and clients the limits in FILE would have hit in the last five
minutes, and change nothing. FILE is a configuration or a part of one: rate-limit and
limits blocks at top level, in listeners and in routes. Those of a part are taken beside
what serves: a listener or route that serves with limits of its own keeps them, unless
FILE names it.

Requests that came are remembered with the client's address and hashes of path and host,
whether or not limits let them through; what is kept out by bans, access lists and bounds
on connections isn't. Each key begins with full credit. Limits by header or cookie can't
be told. Exit code 1: FILE has a problem, 3: no sentinel is running.`,
		Example: "  sentinel what-if limits new-limits.kdl\n  sentinel what-if limits /etc/sentinel/config.kdl --window 1m --json | jq '.limits[].refused'",
		Args:    exactly(1, "FILE"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.whatIfLimits(cmd.Context(), args[0], window) },
	}
	cmd.Flags().DurationVar(&window, "window", 5*time.Minute, "how far back, from 1s to 5m")
	a.socketFlagOn(cmd)
	return cmd
}

func (a *app) whatIfLimits(ctx context.Context, file string, window time.Duration) error {
	if window < time.Second || window > 5*time.Minute {
		return usagef("--window %v: from 1s to 5m wanted", window)
	}
	cfg, sources, diags := schema.Load(file, schema.Options{Fragment: true})
	if diags.HasErrors() {
		return lifecycle.NewConfigError(diags, sources.Text)
	}
	q := whatIfRequest(cfg)
	q.Seconds = int(window / time.Second)
	if len(q.Limits)+len(q.Connections) == 0 {
		return fmt.Errorf("%s holds neither a rate-limit nor limits", file)
	}
	w, err := a.client(whatIfTimeout).WhatIf(ctx, q)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(w)
	}
	return printWhatIf(a.out, &w, q.Seconds)
}

// whatIfRequest asks for all limits that stand in a file.
func whatIfRequest(cfg *schema.Config) (q admin.WhatIfRequest) {
	add := func(list []*schema.RateLimit, listener, route string) {
		for _, r := range list {
			l := whatIfLimit(r)
			l.Listener, l.Route = listener, route
			q.Limits = append(q.Limits, l)
		}
	}
	add(cfg.RateLimits, "", "")
	q.Connections = append(q.Connections, whatIfBounds(&cfg.Limits, "")...)
	q.Connections = append(q.Connections, whatIfBounds(cfg.Limits.Shadow, "")...)
	for _, l := range cfg.Listeners {
		q.Whole = q.Whole || len(l.Addresses) > 0
		add(l.RateLimits, l.Name.V, "")
		q.Connections = append(q.Connections, whatIfBounds(&l.Limits, l.Name.V)...)
		q.Connections = append(q.Connections, whatIfBounds(l.Limits.Shadow, l.Name.V)...)
	}
	for _, r := range cfg.Routes {
		add(r.RateLimits, "", r.Name.V)
	}
	return q
}

// whatIfLimit is a limit as it would be in earnest, be it in shadow mode or not.
func whatIfLimit(r *schema.RateLimit) admin.WhatIfLimit {
	l := admin.WhatIfLimit{
		Name: r.Name.V, PerSecond: r.PerSecond.V, PerMinute: r.PerMinute.V, Burst: r.Burst.V,
		IPv6Bits: r.IPv6PrefixBits.V, Keys: r.MaxKeys.V, OnlyNotes: r.Action.V == "log", Additional: r.Additional.V,
	}
	if l.Burst == 0 {
		l.Burst = max(l.PerSecond, l.PerMinute)
	}
	for _, k := range r.Key {
		l.Key = append(l.Key, k.V)
	}
	if r.Action.V == "delay" {
		l.DelaySecs = 1
		if r.MaxDelay.IsSet() {
			l.DelaySecs = r.MaxDelay.V.Seconds()
		}
	}
	return l
}

// whatIfBounds returns what a limits block, if there is one, says itself and isn't without
// limit.
func whatIfBounds(l *schema.Limits, listener string) (list []admin.WhatIfBound) {
	if l == nil {
		return nil
	}
	for _, k := range []struct {
		key   string
		value schema.Value[int64]
	}{
		{"max-connections", l.MaxConnections},
		{"max-connections-per-client", l.MaxConnectionsPerClient},
		{"max-concurrent-requests", l.MaxConcurrentRequests},
		{"max-requests-per-connection", l.MaxRequestsPerConnection},
		{"max-body-size", l.MaxBodySize},
		{"max-header-size", l.MaxHeaderSize},
		{"max-header-count", l.MaxHeaderCount},
		{"max-uri-length", l.MaxURILength},
		{"max-memory", l.MaxMemory},
	} {
		if k.value.From.Kind == schema.Written && k.value.V > 0 {
			list = append(list, admin.WhatIfBound{Listener: listener, Key: k.key, Limit: k.value.V})
		}
	}
	return list
}

// printWhatIf writes the page of an answer.
func printWhatIf(w io.Writer, a *admin.WhatIf, asked int) error {
	fmt.Fprintf(w, "%d requests in the last %s", a.Requests, (time.Duration(a.Seconds) * time.Second).String())
	if a.Seconds < float64(asked)-1 {
		fmt.Fprintf(w, ": what came before isn't remembered")
	}
	fmt.Fprintln(w)
	for i := range a.Limits {
		printWhatIfLimit(w, &a.Limits[i])
	}
	if len(a.Connections) > 0 {
		fmt.Fprintln(w)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range a.Connections {
		printWhatIfBound(t, &a.Connections[i], asked)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(w, "\nNothing was changed. To watch a limit without its effect, put it into the configuration\nwith mode \"shadow\", sentinel reload, and look at\n"+
		"sentinel_rate_limited_total{outcome=\"shadowed\"}; to apply it, without.\n")
	return err
}

func printWhatIfLimit(w io.Writer, l *admin.WhatIfAnswer) {
	place := "top level"
	switch {
	case l.Route != "":
		place = "route " + strconv.Quote(l.Route)
	case l.Listener != "":
		place = "listener " + strconv.Quote(l.Listener)
	}
	rate := fmt.Sprintf("%d per second", l.PerSecond)
	if l.PerMinute > 0 {
		rate = fmt.Sprintf("%d per minute", l.PerMinute)
	}
	fmt.Fprintf(w, "\nrate-limit %q of the %s: %s, burst %d, by %s\n", l.Name, place, rate, l.Burst, strings.Join(l.Key, " "))
	if l.Unknown != "" {
		fmt.Fprintf(w, "  can't be told: %s\n", l.Unknown)
		return
	}
	what := "refused"
	if l.OnlyNotes {
		what = "noted"
	}
	fmt.Fprintf(w, "  %d of %d requests %s (%s)", l.Refused, l.Requests, what, percent(l.Refused, l.Requests))
	if l.DelaySecs > 0 {
		fmt.Fprintf(w, ", %d delayed", l.Delayed)
	}
	if l.Margin > 0 && l.Refused+l.Delayed > 0 {
		fmt.Fprintf(w, ", to within %d", l.Margin)
	}
	fmt.Fprintf(w, "\n  %d of %d clients hit\n", l.Hit, l.Clients)
	for _, c := range l.Worst {
		fmt.Fprintf(w, "    %s: %d of %d requests\n", c.Client, c.Refused, c.Requests)
	}
}

func printWhatIfBound(w io.Writer, b *admin.WhatIfBoundAnswer, asked int) {
	name := fmt.Sprintf("%s %d", b.Key, b.Limit)
	if b.Listener != "" {
		name += fmt.Sprintf(" of listener %q", b.Listener)
	}
	switch {
	case b.Unknown != "":
		fmt.Fprintf(w, "%s:\tcan't be told: %s\n", name, b.Unknown)
	case b.Key == "max-connections-per-client":
		fmt.Fprintf(w, "%s:\tnow %d clients above it, with %d connections too many", name, b.Clients, b.Excess)
		if b.Largest != "" {
			fmt.Fprintf(w, "; most has %s: %d", b.Largest, b.Now)
		}
		fmt.Fprintln(w)
	default:
		fmt.Fprintf(w, "%s:\tnow %d, at most %d, above it in %d of the last %d seconds\n", name, b.Now, b.Peak, b.Over, asked)
	}
}

// percent returns a share such as "2.5%".
func percent(part, whole int) string {
	if whole == 0 {
		return "0%"
	}
	return strconv.FormatFloat(100*float64(part)/float64(whole), 'f', 1, 64) + "%"
}
