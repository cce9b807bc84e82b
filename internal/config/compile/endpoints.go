package compile

import (
	"sentinel/internal/dataplane/breaker"
	"sentinel/internal/dataplane/outlier"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/transport"
	"sentinel/internal/dataplane/upstream"
	"sentinel/internal/observe/metric"
)

// Source is what the configuration says of where targets are: an address, a name, a
// service or a file.
type Source struct {
	Upstream string
	Kind     SourceKind
	Value    string // "host:port", the name of a service, or a path
	Weight   int
}

// SourceKind is a kind of source.
type SourceKind uint8

// The kinds of sources.
const (
	Literal SourceKind = iota // "ip:port"
	Name                      // "host:port"
	Service                   // SRV records
	File                      // a list in a file
)

// Address is one address behind a source.
type Address struct {
	Name      string // what it is called in logs and metrics
	Dial      string // "ip:port"
	Authority string // "host:port" as a request to it names it
	Weight    int
}

// plan is what one generation wants of one upstream.
type plan struct {
	up       *upstream.Upstream
	sources  []Source
	limits   transport.Limits
	breaker  *breaker.Config
	outlier  *outlier.Config
	adaptive *queue.AdaptiveConfig
	budget   struct{ percent, minPerSecond int }
}

type endpointKey struct{ upstream, name, dial string }

// endpoint is an endpoint with its judges, which join when they are first configured.
type endpoint struct {
	*upstream.Endpoint
	authority string
	breaker   *breaker.Breaker
	outlier   *outlier.Detector
}

func (e *endpoint) close() {
	e.Pool.Close()
	if e.outlier != nil {
		e.outlier.Close()
	}
}

// settle brings what lives on of the upstream in line with the plan; old is the plan before
// it, or nil. What an adaptive limit has learned is kept while its settings are.
func (p *plan) settle(old *plan) {
	p.up.Budget.Configure(p.budget.percent, p.budget.minPerSecond)
	switch {
	case p.adaptive == nil:
		p.up.Adaptive.Store(nil)
	case old == nil || old.adaptive == nil || *old.adaptive != *p.adaptive:
		p.up.Adaptive.Store(queue.NewAdaptive(*p.adaptive))
	}
}

// targetsLocked returns the targets of a plan; endpoints that are known already are kept.
func (l *Live) targetsLocked(p *plan, known, used map[endpointKey]*endpoint) []*upstream.Target {
	var list []*upstream.Target
	for _, s := range p.sources {
		addresses := []Address{{Name: s.Value, Dial: s.Value, Authority: s.Value, Weight: s.Weight}}
		if s.Kind != Literal {
			addresses, _ = l.opt.Lookup(s)
		}
		for _, a := range addresses {
			key := endpointKey{p.up.Name, a.Name, a.Dial}
			if used[key] != nil {
				continue // two sources stand for the same address
			}
			e := known[key]
			if e == nil {
				e = l.newEndpoint(p, a)
			}
			used[key] = e
			list = append(list, l.target(p, e, a.Weight))
		}
	}
	return list
}

func (l *Live) newEndpoint(p *plan, a Address) *endpoint {
	m := p.up.Metrics.Target(a.Name)
	pool := transport.NewPool(a.Dial, l.opt.Clock, l.dialer, p.limits)
	pool.Opened, pool.Host = p.up.Metrics.Opened, hostOf(a.Authority)
	return &endpoint{authority: a.Authority, Endpoint: upstream.NewEndpoint(a.Name, a.Dial, pool, m)}
}

// target makes the endpoint a target of the plan's generation.
func (l *Live) target(p *plan, e *endpoint, weight int) *upstream.Target {
	t := &upstream.Target{Endpoint: e.Endpoint, Weight: weight}
	e.Pool.SetLimits(p.limits)
	if p.breaker != nil {
		if e.breaker == nil {
			e.breaker = breaker.New(*p.breaker, l.breakerChanged(p.up.Name, p.up.Shared, e.Endpoint))
		} else {
			e.breaker.Configure(*p.breaker)
		}
		t.Breaker = e.breaker
	} else {
		e.breaker = nil
		e.Metrics.SetBreaker(upstream.BreakerMetric(breaker.Closed))
	}
	switch {
	case p.outlier == nil && e.outlier != nil:
		e.outlier.Close()
		e.outlier = nil
	case p.outlier != nil:
		if e.outlier == nil {
			e.outlier = outlier.New(*p.outlier, &p.up.Group, l.ejectionChanged(p.up.Name, p.up.Shared, e.Endpoint))
		} else {
			e.outlier.Configure(*p.outlier)
		}
		t.Outlier = e.outlier
	}
	return t
}

func (l *Live) breakerChanged(name string, s *upstream.Shared, e *upstream.Endpoint) func(breaker.Change) {
	return func(c breaker.Change) {
		s.Learned()
		e.Metrics.SetBreaker(upstream.BreakerMetric(c.To))
		l.opt.Notify(upstream.Change{
			Kind: "breaker", Upstream: name, Target: e.Address,
			From: c.From.String(), To: c.To.String(), Cause: c.Cause, Worse: c.To == breaker.Open,
		})
	}
}

func (l *Live) ejectionChanged(name string, s *upstream.Shared, e *upstream.Endpoint) func(outlier.Change) {
	return func(c outlier.Change) {
		s.Learned()
		change := upstream.Change{Kind: "ejection", Upstream: name, Target: e.Address, Cause: c.Cause}
		switch {
		case c.Refused:
			change.From, change.To, change.Worse = "in", "kept in", true
		case c.Ejected:
			change.From, change.To, change.Worse = "in", "ejected", true
		default:
			change.From, change.To = "ejected", "in"
			e.Began(l.opt.Clock.Now())
		}
		l.opt.Notify(change)
	}
}

// poolState returns what tells the connections to all targets of an upstream.
func poolState(u *upstream.Upstream) func() metric.PoolState {
	return func() (s metric.PoolState) {
		for _, t := range u.Targets() {
			open, idle := t.Pool.Open()
			s.Active += open - idle
			s.Idle += idle
		}
		return s
	}
}
