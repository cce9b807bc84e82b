// Package breaker keeps requests away from a target that answers badly. A breaker is
// closed, open or half-open: closed, it lets all through and counts; open, it lets none
// through until a timeout has passed; half-open, it lets a few trials through, whose results
// open or close it.
//
//	closed --a form trips--> open --Timeout--> half-open --SuccessThreshold successes--> closed
//	                          ^--------a failed trial--------'
//
// What opens it is called a form: failures in a row, the share of failed calls, or the share
// of slow calls. There are no timers: time that has passed is noticed by the next call.
//
// One word holds state, generation and the run of failures, so that a result is counted in
// the generation it belongs to or not at all. A closed breaker costs two loads a request and,
// where a form looks at shares, one addition; a mutex is taken for trials and changes of
// state.
package breaker

import (
	"sync"
	"sync/atomic"
	"time"
)

// State is what a breaker does with requests. The numbers are those of the metric.
type State uint8

// The states of a breaker.
const (
	Closed   State = iota // all requests go through
	Open                  // none does
	HalfOpen              // a few trials do
)

// String returns "closed", "open" or "half-open".
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	}
	return "half-open"
}

// Outcome is what a request that went through said of the target.
type Outcome uint8

// The outcomes of a request.
const (
	Success Outcome = iota
	Failure
	Ignored // says nothing: the client went away, or the fault was our own
)

// Change is one change of state, as told to whoever watches.
type Change struct {
	From, To State
	Cause    string        // short fixed text, such as "5 failures in a row"
	At       time.Duration // on the clock of the process
	Until    time.Duration // when To is Open: when trials begin, on the same clock
}

// Snapshot is what a breaker says of itself at one moment.
type Snapshot struct {
	State    State
	Since    time.Duration // when it came into this state, on the clock of the process
	Cause    string        // of the last change; empty before the first
	Failures int           // in a row, while closed
	Until    time.Duration // while open: when trials begin
}

// Pass is the leave to send one request. It goes back by Done. The zero Pass is nobody's.
type Pass struct {
	epoch uint32 // state and generation that gave it
	slot  uint32 // of a trial
	trial uint32 // number of the trial; 0: not a trial
}

// slot is a place for one trial at a time.
type slot struct {
	trial uint32 // 0: free
	taken time.Duration
}

// Breaker is the circuit breaker of one target. Make it by New; its methods may be called by
// many goroutines at once. Every now is on the clock of the process and may lag a little
// behind the now of another call.
type Breaker struct {
	word     atomic.Uint64 // state: 2 bits, generation: 30 bits, failures in a row: 32 bits
	retryAt  atomic.Int64  // unless closed: nothing goes through before; 0: look under the mutex
	rules    atomic.Pointer[rules]
	onChange func(Change)

	mu struct {
		sync.Mutex
		since     time.Duration
		cause     string
		successes int    // of trials, in this half-open stretch
		slots     []slot // of trials
		lastTrial uint32
		untold    []Change
		telling   bool
	}
}

// firstGeneration is not 0, so that the zero Pass fits no generation.
const firstGeneration = 1 << 2

// New returns a closed breaker. onChange, if not nil, is told each change of state, one at a
// time and in order, by the goroutine of a call that made or noticed one; the breaker may be
// used in it.
func New(cfg Config, onChange func(Change)) *Breaker {
	b := &Breaker{onChange: onChange}
	b.rules.Store(newRules(cfg, nil))
	b.word.Store(firstGeneration)
	return b
}

func stateOf(word uint64) State { return State(word & 3) }

// Configure changes what trips the breaker and how long it stays open. State and counts
// stay, save that a window of another length starts empty. A form that is off no longer
// trips; a breaker with no form on is closed by its next call.
func (b *Breaker) Configure(cfg Config) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules.Store(newRules(cfg, b.rules.Load()))
	b.retryAt.Store(0)
}

// Recovered has the trials of an open breaker begin at once: somebody else has found the
// target well.
func (b *Breaker) Recovered(now time.Duration) {
	b.mu.Lock()
	b.advanceLocked(now)
	if stateOf(b.word.Load()) == Open {
		b.changeLocked(HalfOpen, now, "its checks succeed again")
	}
	b.unlockAndTell()
}

// Ready reports whether Allow would say yes. It takes nothing.
func (b *Breaker) Ready(now time.Duration) bool {
	if stateOf(b.word.Load()) == Closed {
		return true
	}
	if int64(now) < b.retryAt.Load() {
		return false
	}
	b.mu.Lock()
	b.advanceLocked(now)
	ready := stateOf(b.word.Load()) == Closed || b.freeSlotLocked(now) >= 0
	b.unlockAndTell()
	return ready
}

// Allow reports whether a request may be sent to the target. When it says yes, the Pass goes
// back by exactly one Done.
func (b *Breaker) Allow(now time.Duration) (Pass, bool) {
	word := b.word.Load()
	if stateOf(word) == Closed {
		return Pass{epoch: uint32(word)}, true
	}
	if int64(now) < b.retryAt.Load() {
		return Pass{}, false
	}
	b.mu.Lock()
	p, ok := b.takeLocked(now)
	b.unlockAndTell()
	return p, ok
}

// Done takes the result of a request that Allow let through: when it ended, how long it
// took, and its outcome. A result from before the last change of state counts for nothing.
func (b *Breaker) Done(p Pass, now, took time.Duration, o Outcome) {
	if p.trial != 0 {
		b.doneTrial(p, now, took, o)
		return
	}
	word := b.word.Load()
	if uint32(word) != p.epoch || o == Ignored {
		return
	}
	run := b.countRun(p.epoch, o)
	r := b.rules.Load()
	if r.FailureThreshold > 0 && run >= uint32(r.FailureThreshold) {
		b.trip(p.epoch, now, runCause(run))
		return
	}
	if r.window == nil {
		return
	}
	if cause := r.count(now, took, o); cause != "" {
		b.trip(p.epoch, now, cause)
	}
}

// countRun lengthens or ends the run of failures of one closed generation and returns its
// length; 0 when the generation is over.
func (b *Breaker) countRun(epoch uint32, o Outcome) uint32 {
	for {
		word := b.word.Load()
		if uint32(word) != epoch {
			return 0
		}
		next := uint64(epoch)
		if o == Failure {
			next = word + 1<<32
		}
		if word == next || b.word.CompareAndSwap(word, next) {
			return uint32(next >> 32)
		}
	}
}

// State returns the state at now.
func (b *Breaker) State(now time.Duration) State {
	s := stateOf(b.word.Load())
	if s == Closed || int64(now) < b.retryAt.Load() {
		return s
	}
	b.mu.Lock()
	b.advanceLocked(now)
	s = stateOf(b.word.Load())
	b.unlockAndTell()
	return s
}

// Snapshot returns what there is to say about the breaker at now.
func (b *Breaker) Snapshot(now time.Duration) Snapshot {
	b.mu.Lock()
	b.advanceLocked(now)
	word := b.word.Load()
	s := Snapshot{State: stateOf(word), Since: b.mu.since, Cause: b.mu.cause, Failures: int(word >> 32)}
	if s.State == Open {
		s.Until = b.mu.since + b.rules.Load().Timeout
	}
	b.unlockAndTell()
	return s
}
