package targets

import (
	"encoding/json"
	"slices"
	"strings"

	"sentinel/internal/config/compile"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/probe"
	"sentinel/internal/dataplane/breaker"
	"sentinel/internal/dataplane/upstream"
)

// probeKey names a result of the prober.
type probeKey struct{ upstream, address, dial string }

// Upstreams implements admin.Upstreams.
func (k *Keeper) Upstreams() []admin.UpstreamStatus {
	results := make(map[probeKey]*probe.Result)
	for _, r := range k.prober.Results() {
		results[probeKey{r.Target.Upstream, r.Target.Address, r.Target.Dial}] = &r
	}
	endpoints := make(map[*upstream.Endpoint]compile.Endpoint)
	for _, e := range k.live.Endpoints() {
		endpoints[e.Endpoint] = e
	}
	list := []admin.UpstreamStatus{}
	for _, u := range k.live.Upstreams() {
		s := admin.UpstreamStatus{
			Name: u.Name, Balancing: u.Balance.String(), Panic: u.Panics(),
			Pending: u.Gate.Pending(), Fallback: k.fallbacks(u.Name), Targets: []admin.TargetStatus{},
		}
		s.Drained, _ = k.drained(u.Name, nil)
		weights := u.Weights()
		for _, t := range u.Targets() {
			e := endpoints[t.Endpoint]
			ts := k.target(u, t, &e, results[probeKey{u.Name, e.Authority, t.Dial}])
			ts.EffectiveWeight = weights[t.Endpoint]
			s.InProgress += ts.InProgress
			s.Targets = append(s.Targets, ts)
		}
		list = append(list, s)
	}
	return list
}

// fallbacks returns the upstreams that routes of this one fall back to.
func (k *Keeper) fallbacks(name string) []string {
	var list []string
	for _, f := range k.live.Fallbacks(name) {
		if !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	slices.Sort(list)
	return list
}

func (k *Keeper) target(u *upstream.Upstream, t *upstream.Target, e *compile.Endpoint, r *probe.Result) admin.TargetStatus {
	now := k.opt.Clock.Now()
	s := admin.TargetStatus{
		Address: t.Address, Weight: t.Weight, InProgress: int(t.Load.InFlight()),
		LatencyMillis: float64(t.Load.Latency(now).Microseconds()) / 1000,
	}
	if t.Dial != t.Address {
		s.Resolved = t.Dial
	}
	s.Open, s.Idle = t.Pool.Open()
	s.Requests, s.Failures = t.Counts()
	if t.Breaker != nil {
		s.Breaker = k.breaker(t.Breaker.Snapshot(now))
	}
	if r != nil && r.Last != nil {
		s.Probe, _ = json.Marshal(r.Last)
		s.ProbeText = strings.Split(strings.TrimRight(r.Last.Details(), "\n"), "\n")
	}
	s.State, s.Cause = k.stateOf(u, t, e, r)
	if t.Outlier != nil && t.Outlier.Ejected(now) {
		s.EjectedUntil = k.opt.Clock.Time(t.Outlier.Until(now))
	}
	if r != nil && (s.State == admin.TargetHealthy || s.State == admin.TargetUnhealthy) {
		s.Since = r.Since
	}
	return s
}

// stateOf says in one word how a target stands, and why.
func (k *Keeper) stateOf(u *upstream.Upstream, t *upstream.Target, e *compile.Endpoint, r *probe.Result) (word, cause string) {
	switch {
	case t.Drained() && t.Load.InFlight() > 0:
		_, cause = k.drained(u.Name, e)
		return admin.TargetDraining, cause
	case t.Drained():
		_, cause = k.drained(u.Name, e)
		return admin.TargetDrained, cause
	case t.Verdict() == upstream.Unhealthy:
		if r != nil && r.LastFailure != nil {
			cause = r.LastFailure.Cause
		}
		return admin.TargetUnhealthy, cause
	case t.Outlier != nil && t.Outlier.Ejected(k.opt.Clock.Now()):
		return admin.TargetEjected, "failed too often in a row"
	case t.Verdict() == upstream.Healthy:
		return admin.TargetHealthy, ""
	}
	return admin.TargetUnknown, "it has no health check"
}

func (k *Keeper) breaker(s breaker.Snapshot) admin.BreakerStatus {
	b := admin.BreakerStatus{State: s.State.String(), Cause: s.Cause}
	if s.Since > 0 {
		b.Since = k.opt.Clock.Time(s.Since)
	}
	if s.Until > 0 {
		b.Until = k.opt.Clock.Time(s.Until)
	}
	return b
}
