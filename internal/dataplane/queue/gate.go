package queue

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
)

// ErrDeadline is the caller's own deadline, which came before a place was free.
var ErrDeadline = errors.New("deadline passed in the queue")

// ErrGone ends the wait of a request whose client has gone.
var ErrGone = errors.New("the client has gone")

// Watched is whom a request waits for; the one who waits asks now and then.
type Watched interface {
	// Gone reports whether the wait is for nobody any more.
	Gone() bool
}

// Limits bounds a Gate. The zero value bounds nothing.
type Limits struct {
	// Concurrent is how many requests may be in progress at once; 0 or less is no limit.
	Concurrent int
	// Pending is how many requests may wait; with 0 or less nobody waits.
	Pending int
	// Wait is the longest wait; with 0 or less only the caller's deadline ends it.
	Wait time.Duration
	// Shed is how old the first waiter of a line may be before the line is said to stand;
	// a queue that stands for ShedWindow sheds load. 0 or less sheds nothing.
	Shed time.Duration
}

// Refused counts the requests that didn't get a place, by cause.
type Refused struct {
	// Full found the queue full, or none to wait in.
	Full uint64
	// Displaced were waiting when the queue was full and one of higher priority came.
	Displaced uint64
	// Shed were refused on arrival because the queue stood.
	Shed uint64
	// Timeout waited for Limits.Wait.
	Timeout uint64
	// Deadline came to their own deadline first.
	Deadline uint64
	// Gone lost their clients while they waited.
	Gone uint64
}

// Gate bounds the requests in progress at one upstream. Its methods may be called by any
// goroutine.
type Gate struct {
	state atomic.Uint64 // a state
	_     [56]byte      // every request writes state; keep its cache line from the rest

	pending func(delta int)

	mu struct {
		sync.Mutex
		limits  Limits
		now     time.Duration // the latest time anybody brought along
		waiting int           // in all lines together
		lines   [priorities]line
		refused Refused
	}
}

// NewGate returns a gate with limits l. pending, unless nil, is told each change of the
// number of waiters, one at a time and in order; it must neither wait nor call the gate.
func NewGate(l Limits, pending func(delta int)) *Gate {
	g := &Gate{pending: pending}
	g.SetLimits(l)
	return g
}

// Enter takes a place, after a wait if it must be. With a nil error the caller holds a
// place and calls Leave exactly once. now and deadline are times on the clock of the
// process; a deadline of 0 is none. waited reports whether the request stood in the queue.
//
// The errors: fault.QueueFull when the queue is full, stands, or had to give this
// request's place in it to one of higher priority; fault.UpstreamConnectionLimit when
// there is no queue; fault.QueueTimeout after Limits.Wait; ErrDeadline. A place that came
// at the same moment as the end of the wait is kept, so the deadline may have passed
// although the error is nil.
func (g *Gate) Enter(now, deadline time.Duration, p Priority) (waited bool, err error) {
	if g.take() {
		return false, nil
	}
	return g.enterWaiting(nil, now, deadline, min(p, Critical))
}

// EnterFor is Enter for somebody who may go meanwhile: the wait then ends with ErrGone.
func (g *Gate) EnterFor(who Watched, now, deadline time.Duration, p Priority) (waited bool, err error) {
	if g.take() {
		return false, nil
	}
	return g.enterWaiting(who, now, deadline, min(p, Critical))
}

// take takes a place if there is one that no waiter is to get.
func (g *Gate) take() bool {
	s := state(g.state.Load())
	if s.limit() == 0 && g.takeUnlimited() {
		return true
	}
	for s = state(g.state.Load()); s.open(); s = state(g.state.Load()) {
		if g.state.CompareAndSwap(uint64(s), uint64(s)+1) {
			return true
		}
	}
	return false
}

// takeUnlimited takes a place without a look at the limit, and gives it back if one has
// been set meanwhile.
func (g *Gate) takeUnlimited() bool {
	if state(g.state.Add(1)).limit() == 0 {
		return true
	}
	g.Leave()
	return false
}

// Leave gives back the place that Enter gave.
func (g *Gate) Leave() {
	s := state(g.state.Add(minusOne))
	if s.inProgress() == inProgress {
		panic("queue: Leave without Enter")
	}
	if s.waiting() && s.room() {
		g.mu.Lock()
		g.grantLocked()
		g.mu.Unlock()
	}
}

