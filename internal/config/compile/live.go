package compile

import (
	"crypto/tls"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"sentinel/internal/dataplane/auth"
	"sentinel/internal/dataplane/challenge"
	"sentinel/internal/dataplane/limit"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/tlsedge"
	"sentinel/internal/dataplane/transport"
	"sentinel/internal/dataplane/upstream"
	"sentinel/internal/observe/metric"
)

// LiveOptions are what a Live is made with.
type LiveOptions struct {
	Clock   *netio.Clock
	Metrics *metric.Registry
	// Lookup returns the addresses behind a source as they are known now; ok is false while
	// none were ever known. Without it only literal addresses have any.
	Lookup func(Source) (addresses []Address, ok bool)
	// Issued returns the certificate of a host that an authority has issued already, nil for
	// none; Prove proves names in handshakes. Both may be nil.
	Issued func(i *Issuance, host string) *tls.Certificate
	Prove  func(hello *tls.ClientHelloInfo) *tls.Certificate
	// Notify is told of changes of state; it must not wait. May be nil.
	Notify func(upstream.Change)
}

// Live is what survives reloads, keyed by stable names: endpoints with their verdicts,
// breakers and pools, what each upstream has learned, and the metric series.
type Live struct {
	opt       LiveOptions
	dialer    netio.Dialer
	limitSeed *limit.Seed

	challenges challenges
	places     places
	tickets    *tlsedge.Tickets // of listeners without keys of their own

	mu struct {
		sync.Mutex
		endpoints map[endpointKey]*endpoint
		shared    map[string]*upstream.Shared
		failovers map[string]*upstream.Failover
		fallbacks map[string][]string
		plans     []*plan     // of the generation that serves
		names     metric.Live // likewise
		tables    map[string]counters
		requests  map[string]inProgress
		fleet     *Fleet
		// certificates are those of the generation that serves.
		certificates []Certificate
		passwords    map[string]passwords
		inUse        []InUse
		issuance     *Issuance
		feeds        map[string]*auth.Feed // by URL
	}
}

// NewLive returns an empty Live.
func NewLive(o LiveOptions) *Live {
	if o.Notify == nil {
		o.Notify = func(upstream.Change) {}
	}
	if o.Lookup == nil {
		o.Lookup = func(Source) ([]Address, bool) { return nil, false }
	}
	l := &Live{opt: o, limitSeed: limit.NewSeed(), dialer: &net.Dialer{KeepAlive: 30 * time.Second}, tickets: tlsedge.NewTickets(time.Now())}
	l.mu.endpoints = make(map[endpointKey]*endpoint)
	l.mu.shared = make(map[string]*upstream.Shared)
	l.mu.failovers = make(map[string]*upstream.Failover)
	return l
}

// changes is what a generation does to what lives on, done when it serves.
type changes struct {
	plans        []*plan
	shared       map[string]*upstream.Shared
	failovers    map[string]*upstream.Failover
	fallbacks    map[string][]string
	tables       map[string]counters
	requests     map[string]inProgress
	passwords    map[string]passwords
	feeds        map[string]*auth.Feed
	certificates []Certificate
	inUse        []InUse
	issued       []IssuedName
	issuance     *Issuance
	challenger   *challenge.Challenger
	places       []string // paths of databases
	fleet        *Fleet
	routes       []string
	listeners    []string
	streams      []string // by metric.StreamKey
}

func newChanges() *changes {
	return &changes{
		shared: make(map[string]*upstream.Shared), failovers: make(map[string]*upstream.Failover),
		fallbacks: make(map[string][]string), tables: make(map[string]counters), requests: make(map[string]inProgress), passwords: make(map[string]passwords), feeds: make(map[string]*auth.Feed),
	}
}

// sharedOf returns what lives on of an upstream: what there is, or a new one that joins
// when the generation is committed.
func (l *Live) sharedOf(next *changes, name string) *upstream.Shared {
	l.mu.Lock()
	s := l.mu.shared[name]
	l.mu.Unlock()
	if s == nil {
		s = upstream.NewShared(l.opt.Metrics.Upstream(name).Pending)
	}
	next.shared[name] = s
	return s
}

// failoverOf is sharedOf for the failover state of a route.
func (l *Live) failoverOf(next *changes, route string) *upstream.Failover {
	l.mu.Lock()
	f := l.mu.failovers[route]
	l.mu.Unlock()
	if f == nil {
		f = &upstream.Failover{Route: route, Notify: l.opt.Notify}
	}
	next.failovers[route] = f
	return f
}

