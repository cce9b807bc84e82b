package schema

import (
	"strconv"
	"strings"
	"time"
)

// HealthCheck says how targets are checked.
type HealthCheck struct {
	Block
	Type               HealthType
	Interval           Value[time.Duration]
	Timeout            Value[time.Duration]
	HealthyThreshold   Value[int64]
	UnhealthyThreshold Value[int64]
	JitterPercent      Value[int64]         // of the interval
	DownInterval       Value[time.Duration] // 0: what the prober chooses
	Port               Value[int64]         // unset: the target's own
}

// HealthType is what one check does.
type HealthType struct {
	Block
	Kind           Value[string] // "http", "tcp" or "grpc"
	Path           Value[string]
	Host           Value[string] // unset: the target's address
	Method         Value[string]
	ExpectedStatus []Value[Range]
	BodyContains   Value[string] // unset: any content
	BodyRegex      Value[string] // RE2; unset: any content
	Service        Value[string] // unset: the server as a whole
}

// Range is a range of whole numbers, both ends included.
type Range struct{ First, Last int64 }

func healthBlocks() []blockDef {
	return []blockDef{{
		name: "health-check", doc: "How the targets of an upstream are checked. At top level it gives defaults and has the targets of every upstream checked.",
		keys: []Key{
			{Name: "type", Kind: Opens, Opens: "health-check type", Doc: "what one check does", slot: value(func(h *HealthCheck) any { return &h.Type })},
			{
				Name: "interval-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "10", Label: "interval", Doc: "time between two checks of a target",
				slot: value(func(h *HealthCheck) any { return &h.Interval }),
			},
			{
				Name: "timeout-secs", Kind: Seconds, Unit: "seconds", Max: 3600, Default: "5", Label: "timeout", Doc: "how long one check may take",
				slot: value(func(h *HealthCheck) any { return &h.Timeout }),
			},
			{
				Name: "healthy-threshold", Kind: Int, Unit: "checks", Min: 1, Max: 1000, Default: "2", Doc: "successes in a row that bring a target back",
				slot: value(func(h *HealthCheck) any { return &h.HealthyThreshold }),
			},
			{
				Name: "unhealthy-threshold", Kind: Int, Unit: "checks", Min: 1, Max: 1000, Default: "3", Doc: "failures in a row that take a target out",
				slot: value(func(h *HealthCheck) any { return &h.UnhealthyThreshold }),
			},
			{
				Name: "jitter-percent", Kind: Int, Unit: "percent", Max: 50, Default: "10", Doc: "how far the time between two checks is spread, so that checks don't come in bursts",
				slot: value(func(h *HealthCheck) any { return &h.JitterPercent }),
			},
			{
				Name: "down-interval-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "0", ZeroOff: true, Label: "interval while down",
				Doc: "time between two checks of a target that is out; 0 leaves the choice to the proxy", slot: value(func(h *HealthCheck) any { return &h.DownInterval }),
			},
			{
				Name: "port", Kind: Int, Min: 1, Max: 65535, Doc: "port to check; without it, that of the target",
				slot: value(func(h *HealthCheck) any { return &h.Port }),
			},
		},
	}, {
		name: "health-check type",
		doc:  "What one check does: `type \"http\" { path \"/health\" }`, `type \"tcp\"` or `type \"grpc\" { service \"NAME\" }`. The keys of one kind have no place in another.",
		args: []string{"kind"},
		keys: healthTypeKeys(),
	}}
}

