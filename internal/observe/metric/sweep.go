package metric

import (
	"time"
)

const (
	// SweepGrace is how long the series of a route or upstream stay after the
	// configuration stopped naming it, so that their last values are scraped.
	SweepGrace = 15 * time.Minute

	// PrepareGrace is how long at least a name stays that was looked up and not live since: a
	// snapshot that is being built holds its handle. After a reload that failed
	// the names that only it used show for as long.
	PrepareGrace = time.Minute
)

// Live lists the names that the serving configuration uses.
type Live struct {
	Routes, Listeners []string
	Limits            []string // by LimitKey
	Streams           []string // by StreamKey
	// Upstreams holds the targets' addresses by upstream.
	Upstreams map[string][]string
}

// Sweep drops series of names that aren't live: targets at once, so that no
// dashboard shows a removed one as unhealthy; listeners once their last
// connection is closed; routes and upstreams, which hold counters, after
// SweepGrace. A name that comes back within the grace goes on counting, and one that was
// looked up and hasn't been live yet stays for PrepareGrace. It is
// called after a new snapshot serves, and may be called again at any time, also while
// the next one is being built.
func (r *Registry) Sweep(now time.Time, live Live) {
	r.mu.Lock()
	defer r.mu.Unlock()
	routes := set(live.Routes)
	for name, route := range r.mu.routes {
		if route.over(now, routes[name] || name == RouteNone, SweepGrace) {
			if route.seeded {
				r.mu.faultSeries -= route.faultSeries()
			}
			delete(r.mu.routes, name)
		}
	}
	for name, u := range r.mu.upstreams {
		targets, ok := live.Upstreams[name]
		u.sweep(now, set(targets))
		if u.over(now, ok, SweepGrace) {
			delete(r.mu.upstreams, name)
		}
	}
	limits := set(live.Limits)
	for key, l := range r.mu.limits {
		if l.over(now, limits[key], SweepGrace) {
			delete(r.mu.limits, key)
		}
	}
	streams := set(live.Streams)
	for key, s := range r.mu.streams {
		if s.over(now, streams[key], SweepGrace) && s.closed.Load() == s.opened.Load() {
			delete(r.mu.streams, key)
		}
	}
	listeners := set(live.Listeners)
	for name, l := range r.mu.listeners {
		over := l.over(now, listeners[name], 0)
		if open, _ := l.connections(); over && open == 0 {
			delete(r.mu.listeners, name)
		}
	}
}

func set(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}

// usage remembers whether a name is in use; its owner's lock guards it.
type usage struct {
	served bool      // a sweep found it live since it was last looked up
	since  time.Time // when a sweep first missed it; zero before
}

// lookedUp begins anew: what looked the name up may serve soon.
func (u *usage) lookedUp() { *u = usage{} }

// over reports whether sweeps have missed the name for grace.
func (u *usage) over(now time.Time, live bool, grace time.Duration) bool {
	if live {
		*u = usage{served: true}
		return false
	}
	if u.since.IsZero() {
		u.since = now
	}
	if !u.served {
		grace = max(grace, PrepareGrace)
	}
	return now.Sub(u.since) >= grace
}
