package schema

import "time"

// Upstream is a group of servers that answer the same requests.
type Upstream struct {
	Block
	Name                  Value[string]
	Protocol              Value[string]        // "http1", "h2", "h2c" or "auto"
	Targets               []*Target            // none only with TargetsFile
	TargetsFile           Value[string]        // unset: none
	LoadBalancing         Value[string]        // with underscores, such as "round_robin"
	HashKey               Value[string]        // "client_ip", "path", "host", "header:NAME", "cookie:NAME" or "query:NAME"
	HashLoadPercent       Value[int64]         // of the mean load
	SlowStart             Value[time.Duration] // 0: none
	PanicThresholdPercent Value[int64]         // of the targets; 0: never
	MaxConnections        Value[int64]         // requests in progress at all targets together; 0 means no limit
	ProxyProtocol         Value[string]        // "v1" or "v2"; unset: none
	PassDeadline          Value[string]        // field name; unset: not passed
	Timeouts              Timeouts             // what it sets itself, then top level, then defaults
	ConnectionPool        ConnectionPool
	StickyCookie          *StickyCookie        // nil when not written
	HealthCheck           *HealthCheck         // nil when neither written here nor at top level
	PassiveHealth         *PassiveHealth       // nil when not written
	CircuitBreaker        *CircuitBreaker      // nil when not written
	Queue                 *Queue               // nil when not written
	AdaptiveConcurrency   *AdaptiveConcurrency // nil when not written
	RetryBudget           RetryBudget
	TLS                   *UpstreamTLS // nil when not written
}

// Target is one server of an upstream, or all that a name leads to. Exactly one of Address
// and SRV is set.
type Target struct {
	Block
	Address Value[string] // "host:port"
	SRV     Value[string] // "_service._proto.name" (RFC 2782)
	Weight  Value[int64]  // 0 takes no new requests
}

// ConnectionPool limits the connections to each target.
type ConnectionPool struct {
	Block
	MaxConnections Value[int64] // 0 means no limit
	MaxIdle        Value[int64]
	IdleTimeout    Value[time.Duration]
	MaxLifetime    Value[time.Duration]
	MaxStreams     Value[int64]         // of one connection; HTTP/2 only
	PingInterval   Value[time.Duration] // 0: never; HTTP/2 only
}

func upstreamBlocks() []blockDef {
	return []blockDef{{
		name: "upstreams",
		doc:  "The servers behind the proxy. The block may stand once in each file.",
		keys: []Key{
			{
				Name: "upstream", Kind: Opens, Opens: "upstream", Many: true, Doc: "one upstream",
				slot: several(func(c *Config) *[]*Upstream { return &c.Upstreams }),
			},
		},
	}, {
		name: "upstream",
		doc:  "A group of servers that answer the same requests: `upstream \"NAME\" { ... }`.",
		args: []string{"name"},
		keys: append(upstreamKeys(), upstreamParts()...), finish: finishUpstream,
	}, {
		name: "targets", doc: "Groups targets; each may as well stand in the upstream itself.",
		keys: []Key{{Name: "target", Kind: Opens, Opens: "target", Many: true, Required: true, Doc: "one server", slot: targetSlot()}},
	}, {
		name: "target",
		doc:  "One server: `target \"HOST:PORT\" weight=2` or `target { address \"HOST:PORT\"; weight 2 }`; exactly one of `address` and `srv`.",
		args: []string{"address"},
		keys: []Key{
			{
				Name: "address", Kind: Address, check: checkTarget, Doc: "host name or IP address, and port",
				slot: value(func(t *Target) any { return &t.Address }),
			},
			{
				Name: "srv", Kind: Text, check: checkSRV, Doc: "name of SRV records (RFC 2782), such as `_http._tcp.example.com`, that say hosts and ports",
				slot: value(func(t *Target) any { return &t.SRV }),
			},
			{
				Name: "weight", Kind: Int, Max: 1000, Default: "1", Doc: "its share of the requests; 0 takes no new ones",
				slot: value(func(t *Target) any { return &t.Weight }),
			},
		},
		finish: finishTarget,
	}, connectionPoolBlock(), upstreamTLSBlock()}
}

func targetSlot() slot { return several(func(u *Upstream) *[]*Target { return &u.Targets }) }

