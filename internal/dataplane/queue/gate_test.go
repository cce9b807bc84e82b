package queue

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sentinel/internal/dataplane/fault"
)

// bubble runs f with fake time. The waiters of netio are pooled, and one that was made
// inside a bubble mustn't be used outside; two collections empty the pool.
func bubble(t *testing.T, f func(t *testing.T, s *script)) {
	t.Helper()
	emptyPools()
	defer emptyPools()
	synctest.Test(t, func(t *testing.T) { f(t, &script{t: t, start: time.Now().Add(-time.Second)}) })
}

func emptyPools() {
	runtime.GC()
	runtime.GC()
}

// script drives a gate in a bubble and notes who got what, by name.
type script struct {
	t     *testing.T
	start time.Time
	gate  *Gate
	depth atomic.Int64 // what the hook has added up

	mu    sync.Mutex
	ended []string
}

func (s *script) now() time.Duration { return time.Since(s.start) }

func (s *script) open(l Limits) {
	s.gate = NewGate(l, func(delta int) {
		if s.depth.Add(int64(delta)) < 0 {
			s.t.Error("the hook says that less than nobody waits")
		}
	})
}

// enter lets a request come and returns when it has entered, been refused, or waits.
func (s *script) enter(name string, p Priority, deadline time.Duration) {
	s.t.Helper()
	go func() {
		_, err := s.gate.Enter(s.now(), deadline, p)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = append(s.ended, name+outcomeName(err))
	}()
	s.settle()
}

// enterAll lets a request come for each letter: L, N, H and C for the priority. Names are
// the letter and a number from 0.
func (s *script) enterAll(letters string) {
	s.t.Helper()
	for i, c := range letters {
		s.enter(string(c)+string(rune('0'+i)), Priority(strings.IndexRune("LNHC", c)), 0)
	}
}

func (s *script) leave() {
	s.t.Helper()
	s.gate.Leave()
	s.settle()
}

func (s *script) sleep(d time.Duration) {
	time.Sleep(d)
	s.settle()
}

func (s *script) settle() {
	s.t.Helper()
	synctest.Wait()
	if n, d := s.gate.Pending(), int(s.depth.Load()); n != d {
		s.t.Errorf("Pending() = %v, but the hook adds up to %v", n, d)
	}
}

// take returns what has ended since the last call.
func (s *script) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := s.ended
	s.ended = nil
	return ended
}

// want checks what has ended since the last call, in order.
func (s *script) want(names string) {
	s.t.Helper()
	if got := strings.Join(s.take(), " "); got != names {
		s.t.Errorf("ended: %q, want %q", got, names)
	}
}

// wantAnyOrder is want for sorted names that end at one moment.
func (s *script) wantAnyOrder(names string) {
	s.t.Helper()
	if got := strings.Join(slices.Sorted(slices.Values(s.take())), " "); got != names {
		s.t.Errorf("ended: %q, want %q", got, names)
	}
}

// finish empties the gate, so that no goroutine is left in the bubble.
func (s *script) finish() {
	s.gate.SetLimits(Limits{})
	synctest.Wait()
	for s.gate.InProgress() > 0 {
		s.gate.Leave()
	}
	if n := s.gate.Pending(); n != 0 {
		s.t.Errorf("Pending() of the empty gate = %v, want 0", n)
	}
}

// outcomeName is empty for a place.
func outcomeName(err error) string {
	switch err {
	case nil:
		return ""
	case ErrDeadline:
		return ":deadline"
	case fault.QueueFull:
		return ":full"
	case fault.QueueTimeout:
		return ":timeout"
	case fault.UpstreamConnectionLimit:
		return ":limit"
	}
	return ":" + err.Error()
}

func TestOrder(t *testing.T) {
	for _, test := range []struct{ come, want string }{
		{"NNN", "N0 N1 N2"},
		{"LNHC", "C3 H2 N1 L0"},
		{"NLNHNLC", "C6 H3 N0 N2 N4 L1 L5"},
		{"HHLL", "H0 H1 L2 L3"},
	} {
		bubble(t, func(t *testing.T, s *script) {
			s.open(Limits{Concurrent: 1, Pending: 100})
			s.gate.Enter(s.now(), 0, Low)
			s.enterAll(test.come)
			if n := s.gate.Pending(); n != len(test.come) {
				t.Errorf("Pending() = %v, want %v", n, len(test.come))
			}
			for range test.come {
				s.leave()
				if n := s.gate.InProgress(); n != 1 {
					t.Errorf("InProgress() = %v, want 1", n)
				}
			}
			s.want(test.want)
			s.finish()
		})
	}
}

