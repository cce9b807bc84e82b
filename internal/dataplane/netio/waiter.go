package netio

import (
	"sync"
	"time"
)

// Waiter is a wait of one goroutine that another one ends: a place in a queue. A Waiter is
// used for one wait, which may be made up of several calls of Wait.
type Waiter struct {
	woken chan struct{}
	timer *time.Timer
}

var waiters = sync.Pool{New: func() any {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &Waiter{woken: make(chan struct{}, 1), timer: t}
}}

// NewWaiter returns a waiter, which its owner gives back by Free.
func NewWaiter() *Waiter { return waiters.Get().(*Waiter) }

// Wait waits for Wake, for limit at most, and reports whether Wake came. After false the
// owner must make sure that no Wake comes any more before it frees w.
func (w *Waiter) Wait(limit time.Duration) bool {
	w.timer.Reset(limit)
	defer w.timer.Stop()
	select {
	case <-w.woken:
		return true
	case <-w.timer.C:
		return false
	}
}

// Await waits for Wake, which must come: the owner has made sure that something does it,
// whatever happens.
func (w *Waiter) Await() { <-w.woken }

// Wake ends the wait, or the one that is yet to begin. It may be called once, by any
// goroutine, and doesn't wait.
func (w *Waiter) Wake() { w.woken <- struct{}{} }

// Pause waits for d.
func Pause(d time.Duration) {
	if d <= 0 {
		return
	}
	w := NewWaiter()
	w.Wait(d)
	w.Free()
}

// Free gives w back.
func (w *Waiter) Free() {
	select {
	case <-w.woken:
	default:
	}
	waiters.Put(w)
}