func upstreamKeys() []Key {
	return []Key{
		{
			Name: "name", Kind: Text, Required: true, ArgOnly: true, check: checkName, Doc: "name in routes, logs and metrics",
			slot: value(func(u *Upstream) any { return &u.Name }),
		},
		{Name: "target", Kind: Opens, Opens: "target", Many: true, Doc: "one server", slot: targetSlot()},
		{Name: "targets", Kind: Opens, Opens: "targets", Doc: "several servers", slot: self()},
		{
			Name: "targets-file", Kind: Text, check: checkFile, Doc: "file that lists more servers, read again whenever it changes",
			slot: value(func(u *Upstream) any { return &u.TargetsFile }),
		},
		{
			Name: "protocol", Kind: Enum, Words: []string{"http1", "h2", "h2c", "auto"}, Default: "http1",
			Doc: "what the targets speak: HTTP/1.1 (`http1`), HTTP/2 over TLS (`h2`), HTTP/2 without TLS and without asking (`h2c`), or what each " +
				"agrees on in the TLS handshake (`auto`); `h2` and `auto` need `tls`",
			slot: value(func(u *Upstream) any { return &u.Protocol }),
		},
		balancingKey(), hashKey(),
		{
			Name: "hash-load-percent", Kind: Int, Unit: "percent", Min: 100, Max: 1000, Default: "125",
			Doc:  "load of one target, against the mean of all, beyond which its requests go to the next; only with `consistent_hash`",
			slot: value(func(u *Upstream) any { return &u.HashLoadPercent }),
		},
		{
			Name: "slow-start-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "0", ZeroOff: true, Label: "slow start",
			Doc: "how long a target that comes back takes to get its whole share; 0 gives it at once", slot: value(func(u *Upstream) any { return &u.SlowStart }),
		},
		{
			Name: "panic-threshold-percent", Kind: Int, Unit: "percent", Max: 100, Default: "50", ZeroOff: true,
			Doc: "when fewer of the targets are healthy, all are used again; 0 never uses the others", slot: value(func(u *Upstream) any { return &u.PanicThresholdPercent }),
		},
		{
			Name: "max-connections", Kind: Int, Unit: "requests", Max: 1000000, Default: "0", ZeroOff: true,
			Doc: "requests in progress at all targets together; 0 means no limit", slot: value(func(u *Upstream) any { return &u.MaxConnections }),
		},
		{
			Name: "proxy-protocol", Kind: Enum, Words: []string{"v1", "v2"},
			Doc:  "begin each connection with a PROXY header of that version, which names the client; a connection then carries requests of one client alone. Not with HTTP/2. See [proxy-protocol.md](../proxy-protocol.md)",
			slot: value(func(u *Upstream) any { return &u.ProxyProtocol }),
		},
		{
			Name: "pass-deadline", Kind: Text, check: checkOwnField,
			Doc: "name of a field that tells the upstream how many milliseconds are left; none without this key", slot: value(func(u *Upstream) any { return &u.PassDeadline }),
		},
	}
}

func upstreamParts() []Key {
	return []Key{
		{
			Name: "timeouts", Kind: Opens, Opens: "timeouts", Doc: "timeouts of exchanges with this upstream",
			slot: value(func(u *Upstream) any { return &u.Timeouts }),
		},
		{
			Name: "connection-pool", Kind: Opens, Opens: "connection-pool", Doc: "connections to each target",
			slot: value(func(u *Upstream) any { return &u.ConnectionPool }),
		},
		{
			Name: "sticky-cookie", Kind: Opens, Opens: "sticky-cookie", Doc: "a cookie that keeps a client with one target",
			slot: optional(func(u *Upstream) **StickyCookie { return &u.StickyCookie }),
		},
		{
			Name: "health-check", Kind: Opens, Opens: "health-check", Doc: "how targets are checked",
			slot: optional(func(u *Upstream) **HealthCheck { return &u.HealthCheck }),
		},
		{
			Name: "passive-health", Kind: Opens, Opens: "passive-health", Doc: "when live requests take a target out",
			slot: optional(func(u *Upstream) **PassiveHealth { return &u.PassiveHealth }),
		},
		{
			Name: "circuit-breaker", Kind: Opens, Opens: "circuit-breaker", Doc: "when a failing target is left alone",
			slot: optional(func(u *Upstream) **CircuitBreaker { return &u.CircuitBreaker }),
		},
		{
			Name: "queue", Kind: Opens, Opens: "queue", Doc: "requests that wait for a connection",
			slot: optional(func(u *Upstream) **Queue { return &u.Queue }),
		},
		{
			Name: "adaptive-concurrency", Kind: Opens, Opens: "adaptive-concurrency", Doc: "a limit of requests in progress that finds itself",
			slot: optional(func(u *Upstream) **AdaptiveConcurrency { return &u.AdaptiveConcurrency }),
		},
		{
			Name: "retry-budget", Kind: Opens, Opens: "retry-budget", Doc: "how many attempts may be repeated ones",
			slot: value(func(u *Upstream) any { return &u.RetryBudget }),
		},
		{
			Name: "tls", Kind: Opens, Opens: "upstream tls", Doc: "encryption towards the targets",
			slot: optional(func(u *Upstream) **UpstreamTLS { return &u.TLS }),
		},
	}
}

