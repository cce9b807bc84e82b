package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

// topFlags are the flags of top.
type topFlags struct {
	window time.Duration
	n      int
	watch  bool
	every  time.Duration
}

// watchEvery is how often --watch asks.
const watchEvery = 2 * time.Second

func (a *app) topCommand() *cobra.Command {
	var f topFlags
	cmd := &cobra.Command{
		Use:   "top [" + strings.Join(admin.TopLists(), "|") + "]",
		Short: "Watch the running sentinel, or show who has most requests",
		Long: `Without an argument, watch the running sentinel in the terminal: rates, failures, latency,
upstreams, clients, events and bans, a look every --every; drain, ban and lift bans at a key
and a confirmation. 'q' quits, '?' shows the keys. It needs 80 columns and 24 lines, no mouse
and no colours (NO_COLOR is obeyed). With --json one look is printed instead.

With an argument, show those with most requests in the last minute, or up to five: clients by address
(behind trusted proxies the one that they name), routes, canonical paths, user agents, or
the causes of failed requests. Every request is counted, in constant memory; where keys
are too many for that, a count is marked by how much it may be too high. Whoever has more
than a 256th of the requests is in the list. Exit code 3: no sentinel is running.`,
		Example: "  sentinel top\n  sentinel top clients\n  sentinel top paths --window 5m --number 50\n  sentinel top clients --json | jq -r '.entries[].key'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && !slices.Contains(admin.TopLists(), args[0]) {
				return usagef("one of %s wanted, or nothing", strings.Join(admin.TopLists(), ", "))
			}
			return nil
		},
		ValidArgs: admin.TopLists(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.topView(cmd, f.every)
			}
			return a.top(cmd.Context(), args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&f.window, "window", time.Minute, "how far back, up to 5m")
	flags.IntVarP(&f.n, "number", "n", 20, "how many to show, up to 256")
	flags.DurationVar(&f.every, "every", 2*time.Second, "without an argument: how often to look, 500ms to 1m")
	flags.BoolVarP(&f.watch, "watch", "w", false, "show it anew every two seconds until interrupted")
	a.socketFlagOn(cmd)
	return cmd
}

func (a *app) top(ctx context.Context, list string, f topFlags) error {
	for {
		t, err := a.client(askTimeout).Top(ctx, list, f.window, f.n)
		switch {
		case err != nil:
			return err
		case a.json:
			err = a.printJSON(t)
		default:
			if f.watch {
				fmt.Fprint(a.out, clearScreen)
			}
			err = printTop(a.out, &t)
		}
		if err != nil || !f.watch {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchEvery):
		}
	}
}

// clearScreen moves a terminal's cursor home and clears what is below.
const clearScreen = "\x1b[H\x1b[J"

// printTop writes the page of a list. Keys may be client input and are escaped.
func printTop(w io.Writer, top *admin.Top) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%d requests in the last %d seconds\n\n", top.Total, top.Seconds)
	fmt.Fprintf(t, "REQUESTS\tPER SECOND\tSHARE\t%s\n", strings.ToUpper(strings.TrimSuffix(top.List, "s")))
	for _, e := range top.Entries {
		count := strconv.FormatUint(e.Count, 10)
		if e.Error > 0 {
			count += fmt.Sprintf(" (-%d)", e.Error)
		}
		share := 0.0
		if top.Total > 0 {
			share = 100 * float64(e.Count) / float64(top.Total)
		}
		fmt.Fprintf(t, "%s\t%.1f\t%.1f%%\t%s\n", count, float64(e.Count)/float64(max(top.Seconds, 1)), share, shownKey(e))
	}
	return t.Flush()
}

// shownKey is a key as it is printed.
func shownKey(e admin.TopEntry) string {
	key := strings.Trim(strconv.QuoteToASCII(e.Key), `"`)
	if key == "" {
		key = "(empty)"
	}
	if e.Cut {
		key += "..."
	}
	return key
}
