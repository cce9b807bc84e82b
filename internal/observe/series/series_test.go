package series

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/observe/metric"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func newRegistry() (*metric.Registry, *Recorder) {
	m := metric.New(metric.Options{Cells: 1})
	return m, New(Options{Read: m.Read, Resident: func() int64 { return 7 << 20 }}, noon)
}

func find(list []Series, name string) Series {
	for _, s := range list {
		if s.Name == name {
			return s
		}
	}
	return Series{}
}

// The window and the one before it hold what was counted in them, the step in hand included.
func TestSince(t *testing.T) {
	m, r := newRegistry()
	api, up := m.Route("api"), m.Upstream("u")
	for i := range 60 { // ten minutes, one request and step each, more errors in the second half
		api.Observe(0, 200, 3*time.Millisecond)
		up.Observe(0, 2*time.Millisecond)
		if i >= 30 {
			api.Observe(0, 502, time.Millisecond)
			api.Fault(fault.UpstreamRefused)
			up.Failed()
		}
		r.Sample(noon.Add(time.Duration(i+1) * Step))
	}
	api.Observe(0, 404, 40*time.Millisecond) // in the step in hand
	now := noon.Add(10*time.Minute + 5*time.Second)
	w := r.Since(Query{Window: 5 * time.Minute, Merge: 6}, now)

	got := find(w.Routes, "api")
	if n := got.Now; n.Requests != 61 || n.Errors != 30 || n.Refused != 1 {
		t.Errorf("Now = %+v, want 61 requests, 30 errors, 1 refused", n)
	}
	if n := got.Before; n.Requests != 30 || n.Errors != 0 {
		t.Errorf("Before = %+v, want 30 requests without errors", n)
	}
	if len(got.Points) != 6 || len(w.Moments) != 6 || got.Points[0].Requests != 12 || got.Points[5].Requests != 1 {
		t.Errorf("Points = %+v with %d moments, want five of 12 requests and one of 1", got.Points, len(w.Moments))
	}
	if p := got.Now.P99; p < 0.025 || p > 0.050 {
		t.Errorf("P99 = %v, want it in the bucket of 40 ms", p)
	}
	if n := find(w.Upstreams, "u").Now; n.Requests != 30 || n.Errors != 30 {
		t.Errorf("of the upstream Now = %+v, want 30 responses and 30 errors", n)
	}
	if len(w.Faults) != 1 || w.Faults[0].Now != 30 || w.Faults[0].Before != 0 || w.Faults[0].Fault != "upstream_refused" ||
		!w.Faults[0].First.Equal(noon.Add(31*Step)) || !w.Faults[0].Last.Equal(noon.Add(60*Step)) {
		t.Errorf("Faults = %+v, want 30 of upstream_refused from the 31st step to the 60th", w.Faults)
	}
	if last := w.Moments[5]; last.Seconds != 5 || last.ResidentBytes != 7<<20 {
		t.Errorf("the moment of the step in hand is %+v, want 5 seconds and 7 MiB", last)
	}
	if w.Seconds != 305 || w.BeforeSeconds != 300 {
		t.Errorf("the windows are %v and %v seconds, want 305 and 300", w.Seconds, w.BeforeSeconds)
	}
}

// Before the first sample there is the step in hand alone.
func TestSinceStart(t *testing.T) {
	m, r := newRegistry()
	m.Route("api").Observe(0, 200, time.Millisecond)
	m.Route("api").Fault(fault.RateLimited)
	w := r.Since(Query{Window: time.Hour, Merge: 1}, noon.Add(3*time.Second))
	if s := find(w.Routes, "api"); s.Now.Requests != 1 || s.Before.Requests != 0 || len(s.Points) != 1 {
		t.Errorf("api = %+v, want one request in one point", s)
	}
	if len(w.Faults) != 1 || w.Faults[0].Now != 1 || w.Seconds != 3 || w.BeforeSeconds != 0 {
		t.Errorf("Since = %+v, want the fault, 3 seconds and nothing before", w)
	}
}

