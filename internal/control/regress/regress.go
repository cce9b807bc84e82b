// Package regress tells whether requests fare worse since a change than before it, and is
// slow to say so.
//
// Time is cut into steps. What was counted in the last steps before the change is compared
// with what is counted in the steps after it, route by route and for all routes together:
//
//	before  |▂▁▂▃▁▂▂▁▂▂▁▂|            change            |·▅▆▅▆▆▅|  after
//	         Steps of a window                           the first is left out: connections
//	                                                     are opened, old requests end
//
// Three questions are asked of a route: do more of its requests fail, is its median slower,
// is its 90 % quantile slower? Each is one about shares (of failures, of requests slower
// than a bound), so one test answers all. Failures come in bursts; where the shares of single
// steps differ more than chance would have it, their dispersion says so, and the counts say
// as much less. What the test says is held against a bound that is divided by the number of
// questions that are asked of one change. A yes also has to matter (the least increase is set), to hold at two looks in a row, and
// to be true of the latest step.
package regress

import (
	"fmt"
	"slices"
	"time"

	"sentinel/internal/observe/metric"
)

const (
	// Steps is how many steps a window has.
	Steps = 12
	// stepsMin is how many steps with requests must be known of before.
	stepsMin = 4
	// falseAlarms is how likely an alarm without a cause may be for one change, if requests
	// fail by chance alone.
	falseAlarms = 2e-4
	// slowerMin is the least increase of a duration that matters.
	slowerMin = 5 * time.Millisecond
	// questions is how many are asked of one route at one look.
	questions = 3
)

// Settings say what matters.
type Settings struct {
	Window          time.Duration // before and after
	RequestsMin     uint64        // before and after, of a route that is compared
	ErrorIncrease   float64       // share of requests that fail more than before, such as 0.02
	LatencyIncrease float64       // of a quantile, such as 1 for twice as slow
}

// Step returns how long a step takes.
func (s Settings) Step() time.Duration { return s.Window / Steps }

// counts are those of one route in one step.
type counts struct {
	requests, errors uint64
	durations        [metric.Buckets]uint64
}

// step is what was counted in one step, by route; routes without requests are left out.
type step map[string]counts

// Recorder remembers the last steps.
type Recorder struct {
	last  map[string]counts // ever growing; nil before the first reading
	steps []step            // the oldest first
}

// Add ends a step with what is counted by now.
func (r *Recorder) Add(now []metric.RouteReading) {
	all := make(map[string]counts, len(now))
	grown := make(step)
	for i := range now {
		c := &now[i]
		if c.Name == metric.RouteNone {
			continue
		}
		n := counts{requests: c.Durations.Count(), errors: c.Classes[5], durations: c.Durations.Counts}
		all[c.Name] = n
		if g := n.since(r.last[c.Name]); g.requests > 0 {
			grown[c.Name] = g
		}
	}
	if r.last != nil {
		r.steps = append(r.steps, grown)
		r.steps = r.steps[max(len(r.steps)-Steps, 0):]
	}
	r.last = all
}

// since returns by how much counts have grown; all of them when they have begun anew.
func (c counts) since(before counts) counts {
	if c.requests < before.requests {
		return c
	}
	g := counts{requests: c.requests - before.requests, errors: c.errors - min(before.errors, c.errors)}
	for i := range g.durations {
		g.durations[i] = c.durations[i] - min(before.durations[i], c.durations[i])
	}
	return g
}

// latest returns the step that ended last.
func (r *Recorder) latest() step {
	if len(r.steps) == 0 {
		return nil
	}
	return r.steps[len(r.steps)-1]
}

// Forget has the recorder know only what was known before a change.
func (r *Recorder) Forget(w *Watch) { r.steps = slices.Clone(w.before) }

// Watch compares what comes after a change with what was before it.
type Watch struct {
	settings  Settings
	before    []step
	after     []step
	skipped   bool
	suspected map[string]bool // questions whose answer was yes at the last look
	compared  map[string]bool // routes of which enough was known
}

// Watch begins to watch a change that was made just now. Where one is being watched, known
// is that: it was never found good, so what was before it is compared with. It returns nil
// when too little is known of before.
func (r *Recorder) Watch(s Settings, known *Watch) *Watch {
	before := r.steps
	if known != nil {
		before = known.before
	}
	busy := 0
	for _, st := range before {
		if len(st) > 0 {
			busy++
		}
	}
	if busy < stepsMin {
		return nil
	}
	return &Watch{settings: s, before: slices.Clone(before), suspected: map[string]bool{}, compared: map[string]bool{}}
}

// Finding is one way in which requests fare worse.
type Finding struct {
	Route string // empty for all routes together
	What  string // with figures
}

// String returns the finding in words.
func (f Finding) String() string {
	if f.Route == "" {
		return "all routes together: " + f.What
	}
	return fmt.Sprintf("route %q: %s", f.Route, f.What)
}