func healthTypeKeys() []Key {
	return []Key{
		{
			Name: "kind", Kind: Enum, Words: []string{"http", "tcp", "grpc"}, Default: "http",
			Doc:  "a request, only a connection, or a call of the gRPC health service",
			slot: value(func(h *HealthType) any { return &h.Kind }),
		},
		{
			Name: "path", Kind: Text, Default: "/", check: checkPath, Doc: "http: the path to ask for",
			slot: value(func(h *HealthType) any { return &h.Path }),
		},
		{
			Name: "host", Kind: Text, check: checkHost, Doc: "http and grpc: the host to ask for; without it, the target's address",
			slot: value(func(h *HealthType) any { return &h.Host }),
		},
		{
			Name: "method", Kind: Text, Default: "GET", check: checkMethod, Doc: "http: the request method",
			slot: value(func(h *HealthType) any { return &h.Method }),
		},
		{
			Name: "expected-status", Kind: Ranges, Many: true, Min: 100, Max: 599, Default: "200", Doc: "http: status codes that mean health, such as `200 204` or `\"200-299\"`",
			slot: value(func(h *HealthType) any { return &h.ExpectedStatus }),
		},
		{
			Name: "body-contains", Kind: Text, Doc: "http: text that the content must hold, case-sensitive",
			slot: value(func(h *HealthType) any { return &h.BodyContains }),
		},
		{
			Name: "body-regex", Kind: Regex, Doc: "http: an RE2 regular expression that the content must match, unanchored",
			slot: value(func(h *HealthType) any { return &h.BodyRegex }),
		},
		{
			Name: "service", Kind: Text, check: checkService, Doc: "grpc: name of the service to ask for; without it, the server as a whole",
			slot: value(func(h *HealthType) any { return &h.Service }),
		},
	}
}

// healthKinds returns the kinds of check that a key of health-check type has an effect in.
func healthKinds(key string) []string {
	switch key {
	case "kind":
		return []string{"http", "tcp", "grpc"}
	case "host":
		return []string{"http", "grpc"}
	case "service":
		return []string{"grpc"}
	}
	return []string{"http"}
}

// kind returns what one check does, the default included.
func (h *HealthType) kind() string {
	if h.Kind.IsSet() {
		return h.Kind.V
	}
	return "http"
}

// inheritHealth gives an upstream the health check of the top level, or what it doesn't say
// itself of one; what a check of another kind needs is left out.
func inheritHealth(u *Upstream, top *HealthCheck) {
	if top == nil {
		return
	}
	if u.HealthCheck == nil {
		u.HealthCheck = &HealthCheck{Block: Block{top.From}}
		u.HealthCheck.From.Kind = Inherited
	}
	h := u.HealthCheck
	inherit(table()["health-check"].rows, h, top)
	kind, _ := table()["health-check type"].row("kind")
	inherit([]*Key{kind}, &h.Type, &top.Type)
	if h.Type.kind() == top.Type.kind() {
		inherit(table()["health-check type"].rows, &h.Type, &top.Type)
	}
}

// healthChecks reports what has no effect in a kind of check, or can't be.
func (d *decoder) healthChecks(c *Config) {
	if c.HealthCheck != nil {
		d.healthType(&c.HealthCheck.Type)
	}
	for _, u := range c.Upstreams {
		if u.HealthCheck != nil && u.HealthCheck.From.Kind == Written {
			d.healthType(&u.HealthCheck.Type)
		}
	}
}

func (d *decoder) healthType(h *HealthType) {
	if d.botched(h, "kind", h.Kind.From) {
		return
	}
	kind := table()["health-check type"].rows[0]
	for _, k := range table()["health-check type"].rows {
		if all := lines(k.slot.at(h)); len(all) > 0 {
			d.suits(sourcedKey{k.Name, all[0].from}, kind, h.Kind, healthKinds(k.Name)...)
		}
	}
	if h.Method.V != "HEAD" {
		return
	}
	for _, k := range []sourcedKey{{"body-contains", h.BodyContains.From}, {"body-regex", h.BodyRegex.From}} {
		at, other := k.from, h.Method.From
		if at.Kind != Written {
			at, other = other, at
		}
		if k.from.IsSet() && at.Kind == Written {
			d.errorAt(at, "%s needs content, and the response to HEAD has none", k.name).
				hint("use method \"GET\" (RFC 9110, section 9.3.2)").related(other, "the other one is here")
		}
	}
}

// parseRange reads "200" and "200-299".
func parseRange(text string) (Range, bool) {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	first, err := strconv.ParseUint(low, 10, 31)
	last, err2 := strconv.ParseUint(high, 10, 31)
	return Range{int64(first), int64(last)}, err == nil && err2 == nil
}