func TestFullQueue(t *testing.T) {
	for _, test := range []struct {
		limits           Limits
		come, ended, end string // who ends on arrival of the last, and who gets a place later
		refused          Refused
	}{
		{Limits{Concurrent: 1}, "C", "C0:limit", "", Refused{Full: 1}},
		{Limits{Concurrent: 1, Pending: -1}, "N", "N0:limit", "", Refused{Full: 1}},
		{Limits{Concurrent: 1, Pending: 2}, "NNN", "N2:full", "N0 N1", Refused{Full: 1}},
		{Limits{Concurrent: 1, Pending: 2}, "NNL", "L2:full", "N0 N1", Refused{Full: 1}},
		{Limits{Concurrent: 1, Pending: 2}, "CCC", "C2:full", "C0 C1", Refused{Full: 1}},
		{Limits{Concurrent: 1, Pending: 2}, "NNH", "N1:full", "H2 N0", Refused{Displaced: 1}},
		{Limits{Concurrent: 1, Pending: 3}, "LLNH", "L1:full", "H3 N2 L0", Refused{Displaced: 1}},
		{Limits{Concurrent: 1, Pending: 3}, "LLNN", "L1:full", "N2 N3 L0", Refused{Displaced: 1}},
		{Limits{Concurrent: 1, Pending: 3}, "NHCL", "L3:full", "C2 H1 N0", Refused{Full: 1}},
		{Limits{Concurrent: 1, Pending: 3}, "LNHCC", "L0:full N1:full", "C3 C4 H2", Refused{Displaced: 2}},
		{Limits{Concurrent: 1, Pending: 1}, "LNHC", "L0:full N1:full H2:full", "C3", Refused{Displaced: 3}},
	} {
		bubble(t, func(t *testing.T, s *script) {
			s.open(test.limits)
			s.gate.Enter(s.now(), 0, Low)
			s.enterAll(test.come)
			s.want(test.ended)
			for range strings.Fields(test.end) {
				s.leave()
			}
			s.want(test.end)
			if got := s.gate.Refused(); got != test.refused {
				t.Errorf("%s: Refused() = %+v, want %+v", test.come, got, test.refused)
			}
			s.finish()
		})
	}
}

func TestWaitEnds(t *testing.T) {
	const wait = 5 * time.Second
	for _, test := range []struct {
		wait, deadline time.Duration // deadline counts from the arrival; 0 is none
		want           error
		after          time.Duration
	}{
		{wait, 0, fault.QueueTimeout, wait},
		{wait, time.Hour, fault.QueueTimeout, wait},
		{wait, wait, fault.QueueTimeout, wait},
		{wait, wait - 1, ErrDeadline, wait - 1},
		{0, time.Minute, ErrDeadline, time.Minute},
		{wait, -1, ErrDeadline, 0},
	} {
		bubble(t, func(t *testing.T, s *script) {
			s.open(Limits{Concurrent: 1, Pending: 1, Wait: test.wait})
			s.gate.Enter(s.now(), 0, Low)
			now, deadline := s.now(), time.Duration(0)
			if test.deadline != 0 {
				deadline = now + test.deadline
			}
			waited, err := s.gate.Enter(now, deadline, Normal)
			if !errors.Is(err, test.want) || waited != (test.after > 0) {
				t.Errorf("Enter(wait %v, deadline %v) = %v, %v, want %v", test.wait, test.deadline, waited, err, test.want)
			}
			if got := s.now() - now; got != test.after {
				t.Errorf("Enter(wait %v, deadline %v) took %v, want %v", test.wait, test.deadline, got, test.after)
			}
			want := Refused{Timeout: 1}
			if test.want == ErrDeadline {
				want = Refused{Deadline: 1}
			}
			if got := s.gate.Refused(); got != want {
				t.Errorf("Refused() = %+v, want %+v", got, want)
			}
			s.finish()
		})
	}
}

func TestWaitWithoutEnd(t *testing.T) {
	bubble(t, func(t *testing.T, s *script) {
		s.open(Limits{Concurrent: 1, Pending: 1})
		s.gate.Enter(s.now(), 0, Low)
		s.enter("patient", Low, 0)
		s.sleep(1000 * time.Hour)
		s.want("")
		s.leave()
		s.want("patient")
		s.finish()
	})
}

// A waiter in the middle of the line gives up; those around it keep their order.
func TestGivingUpKeepsOrder(t *testing.T) {
	bubble(t, func(t *testing.T, s *script) {
		s.open(Limits{Concurrent: 1, Pending: 9})
		s.gate.Enter(s.now(), 0, Low)
		for i, d := range []time.Duration{9, 1, 9, 2, 9, 3} {
			s.enter(string(rune('a'+i)), Normal, s.now()+d*time.Second)
		}
		s.sleep(4 * time.Second)
		s.want("b:deadline d:deadline f:deadline")
		s.enter("g", Normal, 0)
		for range 4 {
			s.leave()
		}
		s.want("a c e g")
		s.finish()
	})
}

