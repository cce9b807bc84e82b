package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"sentinel/internal/observe/flight"
	"sentinel/internal/observe/series"

	"github.com/spf13/cobra"
)

// slowFlags are the flags of slow.
type slowFlags struct {
	window time.Duration
	route  string
	n      int
}

func (a *app) slowCommand() *cobra.Command {
	f := slowFlags{window: 5 * time.Minute}
	cmd := &cobra.Command{
		Use:   "slow [--since 5m] [--route R]",
		Short: "Show the slowest routes, upstreams and requests, and where their time went",
		Long: `Show routes and upstreams by their latency, the slowest first, beside the time before, and
the slowest requests of each route that the flight recorder has kept, with the phase that
took longest: head (reading the request), admit (bans, limits, challenges, credentials),
content, queue (waiting for a place at the upstream), retry (tries before the last), connect,
answer (waiting for the upstream), relay (sending to the client). sentinel explain has a
whole one. Exit code 3: no sentinel is running.`,
		Example: "  sentinel slow\n  sentinel slow --since 30m --route api",
		Args:    exactly(0, "no argument"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.slow(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.DurationVar(&f.window, "since", f.window, "how far back, up to 1h")
	flags.StringVar(&f.route, "route", "", "only requests of the route `NAME`")
	flags.IntVarP(&f.n, "number", "n", 10, "how many of each to show")
	a.socketFlagOn(cmd)
	return cmd
}

// slowness is what slow finds.
type slowness struct {
	series.Window
	Requests []flight.Entry `json:"requests"`
}

func (a *app) slow(ctx context.Context, f slowFlags) error {
	if err := checkSince(f.window); err != nil {
		return err
	}
	if f.n < 1 {
		return usagef("--number %d: at least 1 wanted", f.n)
	}
	client := a.client(askTimeout)
	w, err := client.Series(ctx, f.window, 0)
	if err != nil {
		return err
	}
	records, err := client.Flight(ctx, &flight.Query{Classes: []flight.Class{flight.Slow, flight.Failed, flight.Asked}, Route: f.route, Since: f.window, Slowest: true, Max: f.n})
	if err != nil {
		return err
	}
	w.Routes, w.Upstreams = slowest(w.Routes, f.n), slowest(w.Upstreams, f.n)
	s := slowness{w, records.Records}
	if a.json {
		return a.printJSON(s)
	}
	return printSlow(a.out, &s)
}

// slowest returns the n series with the highest latency among those that had requests.
func slowest(list []series.Series, n int) []series.Series {
	list = slices.DeleteFunc(list, func(s series.Series) bool { return s.Now.Requests == 0 })
	slices.SortStableFunc(list, func(a, b series.Series) int { return cmp.Compare(b.Now.P99, a.Now.P99) })
	return list[:min(n, len(list))]
}

func printSlow(w io.Writer, s *slowness) error {
	printWindow(w, &s.Window)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, part := range []struct {
		title string
		list  []series.Series
	}{{"ROUTE", s.Routes}, {"UPSTREAM", s.Upstreams}} {
		fmt.Fprintf(t, "\n%s\tP50\tBEFORE\tP99\tBEFORE\tMEAN\tREQUESTS\n", part.title)
		for i := range part.list {
			x := &part.list[i]
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", x.Name, seconds(x.Now.P50), ifBefore(&s.Window, seconds(x.Before.P50)),
				seconds(x.Now.P99), ifBefore(&s.Window, seconds(x.Before.P99)), seconds(x.Now.Mean), x.Now.Requests)
		}
	}
	fmt.Fprintln(t, "\nTOOK\tMOST OF IT\tSTATUS\tROUTE\tTARGET\tREQUEST\tID")
	for i := range s.Requests {
		e := &s.Requests[i]
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", seconds(e.Seconds), longestPhase(e), e.Status, dash(e.Route), dash(e.Target), requestLine(e), escaped(e.ID))
	}
	return t.Flush()
}

// longestPhase names the phase that took most.
func longestPhase(e *flight.Entry) string {
	most := slices.MaxFunc(append(e.Phases, flight.Part{}), func(a, b flight.Part) int { return cmp.Compare(a.Seconds, b.Seconds) })
	if most.Phase == "" {
		return "-"
	}
	return most.Phase + " " + seconds(most.Seconds)
}

// requestLine is method, host and path as they are printed.
func requestLine(e *flight.Entry) string {
	line := escaped(e.Method) + " " + escaped(e.Host) + escaped(e.Path)
	if slices.Contains(e.Cut, "path") || slices.Contains(e.Cut, "host") {
		line += "..."
	}
	return line
}

// escaped is client input as it is printed: nothing in it reaches a terminal as it is.
func escaped(text string) string { return strings.Trim(strconv.QuoteToASCII(text), `"`) }

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
