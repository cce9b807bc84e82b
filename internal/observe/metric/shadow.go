package metric

import (
	"sync/atomic"

	"sentinel/internal/dataplane/fault"
)

// shadowKinds are the faults that something in shadow mode may stand for. Rate limits,
// challenges and policies of access count theirs themselves.
var shadowKinds = [...]fault.Kind{
	fault.AccessDenied, fault.ClientBanned, fault.ClientConnectionLimit, fault.ConnectionLimit, fault.ContentTooLarge, fault.HeadTooLarge,
	fault.RequestLimit, fault.TargetTooLong, fault.TooManyFields,
}

// ShadowCounts counts connections and requests that something in shadow mode would have
// refused.
type ShadowCounts struct{ counts [fault.Count]atomic.Uint64 }

// Shadowed returns the handle.
func (r *Registry) Shadowed() *ShadowCounts { return &r.shadowed }

// Count counts one that would have failed by k, one of shadowKinds.
func (s *ShadowCounts) Count(k fault.Kind) { s.counts[k].Add(1) }

func collectShadowed(v *view, e emitter) {
	for _, k := range shadowKinds {
		e.counter(float64(v.shadowed.counts[k].Load()), k.String())
	}
}
