package metric

import "sync/atomic"

// Issuance is the handle of the series about certificates that an authority issues. They are
// shown while one is configured.
type Issuance struct {
	configured       atomic.Bool
	obtained, failed atomic.Uint64
}

// Issuance returns the handle.
func (r *Registry) Issuance() *Issuance { return &r.issuance }

// SetConfigured tells whether there is an authority.
func (i *Issuance) SetConfigured(yes bool) { i.configured.Store(yes) }

// Count counts an order that ended.
func (i *Issuance) Count(obtained bool) {
	if obtained {
		i.obtained.Add(1)
	} else {
		i.failed.Add(1)
	}
}

func issuanceFamilies() []family {
	return []family{
		row("sentinel_acme_orders_total", Counter, "Certificates ordered from an authority, by what came of it: obtained or failed.",
			func(v *view, e emitter) {
				if v.issuance.configured.Load() {
					e.counter(float64(v.issuance.obtained.Load()), "obtained")
					e.counter(float64(v.issuance.failed.Load()), "failed")
				}
			}, "result"),
	}
}
