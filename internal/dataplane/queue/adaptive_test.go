package queue

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// server is an upstream that works on capacity requests at once, each for about service,
// and queues the rest inside, first come first served. Its demand has no end: whenever
// the limit allows, another request comes.
type server struct {
	a        *Adaptive
	rng      *rand.Rand
	now      time.Duration
	capacity int
	service  time.Duration
	demand   int // most requests at once that clients make, if above 0
	drop     bool

	workers  []time.Duration // when each is free again
	requests inFlight
	latency  time.Duration // of the last request
}

type request struct{ begun, end time.Duration }

type inFlight []request

func (f inFlight) Len() int           { return len(f) }
func (f inFlight) Less(i, j int) bool { return f[i].end < f[j].end }
func (f inFlight) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *inFlight) Push(x any)        { *f = append(*f, x.(request)) }
func (f *inFlight) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

func newServer(c AdaptiveConfig, capacity int) *server {
	return &server{a: NewAdaptive(c), rng: rand.New(rand.NewPCG(1, 2)), capacity: capacity, service: 20 * time.Millisecond}
}

// begin starts a request on the worker that is free first.
func (s *server) begin() {
	for len(s.workers) < s.capacity {
		s.workers = append(s.workers, s.now)
	}
	s.workers = s.workers[:s.capacity]
	first := 0
	for i, at := range s.workers {
		if at < s.workers[first] {
			first = i
		}
	}
	work := time.Duration((0.5 + s.rng.Float64()) * float64(s.service))
	end := max(s.now, s.workers[first]) + work
	s.workers[first] = end
	heap.Push(&s.requests, request{s.now, end})
}

// run goes on for d and returns the mean limit, the mean latency in units of the service
// time, and the requests served per service time.
func (s *server) run(d time.Duration) (limit, latency, throughput float64) {
	until, n := s.now+d, 0
	for s.now < until {
		for len(s.requests) < s.a.Limit() && (s.demand == 0 || len(s.requests) < s.demand) {
			s.begin()
		}
		count := len(s.requests)
		r := heap.Pop(&s.requests).(request)
		s.now = r.end
		s.latency = r.end - r.begun
		l, _ := s.a.Observe(s.now, s.latency, count, s.drop)
		limit, latency, n = limit+float64(l), latency+float64(s.latency), n+1
	}
	unit := float64(s.service)
	return limit / float64(n), latency / float64(n) / unit, float64(n) * unit / float64(d)
}

var simulated = AdaptiveConfig{Min: 1, Max: 1000, Tolerance: 1.5, Window: 200 * time.Millisecond}

func TestAdaptiveSettlesNearCapacity(t *testing.T) {
	for _, test := range []struct {
		capacity   int
		limit      float64 // the most the mean may be
		latency    float64 // the same, in service times
		throughput float64 // the least, as a share of the capacity
	}{
		{2, 8, 4, 0.93}, // the square root weighs much here
		{8, 16.5, 2.2, 0.93},
		{20, 40, 2, 0.97},
		{50, 100, 2, 0.97},
		{100, 200, 2, 0.97},
	} {
		s, c := newServer(simulated, test.capacity), float64(test.capacity)
		s.run(time.Minute)
		for part := range 4 {
			limit, latency, throughput := s.run(15 * time.Second)
			if limit < 0.8*c || limit > test.limit {
				t.Errorf("capacity %.0f, part %d: limit = %.1f, want %.1f to %.1f", c, part, limit, 0.8*c, test.limit)
			}
			if latency > test.latency {
				t.Errorf("capacity %.0f, part %d: latency = %.2f, want %.2f service times at most", c, part, latency, test.latency)
			}
			if throughput < test.throughput*c {
				t.Errorf("capacity %.0f, part %d: throughput = %.1f, want %.1f at least", c, part, throughput, test.throughput*c)
			}
		}
	}
}

// An upstream that slows as a whole first looks like a queue; the limit falls, a probe
// shows that it is the upstream, and the limit comes back.
func TestAdaptiveFollowsSlowUpstream(t *testing.T) {
	s := newServer(simulated, 50)
	s.run(time.Minute)
	s.service *= 5
	lowest := s.a.Limit()
	for range 200 {
		s.run(50 * time.Millisecond)
		lowest = min(lowest, s.a.Limit())
	}
	if lowest > 35 {
		t.Errorf("the lowest limit after a slow-down = %d, want 35 at most", lowest)
	}
	s.run(time.Minute)
	if limit, _, _ := s.run(30 * time.Second); limit < 45 || limit > 100 {
		t.Errorf("limit on the slow upstream = %.0f, want 45 to 100", limit)
	}
	s.service /= 5
	s.run(time.Minute)
	if limit, _, _ := s.run(30 * time.Second); limit < 45 || limit > 100 {
		t.Errorf("limit after it is fast again = %.0f, want 45 to 100", limit)
	}
}

// The probe comes early when the limit goes on falling, however far the next regular one
// is; the limit doesn't wait for that one, which comes each 12s.
func TestAdaptiveProbesEarly(t *testing.T) {
	for _, factor := range []time.Duration{2, 5} {
		for phase := range 6 {
			s := newServer(simulated, 50)
			s.run(30*time.Second + time.Duration(phase)*2*time.Second)
			s.service *= factor
			s.run(7 * time.Second)
			if got := s.a.Limit(); got < 45 && s.a.mu.probeUntil == 0 {
				t.Errorf("limit 7s after a slow-down by %d in phase %d = %d, want 45 at least", factor, phase, got)
			}
		}
	}
}

