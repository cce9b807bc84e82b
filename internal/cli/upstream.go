package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"sentinel/internal/control/admin"
)

// printUpstream writes the page of one upstream with all that is known of its targets.
func printUpstream(w io.Writer, u *admin.UpstreamStatus, now time.Time) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "upstream %s: %d of %s usable\n", u.Name, u.Usable(), count(len(u.Targets), "target"))
	for _, note := range upstreamNotes(u) {
		fmt.Fprintf(&b, "  %s\n", note)
	}
	if u.Balancing != "" {
		fmt.Fprintf(&b, "  balancing %s\n", u.Balancing)
	}
	if len(u.Fallback) > 0 {
		fmt.Fprintf(&b, "  fallback %s\n", strings.Join(u.Fallback, ", "))
	}
	fmt.Fprintf(&b, "  %s in progress, %d pending\n", count(u.InProgress, "request"), u.Pending)
	for i := range u.Targets {
		fmt.Fprintln(&b)
		printTarget(&b, &u.Targets[i], now)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func printTarget(w io.Writer, t *admin.TargetStatus, now time.Time) {
	fmt.Fprintf(w, "target %s\n", targetName(t))
	fmt.Fprintf(w, "  %s%s%s\n", t.State, forSpan(t.Since, now), because(t.Cause))
	if !t.EjectedUntil.IsZero() && t.EjectedUntil.After(now) {
		fmt.Fprintf(w, "  ejected until %s, in %s\n", clock(t.EjectedUntil), span(t.EjectedUntil.Sub(now)))
	}
	if b := t.Breaker; b.State != "" {
		next := ""
		if b.State == admin.BreakerOpen && b.Until.After(now) {
			next = ", tries again in " + span(b.Until.Sub(now))
		}
		fmt.Fprintf(w, "  breaker %s%s%s%s\n", b.State, forSpan(b.Since, now), next, because(b.Cause))
	}
	fmt.Fprintf(w, "  weight %s\n", weight(t))
	fmt.Fprintf(w, "  %s, %s, %d in progress, latency %s\n", count(int(t.Requests), "request"), count(int(t.Failures), "failure"), t.InProgress, latency(t.LatencyMillis))
	fmt.Fprintf(w, "  connections %d open, %d idle\n", t.Open, t.Idle)
	if len(t.ProbeText) > 0 {
		fmt.Fprintln(w, "  last probe:")
	}
	for _, line := range t.ProbeText {
		fmt.Fprintf(w, "    %s\n", oneLine(line))
	}
}

func forSpan(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	return " for " + since(at, now)
}

func because(cause string) string {
	if cause == "" {
		return ""
	}
	return ": " + oneLine(cause)
}

// clock is a point in time as logs write it, to the second.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
