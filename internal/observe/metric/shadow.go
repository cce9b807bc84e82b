package metric

import (
	"sync/atomic"

	"sentinel/internal/dataplane/fault"
)

// ShadowCounts counts requests that something in shadow mode would have refused. Rate limits and
// challenges count theirs themselves.
type ShadowCounts struct{ accessDenied atomic.Uint64 }

// Shadowed returns the handle.
func (r *Registry) Shadowed() *ShadowCounts { return &r.shadowed }

// Count counts one that would have failed by k: fault.AccessDenied.
func (s *ShadowCounts) Count(k fault.Kind) {
	if k == fault.AccessDenied {
		s.accessDenied.Add(1)
	}
}

func collectShadowed(v *view, e emitter) {
	e.counter(float64(v.shadowed.accessDenied.Load()), fault.AccessDenied.String())
}
