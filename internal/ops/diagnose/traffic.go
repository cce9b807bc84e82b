package diagnose

import (
	"maps"
	"slices"
	"strings"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/fault"
)

// countLeast is how many of something there must be before it is more than a chance.
const countLeast = 3

// faultCount returns how many requests failed by k in the last minute, or in the second between
// two looks where the process doesn't tell.
func (f *facts) faultCount(k fault.Kind) uint64 {
	if f.running.err == nil {
		return f.running.minute.faults[k.String()]
	}
	var n float64
	for series, d := range f.grown("sentinel_faults_total") {
		if label(series, "fault") == k.String() {
			n += d
		}
	}
	return uint64(n)
}

// requests returns how many requests there were in the same while.
func (f *facts) requests() uint64 {
	if f.running.err == nil {
		return f.running.minute.requests
	}
	var n float64
	for _, d := range f.grown("sentinel_requests_total") {
		n += d
	}
	return uint64(n)
}

// share returns n as a part of the requests of the same while. Connections that were refused
// have no request, so it is bounded.
func (f *facts) share(n uint64) float64 {
	all := f.requests()
	if n == 0 || all == 0 {
		return 0
	}
	return min(float64(n)/float64(all), 1)
}

// routesWith returns the routes on which faults have grown between the looks, or ever where none
// has.
func (f *facts) routesWith(is func(fault.Kind) bool) map[string]bool {
	found := make(map[string]bool)
	add := func(series string) {
		if k, ok := fault.Parse(label(series, "fault")); ok && is(k) {
			if r := label(series, "route"); r != "-" && r != "" {
				found[r] = true
			}
		}
	}
	for series := range f.grown("sentinel_faults_total") {
		add(series)
	}
	if len(found) > 0 {
		return found
	}
	for series, v := range f.after.series {
		if v > 0 && strings.HasPrefix(series, "sentinel_faults_total{") {
			add(series)
		}
	}
	return found
}

// routesOf returns the routes that use an upstream, as fallback too.
func (f *facts) routesOf(upstream string) []string {
	var out []string
	for _, r := range f.cfg.Routes {
		uses := r.Upstream.V == upstream || r.Fallback.V == upstream
		if r.Split != nil {
			for _, s := range r.Split.Upstreams {
				uses = uses || s.Name.V == upstream
			}
		}
		if uses {
			out = append(out, r.Name.V)
		}
	}
	return out
}

// upstreamsOf returns the upstreams that routes go to.
func (f *facts) upstreamsOf(routes []string) []string {
	found := make(map[string]bool)
	for _, r := range f.cfg.Routes {
		if !slices.Contains(routes, r.Name.V) {
			continue
		}
		if r.Upstream.V != "" {
			found[r.Upstream.V] = true
		}
		if r.Split != nil {
			for _, s := range r.Split.Upstreams {
				found[s.Name.V] = true
			}
		}
	}
	return sortedKeys(found)
}

func sortedKeys(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }

func (f *facts) targetCount(upstream string) int {
	for _, u := range f.running.upstreams {
		if u.Name == upstream {
			return len(u.Targets)
		}
	}
	for _, u := range f.cfg.Upstreams {
		if u.Name.V == upstream {
			return len(u.Targets)
		}
	}
	return 0
}

func (f *facts) anyTarget(upstream string) string {
	for _, u := range f.cfg.Upstreams {
		if u.Name.V == upstream && len(u.Targets) > 0 {
			return u.Targets[0].Address.V
		}
	}
	return ""
}

// usable reports whether a target of an upstream takes requests, by the process and by our own
// probes.
func (f *facts) usable(upstream string) (usable, known bool) {
	failed := make(map[string]bool)
	for _, p := range f.probes {
		if p.upstream != upstream || p.t == nil {
			continue
		}
		known = true
		if !p.t.OK && !p.t.Own {
			failed[p.address+" "+p.dial] = true
		} else if len(f.running.upstreams) == 0 {
			usable = true
		}
	}
	for i := range f.running.upstreams {
		u := &f.running.upstreams[i]
		if u.Name != upstream {
			continue
		}
		known = true
		for j := range u.Targets {
			t := &u.Targets[j]
			usable = usable || !u.Drained && takes(t) && !failed[t.Address+" "+t.Resolved]
		}
	}
	return usable, known
}

func takes(t *admin.TargetStatus) bool { return t.Takes() }

// impact is how bad the trouble of an upstream is: by whether it can still serve, and whether
// others can.
func (f *facts) impact(upstream string) Severity {
	routes := f.routesOf(upstream)
	if len(routes) == 0 {
		return SEV4
	}
	if ok, _ := f.usable(upstream); ok {
		return SEV3
	}
	covered := true
	for _, r := range f.cfg.Routes {
		if r.Upstream.V != upstream {
			continue
		}
		ok, _ := f.usable(r.Fallback.V)
		covered = covered && r.Fallback.V != "" && ok
	}
	if covered {
		return SEV3
	}
	for _, r := range f.cfg.Routes {
		if r.Respond != nil || r.Redirect != nil {
			return SEV2
		}
	}
	for _, u := range f.cfg.Upstreams {
		if ok, known := f.usable(u.Name.V); (ok || !known) && len(f.routesOf(u.Name.V)) > 0 {
			return SEV2
		}
	}
	return SEV1
}
