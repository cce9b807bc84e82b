package schema

import "time"

// Upstream is a group of servers that answer the same requests.
type Upstream struct {
	Block
	Name           Value[string]
	Targets        []*Target
	LoadBalancing  Value[string] // with underscores, such as "round_robin"
	Timeouts       Timeouts      // what it sets itself, then top level, then defaults
	ConnectionPool ConnectionPool
	HealthCheck    *HealthCheck    // nil when neither written here nor at top level
	CircuitBreaker *CircuitBreaker // nil when not written
	Queue          *Queue          // nil when not written
	TLS            *TLS            // nil when not written
}

// Target is one server of an upstream.
type Target struct {
	Block
	Address Value[string] // "host:port"
	Weight  Value[int64]
}

// ConnectionPool limits the connections to each target.
type ConnectionPool struct {
	Block
	MaxConnections Value[int64] // 0 means no limit
	MaxIdle        Value[int64]
	IdleTimeout    Value[time.Duration]
	MaxLifetime    Value[time.Duration]
}

func balancers() []string {
	return []string{"round_robin", "least_connections", "random", "ip_hash", "weighted", "consistent_hash", "power_of_two_choices", "adaptive"}
}

func upstreamBlocks() []blockDef {
	return []blockDef{{
		name: "upstreams",
		doc:  "The servers behind the proxy. The block may stand once in each file.",
		keys: []Key{
			{Name: "upstream", Kind: Opens, Opens: "upstream", Many: true, Doc: "one upstream",
				slot: several(func(c *Config) *[]*Upstream { return &c.Upstreams })},
		},
	}, {
		name: "upstream",
		doc:  "A group of servers that answer the same requests: `upstream \"NAME\" { ... }`.",
		args: []string{"name"},
		keys: upstreamKeys(), finish: finishUpstream,
	}, {
		name: "targets", doc: "Groups targets; each may as well stand in the upstream itself.",
		keys: []Key{{Name: "target", Kind: Opens, Opens: "target", Many: true, Required: true, Doc: "one server", slot: targetSlot()}},
	}, {
		name: "target", doc: "One server: `target \"HOST:PORT\" weight=2` or `target { address \"HOST:PORT\"; weight 2 }`.",
		args: []string{"address"},
		keys: []Key{
			{Name: "address", Kind: Address, Required: true, check: checkTarget, Doc: "host name or IP address, and port",
				slot: value(func(t *Target) any { return &t.Address })},
			{Name: "weight", Kind: Int, Min: 1, Max: 1000, Default: "1", Doc: "its share of the requests",
				slot: value(func(t *Target) any { return &t.Weight })},
		},
	}, connectionPoolBlock(), {
		name: "queue", doc: "A bounded queue for requests that find every connection busy.",
	}}
}

// Queue is a bounded queue for requests that find every connection busy.
type Queue struct{ Block }

func targetSlot() slot { return several(func(u *Upstream) *[]*Target { return &u.Targets }) }

func upstreamKeys() []Key {
	return []Key{
		{Name: "name", Kind: Text, Required: true, ArgOnly: true, check: checkName, Doc: "name in routes, logs and metrics",
			slot: value(func(u *Upstream) any { return &u.Name })},
		{Name: "target", Kind: Opens, Opens: "target", Many: true, Doc: "one server", slot: targetSlot()},
		{Name: "targets", Kind: Opens, Opens: "targets", Doc: "several servers", slot: self()},
		{Name: "load-balancing", Kind: Enum, Words: balancers(), PendingWords: balancers()[1:], Default: "round_robin",
			Doc: "how a target is picked; `-` and `_` are the same", slot: value(func(u *Upstream) any { return &u.LoadBalancing })},
		{Name: "timeouts", Kind: Opens, Opens: "timeouts", Doc: "timeouts of exchanges with this upstream",
			slot: value(func(u *Upstream) any { return &u.Timeouts })},
		{Name: "connection-pool", Kind: Opens, Opens: "connection-pool", Doc: "connections to each target",
			slot: value(func(u *Upstream) any { return &u.ConnectionPool })},
		{Name: "health-check", Kind: Opens, Opens: "health-check", Pending: true, Doc: "how targets are checked",
			slot: optional(func(u *Upstream) **HealthCheck { return &u.HealthCheck })},
		{Name: "circuit-breaker", Kind: Opens, Opens: "circuit-breaker", Pending: true, Doc: "when a failing target is left alone",
			slot: optional(func(u *Upstream) **CircuitBreaker { return &u.CircuitBreaker })},
		{Name: "queue", Kind: Opens, Opens: "queue", Pending: true, Doc: "requests that wait for a connection",
			slot: optional(func(u *Upstream) **Queue { return &u.Queue })},
		{Name: "tls", Kind: Opens, Opens: "tls", Pending: true, Doc: "encryption towards the targets",
			slot: optional(func(u *Upstream) **TLS { return &u.TLS })},
	}
}

func connectionPoolBlock() blockDef {
	return blockDef{
		name: "connection-pool", doc: "Connections to each target of an upstream.",
		keys: []Key{
			{Name: "max-connections", Kind: Int, Unit: "connections", Max: 1000000, Default: "0", ZeroOff: true,
				Doc:  "connections to one target at once; 0 means no limit",
				slot: value(func(c *ConnectionPool) any { return &c.MaxConnections })},
			{Name: "max-idle", Kind: Int, Unit: "connections", Max: 1000000, Default: "1024", ZeroOff: true,
				Doc:  "idle connections kept to one target; 0 keeps none",
				slot: value(func(c *ConnectionPool) any { return &c.MaxIdle })},
			{Name: "idle-timeout-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "60", Label: "idle timeout of pooled connections",
				Doc: "how long an idle connection is kept", slot: value(func(c *ConnectionPool) any { return &c.IdleTimeout })},
			{Name: "max-lifetime-secs", Kind: Seconds, Unit: "seconds", Max: 604800, Default: "3600", Label: "lifetime of pooled connections",
				Doc: "how long a connection is used before a new one takes its place", slot: value(func(c *ConnectionPool) any { return &c.MaxLifetime })},
		},
	}
}

func finishUpstream(d *decoder, b any) {
	u := b.(*Upstream)
	if len(u.Targets) == 0 && !d.tried(u, "targets") {
		d.errorAt(u.From, "upstream %q has no target", u.Name.V).hint(`add target "HOST:PORT"`)
	}
	if len(u.Targets) < 2 {
		return
	}
	seen := make(map[string]Origin, len(u.Targets))
	for _, t := range u.Targets {
		if first, twice := seen[t.Address.V]; twice && t.Address.IsSet() {
			d.errorAt(t.Address.From, "target %q stands twice in upstream %q", t.Address.V, u.Name.V).
				hint("give one of them more weight").related(first, "the first one is here")
			continue
		}
		seen[t.Address.V] = t.Address.From
	}
}
