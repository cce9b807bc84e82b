package lifecycle

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/whatif"
	"sentinel/internal/dataplane/limit"
	"sentinel/internal/observe/demand"
)

const (
	// hitsWindow is the while that an emergency change is tried on.
	hitsWindow = time.Minute
	// hitsKeys is how many keys a limit that is tried remembers.
	hitsKeys = 65536
)

// nearer tells where an override for everything doesn't hold because a nearer block says
// otherwise.
func nearer(o *admin.Override, l *Loaded) []string {
	block := map[string]string{admin.OverrideTimeouts: "timeouts", admin.OverrideLimits: "limits", admin.OverrideChallenge: "security"}[o.Kind]
	if block == "" || o.Listener != "" || o.Route != "" || o.Upstream != "" || l.config == nil {
		return nil
	}
	var keys []string
	for _, s := range o.Settings {
		switch s.Key {
		case "max-connections", "max-connections-per-client", "max-concurrent-requests": // hold for the process
		default:
			keys = append(keys, s.Key)
		}
	}
	return schema.Nearer(l.config, block, keys)
}

// hits says what an override would have hit in the last minute.
func (w *whatIfs) hits(o *admin.Override) *admin.OverrideHits {
	list, covered := w.record.Read(hitsWindow, w.clock.Now())
	list = slices.DeleteFunc(list, func(s demand.Seen) bool { return !w.concerns(o, &s) })
	h := &admin.OverrideHits{Seconds: covered.Seconds()}
	clients := make(map[netip.Addr]bool)
	for i := range list {
		h.Requests += list[i].Count
		clients[list[i].Client] = true
	}
	h.Clients = len(clients)
	q := admin.WhatIfRequest{Seconds: int(hitsWindow / time.Second)}
	switch o.Kind {
	case admin.OverrideRateLimit:
		q.Limits = []admin.WhatIfLimit{tried(o)}
	case admin.OverrideLimits:
		for _, s := range o.Settings {
			if n, err := strconv.ParseInt(s.Value, 10, 64); err == nil {
				q.Connections = append(q.Connections, admin.WhatIfBound{Listener: o.Listener, Key: s.Key, Limit: n})
			}
		}
	case admin.OverrideChallenge:
		h.Challenged = w.challenged(o, list, h.Clients)
		return h
	case admin.OverrideTimeouts:
		h.Unknown = "how long each of them took isn't remembered: look at sentinel_request_duration_seconds"
		return h
	default:
		return h
	}
	a, err := w.WhatIf(q, admin.Actor{})
	if err != nil {
		h.Unknown = err.Error()
		return h
	}
	h.WhatIf = &a
	return h
}

// concerns reports whether a request came where an override would hold.
func (w *whatIfs) concerns(o *admin.Override, s *demand.Seen) bool {
	switch {
	case o.Listener != "":
		return s.Listener == demand.Name(o.Listener)
	case o.Route != "":
		return s.Route == demand.Name(o.Route)
	case o.Upstream == "":
		return true
	}
	cfg := w.serving.Load()
	return cfg != nil && slices.ContainsFunc(cfg.Routes, func(r *schema.Route) bool {
		uses := r.Upstream.V == o.Upstream || r.Split != nil && slices.ContainsFunc(r.Split.Upstreams, func(u *schema.SplitUpstream) bool { return u.Name.V == o.Upstream })
		return uses && demand.Name(r.Name.V) == s.Route
	})
}

// setting returns the value of a key as a number, or what stands in for it.
func setting(o *admin.Override, key string, otherwise int64) int64 {
	for _, s := range o.Settings {
		if n, err := strconv.ParseInt(s.Value, 10, 64); s.Key == key && err == nil {
			return n
		}
	}
	return otherwise
}

// tried is the limit of an override as a question.
func tried(o *admin.Override) admin.WhatIfLimit {
	l := admin.WhatIfLimit{
		Listener: o.Listener, Route: o.Route, Name: "emergency-" + strconv.Itoa(o.ID), Additional: true,
		PerSecond: setting(o, "requests-per-second", 0), PerMinute: setting(o, "requests-per-minute", 0),
		IPv6Bits: setting(o, "ipv6-prefix-bits", 64), Keys: setting(o, "max-keys", hitsKeys),
	}
	l.Burst = setting(o, "burst", max(l.PerSecond, l.PerMinute))
	for _, s := range o.Settings {
		switch s.Key {
		case "key":
			l.Key = append(l.Key, s.Value)
		case "action":
			l.OnlyNotes = s.Value == "log"
		}
	}
	if l.Key == nil {
		l.Key = []string{"client_ip"}
	}
	return l
}

// challenged returns how many clients of the requests would have been challenged.
func (w *whatIfs) challenged(o *admin.Override, list []demand.Seen, clients int) int {
	mode, threshold := "", int64(0)
	if cfg := w.serving.Load(); cfg != nil {
		s := schema.EffectiveSecurity(cfg, nil, nil)
		mode, threshold = s.ChallengeMode.V, s.ChallengeThreshold.V
	}
	for _, s := range o.Settings {
		if s.Key == "challenge-mode" {
			mode = s.Value
		}
	}
	threshold = setting(o, "challenge-threshold", threshold)
	key, err := limit.ParseKey([]string{"client_ip"}, 64)
	switch {
	case mode == "always":
		return clients
	case mode != "enabled" && mode != "shadow" || threshold < 1 || err != nil:
		return 0
	}
	rule := limit.Rule{Name: "challenge", Per: time.Minute, Requests: threshold, Burst: threshold, Entries: hitsKeys}
	a := whatif.Simulate(list, []whatif.Limit{{Rule: rule, Key: key}}, func(uint32, uint32) []int { return []int{0} })
	return a[0].Hit
}
