package metric

import "sync/atomic"

// Policy is a policy that decides whether a request may go on.
type Policy int

// The policies.
const (
	BasicAuth Policy = iota
	JWTAuth
	ForwardAuth
	CORS
	policies
)

// String returns the policy, its label value.
func (p Policy) String() string {
	return [...]string{"basic_auth", "jwt_auth", "forward_auth", "cors"}[p]
}

// Decision is what a policy made of a request.
type Decision int

// The decisions.
const (
	Allowed  Decision = iota
	Denied            // by what the request is
	Failed            // the policy couldn't decide
	Shadowed          // denied or failed, and let through by shadow mode
	decisions
)

// String returns the decision, its label value.
func (d Decision) String() string { return [...]string{"allowed", "denied", "error", "shadowed"}[d] }

// policyCounts are the decisions of a route's policies.
type policyCounts struct {
	has    [policies]atomic.Bool
	counts [policies][decisions]atomic.Uint64
}

// HasPolicy gives the route the series of a policy.
func (r *Route) HasPolicy(p Policy) { firstOf(&r.policies).has[p].Store(true) }

// Decided counts a decision of a policy that the route has.
func (r *Route) Decided(p Policy, d Decision) {
	if c := r.policies.Load(); c != nil {
		c.counts[p][d].Add(1)
	}
}

func collectPolicies(v *view, e emitter) {
	for _, r := range v.routes {
		c := r.policies.Load()
		if c == nil {
			continue
		}
		for p := range policies {
			for d := range decisions {
				if c.has[p].Load() {
					e.counter(float64(c.counts[p][d].Load()), d.String(), p.String(), r.name)
				}
			}
		}
	}
}
