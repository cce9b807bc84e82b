package queue

import (
	"math"
	"sync"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
)

// Priority orders the requests that wait.
type Priority uint8

// The priorities, the lowest first.
const (
	Low Priority = iota
	Normal
	High
	Critical
	priorities = iota
)

// waiting is a request in line. While inLine is set it belongs to the gate's lock,
// afterwards to the goroutine that waits.
type waiting struct {
	waiter     *netio.Waiter
	since      time.Duration // when it came
	limit      time.Duration // how long it waits at most
	late       error         // what it gets after that
	outcome    error         // what it got; nil is a place
	priority   Priority
	inLine     bool
	prev, next *waiting
}

var waitings = sync.Pool{New: func() any { return new(waiting) }}

func newWaiting(now time.Duration, p Priority) *waiting {
	w := waitings.Get().(*waiting)
	*w = waiting{waiter: netio.NewWaiter(), since: now, priority: p}
	return w
}

func (w *waiting) free() {
	w.waiter.Free()
	*w = waiting{}
	waitings.Put(w)
}

// setLimit bounds the wait by longest, if above 0, and by the deadline, if there is one.
func (w *waiting) setLimit(longest, deadline time.Duration) {
	w.limit, w.late = math.MaxInt64, fault.QueueTimeout
	if longest > 0 {
		w.limit = longest
	}
	if left := deadline - w.since; deadline != 0 && left < w.limit {
		w.limit, w.late = left, ErrDeadline
	}
}

// line is the waiters of one priority, in the order in which they came.
type line struct {
	first, last *waiting
	// standsFrom is since when the first waiter has always been older than Limits.Shed, or
	// the moment to come when that begins, if the waiter that is now first stays it.
	standsFrom time.Duration
}

func (l *line) push(w *waiting, shed time.Duration) {
	w.prev, w.next, w.inLine = l.last, nil, true
	if l.last != nil {
		l.last.next = w
	} else {
		l.first = w
		l.restart(shed)
	}
	l.last = w
}

func (l *line) remove(w *waiting) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.prev, w.next, w.inLine = nil, nil, false
}

// restart forgets that the line has stood before.
func (l *line) restart(shed time.Duration) {
	if l.first != nil {
		l.standsFrom = l.first.since + shed
	}
}

func (g *Gate) pushLocked(w *waiting) {
	g.mu.lines[w.priority].push(w, g.mu.limits.Shed)
	g.mu.waiting++
	g.state.Or(waitingBit)
	if g.pending != nil {
		g.pending(1)
	}
}

func (g *Gate) removeLocked(w *waiting) {
	l := &g.mu.lines[w.priority]
	l.remove(w)
	if l.first != nil && l.first.since+g.mu.limits.Shed > g.mu.now {
		l.restart(g.mu.limits.Shed)
	}
	g.mu.waiting--
	if g.mu.waiting == 0 {
		g.state.And(^uint64(waitingBit))
	}
	if g.pending != nil {
		g.pending(-1)
	}
}

// grantLocked gives free places to the first waiters. While anybody waits nobody else
// takes a place for good: takeUnlimited at most adds one for a moment, and its Leave
// comes here.
func (g *Gate) grantLocked() {
	for g.mu.waiting > 0 && state(g.state.Load()).room() {
		g.state.Add(1)
		w := g.firstLocked()
		g.removeLocked(w)
		w.waiter.Wake() // w may be gone after this
	}
}

// firstLocked returns the waiter that is next; there must be one.
func (g *Gate) firstLocked() *waiting {
	for p := Critical; ; p-- {
		if w := g.mu.lines[p].first; w != nil {
			return w
		}
	}
}

// displaceLocked throws out the newest waiter of the lowest priority, if that is below p,
// and reports whether it did.
func (g *Gate) displaceLocked(p Priority) bool {
	for low := range p {
		if w := g.mu.lines[low].last; w != nil {
			g.removeLocked(w)
			g.mu.refused.Displaced++
			w.outcome = fault.QueueFull
			w.waiter.Wake() // w may be gone after this
			return true
		}
	}
	return false
}
