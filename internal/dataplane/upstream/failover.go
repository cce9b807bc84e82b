package upstream

import "time"

// Failover knows whether a route is served by its fallback. It lives across reloads.
type Failover struct {
	Route  string
	Notify func(Change) // must not wait

	spell spell
}

// Used takes note of a request that went to the fallback, and says so when it is the first.
func (f *Failover) Used(from, to *Upstream, cause string, now time.Duration) {
	if f.spell.again(now) && f.Notify != nil {
		f.Notify(Change{Kind: "failover", Route: f.Route, Upstream: from.Name, From: from.Name, To: to.Name, Cause: cause, Worse: true})
	}
}

// Unused takes note of a request that the route's own upstream answered, and says so when
// the fallback hasn't been used for a while.
func (f *Failover) Unused(own, fallback *Upstream, now time.Duration) {
	if f.spell.over(now) && f.Notify != nil {
		f.Notify(Change{
			Kind: "failover", Route: f.Route, Upstream: own.Name, From: fallback.Name, To: own.Name,
			Cause: "the upstream answers again",
		})
	}
}
