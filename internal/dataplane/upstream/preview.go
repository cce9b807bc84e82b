package upstream

import (
	"time"

	"sentinel/internal/dataplane/balance"
	"sentinel/internal/dataplane/breaker"
)

// Preview returns the target that Pick would choose for a request with this key and sticky
// target, without a place, a turn or a trial taken; nil where it would find none. Where targets
// take turns or are drawn, it is one of those that may be next.
func (u *Upstream) Preview(key, stickyTo uint64, now time.Duration) *Target {
	p := &preview{up: u, view: u.view.Load(), now: now}
	if stickyTo != 0 {
		for i, t := range p.view.targets {
			if t.ID == stickyTo && p.Takes(i) {
				return t
			}
		}
	}
	r := balance.Request{Key: key, Now: now, Filter: p}
	if i := p.view.again.Pick(&r); i >= 0 {
		return p.view.targets[i]
	}
	return nil
}

// preview is what Choice is to Pick, and takes nothing.
type preview struct {
	up   *Upstream
	view *view
	now  time.Duration
}

// Takes implements balance.Filter.
func (p *preview) Takes(i int) bool {
	return p.up.refusal(p.view.targets[i], p.view.panics, p.now) == ""
}

// Candidate is a target as the choice sees it now.
type Candidate struct {
	*Target
	EffectiveWeight int           // of the balancing; 0 where it isn't in the view
	State           string        // of its breaker; empty without one
	Latency         time.Duration // as the balancing reckons; 0 for unknown
	Refusal         string        // why it takes no request; empty where it takes one
}

// Candidates returns all targets as the choice sees them.
func (u *Upstream) Candidates(now time.Duration) []Candidate {
	v, weights := u.view.Load(), u.Weights()
	in := make(map[*Endpoint]bool, len(v.targets))
	for _, t := range v.targets {
		in[t.Endpoint] = true
	}
	var list []Candidate
	for _, t := range u.Targets() {
		c := Candidate{Target: t, EffectiveWeight: weights[t.Endpoint], Refusal: u.refusal(t, v.panics, now)}
		c.Latency = t.Load.Latency(now)
		if t.Breaker != nil {
			c.State = t.Breaker.State(now).String()
		}
		if c.Refusal == "" && !in[t.Endpoint] {
			c.Refusal = "ejected for what its answers were"
		}
		list = append(list, c)
	}
	return list
}

// refusal says why a target takes no request now, as Choice.Takes and the view see it.
func (u *Upstream) refusal(t *Target, panics bool, now time.Duration) string {
	limit := int64(u.TargetRequestsMax)
	switch {
	case t.Weight == 0:
		return "weight 0"
	case t.Drained():
		return "drained"
	case !panics && t.Verdict() == Unhealthy:
		return "unhealthy"
	case limit > 0 && t.held.Load() >= limit:
		return "as many requests as it may have"
	case t.Breaker != nil && !t.Breaker.Ready(now):
		if t.Breaker.State(now) == breaker.Open {
			return "breaker open"
		}
		return "breaker half-open and its trials taken"
	}
	return ""
}