// Look takes in the recorder's latest step and says what is found. done is true when the
// window is over, with or without a finding.
func (w *Watch) Look(r *Recorder) (found []Finding, done bool) {
	if !w.skipped {
		w.skipped = true
		return nil, false
	}
	w.after = append(w.after, r.latest())
	routes := w.routes()
	level := falseAlarms / float64(Steps*(questions*len(routes)+1))
	suspected := make(map[string]bool)
	ask := func(route, key, what string, yes bool) {
		key = route + "\x00" + key
		if yes && w.suspected[key] {
			found = append(found, Finding{route, what})
		}
		suspected[key] = yes
	}
	for _, route := range routes {
		w.compared[route] = true
		w.askRoute(route, level, ask)
	}
	what, yes := w.errors("", level)
	ask("", "errors", what, yes)
	w.suspected = suspected
	return found, len(w.after) >= Steps
}

// routes returns those of which enough is known before and after.
func (w *Watch) routes() []string {
	total := make(map[string]uint64)
	for _, st := range w.before {
		for name, c := range st {
			total[name] += c.requests
		}
	}
	var names []string
	for name, n := range total {
		if n >= w.settings.RequestsMin && sum(w.after, name).requests >= w.settings.RequestsMin {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Compared returns how many routes were compared so far.
func (w *Watch) Compared() int { return len(w.compared) }

// Left returns how long it takes on, with the step in hand.
func (w *Watch) Left() time.Duration {
	left := Steps - len(w.after)
	if !w.skipped {
		left++
	}
	return time.Duration(left) * w.settings.Step()
}

func (w *Watch) askRoute(route string, level float64, ask func(route, key, what string, yes bool)) {
	what, yes := w.errors(route, level)
	ask(route, "errors", what, yes)
	for _, q := range [...]struct {
		q     float64
		words string
	}{{0.5, "half"}, {0.9, "9 of 10"}} {
		what, yes := w.slower(route, q.q, q.words, level)
		ask(route, q.words, what, yes)
	}
}

// errors asks whether more requests fail; an empty route means all together.
func (w *Watch) errors(route string, level float64) (what string, yes bool) {
	count := func(c counts) uint64 { return c.errors }
	before, after := seriesOf(w.before, route, count), seriesOf(w.after, route, count)
	if before.total() < w.settings.RequestsMin || after.total() < w.settings.RequestsMin {
		return "", false
	}
	a, b := before.share(), after.share()
	least := a + max(w.settings.ErrorIncrease, a/2)
	if b < least || after.latest() < (a+least)/2 || before.busy() < stepsMin || chance(before, after) >= level {
		return "", false
	}
	return fmt.Sprintf("%s of its requests failed before, %s since", percent(a), percent(b)), true
}

// slower asks whether the q-quantile is: whether more requests than may be by what the
// quantile was are slower than a bound that lies as far above it as matters.
func (w *Watch) slower(route string, q float64, words string, level float64) (what string, yes bool) {
	var d metric.Durations
	d.Counts = sum(w.before, route).durations
	was := d.Quantile(q)
	limit := max(time.Duration(float64(was)*(1+w.settings.LatencyIncrease)), was+slowerMin)
	bucket := metric.BucketAbove(limit)
	if bucket >= metric.Buckets {
		return "", false
	}
	count := func(c counts) (n uint64) {
		for _, k := range c.durations[bucket:] {
			n += k
		}
		return n
	}
	before, after := seriesOf(w.before, route, count), seriesOf(w.after, route, count)
	if after.share() <= 1-q || after.latest() <= 1-q || before.busy() < stepsMin || chance(before, after) >= level {
		return "", false
	}
	return fmt.Sprintf("%s of its requests took at most %v before, %s take longer than %v since",
		words, was.Round(100*time.Microsecond), percent(after.share()), metric.BucketBound(bucket-1)), true
}

func percent(share float64) string { return fmt.Sprintf("%.3g%%", share*100) }

// sum adds up the steps of a route.
func sum(steps []step, route string) (t counts) {
	for _, st := range steps {
		c := st[route]
		t.requests += c.requests
		t.errors += c.errors
		for i := range t.durations {
			t.durations[i] += c.durations[i]
		}
	}
	return t
}

// series is how many of how many requests it was, step by step.
type series struct{ of, all []float64 }

func seriesOf(steps []step, route string, count func(counts) uint64) (s series) {
	for _, st := range steps {
		var of, all uint64
		if route != "" {
			c := st[route]
			of, all = count(c), c.requests
		} else {
			for _, c := range st {
				of, all = of+count(c), all+c.requests
			}
		}
		s.of, s.all = append(s.of, float64(of)), append(s.all, float64(all))
	}
	return s
}

func (s *series) sums() (of, all float64) {
	for i := range s.of {
		of, all = of+s.of[i], all+s.all[i]
	}
	return of, all
}

func (s *series) total() uint64 {
	_, all := s.sums()
	return uint64(all)
}

func (s *series) share() float64 {
	of, all := s.sums()
	if all == 0 {
		return 0
	}
	return of / all
}

// latest returns the share in the last step that had requests.
func (s *series) latest() float64 {
	for i := len(s.all) - 1; i >= 0; i-- {
		if s.all[i] > 0 {
			return s.of[i] / s.all[i]
		}
	}
	return 0
}

// busy returns how many steps had requests.
func (s *series) busy() (n int) {
	for _, all := range s.all {
		if all > 0 {
			n++
		}
	}
	return n
}
