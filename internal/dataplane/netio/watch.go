package netio

import (
	"errors"
	"sync/atomic"
	"time"
)

// ErrClientGone ends a wait for which nobody waits any more; see Conn.WaitFor.
var ErrClientGone = errors.New("the client has gone")

const (
	// GoneAfter is how long a wait goes on before anybody looks whether its client is still
	// there, and LookAgain how long until the next look. A client that closes only its own
	// direction, which looks the same, gets answers that come sooner.
	GoneAfter = 500 * time.Millisecond
	LookAgain = time.Second
)

// watch is whom the reads of a connection are for.
type watch struct {
	client atomic.Pointer[Conn]
	since  atomic.Int64 // on the clock, moved on by each look; 0 while nobody is watched
}

// WaitFor says that what c reads from now on is for client: once a read has waited for
// GoneAfter, the clock looks now and then whether the client has closed its connection,
// and the wait ends with ErrClientGone if so. A nil client ends the watch. Only the owner
// may call it.
//
// It costs a store or two; the clock is told only when it would come too late by itself.
func (c *Conn) WaitFor(client *Conn, now time.Duration) {
	if client == nil {
		c.watch.since.Store(0)
		c.watch.client.Store(nil)
		return
	}
	c.watch.client.Store(client)
	c.watch.since.Store(max(int64(now), 1))
	if at := int64(now + GoneAfter); at < c.wheel.armed.Load() {
		c.clock.arm(c, at)
	}
}

// visit is called by the clock: it wakes a wait whose client has gone. The one who waits
// looks once more, so it doesn't matter whom c is for by then.
func (w *watch) visit(c *Conn, now int64) {
	since := w.since.Load()
	if since == 0 || now-since < int64(GoneAfter) {
		return
	}
	w.since.CompareAndSwap(since, now+int64(LookAgain-GoneAfter))
	if w.clientGone() {
		c.nc.SetReadDeadline(longAgo)
	}
}

// at is when the clock must look at the latest.
func (w *watch) at() int64 {
	if since := w.since.Load(); since != 0 {
		return since + int64(GoneAfter)
	}
	return never
}

func (w *watch) clientGone() bool {
	client := w.client.Load()
	return client != nil && client.PeerGone()
}
