package series

import (
	"cmp"
	"slices"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/observe/metric"
)

// Window is what happened in a stretch of time that ends now, and in the one before it.
type Window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Seconds is how long the window is; BeforeSeconds how much of as long a time before it is
	// known, 0 when nothing is.
	Seconds       float64 `json:"seconds"`
	BeforeSeconds float64 `json:"before_seconds"`

	// Moments are the ends of the steps of the window; the points of all series go with them.
	Moments   []Moment `json:"moments"`
	Routes    []Series `json:"routes"`
	Upstreams []Series `json:"upstreams"`
	Faults    []Fault  `json:"faults"`
	Errors    []Error  `json:"errors"`
	LeftOut   int      `json:"left_out,omitempty"` // series that found no room
}

// Moment is the process at the end of a step.
type Moment struct {
	At             time.Time `json:"at"`
	Seconds        float64   `json:"seconds"`     // length of the step
	Connections    uint64    `json:"connections"` // of clients, open
	Accepted       uint64    `json:"accepted"`    // in the step
	Refused        uint64    `json:"refused"`     // in the step
	MemoryStage    int       `json:"memory_stage"`
	ResidentBytes  int64     `json:"resident_bytes"`
	Waiting        int       `json:"waiting"` // requests in the queues of upstreams
	UpstreamActive int       `json:"upstream_active"`
	UpstreamIdle   int       `json:"upstream_idle"`
}

// Series is a route or an upstream. The route "-" is that of requests without one.
type Series struct {
	Name   string `json:"name"`
	Now    Stat   `json:"now"`
	Before Stat   `json:"before"`
	Points []Stat `json:"points,omitempty"`
}

// Stat is what was counted in some time. Of a route Requests are answers, Errors those of 5xx
// and Refused those of 4xx. Of an upstream Requests are whole responses, Errors tries that
// brought none or one of 5xx, and Retried tries beyond the first.
type Stat struct {
	Requests uint64  `json:"requests"`
	Errors   uint64  `json:"errors"`
	Refused  uint64  `json:"refused,omitempty"`
	Retried  uint64  `json:"retried,omitempty"`
	Mean     float64 `json:"mean_seconds"`
	P50      float64 `json:"p50_seconds"`
	P99      float64 `json:"p99_seconds"`
}

// ErrorShare returns Errors as a share of Requests, 0 to 1; 0 without requests.
func (s *Stat) ErrorShare() float64 {
	if s.Requests == 0 {
		return 0
	}
	return min(float64(s.Errors)/float64(s.Requests), 1)
}

// Fault is how often a fault happened on a route.
type Fault struct {
	Route  string     `json:"route"`
	Fault  string     `json:"fault"` // its label
	Side   string     `json:"side"`
	Now    uint64     `json:"now"`
	Before uint64     `json:"before"`
	First  time.Time  `json:"first"` // to within a step, since the process began
	Last   time.Time  `json:"last"`
	Points []uint64   `json:"points,omitempty"`
	Kind   fault.Kind `json:"-"`
}

