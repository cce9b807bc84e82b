package listen

import (
	"context"
	"time"
)

const (
	// drainIdleAfter is how long a connection must be idle to be closed by a drain. A
	// client that sends one request after the other isn't cut off between two of them:
	// its next answer says Connection: close.
	drainIdleAfter = 200 * time.Millisecond
	// drainTick is how often a drain looks.
	drainTick = 25 * time.Millisecond
)

// Drain takes nothing new on any listener, lets the requests in hand finish and closes
// connections as they fall idle. It returns how many are left when ctx ends, 0 when all
// are gone before.
func (r *Registry) Drain(ctx context.Context) int64 {
	r.stopAll()
	r.sweep(ctx, r.Listeners())
	return r.gate.Open()
}

// stopAll marks every listener as draining and ends the accept loops once they have
// taken what had connected already.
func (r *Registry) stopAll() {
	r.mu.Lock()
	sockets := r.mu.sockets
	r.mu.sockets = nil
	for _, l := range r.mu.slots {
		if l != nil {
			l.draining.Store(true)
		}
	}
	r.mu.Unlock()
	for _, s := range sockets {
		s.stop()
	}
	for _, s := range sockets {
		<-s.done
	}
}

// sweep closes idle connections of the listeners until none is left or ctx ends.
func (r *Registry) sweep(ctx context.Context, all []*Listener) {
	t := time.NewTicker(drainTick)
	defer t.Stop()
	for {
		left := int64(0)
		for _, l := range all {
			l.conns.drain(r.clock.Now() - drainIdleAfter)
			left += l.gate.Open()
		}
		if left == 0 {
			return
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// drainRemoved drains a listener that a reload has removed and then frees its slot,
// unless a later reload brings it back. Connections that are still there at the drain
// limit are cut.
func (r *Registry) drainRemoved(ctx context.Context, l *Listener) {
	defer r.drains.Done()
	limited, cancel := context.WithTimeout(ctx, time.Duration(r.drainLimit.Load()))
	defer cancel()
	r.sweep(limited, []*Listener{l})
	if ctx.Err() == nil {
		l.interruptAll()
		r.sweep(ctx, []*Listener{l})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.draining.Load() {
		r.mu.slots[l.slot] = nil
	}
}

// Interrupt ends the waits of every connection, so that their handlers return.
func (r *Registry) Interrupt() {
	for _, l := range r.Listeners() {
		l.interruptAll()
	}
}

func (l *Listener) interruptAll() { l.conns.each(func(c *Conn) { c.Net.Interrupt() }) }

// Close stops accepting, interrupts every connection and waits until their handlers
// have returned or ctx ends. It returns how many are left.
func (r *Registry) Close(ctx context.Context) int64 {
	r.endLife()
	r.stopAll()
	r.Interrupt()
	r.sweep(ctx, r.Listeners())
	r.drains.Wait()
	r.reserve.close()
	r.inherited.Close()
	return r.gate.Open()
}
