package h2

import (
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
)

// flushLocked has what is in out written, unless that is under way.
func (c *Client) flushLocked() {
	if !c.mu.flushing && len(c.mu.out) > 0 && c.mu.failed == fault.None && !c.mu.ended {
		c.mu.flushing = true
		go c.flush()
	}
}

// flushOut writes until nothing is left. What streams append meanwhile goes out in one piece.
func (c *Client) flushOut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.mu.out) > 0 && c.mu.failed == fault.None {
		b := c.mu.out
		c.mu.out, c.mu.spare = c.mu.spare[:0], nil
		c.wakeWritersLocked()
		c.mu.Unlock()
		_, err := c.net.Write(b)
		c.mu.Lock()
		c.mu.spare = b[:0]
		if err != nil {
			c.failLocked(upstreamWriteFault(err))
		}
	}
	c.mu.flushing = false
	if w := c.mu.parting; w != nil {
		c.mu.parting = nil
		w.Wake()
	}
}

// wakeWritersLocked has those look again who wait for room or for a window.
func (c *Client) wakeWritersLocked() {
	for _, s := range c.mu.streams {
		rouse(&s.writing)
	}
}

// rouse ends a wait, if there is one. The lock of the connection is held.
func rouse(w **netio.Waiter) {
	if *w != nil {
		(*w).Wake()
		*w = nil
	}
}

func upstreamWriteFault(err error) fault.Kind {
	if err == netio.ErrTimeout {
		return fault.UpstreamWriteTimeout
	}
	return fault.UpstreamWriteFailed
}
