package listen

import "net/netip"

// Evict ends the connections of peers for which out is true, on all listeners, and returns
// how many those are. An idle one ends at once. One with a request in hand ends with its
// answer or, where cut is true, at once, too.
func (r *Registry) Evict(out func(peer netip.Addr) bool, cut bool) int {
	n := 0
	for _, l := range r.Listeners() {
		l.conns.each(func(c *Conn) {
			if !out(c.Addr.Addr()) {
				return
			}
			n++
			c.evicted.Store(true) // before the look at idleSince: Idle does it the other way round
			if cut || c.idleSince.Load() != 0 {
				c.Net.Interrupt()
			}
		})
	}
	return n
}
