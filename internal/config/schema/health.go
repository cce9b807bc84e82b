package schema

import "time"

// HealthCheck says how targets are checked.
type HealthCheck struct {
	Block
	Type               HealthType
	Interval           Value[time.Duration]
	Timeout            Value[time.Duration]
	HealthyThreshold   Value[int64]
	UnhealthyThreshold Value[int64]
}

// HealthType is what one check does.
type HealthType struct {
	Block
	Kind           Value[string] // "http" or "tcp"
	Path           Value[string]
	Host           Value[string] // unset: the target's address
	ExpectedStatus []Value[int64]
}

// CircuitBreaker says when a failing target is left alone.
type CircuitBreaker struct {
	Block
	FailureThreshold    Value[int64]
	SuccessThreshold    Value[int64]
	Timeout             Value[time.Duration]
	HalfOpenMaxRequests Value[int64]
}

func healthBlocks() []blockDef {
	return []blockDef{{
		name: "health-check", doc: "How the targets of an upstream are checked. At top level it gives defaults.",
		keys: []Key{
			{Name: "type", Kind: Opens, Opens: "health-check type", Doc: "what one check does", slot: value(func(h *HealthCheck) any { return &h.Type })},
			{Name: "interval-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "10", Label: "interval", Doc: "time between two checks of a target",
				slot: value(func(h *HealthCheck) any { return &h.Interval })},
			{Name: "timeout-secs", Kind: Seconds, Unit: "seconds", Max: 3600, Default: "5", Label: "timeout", Doc: "how long one check may take",
				slot: value(func(h *HealthCheck) any { return &h.Timeout })},
			{Name: "healthy-threshold", Kind: Int, Unit: "checks", Min: 1, Max: 1000, Default: "2", Doc: "successes in a row that bring a target back",
				slot: value(func(h *HealthCheck) any { return &h.HealthyThreshold })},
			{Name: "unhealthy-threshold", Kind: Int, Unit: "checks", Min: 1, Max: 1000, Default: "3", Doc: "failures in a row that take a target out",
				slot: value(func(h *HealthCheck) any { return &h.UnhealthyThreshold })},
		},
	}, {
		name: "health-check type", doc: "What one check does: `type \"http\" { path \"/health\" }` or `type \"tcp\"`.",
		args: []string{"kind"},
		keys: []Key{
			{Name: "kind", Kind: Enum, Words: []string{"http", "tcp"}, Default: "http", ArgOnly: true, Doc: "a request, or only a connection",
				slot: value(func(h *HealthType) any { return &h.Kind })},
			{Name: "path", Kind: Text, Default: "/health", check: checkPath, Doc: "the path to ask for",
				slot: value(func(h *HealthType) any { return &h.Path })},
			{Name: "host", Kind: Text, check: checkHost, Doc: "the Host field; without it, the target's address",
				slot: value(func(h *HealthType) any { return &h.Host })},
			{Name: "expected-status", Kind: Ints, Many: true, Min: 100, Max: 599, Default: "200", Doc: "status codes that mean health",
				slot: value(func(h *HealthType) any { return &h.ExpectedStatus })},
		},
	}, {
		name: "circuit-breaker", doc: "When a failing target is left alone for a while.",
		keys: []Key{
			{Name: "failure-threshold", Kind: Int, Unit: "failures", Min: 1, Max: 100000, Default: "5", Doc: "failures in a row that open it",
				slot: value(func(c *CircuitBreaker) any { return &c.FailureThreshold })},
			{Name: "success-threshold", Kind: Int, Unit: "successes", Min: 1, Max: 100000, Default: "2", Doc: "successes in a row that close it again",
				slot: value(func(c *CircuitBreaker) any { return &c.SuccessThreshold })},
			{Name: "timeout-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "30", Label: "timeout", Doc: "how long it stays open before requests are tried",
				slot: value(func(c *CircuitBreaker) any { return &c.Timeout })},
			{Name: "half-open-max-requests", Kind: Int, Unit: "requests", Min: 1, Max: 100000, Default: "1", Doc: "requests tried at once while it is half open",
				slot: value(func(c *CircuitBreaker) any { return &c.HalfOpenMaxRequests })},
		},
	}}
}
