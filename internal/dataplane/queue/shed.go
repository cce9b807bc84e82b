package queue

import "time"

// ShedWindow is how long the queue must stand before Low is shed; Normal is shed after
// two of it, High after three, Critical never.
const ShedWindow = 500 * time.Millisecond

// shedsLocked reports whether a request of priority p is refused because the queue stands.
//
// A queue absorbs a burst: the waits grow and then fall again below Limits.Shed. A queue
// that stands only adds its wait to every request. What tells them apart is, as in CoDel
// (RFC 8289 section 3), not how long the longest wait was but that for some time no wait
// was short. The lines of p and above are looked at, each by itself: a line of lower
// priority that starves is no reason to refuse p.
//
// Time passes here only by what the callers of Enter bring along. Between two arrivals
// waiters look younger than they are, which errs towards not shedding.
func (g *Gate) shedsLocked(p Priority) bool {
	if g.mu.limits.Shed <= 0 || p >= Critical {
		return false
	}
	patience := ShedWindow * time.Duration(p+1)
	for i := range g.mu.lines[p:] {
		if l := &g.mu.lines[int(p)+i]; l.first != nil && g.mu.now-l.standsFrom >= patience {
			return true
		}
	}
	return false
}
