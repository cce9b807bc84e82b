package diagnose

import (
	"fmt"
	"strings"
	"time"

	"sentinel/internal/observe/series"
)

// What it takes for an upstream to count as slower than before: how long "now" is, how many
// responses there must be in it and before it, and by how much the mean must have grown.
const (
	latencyNow       = 20 * time.Second
	latencyResponses = 20
	latencyFactor    = 3
	latencyLeast     = 0.2 // seconds
)

// judgeLatency says which upstreams answer much more slowly than they did in the last hour.
func judgeLatency(f *facts) []Finding {
	var out []Finding
	w := &f.running.series
	for i := range w.Upstreams {
		u := &w.Upstreams[i]
		now, before := meanOf(w, u, f.now.Add(-latencyNow))
		if now.n < latencyResponses || before.n < latencyResponses || now.mean() < latencyLeast || now.mean() < latencyFactor*before.mean() {
			continue
		}
		r := Finding{
			Code: "latency-raised", What: fmt.Sprintf("upstream %s answers in %.2f s on average, %.2f s before", u.Name, now.mean(), before.mean()),
			Evidence: append([]string{fmt.Sprintf("%.0f responses of the last %.0f s against %.0f of the time before, as far as the last hour tells", now.n, latencyNow.Seconds(), before.n)}, f.latencyText([]string{u.Name})...),
			Commands: []Command{{"which of its targets", f.command("upstreams " + Word(u.Name))}, {"which requests are slow, and in which phase", f.command("slow --since 5m")}},
			weight:   now.mean(),
		}
		routes := f.routesOf(u.Name)
		if len(routes) > 0 {
			r.Evidence = append(r.Evidence, "routes that use it: "+strings.Join(routes, " "))
		}
		r.Commands = append(r.Commands, f.slowestTarget(u.Name)...)
		r.Commands = append(r.Commands, f.mitigateSlow("upstream-slow", routes)...)
		out = append(out, r)
	}
	return out
}

// responses are those of some steps: how many there were, and their time in seconds.
type responses struct{ n, seconds float64 }

func (r responses) mean() float64 {
	if r.n == 0 {
		return 0
	}
	return r.seconds / r.n
}

// meanOf sums up the steps of an upstream that end after a time, and those before it.
func meanOf(w *series.Window, u *series.Series, after time.Time) (now, before responses) {
	for i, p := range u.Points {
		part := &before
		if i < len(w.Moments) && w.Moments[i].At.After(after) {
			part = &now
		}
		part.n += float64(p.Requests)
		part.seconds += float64(p.Requests) * p.Mean
	}
	return now, before
}

// slowestTarget keeps requests away from a target that is much slower than the others.
func (f *facts) slowestTarget(upstream string) []Command {
	for _, u := range f.running.upstreams {
		if u.Name != upstream {
			continue
		}
		worst, rest := -1, 0.0
		for i := range u.Targets {
			if takes(&u.Targets[i]) && (worst < 0 || u.Targets[i].LatencyMillis > u.Targets[worst].LatencyMillis) {
				worst = i
			}
		}
		for i := range u.Targets {
			if i != worst && takes(&u.Targets[i]) {
				rest = max(rest, u.Targets[i].LatencyMillis)
			}
		}
		if worst >= 0 && rest > 0 && u.Targets[worst].LatencyMillis > latencyFactor*rest {
			return []Command{{
				"keep requests away from the slow target (undo: the same with --undo)",
				f.command("drain " + Word(upstream+"/"+u.Targets[worst].Address) + " --reason slow"),
			}}
		}
	}
	return nil
}