// A place that is freed at the very moment at which the wait ends goes to the waiter or
// stays free, never both and never neither.
func TestGrantAtTheLastMoment(t *testing.T) {
	bubble(t, func(t *testing.T, s *script) {
		granted := 0
		for range 200 {
			s.open(Limits{Concurrent: 1, Pending: 1, Wait: time.Second})
			s.gate.Enter(s.now(), 0, Low)
			go func() {
				time.Sleep(time.Second)
				s.gate.Leave()
			}()
			_, err := s.gate.Enter(s.now(), 0, Low)
			synctest.Wait()
			want := 0
			if err == nil {
				want, granted = 1, granted+1
			}
			if got := s.gate.InProgress(); got != want {
				t.Fatalf("InProgress() = %v after Enter = %v, want %v", got, err, want)
			}
			if got := s.gate.Refused().Timeout; got != uint64(1-want) {
				t.Fatalf("%v timeouts after Enter = %v", got, err)
			}
		}
		t.Logf("%d of 200 waiters got the place", granted)
	})
}

// A place that is freed but not yet granted belongs to the first waiter.
func TestNewcomerDoesNotPassWaiter(t *testing.T) {
	bubble(t, func(t *testing.T, s *script) {
		s.open(Limits{Concurrent: 1, Pending: 1})
		s.gate.Enter(s.now(), 0, Low)
		s.enter("waiter", Low, 0)
		s.gate.state.Add(minusOne) // the first half of Leave
		if s.gate.take() {
			t.Error("a newcomer took the place of a waiter")
		}
		s.gate.state.Add(1)
		s.leave()
		s.want("waiter")
		s.finish()
	})
}

// A place that is freed after the newcomer has looked for one and before it is in line
// must not be lost. The hook makes that moment: the displaced was the only waiter, so
// Leave doesn't see that somebody comes.
func TestPlaceFreedBeforeWaiting(t *testing.T) {
	bubble(t, func(t *testing.T, s *script) {
		s.gate = NewGate(Limits{Concurrent: 1, Pending: 1}, func(delta int) {
			if s.depth.Add(int64(delta)); delta < 0 && s.gate.InProgress() == 1 && s.gate.mu.refused.Displaced == 0 {
				s.gate.Leave()
			}
		})
		s.gate.Enter(s.now(), 0, Low)
		s.enter("low", Low, 0)
		s.enter("high", High, 0)
		s.wantAnyOrder("high low:full")
		s.finish()
	})
}

// An Enter that had read that there is no limit finds that one has been set: it gives the
// place back, and a waiter that was refused because of it gets it.
func TestLimitSetMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T, s *script) {
		s.open(Limits{Concurrent: 1, Pending: 1})
		s.gate.Enter(s.now(), 0, Low)
		s.enter("waiter", Low, 0)
		if s.gate.takeUnlimited() || s.gate.InProgress() != 1 {
			t.Errorf("takeUnlimited() took a place beyond the limit: InProgress() = %v", s.gate.InProgress())
		}
		s.gate.state.Add(minusOne) // a Leave that came while the place was taken beyond the limit
		if s.gate.takeUnlimited() {
			t.Error("takeUnlimited() passed a waiter")
		}
		s.settle()
		s.want("waiter")
		s.finish()
	})
}

func TestSetLimits(t *testing.T) {
	bubble(t, func(t *testing.T, s *script) {
		s.open(Limits{Concurrent: 1, Pending: 9})
		s.gate.Enter(s.now(), 0, Low)
		s.enterAll("NNNNNN")
		s.gate.SetLimits(Limits{Concurrent: 3, Pending: 9})
		s.settle()
		s.wantAnyOrder("N0 N1") // raised: at once
		s.gate.SetConcurrent(1)
		s.leave()
		s.leave()
		s.want("") // lowered: those in progress finish
		if n := s.gate.InProgress(); n != 1 {
			t.Errorf("InProgress() = %v, want 1", n)
		}
		s.leave()
		s.want("N2")
		s.gate.SetLimits(Limits{Concurrent: 1, Pending: 2})
		s.enter("late", Normal, 0)
		s.want("late:full") // a shorter queue keeps whom it has
		s.enter("high", High, 0)
		s.want("N5:full")
		s.gate.SetConcurrent(0)
		s.settle()
		s.wantAnyOrder("N3 N4 high") // no limit: everybody
		s.enter("free", Low, 0)
		s.want("free")
		s.gate.SetLimits(Limits{Concurrent: 2, Pending: 1})
		s.enter("waits", Low, 0)
		s.want("")
		if got, want := s.gate.Limits(), (Limits{Concurrent: 2, Pending: 1}); got != want {
			t.Errorf("Limits() = %+v, want %+v", got, want)
		}
		s.finish()
	})
}

func TestLimitRange(t *testing.T) {
	for _, test := range []struct {
		concurrent int
		want       uint64
	}{{-1, 0}, {0, 0}, {1, 1}, {limitMax, limitMax}, {limitMax + 1, limitMax}, {1 << 40, limitMax}} {
		got := state(waitingBit | 7).withLimit(test.concurrent)
		if got.limit() != test.want || got.inProgress() != 7 || !got.waiting() {
			t.Errorf("withLimit(%d) = %d with %d in progress, want %d with 7", test.concurrent, got.limit(), got.inProgress(), test.want)
		}
	}
}

func TestLeaveWithoutEnter(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Leave without Enter must panic")
		}
	}()
	NewGate(Limits{Concurrent: 1}, nil).Leave()
}
