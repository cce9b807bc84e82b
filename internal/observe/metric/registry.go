package metric

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sentinel/internal/dataplane/challenge"
)

const (
	// RouteNone is the route label of requests that matched no route, were
	// refused before one could be chosen, or were answered by the proxy itself.
	RouteNone = "-"

	// cellsMax bounds the cells per handle, whatever the number of processors.
	cellsMax = 64

	// faultSeriesMax bounds the zero series of sentinel_faults_total that exist
	// before the fault first happens. Routes beyond it show a fault from its
	// first occurrence on.
	faultSeriesMax = 20_000
)

// Options are what New needs to know; the zero value is usable.
type Options struct {
	// Cells is the number of cells per handle, rounded up to a power of two of
	// at most 64; 0 means GOMAXPROCS.
	Cells int
	// Version and Revision become labels of sentinel_build_info.
	Version, Revision string
}

// Registry owns all handles and is the one collector behind the metrics
// listener. Its methods are safe for concurrent use.
type Registry struct {
	options  Options
	cells    int
	start    time.Time
	families []family
	unrouted *Route

	process      processState
	config       configState
	store        Store
	overrides    overrides
	shadowed     ShadowCounts
	issuance     Issuance
	challenges   atomic.Pointer[challenge.Counters]
	epoch        atomic.Int64 // slice of the sliding window that is being written
	certificates certificateState
	keySources   atomic.Pointer[func() []KeySource]

	mu struct {
		sync.Mutex
		routes      map[string]*Route
		upstreams   map[string]*Upstream
		listeners   map[string]*Listener
		limits      map[string]*Limit  // by LimitKey
		streams     map[string]*Stream // by StreamKey
		faultSeries int
	}
}

// New returns a registry with the series of the process and of RouteNone.
func New(o Options) *Registry {
	n := o.Cells
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	cells := 1
	for cells < min(n, cellsMax) {
		cells *= 2
	}
	r := &Registry{options: o, cells: cells, start: time.Now(), families: families()}
	r.mu.routes = map[string]*Route{}
	r.mu.upstreams = map[string]*Upstream{}
	r.mu.listeners = map[string]*Listener{}
	r.mu.limits = map[string]*Limit{}
	r.mu.streams = map[string]*Stream{}
	r.unrouted = r.Route(RouteNone)
	return r
}

// Cells returns the number of cells per handle, a power of two. Handles take
// any cell number and use it modulo this.
func (r *Registry) Cells() int { return r.cells }

// Unrouted returns the handle of RouteNone.
func (r *Registry) Unrouted() *Route { return r.unrouted }

// Route returns the handle of the route called name, the same one for the same
// name for as long as Sweep keeps it.
func (r *Registry) Route(name string) *Route {
	r.mu.Lock()
	defer r.mu.Unlock()
	return lookUp(r.mu.routes, name, func() *Route {
		route := newRoute(name, r.cells)
		if n := route.faultSeries(); r.mu.faultSeries+n <= faultSeriesMax {
			route.seeded = true
			r.mu.faultSeries += n
		}
		return route
	})
}

// Upstream returns the handle of the upstream called name, the same one for
// the same name for as long as Sweep keeps it.
func (r *Registry) Upstream(name string) *Upstream {
	r.mu.Lock()
	defer r.mu.Unlock()
	return lookUp(r.mu.upstreams, name, func() *Upstream { return newUpstream(name, r.cells, &r.epoch) })
}

// Listener returns the handle of the listener called name, the same one for
// the same name for as long as Sweep keeps it.
func (r *Registry) Listener(name string) *Listener {
	r.mu.Lock()
	defer r.mu.Unlock()
	return lookUp(r.mu.listeners, name, func() *Listener { return newListener(name, r.cells) })
}

// lookUp returns the handle called name, which create makes the first time, and notes
// that what asked for it may serve soon. The registry's lock is held.
func lookUp[H interface{ lookedUp() }](handles map[string]H, name string, create func() H) H {
	h, ok := handles[name]
	if !ok {
		h = create()
		handles[name] = h
	}
	h.lookedUp()
	return h
}

// Run moves the sliding windows on until ctx ends. Without it they move only
// when somebody scrapes.
func (r *Registry) Run(ctx context.Context) {
	t := time.NewTicker(windowSlice)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			r.advance()
		}
	}
}

// advance makes the slice of the present time the one that is written. The
// slices it skips are wiped first; the ring has one slice more than the window
// shows, so a slice being wiped is never one being shown or written.
func (r *Registry) advance() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := int64(time.Since(r.start) / windowSlice)
	old := r.epoch.Load()
	if now <= old {
		return
	}
	for _, route := range r.mu.routes {
		route.judge()
	}
	for e := max(old+1, now-windowRing+1); e <= now; e++ {
		for _, u := range r.mu.upstreams {
			u.wipe(e)
		}
	}
	r.epoch.Store(now)
}

// Describe implements prometheus.Collector.
func (r *Registry) Describe(ch chan<- *prometheus.Desc) {
	for i := range r.families {
		ch <- r.families[i].desc
	}
}

// Collect implements prometheus.Collector.
func (r *Registry) Collect(ch chan<- prometheus.Metric) {
	r.advance()
	v := r.view()
	for i := range r.families {
		f := &r.families[i]
		f.collect(v, emitter{ch: ch, desc: f.desc})
	}
}

// view is the list of handles at the moment of a scrape.
type view struct {
	*Registry
	routes    []*Route
	upstreams []*Upstream
	listeners []*Listener
	limits    []*Limit
	streams   []*Stream
}

func (r *Registry) view() *view {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := &view{Registry: r}
	for _, route := range r.mu.routes {
		v.routes = append(v.routes, route)
	}
	for _, u := range r.mu.upstreams {
		v.upstreams = append(v.upstreams, u)
	}
	for _, l := range r.mu.listeners {
		v.listeners = append(v.listeners, l)
	}
	for _, l := range r.mu.limits {
		v.limits = append(v.limits, l)
	}
	for _, s := range r.mu.streams {
		v.streams = append(v.streams, s)
	}
	return v
}
