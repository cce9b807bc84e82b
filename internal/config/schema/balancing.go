package schema

import (
	"strings"
	"time"
)

// StickyCookie keeps a client with one target by a cookie that only the proxy can read.
type StickyCookie struct {
	Block
	Name     Value[string]
	KeyFile  Value[string]
	MaxAge   Value[time.Duration] // 0: until the browser ends
	Path     Value[string]
	Secure   Value[bool]
	SameSite Value[string] // "lax", "strict" or "none"
}

func balancers() []string {
	return []string{"round_robin", "least_connections", "random", "power_of_two_choices", "peak_ewma", "least_time", "ip_hash", "consistent_hash", "maglev"}
}

func balancingKey() Key {
	return Key{
		Name: "load-balancing", Kind: Enum, Words: balancers(), Default: "round_robin",
		synonyms: map[string]string{
			"weighted": "round_robin", "adaptive": "peak_ewma", "least_conn": "least_connections",
			"p2c": "power_of_two_choices", "ring_hash": "consistent_hash",
		},
		Doc:  "how a target is picked; `-` and `_` are the same",
		slot: value(func(u *Upstream) any { return &u.LoadBalancing }),
	}
}

func hashKey() Key {
	return Key{
		Name: "hash-key", Kind: Text, Default: "client_ip", check: checkHashKey,
		Doc:  "what is hashed: `client_ip`, `path`, `host`, `header:NAME`, `cookie:NAME` or `query:NAME`; only with `consistent_hash` and `maglev`",
		slot: value(func(u *Upstream) any { return &u.HashKey }),
	}
}

func balancingBlocks() []blockDef {
	return []blockDef{{
		name: "sticky-cookie", doc: "A cookie, readable by the proxy only, that keeps a client with one target while that takes requests.",
		keys: []Key{
			{
				Name: "name", Kind: Text, Default: "sentinel_target", check: checkCookieName, Doc: "name of the cookie",
				slot: value(func(s *StickyCookie) any { return &s.Name }),
			},
			{
				Name: "key-file", Kind: Text, Required: true, check: checkFile, Doc: "file with the secret key that encrypts it; the same for every proxy of a group",
				slot: value(func(s *StickyCookie) any { return &s.KeyFile }),
			},
			{
				Name: "max-age-secs", Kind: Seconds, Unit: "seconds", Max: 34560000, Default: "0", ZeroOff: true, Label: "max age",
				Doc: "how long a browser keeps it; 0 until it is closed", slot: value(func(s *StickyCookie) any { return &s.MaxAge }),
			},
			{
				Name: "path", Kind: Text, Default: "/", check: checkCookiePath, Doc: "paths that a browser sends it for",
				slot: value(func(s *StickyCookie) any { return &s.Path }),
			},
			{
				Name: "secure", Kind: Bool, Default: "#true", Doc: "send it over TLS only",
				slot: value(func(s *StickyCookie) any { return &s.Secure }),
			},
			{
				Name: "same-site", Kind: Enum, Words: []string{"lax", "strict", "none"}, Default: "lax", Doc: "whether it comes with requests that other sites bring about",
				slot: value(func(s *StickyCookie) any { return &s.SameSite }),
			},
		},
		finish: finishStickyCookie,
	}}
}

// finishStickyCookie refuses cookies that browsers don't take.
func finishStickyCookie(d *decoder, b any) {
	s := b.(*StickyCookie)
	insecure := s.Secure.IsSet() && !s.Secure.V
	name := strings.ToLower(s.Name.V)
	if insecure && s.SameSite.V == "none" {
		d.errorAt(s.SameSite.From, "browsers refuse a cookie with same-site \"none\" that isn't secure").
			hint("remove secure #false, or use same-site \"lax\"").related(s.Secure.From, "secure is here")
	}
	if insecure && (strings.HasPrefix(name, "__secure-") || strings.HasPrefix(name, "__host-")) {
		d.errorAt(s.Secure.From, "browsers refuse a cookie of the name %q that isn't secure", s.Name.V).
			hint("remove secure #false, or use another name").related(s.Name.From, "the name is here")
	}
	if s.Path.IsSet() && s.Path.V != "/" && strings.HasPrefix(name, "__host-") {
		d.errorAt(s.Path.From, "browsers refuse a cookie of the name %q with a path other than /", s.Name.V).
			hint("remove path, or use another name").related(s.Name.From, "the name is here")
	}
}

// balancing reports keys that have no effect with the upstream's way to pick a target.
func (d *decoder) balancing(u *Upstream) {
	if d.botched(u, "load-balancing", u.LoadBalancing.From) {
		return
	}
	key, _ := d.specs["upstream"].row("load-balancing")
	d.suits(sourcedKey{"hash-key", u.HashKey.From}, key, u.LoadBalancing, "consistent_hash", "maglev")
	d.suits(sourcedKey{"hash-load-percent", u.HashLoadPercent.From}, key, u.LoadBalancing, "consistent_hash")
}