// commit hands over to the generation that serves now. Connections of targets that left are
// closed when their exchange ends.
func (l *Live) commit(next *changes) {
	l.mu.Lock()
	old := make(map[string]*plan, len(l.mu.plans))
	for _, p := range l.mu.plans {
		old[p.up.Name] = p
	}
	l.mu.plans, l.mu.shared = next.plans, next.shared
	l.mu.failovers, l.mu.fallbacks, l.mu.tables = next.failovers, next.fallbacks, next.tables
	l.mu.requests, l.mu.fleet = next.requests, next.fleet
	l.mu.certificates = next.certificates
	l.mu.passwords = next.passwords
	l.mu.inUse = next.inUse
	l.mu.issuance = next.issuance
	l.mu.feeds = next.feeds
	l.mu.names = metric.Live{Routes: next.routes, Listeners: next.listeners, Streams: next.streams, Limits: slices.Collect(maps.Keys(next.tables))}
	l.mu.Unlock()
	l.challenges.commit(next.challenger)
	l.places.keep(next.places)
	for _, g := range next.requests {
		g.gate.SetLimits(queue.Limits{Concurrent: g.max})
	}
	for _, p := range next.passwords {
		p.checks.SetLimits(p.limits)
	}
	for _, c := range next.tables {
		c.table.Configure(c.rule, l.opt.Clock.Now())
	}
	for _, p := range next.plans {
		p.settle(old[p.up.Name])
		p.up.Metrics.SetPool(poolState(p.up))
	}
	l.Readdress()
	l.Sweep()
}

// Readdress gives every upstream the targets that its sources stand for now. It is called
// when an address has changed; requests in progress keep the targets they have.
func (l *Live) Readdress() {
	l.mu.Lock()
	used := make(map[endpointKey]*endpoint, len(l.mu.endpoints))
	names := make(map[string][]string, len(l.mu.plans))
	lists := make([][]*upstream.Target, len(l.mu.plans))
	for i, p := range l.mu.plans {
		lists[i] = l.targetsLocked(p, l.mu.endpoints, used)
		for _, t := range lists[i] {
			names[p.up.Name] = append(names[p.up.Name], t.Address)
		}
	}
	gone := l.mu.endpoints
	l.mu.endpoints = used
	l.mu.names.Upstreams = names
	plans := l.mu.plans
	l.mu.Unlock()
	now := l.opt.Clock.Now()
	for i, p := range plans {
		p.up.SetTargets(lists[i], now)
	}
	for key, e := range gone {
		if used[key] != e {
			e.close()
		}
	}
}

// Sweep closes idle connections that are over their limits, changes the keys of session
// tickets when that is due and drops the series of names that are gone. It is called every few seconds.
func (l *Live) Sweep() {
	l.mu.Lock()
	pools := make([]*transport.Pool, 0, len(l.mu.endpoints))
	for _, e := range l.mu.endpoints {
		pools = append(pools, e.Pool)
	}
	names := l.mu.names
	l.mu.Unlock()
	l.tickets.Rotate(time.Now())
	now := l.opt.Clock.Now()
	for _, p := range pools {
		p.Sweep(now)
	}
	l.opt.Metrics.Sweep(time.Now(), names)
}

// Trim closes all idle connections to targets.
func (l *Live) Trim() {
	for _, e := range l.Endpoints() {
		e.Pool.Trim()
	}
}

// Tick lets time do its work: ejections and open breakers end, slow starts go on.
func (l *Live) Tick() {
	now := l.opt.Clock.Now()
	for _, u := range l.Upstreams() {
		u.Tick(now)
	}
}

// Upstreams returns the upstreams of the generation that serves.
func (l *Live) Upstreams() []*upstream.Upstream {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*upstream.Upstream, len(l.mu.plans))
	for i, p := range l.mu.plans {
		list[i] = p.up
	}
	return list
}

// Endpoint is an endpoint of an upstream that serves.
type Endpoint struct {
	*upstream.Endpoint
	Upstream  *upstream.Upstream
	Authority string // "host:port" as a request to it names it
}

// Endpoints returns the endpoints of the generation that serves, upstream by upstream.
func (l *Live) Endpoints() []Endpoint {
	l.mu.Lock()
	authorities := make(map[*upstream.Endpoint]string, len(l.mu.endpoints))
	for _, e := range l.mu.endpoints {
		authorities[e.Endpoint] = e.authority
	}
	l.mu.Unlock()
	var list []Endpoint
	for _, u := range l.Upstreams() {
		for _, t := range u.Targets() {
			list = append(list, Endpoint{Endpoint: t.Endpoint, Upstream: u, Authority: authorities[t.Endpoint]})
		}
	}
	return list
}

// Certificates returns the certificates that clients are shown by the generation that serves,
// listener by listener.
func (l *Live) Certificates() []Certificate {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.mu.certificates)
}

// Fallbacks returns the upstreams that routes to the one called name fall back to, one for
// each route.
func (l *Live) Fallbacks(name string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.fallbacks[name]
}

// Close closes all idle connections.
func (l *Live) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.mu.endpoints {
		e.Pool.Close()
	}
}