// SetLimits replaces the limits. More room wakes waiters before it returns; with less,
// requests in progress finish and waiters keep what they were promised when they came.
func (g *Gate) SetLimits(l Limits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.Shed != g.mu.limits.Shed {
		for i := range g.mu.lines {
			g.mu.lines[i].restart(l.Shed)
		}
	}
	g.mu.limits = l
	g.setConcurrentLocked(l.Concurrent)
}

// SetConcurrent replaces Limits.Concurrent alone, so that an adaptive limit can't undo
// what a reload has set at the same time.
func (g *Gate) SetConcurrent(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.limits.Concurrent = n
	g.setConcurrentLocked(n)
}

func (g *Gate) setConcurrentLocked(n int) {
	for {
		s := state(g.state.Load())
		if g.state.CompareAndSwap(uint64(s), uint64(s.withLimit(n))) {
			break
		}
	}
	g.grantLocked()
}

// Limits returns the limits in force.
func (g *Gate) Limits() Limits {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.limits
}

// InProgress returns how many requests hold a place.
func (g *Gate) InProgress() int { return int(state(g.state.Load()).inProgress()) }

// Pending returns how many requests wait.
func (g *Gate) Pending() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.waiting
}

// Refused returns how many requests got no place since the gate was made.
func (g *Gate) Refused() Refused {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.refused
}

// enterWaiting is Enter when there was no room a moment ago.
func (g *Gate) enterWaiting(who Watched, now, deadline time.Duration, p Priority) (waited bool, err error) {
	w, err := g.join(now, deadline, p)
	if w == nil {
		return false, err
	}
	g.await(w, who)
	err = w.outcome // nobody else touches w any more
	w.free()
	return true, err
}

// join takes a place if there is one now and puts the request in line otherwise. It
// returns nil and nil, a waiter and nil, or nil and the reason of the refusal.
func (g *Gate) join(now, deadline time.Duration, p Priority) (*waiting, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.now = max(g.mu.now, now)
	g.grantLocked()
	if g.take() { // with the lock held no limit appears, so this doesn't call Leave
		return nil, nil
	}
	if err := g.refuseLocked(now, deadline, p); err != nil {
		return nil, err
	}
	w := newWaiting(now, p)
	w.setLimit(g.mu.limits.Wait, deadline)
	g.pushLocked(w)
	g.grantLocked() // a place may have been freed before pushLocked said that somebody waits
	return w, nil
}

// refuseLocked returns why a request can't wait. If only the queue is full, it makes room
// at the expense of a lower priority when there is one.
func (g *Gate) refuseLocked(now, deadline time.Duration, p Priority) error {
	l, refused := &g.mu.limits, &g.mu.refused
	switch {
	case deadline != 0 && deadline <= now:
		refused.Deadline++
		return ErrDeadline
	case l.Pending <= 0:
		refused.Full++
		return fault.UpstreamConnectionLimit
	case g.shedsLocked(p):
		refused.Shed++
		return fault.QueueFull
	case g.mu.waiting < l.Pending || g.displaceLocked(p):
		return nil
	}
	refused.Full++
	return fault.QueueFull
}

// await returns when the wait of w has ended: by a wake-up, by its time, or because who it
// is for has gone.
func (g *Gate) await(w *waiting, who Watched) {
	left := w.limit
	for step := netio.GoneAfter; who != nil && left > step; step = netio.LookAgain {
		if w.waiter.Wait(step) {
			return
		}
		if left -= step; who.Gone() {
			g.giveUp(w, w.limit-left, ErrGone)
			return
		}
	}
	if !w.waiter.Wait(left) {
		g.giveUp(w, w.limit, w.late)
	}
}

// giveUp ends the wait of w after so long, unless it has ended otherwise meanwhile.
func (g *Gate) giveUp(w *waiting, after time.Duration, why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !w.inLine {
		return
	}
	g.mu.now = max(g.mu.now, w.since+after)
	g.removeLocked(w)
	w.outcome = why
	switch why {
	case ErrDeadline:
		g.mu.refused.Deadline++
	case ErrGone:
		g.mu.refused.Gone++
	default:
		g.mu.refused.Timeout++
	}
}
