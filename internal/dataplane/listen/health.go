package listen

import (
	"sync"
	"time"
)

const (
	// healthConnsMax bounds the connections that exist past a limit. One more
	// interrupts the oldest, so that a new probe always gets in.
	healthConnsMax = 64
	// healthConnLife is how long such a connection may last.
	healthConnLife = 5 * time.Second
)

// healthConns are the connections that are HealthOnly, oldest first. They are few and
// short-lived, so a slice and a timer each will do.
type healthConns struct {
	mu struct {
		sync.Mutex
		open []healthConn
	}
}

type healthConn struct {
	conn *Conn
	end  *time.Timer
}

func (h *healthConns) watch(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.mu.open) >= healthConnsMax {
		h.mu.open[len(h.mu.open)-healthConnsMax].conn.Net.Interrupt()
	}
	h.mu.open = append(h.mu.open, healthConn{c, time.AfterFunc(healthConnLife, func() { h.expire(c) })})
}

func (h *healthConns) expire(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.indexLocked(c) >= 0 {
		c.Net.Interrupt()
	}
}

func (h *healthConns) forget(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := h.indexLocked(c); i >= 0 {
		h.mu.open[i].end.Stop()
		h.mu.open = append(h.mu.open[:i], h.mu.open[i+1:]...)
	}
}

func (h *healthConns) indexLocked(c *Conn) int {
	for i := range h.mu.open {
		if h.mu.open[i].conn == c {
			return i
		}
	}
	return -1
}
