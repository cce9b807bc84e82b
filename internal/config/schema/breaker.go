package schema

import "time"

// PassiveHealth says when the answers to live requests take a target out.
type PassiveHealth struct {
	Block
	ConsecutiveFailures      Value[int64] // 0 switches the form off
	ConsecutiveGatewayErrors Value[int64] // 0 switches the form off
	Ejection                 Value[time.Duration]
	MaxEjection              Value[time.Duration]
	MaxEjectedPercent        Value[int64] // of the targets of the upstream
}

// CircuitBreaker says when a failing target is left alone.
type CircuitBreaker struct {
	Block
	FailureThreshold    Value[int64]
	SuccessThreshold    Value[int64]
	Timeout             Value[time.Duration]
	HalfOpenMaxRequests Value[int64]
	ErrorRatePercent    Value[int64]         // 0 switches the form off
	SlowCall            Value[time.Duration] // 0 switches the form off
	SlowCallPercent     Value[int64]         // 0 switches the form off
	Window              Value[time.Duration] // over which the two rates are taken
	MinRequests         Value[int64]         // in the window, before a rate counts
}

func breakerBlocks() []blockDef {
	return []blockDef{{
		name: "passive-health", doc: "When the answers to live requests take a target out for a while. Each ejection of a target lasts longer than the one before.",
		keys: []Key{
			{
				Name: "consecutive-failures", Kind: Int, Unit: "failures", Max: 100000, Default: "5", ZeroOff: true,
				Doc:  "failed connections, broken answers and timeouts in a row; 0 doesn't count them",
				slot: value(func(p *PassiveHealth) any { return &p.ConsecutiveFailures }),
			},
			{
				Name: "consecutive-gateway-errors", Kind: Int, Unit: "errors", Max: 100000, Default: "5", ZeroOff: true,
				Doc:  "responses with 502, 503 or 504 in a row; 0 doesn't count them",
				slot: value(func(p *PassiveHealth) any { return &p.ConsecutiveGatewayErrors }),
			},
			{
				Name: "ejection-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "30", Label: "ejection",
				Doc: "how long the first ejection lasts", slot: value(func(p *PassiveHealth) any { return &p.Ejection }),
			},
			{
				Name: "max-ejection-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "300", Label: "longest ejection",
				Doc: "how long an ejection lasts at most", slot: value(func(p *PassiveHealth) any { return &p.MaxEjection }),
			},
			{
				Name: "max-ejected-percent", Kind: Int, Unit: "percent", Min: 1, Max: 100, Default: "50",
				Doc: "targets of the upstream that may be out at once", slot: value(func(p *PassiveHealth) any { return &p.MaxEjectedPercent }),
			},
		},
		finish: func(d *decoder, b any) { d.ordered("passive-health", b, "ejection-secs", "max-ejection-secs") },
	}, {
		name: "circuit-breaker", doc: "When a failing target is left alone for a while.",
		keys: breakerKeys(), finish: finishBreaker,
	}}
}

func breakerKeys() []Key {
	return []Key{
		{
			Name: "failure-threshold", Kind: Int, Unit: "failures", Min: 1, Max: 100000, Default: "5", Doc: "failures in a row that open it",
			slot: value(func(c *CircuitBreaker) any { return &c.FailureThreshold }),
		},
		{
			Name: "success-threshold", Kind: Int, Unit: "successes", Min: 1, Max: 100000, Default: "2", Doc: "successes in a row that close it again",
			slot: value(func(c *CircuitBreaker) any { return &c.SuccessThreshold }),
		},
		{
			Name: "timeout-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "30", Label: "timeout", Doc: "how long it stays open before requests are tried",
			slot: value(func(c *CircuitBreaker) any { return &c.Timeout }),
		},
		{
			Name: "half-open-max-requests", Kind: Int, Unit: "requests", Min: 1, Max: 100000, Default: "1", Doc: "requests tried at once while it is half open",
			slot: value(func(c *CircuitBreaker) any { return &c.HalfOpenMaxRequests }),
		},
		{
			Name: "error-rate-percent", Kind: Int, Unit: "percent", Max: 100, Default: "0", ZeroOff: true,
			Doc: "failures among the requests of the window that open it; 0 doesn't count them", slot: value(func(c *CircuitBreaker) any { return &c.ErrorRatePercent }),
		},
		{
			Name: "slow-call-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "0", ZeroOff: true, Label: "slow call",
			Doc: "time to the head of a response from which a request counts as slow; 0 doesn't count them", slot: value(func(c *CircuitBreaker) any { return &c.SlowCall }),
		},
		{
			Name: "slow-call-percent", Kind: Int, Unit: "percent", Max: 100, Default: "0", ZeroOff: true,
			Doc: "slow requests among those of the window that open it; 0 doesn't count them", slot: value(func(c *CircuitBreaker) any { return &c.SlowCallPercent }),
		},
		{
			Name: "window-secs", Kind: Seconds, Unit: "seconds", Max: 3600, Default: "10", Label: "window",
			Doc: "the time that error-rate-percent and slow-call-percent look back", slot: value(func(c *CircuitBreaker) any { return &c.Window }),
		},
		{
			Name: "min-requests", Kind: Int, Unit: "requests", Min: 1, Max: 1000000, Default: "20",
			Doc: "requests in the window before error-rate-percent and slow-call-percent count", slot: value(func(c *CircuitBreaker) any { return &c.MinRequests }),
		},
	}
}

// finishBreaker checks that slow calls are told by both of their keys, and that a window is
// set for something.
func finishBreaker(d *decoder, b any) {
	c := b.(*CircuitBreaker)
	switch {
	case c.SlowCallPercent.V > 0 && c.SlowCall.V == 0 && !d.botched(c, "slow-call-secs", c.SlowCall.From):
		d.errorAt(c.SlowCallPercent.From, "slow-call-percent has no effect without slow-call-secs").
			hint("say from when on a request is slow: slow-call-secs 2").related(c.SlowCall.From, "it is off here")
	case c.SlowCall.V > 0 && c.SlowCallPercent.V == 0 && !d.botched(c, "slow-call-percent", c.SlowCallPercent.From):
		d.errorAt(c.SlowCall.From, "slow-call-secs has no effect without slow-call-percent").
			hint("say how many slow requests open the breaker: slow-call-percent 50").related(c.SlowCallPercent.From, "it is off here")
	}
	if c.ErrorRatePercent.V > 0 || c.SlowCallPercent.V > 0 || c.SlowCall.V > 0 ||
		d.botched(c, "error-rate-percent", c.ErrorRatePercent.From) || d.botched(c, "slow-call-percent", c.SlowCallPercent.From) {
		return
	}
	for _, k := range []sourcedKey{{"window-secs", c.Window.From}, {"min-requests", c.MinRequests.From}} {
		if k.from.IsSet() {
			d.errorAt(k.from, "%s has no effect without error-rate-percent and slow-call-percent", k.name).
				hint("set one of them, or remove %s", k.name)
		}
	}
}
