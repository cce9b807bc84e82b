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
	c := x.peer()
	return c != nil && c.PeerGone()
}

// peer is the connection of the client; nil where it can't be looked at.
func (x *exchange) peer() *netio.Conn {
	if w, ok := x.w.(message.Watched); ok {
		return w.Peer()
	}
	return nil
}

// watch has waits for an upstream end when the client has gone.
func (x *exchange) watch(c *transport.Conn, now time.Duration) {
	if peer := x.peer(); peer != nil {
		c.WaitFor(peer, now)
	}
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
