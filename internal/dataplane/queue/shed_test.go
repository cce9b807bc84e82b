package queue

import (
	"testing"
	"time"
)

const shed = 50 * time.Millisecond

// serve lets the gate free a place each 10ms for d, while one request of each letter of
// come arrives in each step. What ended is forgotten.
func (s *script) serve(d time.Duration, come string) {
	s.t.Helper()
	for range d / (10 * time.Millisecond) {
		s.enterAll(come)
		s.sleep(10 * time.Millisecond)
		if s.gate.InProgress() > 0 {
			s.leave()
		}
	}
	s.take()
}

func (s *script) openStanding() {
	s.open(Limits{Concurrent: 1, Pending: 1000, Shed: shed})
	s.gate.Enter(s.now(), 0, Low)
}

func TestShedsStandingQueue(t *testing.T) {
	bubble(t, func(t *testing.T, s *script) {
		s.openStanding()
		s.serve(2*shed, "NN") // two come where one leaves
		s.serve(ShedWindow-2*shed, "N")
		s.enterAll("LNHC")
		s.want("") // not yet: the queue has stood for less than the window
		s.serve(2*shed, "N")
		s.enterAll("LNHC")
		s.want("L0:full")
		s.serve(ShedWindow, "N")
		s.enterAll("LNHC")
		s.want("L0:full N1:full")
		if got := s.gate.Refused(); got.Shed != 3 || got.Full != 0 {
			t.Errorf("Refused() = %+v, want 3 shed", got)
		}
		for s.gate.Pending() > 0 { // normal requests are shed now, so the queue empties
			s.serve(10*time.Millisecond, "")
		}
		s.enterAll("LNHC")
		s.want("") // and stands no more
		s.finish()
	})
}

// A burst that drains is not a standing queue, however long its longest wait.
func TestDoesNotShedBurst(t *testing.T) {
	bubble(t, func(t *testing.T, s *script) {
		s.openStanding()
		for range 5 {
			for range 4 {
				s.enterAll("NNNNNNNNNN")
			}
			s.serve(300*time.Millisecond, "") // waits of up to 400ms
			s.enterAll("L")
			s.serve(300*time.Millisecond, "")
			if n := s.gate.Pending(); n != 0 {
				t.Fatalf("Pending() = %v, want the burst to be over", n)
			}
			s.gate.Enter(s.now(), 0, Low)
		}
		if got := s.gate.Refused(); got != (Refused{}) {
			t.Errorf("Refused() = %+v, want none", got)
		}
		s.finish()
	})
}

// A busy queue in which each waits for less than Shed never sheds.
func TestDoesNotShedShortWaits(t *testing.T) {
	bubble(t, func(t *testing.T, s *script) {
		s.openStanding()
		s.enterAll("NN")
		s.serve(10*ShedWindow, "N")
		s.enterAll("L")
		s.want("")
		s.finish()
	})
}

// Low requests that starve behind others are shed; that they stand is no reason to shed
// those of higher priority, which don't.
func TestStarvingLineShedsOnlyItself(t *testing.T) {
	bubble(t, func(t *testing.T, s *script) {
		s.openStanding()
		s.enterAll("LLL")
		s.serve(5*ShedWindow, "H")
		s.enterAll("HNL")
		s.want("L2:full")
		s.finish()
	})
}

// Critical is never shed, whatever stands; everything below is in the end.
func TestCriticalIsNeverShed(t *testing.T) {
	bubble(t, func(t *testing.T, s *script) {
		s.openStanding()
		s.enterAll("CCCCCCCCC")
		s.serve(5*ShedWindow, "C")
		s.enterAll("CHNL")
		s.want("H1:full N2:full L3:full")
		s.finish()
	})
}

func TestShedOff(t *testing.T) {
	bubble(t, func(t *testing.T, s *script) {
		s.open(Limits{Concurrent: 1, Pending: 1000})
		s.gate.Enter(s.now(), 0, Low)
		s.enterAll("NNNNNNNNN")
		s.serve(5*ShedWindow, "N")
		s.enterAll("L")
		s.want("")
		s.gate.SetLimits(Limits{Concurrent: 1, Pending: 1000, Shed: shed})
		s.serve(time.Second, "N")
		s.enterAll("L")
		s.want("L0:full")
		s.finish()
	})
}
