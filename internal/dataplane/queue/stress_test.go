package queue

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sentinel/internal/dataplane/fault"
)

// stress lets goroutines enter a gate in all ways at once, on real time.
type stress struct {
	t       *testing.T
	gate    *Gate
	start   time.Time
	most    atomic.Int64 // that may be inside
	inside  atomic.Int64
	depth   atomic.Int64
	results [5]atomic.Uint64 // place, full, timeout, deadline, limit
}

func newStress(t *testing.T, l Limits) *stress {
	emptyPools()
	s := &stress{t: t, start: time.Now()}
	s.most.Store(int64(l.Concurrent))
	s.gate = NewGate(l, func(delta int) { s.depth.Add(int64(delta)) })
	return s
}

func (s *stress) request(r *rand.Rand) {
	now, deadline := time.Since(s.start), time.Duration(0)
	if r.IntN(4) == 0 {
		deadline = now + time.Duration(r.IntN(300))*time.Microsecond + 1
	}
	_, err := s.gate.Enter(now, deadline, Priority(r.IntN(4)))
	for i, e := range [...]error{nil, fault.QueueFull, fault.QueueTimeout, ErrDeadline, fault.UpstreamConnectionLimit} {
		if errors.Is(err, e) {
			s.results[i].Add(1)
		}
	}
	if err != nil {
		return
	}
	if n := s.inside.Add(1); n > s.most.Load() {
		s.t.Errorf("%d inside, more than %d", n, s.most.Load())
	}
	for range r.IntN(4) {
		runtime.Gosched()
	}
	s.inside.Add(-1)
	s.gate.Leave()
}

func (s *stress) run(goroutines, requests int) {
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 0))
			for range requests {
				s.request(r)
			}
		})
	}
	wg.Wait()
	s.check(uint64(goroutines * requests))
}

// check compares what the callers got with what the gate has counted.
func (s *stress) check(requests uint64) {
	sum := uint64(0)
	for i := range s.results {
		sum += s.results[i].Load()
	}
	refused := s.gate.Refused()
	if sum != requests {
		s.t.Errorf("%d outcomes of %d requests", sum, requests)
	}
	if got := s.results[1].Load() + s.results[4].Load(); got != refused.Full+refused.Displaced+refused.Shed {
		s.t.Errorf("%d were refused, but Refused() = %+v", got, refused)
	}
	if got := s.results[2].Load(); got != refused.Timeout {
		s.t.Errorf("%d timed out, but Refused() = %+v", got, refused)
	}
	if got := s.results[3].Load(); got != refused.Deadline {
		s.t.Errorf("%d came to their deadline, but Refused() = %+v", got, refused)
	}
	if n, p, d := s.gate.InProgress(), s.gate.Pending(), s.depth.Load(); n != 0 || p != 0 || d != 0 {
		s.t.Errorf("in the end %d in progress, %d pending, depth %d, want 0", n, p, d)
	}
	if waited, err := s.gate.Enter(0, 0, Low); waited || err != nil {
		s.t.Errorf("Enter() of the gate at rest = %v, %v, want a place at once", waited, err)
	}
	s.t.Logf("places %d, refused %+v", s.results[0].Load(), refused)
}

func TestStress(t *testing.T) {
	for _, l := range []Limits{
		{Concurrent: 1, Pending: 10_000},
		{Concurrent: 1, Pending: 10_000, Wait: 100 * time.Microsecond},
		{Concurrent: 8, Pending: 50, Wait: time.Millisecond},
		{Concurrent: 8, Pending: 5, Shed: time.Nanosecond},
		{Concurrent: 3},
	} {
		newStress(t, l).run(2000, 10)
	}
}

// The limit changes all the time, also from and to none. Nobody may be left behind.
func TestStressSetLimits(t *testing.T) {
	s := newStress(t, Limits{Concurrent: 4, Pending: 500, Wait: time.Second})
	s.most.Store(1 << 40)
	stop := make(chan struct{})
	var setter sync.WaitGroup
	setter.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				s.gate.SetConcurrent(n % 5)
				runtime.Gosched()
			}
		}
	})
	for range 10 {
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 0))
				for range 20 {
					s.request(r)
				}
			})
		}
		wg.Wait()
	}
	close(stop)
	setter.Wait()
	s.check(10 * 500 * 20)
}