// After hours a window still adds up, whatever its length, and goes back an hour at most.
func TestRingsGoRound(t *testing.T) {
	m, r := newRegistry()
	api := m.Route("api")
	random := rand.New(rand.NewPCG(1, 2))
	var perStep []uint64
	for i := range 3*Kept + 17 {
		n := random.IntN(5)
		for range n {
			api.Observe(0, 200, time.Millisecond)
		}
		perStep = append(perStep, uint64(n))
		r.Sample(noon.Add(time.Duration(i+1) * Step))
	}
	now := noon.Add(time.Duration(len(perStep)) * Step)
	for _, steps := range []int{1, 7, 30, 179, 180, 200, 359, 360, 500} {
		w := r.Since(Query{Window: time.Duration(steps) * Step}, now)
		kept := min(steps, Kept)
		var want, before uint64
		for i := range kept {
			want += perStep[len(perStep)-1-i]
		}
		for i := kept; i < min(2*steps, Kept); i++ {
			before += perStep[len(perStep)-1-i]
		}
		if s := find(w.Routes, "api"); s.Now.Requests != want || s.Before.Requests != before || w.Seconds != float64(kept*10) {
			t.Errorf("over %d steps Now = %d, Before = %d in %v s, want %d and %d in %d s", steps, s.Now.Requests, s.Before.Requests, w.Seconds, want, before, kept*10)
		}
	}
}

// However many routes, upstreams and faults there are, the rings are bounded.
func TestBounds(t *testing.T) {
	var in metric.Reading
	for i := range 3 * RoutesMax {
		route := metric.RouteReading{Name: fmt.Sprintf("r%04d", i)}
		route.Classes[5] = uint64(i + 1)
		for k := range fault.All() {
			route.Faults = append(route.Faults, metric.FaultReading{Kind: k, Count: 1})
		}
		in.Routes = append(in.Routes, route)
		in.Upstreams = append(in.Upstreams, metric.UpstreamReading{Name: route.Name})
	}
	r := New(Options{Read: func() metric.Reading { return in }}, noon)
	for i := range 3 {
		r.Sample(noon.Add(time.Duration(i+1) * Step))
	}
	if a, b, c := len(r.mu.routes), len(r.mu.upstreams), len(r.mu.faults); a != RoutesMax || b != UpstreamsMax || c != FaultsMax {
		t.Errorf("there are rings of %d routes, %d upstreams, %d faults, want the bounds", a, b, c)
	}
	w := r.Since(Query{Window: time.Hour}, noon.Add(time.Minute))
	if len(w.Routes) != RoutesMax || len(w.Upstreams) != UpstreamsMax || len(w.Faults) != FaultsMax || w.LeftOut == 0 {
		t.Errorf("shown are %d routes, %d upstreams, %d faults and %d left out", len(w.Routes), len(w.Upstreams), len(w.Faults), w.LeftOut)
	}
	if BytesMax > 12<<20 {
		t.Errorf("BytesMax = %d, want 12 MiB at most", BytesMax)
	}
	in = metric.Reading{}
	for i := range Kept {
		r.Sample(noon.Add(time.Duration(i+4) * Step))
	}
	if n := len(r.mu.routes) + len(r.mu.upstreams) + len(r.mu.faults); n != 0 {
		t.Errorf("%d rings are left an hour after their names went, want none", n)
	}
}

// A handle that was swept and made anew counts from zero.
func TestCountersThatBeginAnew(t *testing.T) {
	in := metric.Reading{Routes: []metric.RouteReading{{Name: "a"}}}
	r := New(Options{Read: func() metric.Reading { return in }}, noon)
	for i, n := range []uint64{10, 3, 5} {
		in.Routes[0].Classes[2] = n
		r.Sample(noon.Add(time.Duration(i+1) * Step))
	}
	if s := find(r.Since(Query{Window: time.Hour}, noon.Add(3*Step)).Routes, "a"); s.Now.Requests != 15 {
		t.Errorf("Requests = %d, want 10 + 3 + 2", s.Now.Requests)
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := metric.New(metric.Options{Cells: 1})
		r := New(Options{Read: m.Read}, time.Now())
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		time.Sleep(time.Minute + time.Second)
		if r.mu.Lock(); r.mu.taken != 6 {
			t.Errorf("after a minute there are %d samples, want 6", r.mu.taken)
		}
		r.mu.Unlock()
		cancel()
	})
}

