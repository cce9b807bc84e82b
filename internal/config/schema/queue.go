package schema

import "time"

// Queue is a bounded queue for requests that find every connection busy.
type Queue struct {
	Block
	MaxPending Value[int64] // requests
	Timeout    Value[time.Duration]
	ShedAfter  Value[time.Duration] // 0 sheds nothing
}

// AdaptiveConcurrency finds out how many requests an upstream bears at once.
type AdaptiveConcurrency struct {
	Block
	MinLimit         Value[int64]         // requests in progress
	MaxLimit         Value[int64]         // requests in progress
	TolerancePercent Value[int64]         // of the latency without load
	Window           Value[time.Duration] // over which one latency is taken
}

// RetryBudget bounds how many of the attempts at an upstream are repeated ones.
type RetryBudget struct {
	Block
	Percent      Value[int64] // of the live requests
	MinPerSecond Value[int64]
}

func queueBlocks() []blockDef {
	return []blockDef{{
		name: "queue",
		doc: "A bounded queue for requests that find every connection busy. It takes a limit that makes them wait: max-connections of the upstream, " +
			"of its connection-pool, or adaptive-concurrency.",
		keys: []Key{
			{
				Name: "max-pending", Kind: Int, Unit: "requests", Min: 1, Max: 1000000, Default: "100", Doc: "requests that wait at once, else 503",
				slot: value(func(q *Queue) any { return &q.MaxPending }),
			},
			{
				Name: "timeout-secs", Aliases: []string{"queue-timeout", "queue-timeout-secs"}, Kind: Seconds, Unit: "seconds", Max: 3600, Default: "10", Label: "timeout",
				Doc: "how long a request waits, else 503", slot: value(func(q *Queue) any { return &q.Timeout }),
			},
			{
				Name: "shed-after-secs", Kind: Seconds, Unit: "seconds", Max: 3600, Default: "0", ZeroOff: true, Label: "time until requests are shed",
				Doc:  "once the queue hasn't been empty for that long, new requests of lower queue-priority get 503 at once; 0 sheds nothing",
				slot: value(func(q *Queue) any { return &q.ShedAfter }),
			},
		},
	}, {
		name: "adaptive-concurrency", doc: "Finds out by latency how many requests an upstream bears at once, and lets no more through.",
		keys: []Key{
			{
				Name: "min-limit", Kind: Int, Unit: "requests", Min: 1, Max: 1000000, Default: "10", Doc: "the limit never falls below",
				slot: value(func(a *AdaptiveConcurrency) any { return &a.MinLimit }),
			},
			{
				Name: "max-limit", Kind: Int, Unit: "requests", Min: 1, Max: 1000000, Default: "1000", Doc: "the limit never rises above",
				slot: value(func(a *AdaptiveConcurrency) any { return &a.MaxLimit }),
			},
			{
				Name: "tolerance-percent", Kind: Int, Unit: "percent", Min: 100, Max: 10000, Default: "150",
				Doc: "latency, against that without load, up to which the limit rises", slot: value(func(a *AdaptiveConcurrency) any { return &a.TolerancePercent }),
			},
			{
				Name: "window-secs", Kind: Seconds, Unit: "seconds", Max: 3600, Default: "1", Label: "window",
				Doc: "time over which latency is taken before the limit changes", slot: value(func(a *AdaptiveConcurrency) any { return &a.Window }),
			},
		},
		finish: func(d *decoder, b any) { d.ordered("adaptive-concurrency", b, "min-limit", "max-limit") },
	}, {
		name: "retry-budget", doc: "How many attempts at an upstream may be repeated ones, so that retries don't multiply a failure. It holds where it isn't written, too.",
		keys: []Key{
			{
				Name: "percent", Kind: Int, Unit: "percent", Max: 100, Default: "20", Doc: "retries in proportion to the live requests",
				slot: value(func(r *RetryBudget) any { return &r.Percent }),
			},
			{
				Name: "min-per-second", Kind: Int, Unit: "retries per second", Max: 1000000, Default: "3", Doc: "retries that are always allowed",
				slot: value(func(r *RetryBudget) any { return &r.MinPerSecond }),
			},
		},
	}}
}

// refuseIdleQueue reports a queue in which nothing ever waits.
func (d *decoder) refuseIdleQueue(u *Upstream) {
	pool := &u.ConnectionPool
	switch {
	case u.Queue == nil || u.AdaptiveConcurrency != nil || u.MaxConnections.V > 0 || pool.MaxConnections.V > 0:
	case d.botched(u, "max-connections", u.MaxConnections.From) || d.botched(pool, "max-connections", pool.MaxConnections.From):
	default:
		d.errorAt(u.Queue.From, "nothing ever waits in the queue of upstream %q", u.Name.V).
			hint("set max-connections in the upstream or in its connection-pool, or add adaptive-concurrency").
			related(u.MaxConnections.From, "max-connections is no limit here").
			related(pool.MaxConnections.From, "max-connections is no limit here")
	}
}
