package schema

import "time"

// RetryPolicy says when a request is sent again. Its defaults hold where the
// block isn't written.
type RetryPolicy struct {
	Block
	MaxAttempts   Value[int64]    // the first one included
	StatusCodes   []Value[int64]  // none when not written
	GRPCStatus    []Value[string] // with underscores, such as "unavailable"; none when not written
	RetryOn       []Value[string] // with underscores, such as "connect_failure"
	PerTryTimeout Value[time.Duration]
	Backoff       Value[time.Duration]
	MaxBackoff    Value[time.Duration]
	NonIdempotent Value[bool]
	MaxBodySize   Value[int64]         // bytes
	HedgeAfter    Value[time.Duration] // 0: no hedging
}

// Mirror copies a share of the requests of a route to another upstream.
type Mirror struct {
	Block
	Upstream      Value[string]
	Percent       Value[int64]
	MaxBodySize   Value[int64] // bytes
	MaxConcurrent Value[int64] // copies in progress
}

func retryConditions() []string {
	return []string{"connect_failure", "refused_stream", "reset", "timeout", "gateway_error", "server_error"}
}

// callStatuses are the statuses of gRPC calls that failed.
func callStatuses() []string {
	return []string{
		"cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied", "resource_exhausted",
		"failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss", "unauthenticated",
	}
}

func retryBlocks() []blockDef {
	return []blockDef{{
		name: "retry-policy",
		doc: "When a request is sent again, to another target while there is one. `retry` is the same block. The defaults hold without it; " +
			"how many retries an upstream bears is said by its retry-budget.",
		keys: retryKeys(), finish: finishRetry,
	}, {
		name: "mirror", doc: "Copies a share of the requests to another upstream, whose answers are dropped: `mirror \"UPSTREAM\" { percent 10 }`. The copies never slow the originals.",
		args: []string{"upstream"},
		keys: []Key{
			{
				Name: "upstream", Kind: Text, Required: true, check: checkName, Doc: "name of the upstream that gets the copies",
				slot: value(func(m *Mirror) any { return &m.Upstream }),
			},
			{
				Name: "percent", Kind: Int, Unit: "percent", Max: 100, Default: "100", Doc: "the share of the requests; 0 copies none",
				slot: value(func(m *Mirror) any { return &m.Percent }),
			},
			{
				Name: "max-body-size", Kind: Size, Unit: "bytes", Max: 1 << 30, Default: "64KB", Doc: "requests with more content are not copied",
				slot: value(func(m *Mirror) any { return &m.MaxBodySize }),
			},
			{
				Name: "max-concurrent", Kind: Int, Unit: "requests", Min: 1, Max: 100000, Default: "64", Doc: "copies in progress at once; beyond them none are made",
				slot: value(func(m *Mirror) any { return &m.MaxConcurrent }),
			},
		},
	}}
}

func retryKeys() []Key {
	return []Key{
		{
			Name: "max-attempts", Kind: Int, Unit: "attempts", Min: 1, Max: 10, Default: "3", Doc: "attempts in all, the first one included",
			slot: value(func(r *RetryPolicy) any { return &r.MaxAttempts }),
		},
		{
			Name: "retryable-status-codes", Kind: Ints, Many: true, Min: 400, Max: 599,
			Doc: "status codes of the upstream that are worth another attempt; none without this key", slot: value(func(r *RetryPolicy) any { return &r.StatusCodes }),
		},
		{
			Name: "retry-on", Kind: Texts, Many: true, Words: retryConditions(), Default: "connect_failure refused_stream",
			Doc:  "what is worth another attempt: no connection, a stream refused by its server, a connection that broke before the response, no response in time, 502 to 504, or 500 to 599",
			slot: value(func(r *RetryPolicy) any { return &r.RetryOn }),
		},
		{
			Name: "grpc-status", Kind: Texts, Many: true, Words: callStatuses(),
			Doc: "statuses of gRPC calls that are worth another attempt, where the server answers by nothing else and the call's content is whole and within `max-body-size`; " +
				"holds without `non-idempotent`, so name those that say that nothing was done; none without this key",
			slot: value(func(r *RetryPolicy) any { return &r.GRPCStatus }),
		},
		{
			Name: "per-try-timeout-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "0", ZeroOff: true, Label: "timeout of each try",
			Doc: "from the request sent to the head of its response, for each attempt; 0 leaves it to the timeouts of the exchange", slot: value(func(r *RetryPolicy) any { return &r.PerTryTimeout }),
		},
		{
			Name: "backoff-secs", Kind: Seconds, Unit: "seconds", Max: 60, Default: "0.025", ZeroOff: true, Label: "backoff",
			Doc: "longest wait before the second attempt, which is a random part of it, doubled for each one after it; 0 doesn't wait", slot: value(func(r *RetryPolicy) any { return &r.Backoff }),
		},
		{
			Name: "max-backoff-secs", Kind: Seconds, Unit: "seconds", Max: 60, Default: "0.25", ZeroOff: true, Label: "longest backoff",
			Doc: "the wait never grows above", slot: value(func(r *RetryPolicy) any { return &r.MaxBackoff }),
		},
		{
			Name: "non-idempotent", Kind: Bool, Default: "#false",
			Doc:  "send POST and other methods that aren't idempotent (RFC 9110, section 9.2.2) again even when the upstream may have begun to act on them",
			slot: value(func(r *RetryPolicy) any { return &r.NonIdempotent }),
		},
		{
			Name: "max-body-size", Kind: Size, Unit: "bytes", Max: 1 << 30, Default: "64KB",
			Doc: "content kept for another attempt; a request with more is not sent again once its content is on the way", slot: value(func(r *RetryPolicy) any { return &r.MaxBodySize }),
		},
		{
			Name: "hedge-after-secs", Kind: Seconds, Unit: "seconds", Max: 3600, Default: "0", ZeroOff: true, Label: "time until a second try runs beside the first",
			Doc: "when no response has come by then, a second attempt runs beside the first and the faster one is used; 0 does without", slot: value(func(r *RetryPolicy) any { return &r.HedgeAfter }),
		},
	}
}

func finishRetry(d *decoder, b any) {
	r := b.(*RetryPolicy)
	d.ordered("retry-policy", r, "backoff-secs", "max-backoff-secs")
	if r.HedgeAfter.V > 0 && r.PerTryTimeout.V > 0 && r.HedgeAfter.V >= r.PerTryTimeout.V {
		d.errorAt(r.HedgeAfter.From, "hedge-after-secs has no effect: a try is over after per-try-timeout-secs").
			hint("make hedge-after-secs the smaller of the two").related(r.PerTryTimeout.From, "per-try-timeout-secs is here")
	}
}
