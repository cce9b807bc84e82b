package schema

import (
	"slices"
	"time"
)

// RateLimit says how many requests may come of those that share a key. Exactly one of
// PerSecond and PerMinute is set.
type RateLimit struct {
	Block
	Name           Value[string]
	PerSecond      Value[int64]
	PerMinute      Value[int64]
	Burst          Value[int64] // unset: as many as the rate
	Key            []Value[string]
	IPv6PrefixBits Value[int64]
	Action         Value[string]        // "block", "delay" or "log"
	MaxDelay       Value[time.Duration] // of action "delay"; unset: a second
	Mode           Value[string]        // "enforce" or "shadow"
	MaxKeys        Value[int64]
	Shared         Value[bool] // counted in the rate-limit-store, where there is one
	// Additional says that it holds beside those of nearer and farther places.
	Additional Value[bool]

	// Scope is where its counters belong: "top level", `listener "x"` or `route "x"`.
	Scope string
}

func rateLimitBlock() blockDef {
	return blockDef{
		name: "rate-limit",
		doc: "How many requests may come of those that share a key, such as one client: `rate-limit { ... }` or, where several hold at once, `rate-limit \"NAME\" { ... }`. " +
			"Those of a route replace those of its listener, which replace those of the top level, but for `additional` ones; a limit of the same name takes over what it doesn't say itself.",
		args: []string{"name"},
		keys: []Key{
			{
				Name: "name", Kind: Text, ArgOnly: true, check: checkName, Default: "default", Doc: "name in logs, metrics and RateLimit fields",
				slot: value(func(r *RateLimit) any { return &r.Name }),
			},
			{
				Name: "requests-per-second", Kind: Int, Unit: "requests per second", Min: 1, Max: 10000000, Doc: "the lasting rate",
				slot: value(func(r *RateLimit) any { return &r.PerSecond }),
			},
			{
				Name: "requests-per-minute", Kind: Int, Unit: "requests per minute", Min: 1, Max: 10000000, Doc: "the lasting rate, for slow ones",
				slot: value(func(r *RateLimit) any { return &r.PerMinute }),
			},
			{
				Name: "burst", Kind: Int, Unit: "requests", Min: 1, Max: 10000000, Doc: "requests allowed at once; without it, as many as the rate",
				slot: value(func(r *RateLimit) any { return &r.Burst }),
			},
			{
				Name: "key", Kind: Texts, Many: true, Default: "client_ip", check: checkLimitKey,
				Doc:  "what is counted together: `client_ip`, `path`, `route`, `host`, `method`, `listener`, `header:NAME`, `cookie:NAME`, or, once a policy has asked, `user` or `jwt:CLAIM`; several make one key",
				slot: value(func(r *RateLimit) any { return &r.Key }),
			},
			{
				Name: "ipv6-prefix-bits", Kind: Int, Unit: "bits", Min: 32, Max: 128, Default: "64", Doc: "how much of an IPv6 address is one client",
				slot: value(func(r *RateLimit) any { return &r.IPv6PrefixBits }),
			},
			{
				Name: "action", Kind: Enum, Words: []string{"block", "delay", "log"}, Default: "block",
				Doc:  "what happens to a request too many: answered 429, held back until its turn, or let through with a note in the log",
				slot: value(func(r *RateLimit) any { return &r.Action }),
			},
			{
				Name: "max-delay-secs", Kind: Seconds, Unit: "seconds", Max: 60, Label: "longest delay",
				Doc: "how long action delay holds a request back at most, without it 1; what would wait longer is answered 429", slot: value(func(r *RateLimit) any { return &r.MaxDelay }),
			},
			{
				Name: "mode", Kind: Enum, Words: []string{"enforce", "shadow"}, Default: "enforce", Doc: "shadow counts what would happen and does nothing",
				slot: value(func(r *RateLimit) any { return &r.Mode }),
			},
			{
				Name: "max-keys", Kind: Int, Unit: "keys", Min: 128, Max: 16777216, Default: "65536", Doc: "keys that are remembered at once",
				slot: value(func(r *RateLimit) any { return &r.MaxKeys }),
			},
			{
				Name: "shared", Kind: Bool, Default: "#true", Doc: "whether all proxies count together where there is a rate-limit-store",
				slot: value(func(r *RateLimit) any { return &r.Shared }),
			},
			{
				Name: "additional", Kind: Bool, Doc: "hold beside the limits that hold otherwise: it replaces none of a farther place and none of a nearer one replaces it",
				slot: value(func(r *RateLimit) any { return &r.Additional }),
			},
		},
		finish: finishRateLimit,
	}
}

