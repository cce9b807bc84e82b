package schema

import "net/netip"

// Security says when clients are challenged. What nobody wrote in a listener or route isn't
// filled in there; see EffectiveSecurity.
type Security struct {
	Block
	ChallengeMode      Value[string] // "disabled", "shadow", "enabled" or "always"
	ChallengeThreshold Value[int64]  // requests per minute and client
	Difficulty         Value[int64]  // zero bits of an answer
	MaxDifficulty      Value[int64]
	Wait               Value[int64] // seconds without script
	Allow              []Value[netip.Prefix]

	// At top level only, since one cookie holds for all of a host.
	KeyFile        Value[string] // unset: the key in the state folder
	TokenLifetime  Value[int64]  // seconds
	IPv4PrefixBits Value[int64]
	IPv6PrefixBits Value[int64]
	Status         Value[int64] // 503 or 403
}

func securityBlock() blockDef {
	top := []string{""}
	return blockDef{
		name: "security",
		doc: "When browsers are asked for a little work before their requests go on, so that a flood costs who sends it. " +
			"The nearest block wins, key by key: that of the route, then of the listener, then of the top level. " +
			"Each place that has a block counts by itself. See [challenge.md](../challenge.md).",
		keys: []Key{
			{
				Name: "challenge-mode", Kind: Enum, Words: []string{"disabled", "shadow", "enabled", "always"}, Default: "disabled",
				Doc:  "who is challenged: nobody, clients over the threshold, or all; shadow counts those over the threshold and lets them through",
				slot: value(func(s *Security) any { return &s.ChallengeMode }),
			},
			{
				Name: "challenge-threshold", Kind: Int, Unit: "requests per minute and client", Min: 1, Max: 10000000, Default: "100",
				Doc:  "the rate above which a client is challenged; a client is one IPv4 address or one IPv6 prefix",
				slot: value(func(s *Security) any { return &s.ChallengeThreshold }),
			},
			{
				Name: "difficulty", Kind: Int, Unit: "bits", Min: 8, Max: 16, Default: "12",
				Doc:  "the work for clients up to twice the threshold: 2 to the power of this are the hashes it takes; each doubling of their rate adds one",
				slot: value(func(s *Security) any { return &s.Difficulty }),
			},
			{
				Name: "max-difficulty", Kind: Int, Unit: "bits", Min: 8, Max: 16, Default: "16",
				Doc: "the most work whatever the rate", slot: value(func(s *Security) any { return &s.MaxDifficulty }),
			},
			{
				Name: "wait-secs", Aliases: []string{"wait"}, Kind: Int, Unit: "seconds", Min: 1, Max: 30, Default: "5", Label: "wait without script",
				Doc: "how long browsers without script wait instead; 3 more with each bit that the difficulty is raised, at most 30", slot: value(func(s *Security) any { return &s.Wait }),
			},
			{
				Name: "allow", Kind: Prefixes, Many: true,
				Doc: "clients that are never challenged, such as monitors", slot: value(func(s *Security) any { return &s.Allow }),
			},
			{
				Name: "key-file", Kind: Text, check: checkFile, In: top,
				Doc:  "1 to 4 keys of 32 bytes, base64 or hexadecimal, one a line, the same on all proxies of a fleet; without it, a key that is made at the first start and kept in state-dir",
				slot: value(func(s *Security) any { return &s.KeyFile }),
			},
			{
				Name: "token-lifetime-secs", Aliases: []string{"token-lifetime"}, Kind: Int, Unit: "seconds", Min: 60, Max: 2592000, Default: "86400", Label: "token lifetime", In: top,
				Doc: "for how long who has passed isn't asked again", slot: value(func(s *Security) any { return &s.TokenLifetime }),
			},
			{
				Name: "ipv4-prefix-bits", Kind: Int, Unit: "bits", Min: 8, Max: 32, Default: "24", Label: "IPv4 prefix bits", In: top,
				Doc:  "how much of an IPv4 address a token is bound to; mobile networks move clients within a /24",
				slot: value(func(s *Security) any { return &s.IPv4PrefixBits }),
			},
			{
				Name: "ipv6-prefix-bits", Kind: Int, Unit: "bits", Min: 16, Max: 128, Default: "64", Label: "IPv6 prefix bits", In: top,
				Doc:  "how much of an IPv6 address a token is bound to, and is one client",
				slot: value(func(s *Security) any { return &s.IPv6PrefixBits }),
			},
			{
				Name: "status", Kind: Int, Min: 403, Max: 503, Default: "503", check: checkChallengeStatus, In: top,
				Doc: "status of the page: 503, or 403 where a cache or monitor takes 503 amiss", slot: value(func(s *Security) any { return &s.Status }),
			},
		},
	}
}

func checkChallengeStatus(s string) (problem, hint string) {
	if s != "503" && s != "403" {
		return "is no status of a challenge", "use 503 or 403"
	}
	return "", ""
}

// securities reports contradictions that show only where blocks meet.
func (d *decoder) securities(c *Config) {
	d.difficulties(EffectiveSecurity(c, nil, nil))
	for _, l := range c.Listeners {
		if l.Security != nil {
			d.difficulties(EffectiveSecurity(c, l, nil))
		}
	}
	for _, r := range c.Routes {
		if r.Security != nil {
			d.difficulties(EffectiveSecurity(c, nil, r))
		}
	}
}

func (d *decoder) difficulties(s Security) {
	if s.Difficulty.V <= s.MaxDifficulty.V {
		return
	}
	at, other := s.Difficulty.From, s.MaxDifficulty.From
	if at.Kind != Written {
		at, other = other, at
	}
	d.errorAt(at, "difficulty %d is more than max-difficulty %d", s.Difficulty.V, s.MaxDifficulty.V).
		hint("raise max-difficulty or lower difficulty").related(other, "the other one is here")
}

// EffectiveSecurity returns what holds for requests on that listener and route, either of which
// may be nil: for each key the nearest block that sets it, or its default.
func EffectiveSecurity(c *Config, l *Listener, r *Route) Security {
	var s Security
	var above []*Security
	if above = append(above, c.Security); l != nil {
		above = append(above, l.Security)
	}
	if r != nil {
		above = append(above, r.Security)
	}
	rows := table()["security"].rows
	for _, b := range above {
		if b == nil {
			continue
		}
		for _, k := range rows {
			switch from := k.slot.at(b).(type) {
			case *Value[string]:
				overlayValue(k.slot.at(&s).(*Value[string]), from)
			case *Value[int64]:
				overlayValue(k.slot.at(&s).(*Value[int64]), from)
			case *[]Value[netip.Prefix]:
				if len(*from) > 0 {
					s.Allow = *from
				}
			}
		}
	}
	fill(table()["security"], &s)
	return s
}

func overlayValue[T any](dst, src *Value[T]) {
	if src.From.Kind == Written {
		*dst = *src
	}
}