// A sample costs the control goroutine little; the request path nothing.
func BenchmarkSample(b *testing.B) {
	m, r := newRegistry()
	for i := range 100 {
		route := m.Route(fmt.Sprint(i))
		route.Observe(0, 200, time.Millisecond)
		route.Fault(fault.RateLimited)
		m.Upstream(fmt.Sprint(i)).Observe(0, time.Millisecond)
	}
	for i := 0; b.Loop(); i++ {
		r.Sample(noon.Add(time.Duration(i) * Step))
	}
}

// Failures are told apart by where, with whom and how.
func TestErrors(t *testing.T) {
	m := metric.New(metric.Options{Cells: 1})
	causes, clock := NewCauses(), time.Duration(0)
	r := New(Options{Read: m.Read, Causes: causes, Now: func() time.Duration { return clock }, Time: func(d time.Duration) time.Time { return noon.Add(d) }}, noon)
	a := Cause{Route: "a", Upstream: "u", Target: "10.0.0.1:80", Fault: fault.UpstreamRefused, Status: 502}
	b := Cause{Route: "a", Upstream: "u", Target: "10.0.0.2:80", Status: 500}
	for i := range 60 {
		clock = time.Duration(i) * Step
		causes.Note(&a, clock)
		if i >= 40 {
			causes.Note(&b, clock)
			causes.Note(&b, clock)
		}
		r.Sample(noon.Add(clock + Step))
	}
	clock += Step
	causes.Note(&a, clock)
	w := r.Since(Query{Window: 5 * time.Minute, Merge: 60}, noon.Add(clock+time.Second))
	want := []Error{
		{Route: "a", Upstream: "u", Target: "10.0.0.2:80", Status: 500, Now: 40, First: noon.Add(40 * Step), Last: noon.Add(59 * Step), Points: []uint64{40}},
		{Route: "a", Upstream: "u", Target: "10.0.0.1:80", Fault: "upstream_refused", Status: 502, Now: 31, Before: 30, First: noon, Last: noon.Add(60 * Step), Points: []uint64{31}},
	}
	if !reflect.DeepEqual(w.Errors, want) {
		t.Errorf("Errors = %+v, want %+v", w.Errors, want)
	}
	for i := range Kept + 2 {
		clock += Step
		r.Sample(noon.Add(clock + time.Duration(i)))
	}
	if n, kept := len(r.mu.causes), causes.used.Load(); n > 2 || kept != 0 {
		t.Errorf("an hour later %d causes and %d rings are left, want none", kept, n)
	}
}

// However many ways there are to fail, those that are told apart are bounded, and all are
// counted. Noting one that is known takes no memory.
func TestCausesAreBounded(t *testing.T) {
	c := NewCauses()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 4000 {
				c.Note(&Cause{Route: fmt.Sprint(i)}, time.Second)
			}
		})
	}
	all.Wait()
	var counted uint64
	list := c.read(0)
	for _, r := range list {
		counted += r.count
	}
	if len(list) > CausesMax || len(list) < CausesMax*3/4 || counted+c.LeftOut() != 16000 {
		t.Errorf("there are %d causes with %d failures and %d left out, want about %d and 16000 in all", len(list), counted, c.LeftOut(), CausesMax)
	}
	for cause := range list {
		if n := testing.AllocsPerRun(100, func() { c.Note(&cause, time.Minute) }); n != 0 {
			t.Errorf("Note allocates %v times", n)
		}
		break
	}
}

func BenchmarkNote(b *testing.B) {
	c := NewCauses()
	cause := Cause{Route: "api", Upstream: "backend", Target: "10.0.0.1:8080", Fault: fault.UpstreamRefused, Status: 502}
	for b.Loop() {
		c.Note(&cause, time.Second)
	}
}
