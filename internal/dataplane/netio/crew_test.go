package netio

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sleeper is a task that waits for its release.
type sleeper struct {
	release chan struct{}
	done    *sync.WaitGroup
}

func (s sleeper) Run() {
	<-s.release
	s.done.Done()
}

// TestCrew checks that goroutines are used again, that those without use end, and that none
// outlives the clock.
func TestCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock()
		crew := clock.Crew()
		idle := func() int {
			synctest.Wait()
			crew.mu.Lock()
			defer crew.mu.Unlock()
			return len(crew.mu.idle)
		}
		run := func(n int) {
			var done sync.WaitGroup
			s := sleeper{make(chan struct{}), &done}
			for range n {
				done.Add(1)
				crew.Go(s)
			}
			close(s.release)
			done.Wait()
		}
		for range 5 {
			run(10)
			if n := idle(); n != 10 {
				t.Fatalf("%d goroutines are idle, want 10", n)
			}
		}
		for range 30 { // three are used all the time
			run(3)
			time.Sleep(100 * time.Millisecond)
		}
		if n := idle(); n != 3 {
			t.Errorf("%d goroutines are idle after three seconds with 3 busy", n)
		}
		time.Sleep(3 * time.Second)
		if n := idle(); n != 0 {
			t.Errorf("%d goroutines are idle after three seconds of rest", n)
		}
		late := sync.WaitGroup{}
		late.Add(1)
		s := sleeper{make(chan struct{}), &late}
		crew.Go(s)
		run(2)
		clock.Stop()
		close(s.release)
		late.Wait()
		if n := idle(); n != 0 {
			t.Errorf("%d goroutines outlive the clock", n)
		}
	})
}

type nothing struct{ done chan struct{} }

func (n nothing) Run() { n.done <- struct{}{} }

// TestCrewAllocates checks that a task costs no allocation once the crew is there.
func TestCrewAllocates(t *testing.T) {
	clock := NewClock()
	defer clock.Stop()
	n := &nothing{make(chan struct{})}
	if a := testing.AllocsPerRun(1000, func() {
		clock.Crew().Go(n)
		<-n.done
	}); a >= 1 {
		t.Errorf("a task allocates %v times", a)
	}
}
