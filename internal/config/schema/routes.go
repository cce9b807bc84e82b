package schema

// Route says which requests it takes and what happens to them. Exactly one
// of Upstream, Split, Redirect and Respond is set.
type Route struct {
	Block
	Name          Value[string]
	Priority      Value[int64] // the highest matching route wins
	Matches       Matches
	Upstream      Value[string]
	Fallback      Value[string] // unset: none
	UseFallback   Value[bool]   // all requests go to Fallback
	Disabled      *Disabled     // nil while it takes requests
	Split         *Split
	Redirect      *Redirect
	Respond       *Respond
	Rewrite       *Rewrite
	Policies      Policies // top-level policies merged in
	Timeouts      Timeouts // only what the route itself sets; see EffectiveTimeouts
	Limits        Limits   // only what the route itself sets
	Retry         RetryPolicy
	QueuePriority Value[string] // "low", "normal", "high" or "critical"
	Mirror        *Mirror       // nil when not written
	AllowUpgrade  []Value[string]
	AllowTrailers Value[bool]
	GRPCWeb       Value[bool]
	RateLimits    []*RateLimit // none: those of the listener hold
	Security      *Security    // nil when not written
	Access        *Access      // nil: that of the listener holds
}

func routeBlocks() []blockDef {
	return []blockDef{{
		name: "routes",
		doc:  "Which request goes where. The block may stand once in each file.",
		keys: []Key{
			{
				Name: "route", Kind: Opens, Opens: "route", Many: true, Doc: "one route",
				slot: several(func(c *Config) *[]*Route { return &c.Routes }),
			},
		},
	}, {
		name: "route",
		doc: "One route: `route \"NAME\" { ... }` with exactly one of `upstream`, `split`, `redirect` and `respond`. Of all routes that match, " +
			"the one of the highest priority wins, then the most specific one, then the first in the text.",
		args:   []string{"name"},
		keys:   append(routeKeys(), routeParts()...),
		finish: finishRoute,
	}}
}

func routeKeys() []Key {
	return []Key{
		{
			Name: "name", Kind: Text, Required: true, ArgOnly: true, check: checkName, Doc: "name in logs and metrics",
			slot: value(func(r *Route) any { return &r.Name }),
		},
		{
			Name: "priority", Kind: Int, Min: -1000000, Max: 1000000, Default: "0",
			Words: []string{"low", "normal", "high", "critical"}, values: []int64{-100, 0, 100, 1000},
			Doc:  "the highest number wins; low is -100, normal 0, high 100, critical 1000",
			slot: value(func(r *Route) any { return &r.Priority }),
		},
		{
			Name: "matches", Kind: Opens, Opens: "matches", Doc: "which requests the route takes; without it, all",
			slot: value(func(r *Route) any { return &r.Matches }),
		},
		{
			Name: "upstream", Kind: Text, check: checkName, Doc: "name of the upstream that answers",
			slot: value(func(r *Route) any { return &r.Upstream }),
		},
		{
			Name: "fallback-upstream", Kind: Text, check: checkName, Doc: "name of the upstream that answers when the first one can't",
			slot: value(func(r *Route) any { return &r.Fallback }),
		},
		{
			Name: "use-fallback", Kind: Bool,
			Doc:  "send all requests to the fallback-upstream, whatever the state of the first one; see [emergency.md](../emergency.md)",
			slot: value(func(r *Route) any { return &r.UseFallback }),
		},
		{
			Name: "queue-priority", Kind: Enum, Words: []string{"low", "normal", "high", "critical"}, Default: "normal",
			Doc: "which requests leave the queue of an upstream first, and are shed last", slot: value(func(r *Route) any { return &r.QueuePriority }),
		},
		{
			Name: "allow-upgrade", Kind: Texts, Many: true, Words: []string{"websocket"},
			Doc:  "protocols that a client may upgrade to; none without this key",
			slot: value(func(r *Route) any { return &r.AllowUpgrade }),
		},
		{
			Name: "grpc-web", Kind: Bool,
			Doc:  "translate calls of gRPC-Web, as browsers make them, into calls of gRPC for the upstream; see [grpc.md](../grpc.md)",
			slot: value(func(r *Route) any { return &r.GRPCWeb }),
		},
		{
			Name: "allow-trailers", Kind: Bool, Doc: "pass trailer fields on, both ways, instead of dropping them",
			slot: value(func(r *Route) any { return &r.AllowTrailers }),
		},
	}
}

