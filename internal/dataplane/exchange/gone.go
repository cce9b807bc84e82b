package exchange

import (
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/transport"
)

// A request whose client has gone is given up wherever it waits: work that nobody takes the
// result of is what a flood of requests that are sent and dropped piles up.

// Gone implements queue.Watched.
func (x *exchange) Gone() bool {
	if d, ok := x.engine().(message.Departing); ok {
		return d.Gone()
	}
	c := x.peer()
	return c != nil && c.PeerGone()
}

// peer is the connection of the client; nil where it can't be looked at.
func (x *exchange) peer() *netio.Conn {
	if w, ok := x.engine().(message.Watched); ok {
		return w.Peer()
	}
	return nil
}

// watch has waits for an upstream end when the client has gone: at once where the client
// tells, else when it is found to have closed its connection.
func (x *exchange) watch(c *transport.Conn, now time.Duration) {
	if d, ok := x.engine().(message.Departing); ok {
		if x.interruptTries == nil {
			x.interruptTries = func() {
				x.conn.Interrupt()
				if x.beside != nil {
					x.beside.Interrupt()
				}
			}
		}
		x.watched = true
		d.OnGone(x.interruptTries)
		return
	}
	if peer := x.peer(); peer != nil {
		c.WaitFor(peer, now)
	}
}

// unwatch ends watch, before the connections of the tries change.
func (x *exchange) unwatch() {
	if x.watched {
		x.watched = false
		x.engine().(message.Departing).OnGone(nil)
	}
}

// interruptedBy says why a wait for an upstream was interrupted: the upload beside it has
// failed, or the client has gone.
func (x *exchange) interruptedBy(err error, gone fault.Kind) error {
	if err != netio.ErrInterrupted {
		return err
	}
	upload := x.endUpload()
	switch {
	case upload != nil && upload != netio.ErrInterrupted && upload != fault.ContentTruncated:
		return upload
	case x.Gone():
		return gone
	case upload != nil:
		return upload
	}
	return err
}

// rest waits for d, unless the client goes meanwhile.
func (x *exchange) rest(d time.Duration) fault.Kind {
	for step := netio.GoneAfter; d > step; step = netio.LookAgain {
		netio.Pause(step)
		d -= step
		if x.Gone() {
			x.look()
			return fault.ClientClosed
		}
	}
	netio.Pause(d)
	x.look()
	return fault.None
}