func connectionPoolBlock() blockDef {
	return blockDef{
		name: "connection-pool", doc: "Connections to each target of an upstream.",
		keys: []Key{
			{
				Name: "max-connections", Kind: Int, Unit: "connections", Max: 1000000, Default: "0", ZeroOff: true,
				Doc:  "connections to one target at once; 0 means no limit",
				slot: value(func(c *ConnectionPool) any { return &c.MaxConnections }),
			},
			{
				Name: "max-streams", Kind: Int, Unit: "exchanges", Min: 1, Max: 10000, Default: "100",
				Doc:  "exchanges at once on one connection, where the targets speak HTTP/2; a target may allow fewer. With more, another connection is opened",
				slot: value(func(c *ConnectionPool) any { return &c.MaxStreams }),
			},
			{
				Name: "ping-interval-secs", Kind: Seconds, Unit: "seconds", Max: 3600, Default: "30", ZeroOff: true, Label: "interval of pings",
				Doc:  "after such a silence an idle connection is tried, where the targets speak HTTP/2; without an answer it is closed; 0 never",
				slot: value(func(c *ConnectionPool) any { return &c.PingInterval }),
			},
			{
				Name: "max-idle", Kind: Int, Unit: "connections", Max: 1000000, Default: "1024", ZeroOff: true,
				Doc:  "idle connections kept to one target; 0 keeps none",
				slot: value(func(c *ConnectionPool) any { return &c.MaxIdle }),
			},
			{
				Name: "idle-timeout-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "60", Label: "idle timeout of pooled connections",
				Doc: "how long an idle connection is kept", slot: value(func(c *ConnectionPool) any { return &c.IdleTimeout }),
			},
			{
				Name: "max-lifetime-secs", Kind: Seconds, Unit: "seconds", Max: 604800, Default: "3600", Label: "lifetime of pooled connections",
				Doc: "how long a connection is used before a new one takes its place", slot: value(func(c *ConnectionPool) any { return &c.MaxLifetime }),
			},
		},
	}
}

// finishTarget checks that the target is given in one way.
func finishTarget(d *decoder, b any) {
	t := b.(*Target)
	switch {
	case t.Address.IsSet() && t.SRV.IsSet():
		d.errorAt(t.SRV.From, "target has both address and srv").hint("keep one of them").related(t.Address.From, "the address is here")
	case !d.tried(t, "address", "srv"):
		d.errorAt(t.From, "target needs address or srv").hint(`write target "HOST:PORT"`)
	}
}

func finishUpstream(d *decoder, b any) {
	u := b.(*Upstream)
	if len(u.Targets) == 0 && !d.tried(u, "targets", "targets-file") {
		d.errorAt(u.From, "upstream %q has no target", u.Name.V).hint(`add target "HOST:PORT"`)
	}
	d.balancing(u)
	d.refuseIdleQueue(u)
	d.upstreamProtocol(u)
	d.targets(u)
}

// upstreamProtocol reports a protocol that doesn't go with or without TLS, and keys that only
// HTTP/2 gives a meaning to.
func (d *decoder) upstreamProtocol(u *Upstream) {
	p := u.Protocol
	if d.botched(u, "protocol", p.From) {
		return
	}
	switch {
	case (p.V == "h2" || p.V == "auto") && u.TLS == nil && !d.tried(u, "tls"):
		d.errorAt(p.From, "protocol %q needs tls: it is agreed on in the handshake", p.V).hint(`add tls { }, or write "h2c" for HTTP/2 without TLS`)
	case p.V == "h2c" && u.TLS != nil:
		d.errorAt(p.From, "protocol %q is HTTP/2 without TLS, and the upstream has tls", p.V).hint(`write "h2"`).related(u.TLS.From, "tls is here")
	}
	key, _ := d.specs["upstream"].row("protocol")
	pool := &u.ConnectionPool
	for _, k := range []sourcedKey{{"max-streams", pool.MaxStreams.From}, {"ping-interval-secs", pool.PingInterval.From}} {
		d.suits(k, key, p, "h2", "h2c", "auto")
	}
}

// targets reports targets that stand twice, and that none takes requests.
func (d *decoder) targets(u *Upstream) {
	seen, idle := make(map[string]Origin, len(u.Targets)), 0
	for _, t := range u.Targets {
		if t.Weight.IsSet() && t.Weight.V == 0 {
			idle++
		}
		name := t.Address
		if !name.IsSet() {
			name = t.SRV
		}
		if first, twice := seen[name.V]; twice && name.IsSet() {
			d.errorAt(name.From, "target %q stands twice in upstream %q", name.V, u.Name.V).
				hint("give one of them more weight").related(first, "the first one is here")
			continue
		}
		seen[name.V] = name.From
	}
	if idle > 0 && idle == len(u.Targets) && !d.tried(u, "targets-file") {
		d.warnAt(u.From, "upstream %q takes no requests: the weight of every target is 0", u.Name.V)
	}
}
