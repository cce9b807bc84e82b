package compile

import (
	"strconv"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/limit"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/observe/metric"
)

// rateLimits compiles the limits of one place; nil for none.
func (b *builder) rateLimits(list []*schema.RateLimit) []*snapshot.RateLimit {
	var out []*snapshot.RateLimit
	for _, r := range list {
		out = append(out, b.rateLimit(r))
	}
	return out
}

// rateLimit compiles a limit once, however many places it holds in: they share its counters.
func (b *builder) rateLimit(r *schema.RateLimit) *snapshot.RateLimit {
	id := metric.LimitKey(r.Name.V, r.Scope)
	if l := b.limits[id]; l != nil {
		return l
	}
	var parts []string
	for _, k := range r.Key {
		parts = append(parts, k.V)
	}
	key, err := limit.ParseKey(parts, int(r.IPv6PrefixBits.V))
	if err != nil {
		b.problem(r.From, "%v", err)
		return nil
	}
	rule, seed, keys := ruleOf(r), b.live.limitSeed, key.String()+" "+strconv.Itoa(int(r.IPv6PrefixBits.V))
	fleet := b.next.fleet
	if fleet != nil && r.Shared.V {
		seed, keys = fleet.seed, keys+" fleet "+fleet.secret
	} else {
		fleet = nil
	}
	table := b.live.table(b.next, id, counters{keys: keys, rule: rule, shared: fleet != nil})
	l := &snapshot.RateLimit{
		Name: r.Name.V, Key: key, Seed: seed, Policy: limit.AppendPolicy(nil, rule), Table: table, Metrics: b.live.opt.Metrics.Limit(r.Name.V, r.Scope),
		LogOnly: r.Action.V == "log", Shadow: r.Mode.V == "shadow", Named: key.NeedsIdentity(),
	}
	if r.Action.V == "delay" {
		l.Patience = time.Second
		if r.MaxDelay.IsSet() {
			l.Patience = r.MaxDelay.V
		}
	}
	if fleet != nil {
		fleet.share(id+"\x00"+keys, SharedLimit{Table: table, Rule: rule, Patience: l.Patience})
	}
	b.limits[id] = l
	return l
}

func ruleOf(r *schema.RateLimit) limit.Rule {
	rule := limit.Rule{Name: r.Name.V, Per: time.Second, Requests: r.PerSecond.V, Burst: r.Burst.V, Entries: int(r.MaxKeys.V)}
	if r.PerMinute.IsSet() {
		rule.Per, rule.Requests = time.Minute, r.PerMinute.V
	}
	if rule.Burst == 0 {
		rule.Burst = rule.Requests
	}
	return rule
}

// counters are the table of a limit that lives on, and what its keys are made of: counts of
// other keys mean nothing.
type counters struct {
	table  *limit.Table
	keys   string
	rule   limit.Rule
	shared bool // with the fleet
}

// table returns the counters of a limit: those there are where what they count is the same,
// with the rate that the generation wants from its commit on, else new ones.
func (l *Live) table(next *changes, id string, want counters) *limit.Table {
	l.mu.Lock()
	c, known := l.mu.tables[id]
	l.mu.Unlock()
	switch {
	case known && c.keys == want.keys && c.rule.Entries == want.rule.Entries:
		want.table = c.table
	case want.shared:
		want.table = limit.NewShared(want.rule)
	default:
		want.table = limit.NewTable(want.rule)
	}
	next.tables[id] = want
	return want.table
}

// inProgress bounds the requests in progress, of a listener or of the process.
type inProgress struct {
	gate *queue.Gate
	max  int
}

// requests returns what bounds the requests in progress on a listener, or with an empty name
// in the process, and the bound in shadow mode; nil where nothing bounds them. max holds from the commit of the generation on. A
// limit that is new counts the requests that come from then on.
func (l *Live) requests(next *changes, listener string, limits *schema.Limits) (gate *queue.Gate, shadow int) {
	max := int(limits.MaxConcurrentRequests.V)
	if limits.Shadow != nil {
		shadow = int(limits.Shadow.MaxConcurrentRequests.V)
	}
	if max == 0 && shadow == 0 {
		return nil, 0
	}
	l.mu.Lock()
	g := l.mu.requests[listener]
	l.mu.Unlock()
	if g.gate == nil {
		g.gate = queue.NewGate(queue.Limits{}, nil)
	}
	g.max = max
	next.requests[listener] = g
	return g.gate, shadow
}

// shadowBounds returns the bounds of requests that are in shadow mode; nil for none.
func shadowBounds(l *schema.Limits) *snapshot.Bounds {
	if l == nil {
		return nil
	}
	b := &snapshot.Bounds{
		HeadBytes: int(l.MaxHeaderSize.V), TargetBytes: int(l.MaxURILength.V), Fields: int(l.MaxHeaderCount.V), BodyBytes: l.MaxBodySize.V,
	}
	if *b == (snapshot.Bounds{}) {
		return nil
	}
	return b
}
