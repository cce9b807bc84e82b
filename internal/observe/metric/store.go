package metric

import "sync/atomic"

// StoreReasons are why a store of rate limits may fail.
func StoreReasons() []string { return []string{"auth", "connection", "readonly", "refused", "timeout"} }

// Store is the handle of the series about the store that rate limits share. They are shown
// while one is configured.
type Store struct {
	configured, up          atomic.Bool
	proxies                 atomic.Int64
	settled, late, fallback atomic.Uint64
	failed                  [5]atomic.Uint64 // by StoreReasons
}

// Store returns the handle.
func (r *Registry) Store() *Store { return &r.store }

// SetConfigured tells whether there is a store.
func (s *Store) SetConfigured(yes bool) {
	s.configured.Store(yes)
	if !yes {
		s.up.Store(false)
	}
}

// SetUp tells whether the store answers.
func (s *Store) SetUp(yes bool) { s.up.Store(yes) }

// SetProxies tells how many proxies count together.
func (s *Store) SetProxies(n int) { s.proxies.Store(int64(n)) }

// Settled counts keys that were settled.
func (s *Store) Settled(n int) { s.settled.Add(uint64(n)) }

// SetLate tells how often a key found no room among those to be settled.
func (s *Store) SetLate(n uint64) { s.late.Store(n) }

// FellBack counts requests that were decided while the store was away.
func (s *Store) FellBack(n uint64) { s.fallback.Add(n) }

// Failed counts a question that wasn't answered, for one of StoreReasons.
func (s *Store) Failed(reason string) {
	for i, r := range StoreReasons() {
		if r == reason {
			s.failed[i].Add(1)
		}
	}
}

func storeFamilies() []family {
	shown := func(f func(s *Store, e emitter)) func(*view, emitter) {
		return func(v *view, e emitter) {
			if v.store.configured.Load() {
				f(&v.store, e)
			}
		}
	}
	return []family{
		row("sentinel_rate_limit_store_up", Gauge, "1 while the store that rate limits share answers, 0 while each proxy counts by itself.",
			shown(func(s *Store, e emitter) { e.gauge(boolean(s.up.Load())) })),
		row("sentinel_rate_limit_store_proxies", Gauge, "Proxies that count together, as last known.",
			shown(func(s *Store, e emitter) { e.gauge(float64(s.proxies.Load())) })),
		row("sentinel_rate_limit_store_lookups_total", Counter, "Keys that were settled with the store.",
			shown(func(s *Store, e emitter) { e.counter(float64(s.settled.Load())) })),
		row("sentinel_rate_limit_store_late_total", Counter, "Keys that found no room among those to be settled, and counted in this proxy alone for longer.",
			shown(func(s *Store, e emitter) { e.counter(float64(s.late.Load())) })),
		row("sentinel_rate_limit_store_errors_total", Counter, "Questions and connections that failed, by cause.",
			shown(func(s *Store, e emitter) {
				for i, reason := range StoreReasons() {
					e.counter(float64(s.failed[i].Load()), reason)
				}
			}), "reason"),
		row("sentinel_rate_limit_store_fallbacks_total", Counter, "Requests that shared limits decided while the store was away.",
			shown(func(s *Store, e emitter) { e.counter(float64(s.fallback.Load())) })),
	}
}
