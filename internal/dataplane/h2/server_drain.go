package h2

import "time"

// goingAway is how far the end of a connection is announced. A peer is told twice (RFC 9113
// section 6.8): first that an end is near, so that what is under way to us is still served,
// then which stream was the last.
type goingAway struct {
	at    time.Duration // when the first announcement was made; 0 before
	final bool
}

const (
	// drainPing tells when the first announcement has been seen.
	drainPing = "sentinel"
	// drainGrace is how long a peer that doesn't answer it may go on opening streams.
	drainGrace = time.Second
)

// over reports whether a connection with so many streams is done.
func (g *goingAway) over(active int) bool { return g.final && active == 0 }

// drain announces the end of the connection. Any goroutine may call it, any number of times.
func (c *conn) drain() {
	now := c.net.Clock().Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drainLocked(now)
	c.kickLocked()
}

func (c *conn) drainLocked(now time.Duration) {
	switch g := &c.mu.going; {
	case g.final || c.mu.broken != nil:
	case g.at == 0:
		g.at = max(now, 1)
		c.mu.out = appendGoAway(c.outLocked(), streamIDMax, codeNone)
		c.mu.out = appendPing(c.outLocked(), 0, []byte(drainPing))
	case now-g.at > drainGrace:
		c.goneLocked()
	}
}

// goneLocked takes no further stream. It says which was the last.
func (c *conn) goneLocked() {
	if c.mu.going.final || c.mu.broken != nil {
		return
	}
	c.mu.going.final = true
	c.mu.out = appendGoAway(c.outLocked(), c.mu.maxID, codeNone)
	if c.mu.active == 0 {
		c.net.InterruptReads()
	}
}
