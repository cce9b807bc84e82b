package metric

import "sync/atomic"

// LimitOutcome is what a rate limit did to a request too many.
type LimitOutcome int

// The outcomes.
const (
	LimitBlocked LimitOutcome = iota
	LimitDelayed
	LimitLogged
	LimitShadowed // nothing, but it would have
	limitOutcomes
)

// String returns the outcome, its label value.
func (o LimitOutcome) String() string {
	return [...]string{"blocked", "delayed", "logged", "shadowed"}[o]
}

// Limit is the handle of one rate limit's series.
type Limit struct {
	name, scope string
	counts      [limitOutcomes]atomic.Uint64
	usage       // guarded by the registry's lock
}

// Count counts a request too many.
func (l *Limit) Count(o LimitOutcome) { l.counts[o].Add(1) }

// LimitKey names a rate limit among all: two scopes may have one of the same name.
func LimitKey(name, scope string) string { return scope + " " + name }

// Limit returns the handle of the rate limit called name in a scope such as `route "x"`,
// the same one for as long as Sweep keeps it.
func (r *Registry) Limit(name, scope string) *Limit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return lookUp(r.mu.limits, LimitKey(name, scope), func() *Limit { return &Limit{name: name, scope: scope} })
}

func collectLimits(v *view, e emitter) {
	for _, l := range v.limits {
		for o := range limitOutcomes {
			e.counter(float64(l.counts[o].Load()), l.name, o.String(), l.scope)
		}
	}
}
