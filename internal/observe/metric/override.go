package metric

import (
	"slices"
	"sync/atomic"
)

// OverrideKinds are the kinds of emergency changes.
func OverrideKinds() []string {
	return []string{"limits", "rate-limit", "timeouts", "challenge", "disable-route", "fallback", "drain", "ban"}
}

// overrideKindsMax is the number of OverrideKinds.
const overrideKindsMax = 8

// overrides counts the emergency changes that hold, by OverrideKinds; held is asked for drains
// and bans.
type overrides struct {
	count [overrideKindsMax]atomic.Int64
	held  atomic.Pointer[func() (drains, bans int)]
}

// ShowHeld has f asked at each scrape how many drains and bans there are.
func (r *Registry) ShowHeld(f func() (drains, bans int)) { r.overrides.held.Store(&f) }

// SetOverrides tells how many emergency changes of one of OverrideKinds hold.
func (r *Registry) SetOverrides(kind string, n int) {
	if i := slices.Index(OverrideKinds(), kind); i >= 0 {
		r.overrides.count[i].Store(int64(n))
	}
}

// SetGeneration records the generation that serves, where no reload has made it.
func (r *Registry) SetGeneration(n uint64) { r.process.generation.Store(n) }

func overrideFamilies() []family {
	return []family{
		row("sentinel_overrides", Gauge, "Emergency changes that hold, by kind: those laid over the configuration, drains and bans.",
			func(v *view, e emitter) {
				if held := v.overrides.held.Load(); held != nil {
					drains, bans := (*held)()
					v.SetOverrides("drain", drains)
					v.SetOverrides("ban", bans)
				}
				for i, kind := range OverrideKinds() {
					e.gauge(float64(v.overrides.count[i].Load()), kind)
				}
			}, "kind"),
	}
}