// finishRateLimit reports what contradicts itself.
func finishRateLimit(d *decoder, b any) {
	r := b.(*RateLimit)
	if r.PerSecond.IsSet() && r.PerMinute.IsSet() {
		d.errorAt(r.PerMinute.From, "rate-limit has both requests-per-second and requests-per-minute").
			hint("keep one of them").related(r.PerSecond.From, "the other one is here")
	}
	if r.MaxDelay.IsSet() && r.Action.V != "delay" {
		d.errorAt(r.MaxDelay.From, "max-delay-secs has no effect without action \"delay\"").hint("remove it, or set action \"delay\"")
	}
}

// rateLimits settles which limits hold where: the nearest place that has any, which takes
// over from the top level what a limit of the same name doesn't say.
func (d *decoder) rateLimits(c *Config) {
	c.RateLimits, c.Policies.RateLimits = append(c.RateLimits, c.Policies.RateLimits...), nil
	d.settle(c.RateLimits, nil, "top level")
	for _, l := range c.Listeners {
		d.settle(l.RateLimits, c.RateLimits, `listener "`+l.Name.V+`"`)
	}
	for _, r := range c.Routes {
		r.RateLimits, r.Policies.RateLimits = append(r.RateLimits, r.Policies.RateLimits...), nil
		d.settle(r.RateLimits, c.RateLimits, `route "`+r.Name.V+`"`)
	}
}

// settle completes the limits of one place.
func (d *decoder) settle(limits, above []*RateLimit, scope string) {
	names := make(map[string]Origin, len(limits))
	for _, r := range limits {
		r.Scope = scope
		name := r.Name.V
		if name == "" {
			name = "default"
		}
		if first, twice := names[name]; twice {
			d.errorAt(r.From, "rate-limit %q stands twice in the %s", name, scope).
				hint("give one of them another name").related(first, "the first one is here")
		}
		names[name] = r.From
		if i := slices.IndexFunc(above, func(a *RateLimit) bool { return a.Name.V == r.Name.V && !a.Additional.V && !r.Additional.V }); i >= 0 {
			r.inherit(above[i])
		}
		if !r.PerSecond.IsSet() && !r.PerMinute.IsSet() && !d.tried(r, "requests-per-second") && !d.tried(r, "requests-per-minute") {
			d.errorAt(r.From, "rate-limit %q has no rate", name).hint("add requests-per-second N")
		}
	}
}

// inherit takes over what r doesn't say. The two rates are one thing: who says one of them
// has said it.
func (r *RateLimit) inherit(above *RateLimit) {
	own := r.PerSecond.IsSet() || r.PerMinute.IsSet()
	perSecond, perMinute := r.PerSecond, r.PerMinute
	inherit(table()["rate-limit"].rows, r, above)
	if own {
		r.PerSecond, r.PerMinute = perSecond, perMinute
	}
	if len(r.Key) == 0 {
		for _, k := range above.Key {
			k.From.Kind = Inherited
			r.Key = append(r.Key, k)
		}
	}
}

// Replacing returns the limits of a list that take the place of those of farther places, and
// Additional those that hold beside all others.
func Replacing(list []*RateLimit) []*RateLimit { return limitsThat(list, false) }

// Additional is the counterpart of Replacing.
func Additional(list []*RateLimit) []*RateLimit { return limitsThat(list, true) }

func limitsThat(list []*RateLimit, additional bool) (out []*RateLimit) {
	for _, r := range list {
		if r.Additional.V == additional {
			out = append(out, r)
		}
	}
	return out
}
