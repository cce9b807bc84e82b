package cli

import (
	"context"
	"fmt"
	"io"
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
		Long: `Show the requests that failed in the last while by fault and route, with when the fault was
seen first and last, whether it grows, what is behind it most likely and what to type next.
Refusals of clients (the faults with a code of C) are left out unless --all asks for them.
Exit code 3: no sentinel is running.`,
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
	faults := w.Faults[:0]
	for _, f := range w.Faults {
		if f.Now > 0 && (all || f.Side != fault.SideClient.String()) {
			faults = append(faults, f)
		}
	}
	w.Faults = faults
	if a.json {
		return a.printJSON(w)
	}
	return printErrors(a.out, &w)
}

func printErrors(w io.Writer, win *series.Window) error {
	printWindow(w, win)
	printErrorSummary(w, win)
	if len(win.Faults) == 0 {
		_, err := fmt.Fprintln(w, "\nno fault")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nFAULT\tCODE\tSIDE\tROUTE\tCOUNT\tBEFORE\tTREND\tFIRST\tLAST\tOVER TIME")
	for i := range win.Faults {
		f := &win.Faults[i]
		code := "-"
		if k, ok := fault.Parse(f.Fault); ok {
			code = k.Row().Code
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", f.Fault, code, f.Side, f.Route, f.Now,
			ifBefore(win, fmt.Sprint(f.Before)), trend(win, f), ago(win.To, f.First), ago(win.To, f.Last), bars(f.Points))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return printCauses(w, win.Faults)
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

// trend compares the rate of a fault with the one before.
func trend(win *series.Window, f *series.Fault) string {
	now, before := float64(f.Now)/win.Seconds, float64(f.Before)/max(win.BeforeSeconds, 1)
	switch {
	case win.To.Sub(f.Last) > time.Minute:
		return "over"
	case f.Before == 0:
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

// printCauses explains the most frequent faults.
func printCauses(w io.Writer, faults []series.Fault) error {
	shown := map[string]bool{}
	for i := range faults {
		k, ok := fault.Parse(faults[i].Fault)
		if !ok || shown[faults[i].Fault] || len(shown) == causesShown {
			continue
		}
		shown[faults[i].Fault] = true
		row := k.Row()
		fmt.Fprintf(w, "\n%s: %s\n  likely: %s\n  do: %s\n", row.Label, row.Meaning, row.Causes[0], row.Remedy)
		if len(row.Commands) > 0 {
			fmt.Fprintf(w, "  next: %s\n", row.Commands[0])
		}
		fmt.Fprintf(w, "  more: sentinel why %s\n", row.Label)
	}
	return nil
}