func routeParts() []Key {
	return []Key{
		{
			Name: "split", Kind: Opens, Opens: "split", Doc: "several upstreams that answer by weight",
			slot: optional(func(r *Route) **Split { return &r.Split }),
		},
		{
			Name: "redirect", Kind: Opens, Opens: "redirect", Doc: "the client is sent elsewhere",
			slot: optional(func(r *Route) **Redirect { return &r.Redirect }),
		},
		{
			Name: "respond", Kind: Opens, Opens: "respond", Doc: "a fixed response",
			slot: optional(func(r *Route) **Respond { return &r.Respond }),
		},
		{
			Name: "disabled", Kind: Opens, Opens: "disabled", Doc: "the route refuses what it would take, and everything else of it stands ready",
			slot: optional(func(r *Route) **Disabled { return &r.Disabled }),
		},
		{
			Name: "rewrite", Kind: Opens, Opens: "rewrite", Doc: "change of the path before it is sent",
			slot: optional(func(r *Route) **Rewrite { return &r.Rewrite }),
		},
		{
			Name: "policies", Kind: Opens, Opens: "policies", Doc: "header edits and the like",
			slot: value(func(r *Route) any { return &r.Policies }),
		},
		{
			Name: "timeouts", Kind: Opens, Opens: "timeouts", Doc: "timeouts of this route; they win over those of its upstream",
			slot: value(func(r *Route) any { return &r.Timeouts }),
		},
		{
			Name: "limits", Kind: Opens, Opens: "limits", Merges: true, Doc: "limits of this route",
			slot: value(func(r *Route) any { return &r.Limits }),
		},
		{
			Name: "retry-policy", Aliases: []string{"retry"}, Kind: Opens, Opens: "retry-policy", Doc: "when a request is sent again",
			slot: value(func(r *Route) any { return &r.Retry }),
		},
		{
			Name: "mirror", Kind: Opens, Opens: "mirror", Doc: "copies of requests for another upstream",
			slot: optional(func(r *Route) **Mirror { return &r.Mirror }),
		},
		{
			Name: "rate-limit", Kind: Opens, Opens: "rate-limit", Many: true, Doc: "rate limit of this route",
			slot: several(func(r *Route) *[]*RateLimit { return &r.RateLimits }),
		},
		{
			Name: "security", Kind: Opens, Opens: "security", Doc: "challenges on this route",
			slot: optional(func(r *Route) **Security { return &r.Security }),
		},
		{
			Name: "access", Kind: Opens, Opens: "access", Doc: "which clients are let in on this route",
			slot: optional(func(r *Route) **Access { return &r.Access }),
		},
	}
}

// finishRoute checks that the route does one thing and that nothing in it is
// without effect.
func finishRoute(d *decoder, b any) {
	r := b.(*Route)
	if r.UseFallback.V && !d.tried(r, "fallback-upstream") {
		d.errorAt(r.UseFallback.From, "use-fallback has no effect in route %q, which has no fallback-upstream", r.Name.V).
			hint(`add fallback-upstream "NAME", or remove it`)
	}
	if d.streamRoute(r) {
		return
	}
	var actions []sourcedKey
	for _, a := range []sourcedKey{
		{"upstream", r.Upstream.From},
		{"split", originOf(r.Split)},
		{"redirect", originOf(r.Redirect)},
		{"respond", originOf(r.Respond)},
	} {
		if a.from.IsSet() {
			actions = append(actions, a)
		}
	}
	switch {
	case len(actions) == 0 && d.tried(r, "upstream"): // wrongly, which was reported
	case len(actions) == 0:
		d.errorAt(r.From, "route %q has nothing to do", r.Name.V).
			hint("add one of upstream, split, redirect and respond")
	case len(actions) > 1:
		d.errorAt(actions[1].from, "route %q has both %s and %s", r.Name.V, actions[0].name, actions[1].name).
			hint("keep one of them").related(actions[0].from, "the first one is here")
	case actions[0].name == "redirect" || actions[0].name == "respond":
		d.refuseIdle(r, actions[0].name)
	}
	if idle := r.Timeouts.TunnelIdle; idle.IsSet() && len(r.AllowUpgrade) == 0 && !d.tried(r, "allow-upgrade") {
		d.errorAt(idle.From, "tunnel-idle-secs has no effect in route %q, which upgrades nothing", r.Name.V).
			hint("add allow-upgrade \"websocket\", or remove it")
	}
}

// sourcedKey is a key and where it was written.
type sourcedKey struct {
	name string
	from Origin
}

// refuseIdle reports what has no effect in a route that answers itself.
func (d *decoder) refuseIdle(r *Route, action string) {
	upgrade := Origin{}
	if len(r.AllowUpgrade) > 0 {
		upgrade = r.AllowUpgrade[0].From
	}
	for _, k := range []sourcedKey{
		{"fallback-upstream", r.Fallback.From},
		{"rewrite", originOf(r.Rewrite)},
		{"retry-policy", r.Retry.From},
		{"mirror", originOf(r.Mirror)},
		{"queue-priority", r.QueuePriority.From},
		{"allow-upgrade", upgrade},
		{"allow-trailers", r.AllowTrailers.From},
		{"grpc-web", r.GRPCWeb.From},
		{"timeouts", r.Timeouts.From},
		{"request-headers", r.Policies.RequestHeaders.From},
	} {
		if k.from.IsSet() {
			d.errorAt(k.from, "%s has no effect in route %q, which answers by %s", k.name, r.Name.V, action).
				hint("remove it, or send the request to an upstream")
		}
	}
}