// Error is how often requests, or tries of them, failed in one way. What clients did wrong isn't
// among them.
type Error struct {
	Route    string `json:"route"`
	Upstream string `json:"upstream,omitempty"`
	Target   string `json:"target,omitempty"`
	Fault    string `json:"fault,omitempty"` // its label; empty where the upstream answered with Status itself
	Status   int    `json:"status,omitempty"`
	// Retried says that these are tries, and that each was followed by another one.
	Retried bool      `json:"retried,omitempty"`
	Now     uint64    `json:"now"`
	Before  uint64    `json:"before"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Points  []uint64  `json:"points,omitempty"`
}

// Query asks for a Window.
type Query struct {
	// Window is how far back it goes; what is kept bounds it.
	Window time.Duration
	// Merge is how many steps make a point; 0 asks for no points.
	Merge int
}

// Since answers q. The step in hand is in it as far as it has come.
func (r *Recorder) Since(q Query, now time.Time) Window {
	in, causes := r.opt.Read(), r.causes()
	resident := r.resident()
	sortReading(&in)
	r.mu.Lock()
	defer r.mu.Unlock()
	s := span{r: r, in: &in, merge: q.Merge, end: r.mu.taken}
	s.begin = s.first(now.Add(-q.Window))
	s.before = s.first(now.Add(-2 * q.Window))
	w := Window{
		To: now, LeftOut: len(r.mu.leftOut), Moments: []Moment{}, Routes: []Series{}, Upstreams: []Series{}, Faults: []Fault{}, Errors: []Error{},
	}
	w.From = s.start(s.begin)
	w.Seconds, w.BeforeSeconds = now.Sub(w.From).Seconds(), w.From.Sub(s.start(s.before)).Seconds()
	s.moments(&w, r.momentLocked(&in, now, resident))
	s.series(&w)
	s.faults(&w, now)
	s.errors(&w, causes)
	return w
}

// span is a stretch of samples; the step in hand comes after the last of them.
type span struct {
	r                  *Recorder
	in                 *metric.Reading
	before, begin, end int // samples: [before, begin) and [begin, end)
	merge              int
}

// first returns the first sample that is kept and whose step ended after t.
func (s *span) first(t time.Time) int {
	i := s.end
	for i > max(0, s.end-Kept) && s.r.mu.moments[(i-1)%Kept].At.After(t) {
		i--
	}
	return i
}

// start returns when the step of sample i began.
func (s *span) start(i int) time.Time {
	switch {
	case i == 0:
		return s.r.mu.began
	case i <= s.end-Kept: // the moment before it is overwritten
		m := s.r.mu.moments[i%Kept]
		return m.At.Add(-time.Duration(m.Seconds * float64(time.Second)))
	}
	return s.r.mu.moments[(i-1)%Kept].At
}

// last reports whether the step of sample i ends a point.
func (s *span) ends(i int) bool { return s.merge > 0 && ((i-s.begin+1)%s.merge == 0 || i == s.end) }

func (s *span) moments(w *Window, present Moment) {
	var m Moment
	for i := s.begin; i <= s.end; i++ {
		step := present
		if i < s.end {
			step = s.r.mu.moments[i%Kept]
		}
		step.Seconds, step.Accepted, step.Refused = step.Seconds+m.Seconds, step.Accepted+m.Accepted, step.Refused+m.Refused
		if m = step; s.ends(i) {
			w.Moments, m = append(w.Moments, m), Moment{}
		}
	}
}

func (s *span) series(w *Window) {
	for i := range s.in.Routes {
		route := &s.in.Routes[i]
		if now := readingOfRoute(route); s.r.mu.routes[route.Name] != nil || len(s.r.mu.routes) < RoutesMax {
			w.Routes = append(w.Routes, s.one(route.Name, s.r.mu.routes[route.Name], &now, false))
		}
	}
	for i := range s.in.Upstreams {
		u := &s.in.Upstreams[i]
		if now := readingOfUpstream(u); s.r.mu.upstreams[u.Name] != nil || len(s.r.mu.upstreams) < UpstreamsMax {
			w.Upstreams = append(w.Upstreams, s.one(u.Name, s.r.mu.upstreams[u.Name], &now, true))
		}
	}
}

// one sums up a track, which is nil before its first sample.
func (s *span) one(name string, t *track, now *reading, upstream bool) Series {
	if t == nil {
		t = &track{}
	}
	out := Series{Name: name}
	var all, before, part sum
	for i := s.before; i < s.begin; i++ {
		before.add(&t.points[i%Kept])
	}
	for i := s.begin; i <= s.end; i++ {
		p := t.growth(now)
		if i < s.end {
			p = t.points[i%Kept]
		}
		all.add(&p)
		part.add(&p)
		if s.ends(i) {
			out.Points, part = append(out.Points, part.stat(upstream)), sum{}
		}
	}
	out.Now, out.Before = all.stat(upstream), before.stat(upstream)
	return out
}

// sum adds points up.
type sum reading

func (s *sum) add(p *point) {
	s.requests += uint64(p.requests)
	s.errors += uint64(p.errors)
	s.third += uint64(p.third)
	s.durations.Nanos += p.nanos
	for i, n := range p.buckets {
		s.durations.Counts[i] += uint64(n)
	}
}

func (s *sum) stat(upstream bool) Stat {
	out := Stat{Requests: s.requests, Errors: s.errors, Refused: s.third, P50: s.durations.Quantile(0.5).Seconds(), P99: s.durations.Quantile(0.99).Seconds()}
	if upstream {
		out.Refused, out.Retried = 0, s.third
	}
	if n := s.durations.Count(); n > 0 {
		out.Mean = float64(s.durations.Nanos) / float64(n) / 1e9
	}
	return out
}

// faults lists what happened in the window or before it, the most frequent first.
func (s *span) faults(w *Window, now time.Time) {
	for i := range s.in.Routes {
		route := &s.in.Routes[i]
		for _, f := range route.Faults {
			key := faultKey{route.Name, f.Kind}
			t := s.r.mu.faults[key]
			if t == nil && len(s.r.mu.faults) >= FaultsMax {
				continue
			}
			if out := s.fault(key, t, f.Count, now); out.Now > 0 || out.Before > 0 {
				w.Faults = append(w.Faults, out)
			}
		}
	}
	slices.SortStableFunc(w.Faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(b.Now, a.Now), cmp.Compare(b.Before, a.Before))
	})
}

func (s *span) fault(key faultKey, t *tally, count uint64, now time.Time) Fault {
	if t == nil {
		t = &tally{first: now}
	}
	out := Fault{Route: key.route, Fault: key.kind.String(), Side: key.kind.Side().String(), Kind: key.kind, First: t.first, Last: t.seen}
	if grown(t.last, count) > 0 {
		out.Last = now
	}
	out.Now, out.Before, out.Points = s.counts(t, count)
	return out
}

// counts sums up a tally, whose count is so much by now.
func (s *span) counts(t *tally, count uint64) (now, before uint64, points []uint64) {
	for i := s.before; i < s.begin; i++ {
		before += uint64(t.counts[i%Kept])
	}
	var part uint64
	for i := s.begin; i <= s.end; i++ {
		n := grown(t.last, count)
		if i < s.end {
			n = uint64(t.counts[i%Kept])
		}
		now += n
		if part += n; s.ends(i) {
			points, part = append(points, part), 0
		}
	}
	return now, before, points
}

// errors lists what failed in the window or before it, the most frequent first.
func (s *span) errors(w *Window, causes map[Cause]causeReading) {
	for cause, c := range causes {
		t := s.r.mu.causes[cause]
		if t == nil {
			t = new(tally)
		}
		out := Error{
			Route: cause.Route, Upstream: cause.Upstream, Target: cause.Target, Status: cause.Status, Retried: cause.Retried,
			First: s.r.opt.Time(c.first), Last: s.r.opt.Time(c.last),
		}
		if cause.Fault != fault.None {
			out.Fault = cause.Fault.String()
		}
		if out.Now, out.Before, out.Points = s.counts(t, c.count); out.Now > 0 || out.Before > 0 {
			w.Errors = append(w.Errors, out)
		}
	}
	slices.SortFunc(w.Errors, func(a, b Error) int {
		return cmp.Or(cmp.Compare(b.Now, a.Now), cmp.Compare(b.Before, a.Before), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Target, b.Target), cmp.Compare(a.Fault, b.Fault))
	})
}
