package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/observe/series"

	"github.com/spf13/cobra"
)

// seeingCommands are those that say what happens to requests.
func (a *app) seeingCommands() []*cobra.Command {
	return []*cobra.Command{a.errorsCommand(), a.slowCommand(), a.explainCommand(), a.whyCommand()}
}

func (a *app) errorsCommand() *cobra.Command {
	window, all := 5*time.Minute, false
	cmd := &cobra.Command{
		Use:   "errors [--since 5m]",
		Short: "Show which requests fail, why, and what to do about it",
		Long: `Show the requests that failed in the last while by fault, route, upstream and target, with
when that was seen first and last, whether it grows, what is behind it most likely and what
to type next; then the tries that failed and that another try followed, which clients didn't
notice. Refusals of clients (the faults with a code of C) are left out unless --all asks for
them. Exit code 3: no sentinel is running.`,
		Example: "  sentinel errors\n  sentinel errors --since 30m --all",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.errors(cmd.Context(), window, all)
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&window, "since", window, "how far back, up to 1h")
	flags.BoolVar(&all, "all", false, "refusals of clients, too")
	a.socketFlagOn(cmd)
	return cmd
}

func (a *app) errors(ctx context.Context, window time.Duration, all bool) error {
	if err := checkSince(window); err != nil {
		return err
	}
	w, err := a.client(askTimeout).Series(ctx, window, pointOf(window))
	if err != nil {
		return err
	}
	w.Errors = slices.DeleteFunc(w.Errors, func(e series.Error) bool { return e.Now == 0 })
	w.Faults = slices.DeleteFunc(w.Faults, func(f series.Fault) bool {
		return f.Now == 0 || !all && f.Side == fault.SideClient.String()
	})
	if a.json {
		return a.printJSON(w)
	}
	return printErrors(a.out, &w)
}

func printErrors(w io.Writer, win *series.Window) error {
	printWindow(w, win)
	printErrorSummary(w, win)
	failed, retried := failures(win)
	if len(failed)+len(retried) == 0 {
		_, err := fmt.Fprintln(w, "\nno fault")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printFailures(t, win, "FAULT", failed)
	printFailures(t, win, "TRY THAT ANOTHER FOLLOWED", retried)
	if err := t.Flush(); err != nil {
		return err
	}
	return printCauses(w, append(failed, retried...))
}

// failures returns what failed for clients, and tries that others made good or tried to. What
// is known by fault alone comes without upstream and target.
func failures(win *series.Window) (failed, retried []series.Error) {
	type key struct{ route, fault string }
	known := map[key]bool{}
	for _, e := range win.Errors {
		if e.Retried {
			retried = append(retried, e)
			continue
		}
		failed = append(failed, e)
		known[key{e.Route, e.Fault}] = true
	}
	for _, f := range win.Faults {
		if !known[key{f.Route, f.Fault}] {
			failed = append(failed, series.Error{Route: f.Route, Fault: f.Fault, Now: f.Now, Before: f.Before, First: f.First, Last: f.Last, Points: f.Points})
		}
	}
	slices.SortStableFunc(failed, func(a, b series.Error) int { return cmp.Compare(b.Now, a.Now) })
	return failed, retried
}

func printFailures(w io.Writer, win *series.Window, title string, list []series.Error) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\tCODE\tROUTE\tUPSTREAM\tTARGET\tCOUNT\tBEFORE\tTREND\tFIRST\tLAST\tOVER TIME\n", title)
	for i := range list {
		e := &list[i]
		code := "-"
		if k, ok := fault.Parse(e.Fault); ok {
			code = k.Row().Code
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", outcome(e.Fault, e.Status), code, e.Route, dash(e.Upstream), dash(e.Target),
			e.Now, ifBefore(win, fmt.Sprint(e.Before)), trend(win, e), ago(win.To, e.First), ago(win.To, e.Last), bars(e.Points))
	}
}

// printErrorSummary says how large a part of the requests failed.
func printErrorSummary(w io.Writer, win *series.Window) {
	var now, before series.Stat
	for _, r := range win.Routes {
		now.Requests += r.Now.Requests
		now.Errors += r.Now.Errors
		before.Requests += r.Before.Requests
		before.Errors += r.Before.Errors
	}
	fmt.Fprintf(w, "%d of %d requests were answered with 5xx, %.2f%%", now.Errors, now.Requests, 100*now.ErrorShare())
	if win.BeforeSeconds > 0 {
		fmt.Fprintf(w, "; before %.2f%%", 100*before.ErrorShare())
	}
	fmt.Fprintln(w)
}

// trend compares the rate of a failure with the one before.
func trend(win *series.Window, e *series.Error) string {
	now, before := float64(e.Now)/win.Seconds, float64(e.Before)/max(win.BeforeSeconds, 1)
	switch {
	case win.To.Sub(e.Last) > time.Minute:
		return "over"
	case e.Before == 0:
		return "new"
	case now > 1.5*before:
		return "rising"
	case now < before/1.5:
		return "falling"
	}
	return "steady"
}

// ago is how long before now something was; "-" for never.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return span(now.Sub(t)) + " ago"
}

// causesShown is how many faults are explained.
const causesShown = 3

// printCauses explains the most frequent failures.
func printCauses(w io.Writer, list []series.Error) error {
	shown := map[string]bool{}
	for i := range list {
		e := &list[i]
		if shown[e.Fault] || len(shown) == causesShown {
			continue
		}
		shown[e.Fault] = true
		k, ok := fault.Parse(e.Fault)
		if !ok {
			fmt.Fprintf(w, "\nanswered %d by the application at %s itself: its log says why\n  next: sentinel slow --route %s; sentinel upstreams %s\n", e.Status, dash(e.Target), e.Route, e.Upstream)
			continue
		}
		row := k.Row()
		fmt.Fprintf(w, "\n%s: %s\n  likely: %s\n  do: %s\n", row.Label, row.Meaning, row.Causes[0], row.Remedy)
		for _, c := range row.Commands[:min(2, len(row.Commands))] {
			fmt.Fprintf(w, "  next: %s\n", forTarget(c, e.Target))
		}
		fmt.Fprintf(w, "  more: sentinel why %s\n", row.Label)
	}
	return nil
}

// forTarget puts a target into a command that is about one.
func forTarget(command, target string) string {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return command
	}
	return strings.NewReplacer("HOST:PORT", target, "HOST", host, "PORT", port).Replace(command)
}
