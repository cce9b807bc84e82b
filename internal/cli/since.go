package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"sentinel/internal/observe/event"
	"sentinel/internal/observe/series"
)

const (
	// sinceMax is how far back the proxy remembers what happened.
	sinceMax = series.Kept * series.Step
	// barsMax is how many points a line of bars has.
	barsMax = 30
	// changesShown is how many events status --since shows.
	changesShown = 10
)

// checkSince refuses a duration that the proxy doesn't remember.
func checkSince(d time.Duration) error {
	if d <= 0 || d > sinceMax {
		return usagef("--since %s: above 0 and up to %s wanted, which is what is remembered", d, span(sinceMax))
	}
	return nil
}

// pointOf returns how long the points of a window are, for no more than barsMax of them.
func pointOf(window time.Duration) time.Duration {
	steps := (int(window/series.Step) + barsMax - 1) / barsMax
	return time.Duration(max(steps, 1)) * series.Step
}

// statusSince prints how things changed.
func (a *app) statusSince(ctx context.Context, window time.Duration) error {
	if err := checkSince(window); err != nil {
		return err
	}
	client := a.client(askTimeout)
	w, err := client.Series(ctx, window, pointOf(window))
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(w)
	}
	events, err := client.Events(ctx, 0)
	if err != nil {
		return err
	}
	return printSince(a.out, &w, events)
}

func printSince(w io.Writer, win *series.Window, events []event.Event) error {
	printWindow(w, win)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, part := range []struct {
		title, errors string
		list          []series.Series
	}{{"ROUTE", "5XX", win.Routes}, {"UPSTREAM", "FAILED TRIES", win.Upstreams}} {
		fmt.Fprintf(t, "\n%s\tPER SECOND\tBEFORE\t%s\tBEFORE\tP50\tP99\tP99 BEFORE\t%s\n", part.title, part.errors, "REQUESTS OVER TIME")
		for _, s := range part.list {
			if s.Now.Requests+s.Now.Errors+s.Before.Requests+s.Before.Errors == 0 {
				continue
			}
			fmt.Fprintf(t, "%s\t%.1f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Name,
				float64(s.Now.Requests)/win.Seconds, ifBefore(win, fmt.Sprintf("%.1f", float64(s.Before.Requests)/max(win.BeforeSeconds, 1))),
				errorsOf(&s.Now), ifBefore(win, errorsOf(&s.Before)),
				seconds(s.Now.P50), seconds(s.Now.P99), ifBefore(win, seconds(s.Before.P99)), barsOf(s.Points))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	printMoments(w, win.Moments)
	return printChanges(w, events, win.From)
}

// printWindow says what is compared with what.
func printWindow(w io.Writer, win *series.Window) {
	fmt.Fprintf(w, "the last %s", span(time.Duration(win.Seconds*float64(time.Second))))
	if win.BeforeSeconds > 0 {
		fmt.Fprintf(w, ", beside the %s before", span(time.Duration(win.BeforeSeconds*float64(time.Second))))
	}
	fmt.Fprintln(w)
	if win.LeftOut > 0 {
		fmt.Fprintf(w, "%s not shown: there are too many\n", count(win.LeftOut, "name"))
	}
}

func ifBefore(win *series.Window, text string) string {
	if win.BeforeSeconds == 0 {
		return "-"
	}
	return text
}

func errorsOf(s *series.Stat) string {
	if s.Errors == 0 || s.Requests == 0 {
		return fmt.Sprint(s.Errors)
	}
	return fmt.Sprintf("%d (%.1f%%)", s.Errors, 100*s.ErrorShare())
}

// seconds is a latency in the unit that suits it.
func seconds(s float64) string {
	switch d := time.Duration(s * float64(time.Second)); {
	case d == 0:
		return "-"
	case d < time.Millisecond:
		return fmt.Sprintf("%dus", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.1fms", s*1000)
	}
	return fmt.Sprintf("%.2fs", s)
}

// bars is a line of bars, the highest value the tallest.
func bars(values []uint64) string {
	levels := []rune("▁▂▃▄▅▆▇█")
	var most uint64
	for _, v := range values {
		most = max(most, v)
	}
	var b strings.Builder
	for _, v := range values {
		switch {
		case v == 0:
			b.WriteRune('·')
		default:
			b.WriteRune(levels[v*uint64(len(levels)-1)/most])
		}
	}
	return b.String()
}

func barsOf(points []series.Stat) string {
	values := make([]uint64, len(points))
	for i := range points {
		values[i] = points[i].Requests
	}
	return bars(values)
}

// memoryStages are the stages of the memory guard.
var memoryStages = [...]string{"ample", "lean", "tight", "short"}

func printMoments(w io.Writer, list []series.Moment) {
	if len(list) == 0 {
		return
	}
	first, last := &list[0], &list[len(list)-1]
	var most series.Moment
	for i := range list {
		m := &list[i]
		most.Connections, most.Waiting = max(most.Connections, m.Connections), max(most.Waiting, m.Waiting)
		most.ResidentBytes, most.MemoryStage = max(most.ResidentBytes, m.ResidentBytes), max(most.MemoryStage, m.MemoryStage)
		most.Refused += m.Refused
	}
	const mib = 1 << 20
	fmt.Fprintf(w, "\nconnections %d then, %d now, %d at most; %d refused\n", first.Connections, last.Connections, most.Connections, most.Refused)
	fmt.Fprintf(w, "waiting for an upstream %d then, %d now, %d at most\n", first.Waiting, last.Waiting, most.Waiting)
	fmt.Fprintf(w, "memory %d MiB then, %d MiB now, %d MiB at most; %s now, %s at the worst\n", first.ResidentBytes/mib, last.ResidentBytes/mib, most.ResidentBytes/mib,
		memoryStages[last.MemoryStage&3], memoryStages[most.MemoryStage&3])
}

// printChanges prints the last changes of state of the window.
func printChanges(w io.Writer, events []event.Event, from time.Time) error {
	for len(events) > 0 && events[0].Time.Before(from) {
		events = events[1:]
	}
	if len(events) == 0 {
		_, err := fmt.Fprintln(w, "\nno change of state")
		return err
	}
	fmt.Fprintf(w, "\n%s of state", count(len(events), "change"))
	if more := len(events) - changesShown; more > 0 {
		fmt.Fprintf(w, ", the last %d (sentinel events has all)", changesShown)
		events = events[more:]
	}
	fmt.Fprintln(w)
	for i := range events {
		if _, err := fmt.Fprintf(w, "  %s\n", events[i].AppendText(nil)); err != nil {
			return err
		}
	}
	return nil
}
