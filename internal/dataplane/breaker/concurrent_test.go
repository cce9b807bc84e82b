package breaker

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// together runs f on n goroutines at once and waits for them.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// TestTrialsAtOnce opens the breaker again and again and lets many ask for trials.
func TestTrialsAtOnce(t *testing.T) {
	const trialsMax = 3
	cfg := Config{FailureThreshold: 2, SuccessThreshold: 20, HalfOpenMax: trialsMax, Timeout: time.Minute}
	b := New(cfg, nil)
	var now time.Duration
	var trials, most, given atomic.Int64
	for range 200 {
		for b.State(now) == Closed {
			send(b, now, Failure)
		}
		now += time.Minute
		together(8, func(i int) {
			for range 20 {
				p, ok := b.Allow(now)
				if !ok || p.trial == 0 {
					runtime.Gosched()
					continue
				}
				most.Store(max(most.Load(), trials.Add(1)))
				given.Add(1)
				runtime.Gosched()
				trials.Add(-1)
				b.Done(p, now, 0, []Outcome{Success, Success, Ignored}[i%3])
			}
		})
		if n := most.Load(); n > trialsMax {
			t.Fatalf("%d trials at once, want at most %d", n, trialsMax)
		}
	}
	if given.Load() < 200 {
		t.Errorf("%d trials in 200 rounds, want one or more a round", given.Load())
	}
}

// TestChangesInOrder lets many goroutines drive the breaker through its states, and
// checks that the changes as told make one chain.
func TestChangesInOrder(t *testing.T) {
	var telling atomic.Int64
	last, count := Closed, 0
	cfg := Config{FailureThreshold: 3, SuccessThreshold: 2, HalfOpenMax: 2, Timeout: 50, ErrorPercent: 60, Window: 1000, MinRequests: 10}
	b := New(cfg, func(c Change) {
		if telling.Add(1) != 1 {
			t.Error("two changes are told at once")
		}
		if c.From != last || c.To == c.From {
			t.Errorf("change from %v to %v after %v", c.From, c.To, last)
		}
		runtime.Gosched()
		last = c.To
		count++
		telling.Add(-1)
	})
	var now time.Duration
	for round := range 300 { // failing and succeeding by turns
		together(4, func(i int) {
			if i == 0 && round%10 == 0 {
				b.Configure(cfg)
			}
			for n := range 20 {
				at := now + time.Duration(n)
				if p, ok := b.Allow(at); ok {
					runtime.Gosched()
					b.Done(p, at+1, 0, Outcome((round/2+n/19)%2))
				}
				b.Ready(at)
			}
		})
		now += 20
	}
	if s := b.State(now); s != last {
		t.Errorf("State() = %v, the last change told was to %v", s, last)
	}
	if count < 10 {
		t.Errorf("%d changes, want many", count)
	}
}

// TestFailuresInARowAtOnce checks that the run of failures misses none.
func TestFailuresInARowAtOnce(t *testing.T) {
	changes := 0
	b := New(Config{FailureThreshold: 8000, ErrorPercent: 100, MinRequests: 1 << 30}, func(Change) { changes++ })
	together(8, func(i int) {
		for n := range 1000 {
			if i > 0 || n > 0 {
				send(b, time.Second, Failure)
			}
		}
	})
	if got := b.Snapshot(time.Second); got.Failures != 7999 || got.State != Closed {
		t.Errorf("Snapshot() = %v, want 7999 failures, closed", got)
	}
	if all, failed, _ := b.rules.Load().window.sum(time.Second); all != 7999 || failed != 7999 {
		t.Errorf("sum() = %d, %d, want 7999 of 7999", all, failed)
	}
	send(b, time.Second, Failure)
	if changes != 1 {
		t.Errorf("%d changes, want 1", changes)
	}
}

var all = Config{FailureThreshold: 1000, ErrorPercent: 50, SlowCall: time.Second, SlowPercent: 50, MinRequests: 1000}

func TestNoAllocation(t *testing.T) {
	b := New(all, nil)
	var now time.Duration
	if n := testing.AllocsPerRun(1000, func() {
		now += time.Millisecond
		b.Ready(now)
		send(b, now, Success)
		send(b, now, Failure)
		send(b, now, Success)
	}); n != 0 {
		t.Errorf("%v allocations a request while closed, want 0", n)
	}
	half := New(Config{FailureThreshold: 1, SuccessThreshold: 1 << 30, Timeout: 1}, nil)
	send(half, now, Failure)
	send(half, now+1, Success)
	if n := testing.AllocsPerRun(1000, func() {
		now++
		send(half, now, Success)
	}); n != 0 {
		t.Errorf("%v allocations a trial, want 0", n)
	}
}

func BenchmarkAllowDone(b *testing.B) {
	for _, bench := range []struct {
		name string
		cfg  Config
		o    Outcome
	}{
		{"run", Config{FailureThreshold: 5}, Success},
		{"shares", all, Success},
		{"shares failing", Config{ErrorPercent: 100, MinRequests: 1 << 40}, Failure},
	} {
		b.Run(bench.name, func(b *testing.B) {
			br := New(bench.cfg, nil)
			b.ReportAllocs()
			for i := range b.N {
				now := time.Duration(i) * 1000
				p, _ := br.Allow(now)
				br.Done(p, now, 1000, bench.o)
			}
		})
		b.Run(bench.name+" at once", func(b *testing.B) {
			br := New(bench.cfg, nil)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p, _ := br.Allow(time.Second)
					br.Done(p, time.Second, 1000, bench.o)
				}
			})
		})
	}
}
