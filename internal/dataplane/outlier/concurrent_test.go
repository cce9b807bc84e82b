package outlier

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestCapAtOnce lets all targets of a group fail at once, from many goroutines, and checks
// with each change that no more than half are ejected.
func TestCapAtOnce(t *testing.T) {
	const size, most = 9, 4
	g := new(Group)
	g.SetSize(size)
	cfg := Config{ConsecutiveFailures: 2, ConsecutiveGatewayErrors: 2, Ejection: 10, EjectionMax: 20, MaxEjectedPercent: 50}
	var told [size]bool // by target, whether its last change ejected it
	var telling atomic.Int32
	ejections := 0
	targets := make([]*Detector, size)
	for i := range targets {
		targets[i] = New(cfg, g, func(c Change) {
			if telling.Add(1) != 1 {
				t.Error("two changes are told at once")
			}
			defer telling.Add(-1)
			runtime.Gosched()
			if !c.Refused && told[i] == c.Ejected {
				t.Errorf("target %d: told twice that ejected is %v", i, c.Ejected)
			}
			if c.Ejected {
				ejections++
			}
			told[i] = told[i] && c.Refused || c.Ejected
			if n := len(slices.DeleteFunc(slices.Clone(told[:]), func(b bool) bool { return !b })); n > most {
				t.Errorf("%d of %d ejected, want at most %d", n, size, most)
			}
		})
	}
	var clock atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 2000 {
				drive(targets[(n+i)%size], time.Duration(clock.Add(1)/8), n)
				if ejected, _ := g.Ejected(); ejected > most {
					t.Errorf("Ejected() = %d, want at most %d", ejected, most)
				}
			}
		})
	}
	wg.Wait()
	if ejections < 20 {
		t.Errorf("%d ejections, want many", ejections)
	}
	for i, d := range targets {
		if got := d.until.Load() != 0; got != told[i] {
			t.Errorf("target %d: ejected is %v, told was %v", i, got, told[i])
		}
		d.Close()
	}
	if ejected, _ := g.Ejected(); ejected != 0 {
		t.Errorf("Ejected() after all left = %d, want 0", ejected)
	}
}

// drive makes one call or a few to d.
func drive(d *Detector, now time.Duration, n int) {
	d.Done(now, Failure)
	d.Done(now, GatewayError)
	switch {
	case n%50 == 0:
		d.Return(now)
	case n%70 == 0:
		d.Configure(*d.cfg.Load())
	case n%7 == 0:
		d.Done(now, OK)
	}
	d.Ejected(now)
}

// TestOneEjectionAtOnce lets many goroutines bring the same bad news.
func TestOneEjectionAtOnce(t *testing.T) {
	for range 100 {
		g := new(Group)
		g.SetSize(2)
		var changes []Change
		d := New(Config{ConsecutiveFailures: 4, MaxEjectedPercent: 50}, g, func(c Change) { changes = append(changes, c) })
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { d.Done(0, Failure) })
		}
		wg.Wait()
		if len(changes) != 1 || !changes[0].Ejected || changes[0].Level != 1 {
			t.Fatalf("changes %v, want one ejection of level 1", changes)
		}
	}
}

// TestEjectTaken makes the call that comes too late: another one has taken the run.
func TestEjectTaken(t *testing.T) {
	g := new(Group)
	g.SetSize(2)
	d := New(Config{ConsecutiveFailures: 2, MaxEjectedPercent: 50}, g, nil)
	d.Done(0, Failure)
	g.eject(d, 0)
	if d.Ejected(0) {
		t.Error("Ejected() = true after one of two failures")
	}
}

func TestNoAllocation(t *testing.T) {
	g := new(Group)
	g.SetSize(1)
	d := New(Config{ConsecutiveFailures: 1 << 30, ConsecutiveGatewayErrors: 1 << 30}, g, nil)
	if n := testing.AllocsPerRun(1000, func() {
		d.Done(0, OK)
		d.Done(0, Failure)
		d.Done(0, GatewayError)
		d.Ejected(0)
	}); n != 0 {
		t.Errorf("%v allocations a request, want 0", n)
	}
}

func BenchmarkDone(b *testing.B) {
	g := new(Group)
	g.SetSize(2)
	d := New(Config{ConsecutiveFailures: 1 << 30, ConsecutiveGatewayErrors: 1 << 30}, g, nil)
	for _, bench := range []struct {
		name string
		o    Outcome
	}{{"ok", OK}, {"failure", Failure}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				d.Ejected(time.Duration(i))
				d.Done(time.Duration(i), bench.o)
			}
		})
	}
}
