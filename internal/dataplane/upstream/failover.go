package upstream

import (
	"sync/atomic"
	"time"
)

// failoverCalm is how long a route must do without its fallback before it is said to be
// back on its own upstream.
const failoverCalm = 10 * time.Second

// Failover knows whether a route is served by its fallback. It lives across reloads.
type Failover struct {
	Route  string
	Notify func(Change) // must not wait

	active atomic.Bool
	last   atomic.Int64 // when the fallback was last used, on the clock
	used   atomic.Uint64
}

// Used takes note of a request that went to the fallback, and says so when it is the first.
func (f *Failover) Used(from, to *Upstream, cause string, now time.Duration) {
	f.used.Add(1)
	f.last.Store(int64(now))
	if !f.active.Swap(true) && f.Notify != nil {
		f.Notify(Change{Kind: "failover", Route: f.Route, Upstream: from.Name, From: from.Name, To: to.Name, Cause: cause, Worse: true})
	}
}

// Unused takes note of a request that the route's own upstream answered, and says so when
// the fallback hasn't been used for a while.
func (f *Failover) Unused(own, fallback *Upstream, now time.Duration) {
	if !f.active.Load() || now-time.Duration(f.last.Load()) < failoverCalm {
		return
	}
	if f.active.Swap(false) && f.Notify != nil {
		f.Notify(Change{Kind: "failover", Route: f.Route, Upstream: own.Name, From: fallback.Name, To: own.Name,
			Cause: "the upstream answers again"})
	}
}

// Active reports whether the fallback serves, and how many requests it has served.
func (f *Failover) Active() (active bool, used uint64) { return f.active.Load(), f.used.Load() }
