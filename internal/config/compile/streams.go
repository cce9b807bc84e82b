package compile

import (
	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/route"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/observe/metric"
)

// streams compiles the listeners whose connections are streams, once their routes and the
// listeners themselves are there.
func (b *builder) streams() {
	table := b.streamTable()
	for _, l := range b.snap.Listeners {
		if l == nil {
			continue
		}
		for _, c := range b.cfg.Listeners {
			if c.Name.V == l.Name && c.Protocol.V == "tcp" {
				l.Streams = b.streamsOf(c, table)
			}
		}
	}
}

// streamTable returns the routes by server name; nil where there are none.
func (b *builder) streamTable() *route.Table[*snapshot.Stream] {
	var rules []route.Rule[*snapshot.Stream]
	for i, r := range b.cfg.Routes {
		if len(r.Matches.SNI) == 0 {
			continue
		}
		r = standIn(r)
		s := b.stream(r.Name.V, r.Upstream.V, r.Fallback.V)
		s.Access = b.snap.Routes[i].Access
		rules = append(rules, route.Rule[*snapshot.Stream]{Value: s, Priority: int(r.Priority.V), Hosts: texts(r.Matches.SNI)})
	}
	if rules == nil {
		return nil
	}
	return route.Build(rules)
}

func (b *builder) streamsOf(l *schema.Listener, table *route.Table[*snapshot.Stream]) *snapshot.Streams {
	t := l.TCP
	if t == nil {
		t = schema.DefaultTCP()
	}
	s := &snapshot.Streams{Table: table, HelloTimeout: t.Hello.V, IdleTimeout: t.Idle.V, OrphanTimeout: t.Orphan.V}
	if t.Upstream.IsSet() {
		s.Default = b.stream("listener "+l.Name.V, t.Upstream.V, t.Fallback.V)
		b.next.routes = append(b.next.routes, s.Default.Name)
	}
	return s
}

// stream returns a route of streams to an upstream, with a fallback unless that is empty.
func (b *builder) stream(name, up, fallback string) *snapshot.Stream {
	m := b.live.opt.Metrics
	series := func(up string) *metric.Stream {
		b.next.streams = append(b.next.streams, metric.StreamKey(name, up))
		return m.Stream(name, up)
	}
	s := &snapshot.Stream{Name: name, Key: []byte(name), Metrics: m.Route(name), Upstream: b.upstreams[up], Series: series(up)}
	if fallback != "" {
		s.Fallback, s.FallbackSeries = b.upstreams[fallback], series(fallback)
		s.Metrics.HasFallback()
		s.Failover = b.live.failoverOf(b.next, name)
		b.next.fallbacks[up] = append(b.next.fallbacks[up], fallback)
	}
	b.snap.Streams = append(b.snap.Streams, s)
	return s
}