// Requests that take many windows show the effect of a change late; the limit must wait
// for it instead of swinging.
func TestAdaptiveWaitsForLongRequests(t *testing.T) {
	s := newServer(simulated, 50)
	s.service = 2 * time.Second
	s.run(5 * time.Minute)
	lowest, highest := s.a.Limit(), s.a.Limit()
	for range 900 {
		s.run(time.Second)
		if s.a.mu.probeUntil == 0 {
			lowest, highest = min(lowest, s.a.Limit()), max(highest, s.a.Limit())
		}
	}
	if lowest < 50 || highest > 100 {
		t.Errorf("the limit swings from %d to %d, want it within 50 to 100", lowest, highest)
	}
}

func TestAdaptiveFollowsCapacity(t *testing.T) {
	s := newServer(simulated, 50)
	for _, capacity := range []int{50, 10, 50} {
		s.capacity = capacity
		s.run(time.Minute)
		limit, latency, _ := s.run(30 * time.Second)
		if c := float64(capacity); limit < 0.8*c || limit > 2*c || latency > 2.2 {
			t.Errorf("capacity %d: limit = %.0f, latency = %.2f, want 0.8 to 2 times the capacity and 2.2 at most", capacity, limit, latency)
		}
	}
}

func TestAdaptiveFallsByDropsAndRecovers(t *testing.T) {
	s := newServer(simulated, 50)
	s.run(time.Minute)
	s.drop = true
	s.run(10 * time.Second)
	if got := s.a.Limit(); got != 1 {
		t.Errorf("limit while all requests are dropped = %d, want Min 1", got)
	}
	s.drop = false
	s.run(time.Minute)
	if limit, _, _ := s.run(30 * time.Second); limit < 45 || limit > 100 {
		t.Errorf("limit after the drops = %.0f, want 45 to 100", limit)
	}
}

func TestAdaptiveDoesNotGrowUnused(t *testing.T) {
	s := newServer(simulated, 50)
	s.demand = 6
	s.run(2 * time.Minute)
	if got := s.a.Limit(); got != startLimit {
		t.Errorf("limit with 6 in progress = %d, want %d as at the start", got, startLimit)
	}
	s.service *= 4 // unused as it is, the limit need not fall for that, nor probe
	for range 1000 {
		s.run(100 * time.Millisecond)
		if got := s.a.Limit(); got < 6 {
			t.Fatalf("limit with 6 in progress at a slower upstream = %d, want 6 at least", got)
		}
	}
	s.demand = 0
	s.run(time.Minute)
	if limit, _, _ := s.run(30 * time.Second); limit < 45 || limit > 100 {
		t.Errorf("limit once it is in use = %.0f, want 45 to 100", limit)
	}
}

func TestAdaptiveConfigDefaults(t *testing.T) {
	for _, test := range []struct {
		config AdaptiveConfig
		want   int
	}{
		{AdaptiveConfig{}, 1},
		{AdaptiveConfig{Min: 5, Max: 2}, 5},
		{AdaptiveConfig{Min: 1, Max: 1000}, 20},
		{AdaptiveConfig{Min: 50, Max: 1000}, 50},
		{AdaptiveConfig{Min: 1, Max: 8, Tolerance: -1, Window: -1}, 8},
	} {
		if got := NewAdaptive(test.config).Limit(); got != test.want {
			t.Errorf("NewAdaptive(%+v).Limit() = %v, want %v", test.config, got, test.want)
		}
	}
}

// However extreme the latencies, the sums must not run over into each other.
func TestAdaptiveTallyBounds(t *testing.T) {
	a := NewAdaptive(AdaptiveConfig{Min: 1, Max: 100, Window: time.Hour})
	a.Observe(1, 0, 1, false)
	for range tallyMax - 2 {
		a.count(time.Hour, 1, false)
	}
	if w := a.tally.Load(); w>>tallyBits/(w&(1<<tallyBits-1)) != uint64(latencyMax/time.Microsecond)*(tallyMax-2)/(tallyMax-1) {
		t.Errorf("mean of the tally = %dus in %d requests", w>>tallyBits/(w&(1<<tallyBits-1)), w&(1<<tallyBits-1))
	}
	a.Observe(time.Minute, -time.Second, 1, false)
	if n := a.tally.Load() & (1<<tallyBits - 1); n != 0 {
		t.Errorf("%d requests in the tally, want the full window to have ended", n)
	}
}

// Of all callers one is told of each change, and what the callers are told adds up.
func TestAdaptiveConcurrent(t *testing.T) {
	a := NewAdaptive(AdaptiveConfig{Min: 1, Max: 50, Window: time.Millisecond})
	var clock atomic.Int64
	var changes atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20_000 {
				now := time.Duration(clock.Add(int64(10 * time.Microsecond)))
				limit, changed := a.Observe(now, 5*time.Millisecond, a.Limit(), false)
				if limit < 1 || limit > 50 {
					t.Errorf("Observe() = %v, want 1 to 50", limit)
				}
				if changed {
					changes.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if got := changes.Load(); got < 10 {
		t.Errorf("%d changes, want at least the climb and some probes", got)
	}
}

func TestAdaptiveAllocates(t *testing.T) {
	a, now := NewAdaptive(simulated), time.Duration(0)
	got := testing.AllocsPerRun(1000, func() {
		now += 10 * time.Millisecond
		a.Observe(now, time.Millisecond, 15, false)
	})
	if got != 0 {
		t.Errorf("Observe allocates %v times, want 0", got)
	}
}

func BenchmarkObserve(b *testing.B) {
	a := NewAdaptive(simulated)
	var now time.Duration
	for b.Loop() {
		now += time.Microsecond
		a.Observe(now, time.Millisecond, 10, false)
	}
}

func BenchmarkObserveParallel(b *testing.B) {
	a := NewAdaptive(simulated)
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		var now time.Duration
		for pb.Next() {
			now += time.Microsecond
			a.Observe(now, time.Millisecond, 10, false)
		}
	})
}