// A limit that is set where there was none holds once those who came before have left, even
// for a newcomer who had already read that there is none.
func TestLimitSetWhereNoneWas(t *testing.T) {
	emptyPools()
	for range 300 {
		g := NewGate(Limits{Pending: 100}, nil)
		var inside atomic.Int64
		var settled atomic.Bool
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 50 {
					if _, err := g.Enter(0, 0, Normal); err != nil {
						t.Errorf("Enter() = %v", err)
						return
					}
					holds := settled.Load()
					if n := inside.Add(1); holds && n > 1 {
						t.Errorf("%d inside, want 1", n)
					}
					runtime.Gosched()
					inside.Add(-1)
					g.Leave()
				}
			})
		}
		g.SetConcurrent(1)
		for g.InProgress() > 1 {
			runtime.Gosched()
		}
		settled.Store(true)
		wg.Wait()
		if g.InProgress() != 0 || g.Pending() != 0 {
			t.Fatalf("in the end %d in progress, %d pending, want 0", g.InProgress(), g.Pending())
		}
	}
}

func TestAllocates(t *testing.T) {
	emptyPools()
	for _, test := range []struct {
		name   string
		limits Limits
		full   bool
	}{
		{"no limit", Limits{}, false},
		{"room", Limits{Concurrent: 10}, false},
		{"refused", Limits{Concurrent: 1}, true},
		{"timeout", Limits{Concurrent: 1, Pending: 1, Wait: time.Microsecond}, true},
	} {
		g := NewGate(test.limits, nil)
		if test.full {
			g.Enter(0, 0, Low)
		}
		got := testing.AllocsPerRun(500, func() {
			if _, err := g.Enter(0, 0, Normal); err == nil {
				g.Leave()
			}
		})
		if got != 0 && !raceEnabled {
			t.Errorf("%s: Enter and Leave allocate %v times, want 0", test.name, got)
		}
	}
}

// Requests that wait for each other's place allocate nothing once the pools are filled.
func TestWaitingAllocates(t *testing.T) {
	emptyPools()
	g := NewGate(Limits{Concurrent: 1, Pending: 10}, nil)
	var waits atomic.Int64
	work := func(n int) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range n {
					if waited, _ := g.Enter(0, 0, Normal); waited {
						waits.Add(1)
					}
					runtime.Gosched()
					g.Leave()
				}
			})
		}
		wg.Wait()
	}
	work(1000)
	waits.Store(0)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work(5000)
	runtime.ReadMemStats(&after)
	if n := waits.Load(); n < 1000 {
		t.Fatalf("%d waits, too few to say anything", n)
	}
	if mallocs := after.Mallocs - before.Mallocs; !raceEnabled && float64(mallocs) > 0.05*float64(waits.Load()) {
		t.Errorf("%d allocations in %d waits, want next to none", mallocs, waits.Load())
	}
}

func BenchmarkEnterLeave(b *testing.B) {
	for _, test := range []struct {
		name   string
		limits Limits
	}{{"none", Limits{}}, {"limit", Limits{Concurrent: 100, Pending: 100}}} {
		b.Run(test.name, func(b *testing.B) {
			g := NewGate(test.limits, nil)
			for b.Loop() {
				g.Enter(0, 0, Normal)
				g.Leave()
			}
		})
	}
}

// BenchmarkEnterLeave8 is 8 goroutines with room for all, and with room for half of them.
func BenchmarkEnterLeave8(b *testing.B) {
	for _, test := range []struct {
		name   string
		limits Limits
	}{{"none", Limits{}}, {"room", Limits{Concurrent: 8}}, {"wait", Limits{Concurrent: 4, Pending: 100}}} {
		b.Run(test.name, func(b *testing.B) {
			emptyPools()
			g := NewGate(test.limits, nil)
			b.ReportAllocs()
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range b.N / 8 {
						g.Enter(0, 0, Normal)
						if test.limits.Pending > 0 {
							runtime.Gosched()
						}
						g.Leave()
					}
				})
			}
			wg.Wait()
		})
	}
}
