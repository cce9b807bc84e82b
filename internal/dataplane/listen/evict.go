package listen

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// Evict ends the connections of peers for which out is true, on all listeners, and returns
// how many those are. An idle one ends at once. One with a request in hand ends with its
// answer or, where cut is true, as soon as it reads or writes.
func (r *Registry) Evict(out func(peer netip.Addr) bool, cut bool) int {
	n := 0
	for _, l := range r.Listeners() {
		l.conns.each(func(c *Conn) {
			if !out(c.Addr.Addr()) {
				return
			}
			n++
			c.evicted.Store(true) // before the look at idleSince: Idle does it the other way round
			if cut {
				c.shutDown()
			}
			if cut || c.idleSince.Load() != 0 {
				c.Net.Interrupt()
			}
		})
	}
	return n
}

// shutDown makes both directions fail, also for who never has to wait. c is in a list, so
// that its descriptor stays open meanwhile.
func (c *Conn) shutDown() {
	nc, ok := c.Net.NetConn().(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := nc.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RDWR) })
	}
}
