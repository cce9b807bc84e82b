package compile

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/transport"
	"sentinel/internal/observe/metric"
)

// Live is what survives reloads, keyed by stable names: the pools of connections by
// upstream and target, the turns of each upstream, and the metric series.
type Live struct {
	clock   *netio.Clock
	metrics *metric.Registry
	dialer  netio.Dialer

	mu struct {
		sync.Mutex
		pools map[poolKey]*transport.Pool
		turns map[string]*atomic.Uint64
		names metric.Live // of the generation that serves
	}
}

type poolKey struct{ upstream, target string }

// NewLive returns an empty Live.
func NewLive(clock *netio.Clock, metrics *metric.Registry) *Live {
	l := &Live{clock: clock, metrics: metrics, dialer: &net.Dialer{KeepAlive: 30 * time.Second}}
	l.mu.pools = make(map[poolKey]*transport.Pool)
	l.mu.turns = make(map[string]*atomic.Uint64)
	return l
}

// changes is what a generation does to what lives on, done when it serves.
type changes struct {
	limits    map[poolKey]transport.Limits
	pools     map[poolKey]*transport.Pool
	upstreams map[string][]string
	routes    []string
	listeners []string
}

func newChanges() *changes {
	return &changes{limits: make(map[poolKey]transport.Limits), pools: make(map[poolKey]*transport.Pool), upstreams: make(map[string][]string)}
}

// pool returns the pool of a target: the one that serves already, or a new one that joins
// when the generation is committed.
func (l *Live) pool(next *changes, upstream, target string, limits transport.Limits) *transport.Pool {
	key := poolKey{upstream, target}
	l.mu.Lock()
	p := l.mu.pools[key]
	l.mu.Unlock()
	if p == nil {
		p = transport.NewPool(target, l.clock, l.dialer, limits)
	}
	next.pools[key], next.limits[key] = p, limits
	return p
}

// turns returns the counter of an upstream's turns.
func (l *Live) turns(upstream string) *atomic.Uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.mu.turns[upstream]
	if t == nil {
		t = new(atomic.Uint64)
		l.mu.turns[upstream] = t
	}
	return t
}

// commit hands over to the generation that serves now. Connections of targets that left are
// closed when their exchange ends.
func (l *Live) commit(next *changes) {
	l.mu.Lock()
	old := l.mu.pools
	l.mu.pools = next.pools
	for name := range l.mu.turns {
		if _, ok := next.upstreams[name]; !ok {
			delete(l.mu.turns, name)
		}
	}
	l.mu.names = metric.Live{Routes: next.routes, Listeners: next.listeners, Upstreams: next.upstreams}
	l.mu.Unlock()
	for key, p := range next.pools {
		p.SetLimits(next.limits[key])
	}
	for key, p := range old {
		if next.pools[key] != p {
			p.Close()
		}
	}
	l.Sweep()
}

// Sweep closes idle connections that are over their limits and drops the series of names
// that are gone. It is called every few seconds.
func (l *Live) Sweep() {
	l.mu.Lock()
	pools := make([]*transport.Pool, 0, len(l.mu.pools))
	for _, p := range l.mu.pools {
		pools = append(pools, p)
	}
	names := l.mu.names
	l.mu.Unlock()
	now := l.clock.Now()
	for _, p := range pools {
		p.Sweep(now)
	}
	l.metrics.Sweep(time.Now(), names)
}

// Close closes all idle connections.
func (l *Live) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.mu.pools {
		p.Close()
	}
}
