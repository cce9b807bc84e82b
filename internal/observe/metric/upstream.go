package metric

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Upstream is the handle of one upstream's series.
type Upstream struct {
	name    string
	cells   []atomic.Pointer[upstreamCell]
	window  atomic.Pointer[window]
	epoch   *atomic.Int64
	pending atomic.Int64
	opened  atomic.Uint64
	retried atomic.Uint64
	failed  atomic.Uint64
	pool    atomic.Pointer[func() PoolState]
	usage   // guarded by the registry's lock

	mu struct {
		sync.Mutex
		targets map[string]*Target
	}
}

type upstreamCell struct {
	upstreamCounts
	_ [(cacheLine - unsafe.Sizeof(upstreamCounts{})%cacheLine) % cacheLine]byte
}

type upstreamCounts struct {
	latency histogram
	reused  atomic.Uint64
}

func newUpstream(name string, cells int, epoch *atomic.Int64) *Upstream {
	u := &Upstream{name: name, cells: make([]atomic.Pointer[upstreamCell], cells), epoch: epoch}
	u.mu.targets = map[string]*Target{}
	return u
}

// Name returns the upstream's name, its label value.
func (u *Upstream) Name() string { return u.name }

func (u *Upstream) cell(cell int) *upstreamCell {
	p := &u.cells[uint(cell)&uint(len(u.cells)-1)]
	if c := p.Load(); c != nil {
		return c
	}
	return firstOf(p)
}

// Observe counts one request answered by this upstream and the time from its
// first byte written to the last byte of its response read. It feeds both the
// histogram and the sliding quantiles.
func (u *Upstream) Observe(cell int, d time.Duration) {
	u.cell(cell).latency.observe(d)
	w := u.window.Load()
	if w == nil {
		w = firstOf(&u.window)
	}
	w.observe(u.epoch.Load(), d)
}

// Opened counts a connection that was established to a target.
func (u *Upstream) Opened() { u.opened.Add(1) }

// Retried counts a request that is sent to a target once more.
func (u *Upstream) Retried() { u.retried.Add(1) }

// Failed counts a try that brought no response, or one that the target failed with.
func (u *Upstream) Failed() { u.failed.Add(1) }

// Reused counts a request that found an idle connection in the pool.
func (u *Upstream) Reused(cell int) { u.cell(cell).reused.Add(1) }

// Pending adds delta to the number of requests that wait for a connection.
func (u *Upstream) Pending(delta int) { u.pending.Add(int64(delta)) }

// PoolState is what a pool says about its connections.
type PoolState struct{ Active, Idle int }

// SetPool names the function that a scrape asks for the state of the pool. It
// must be safe to call from any goroutine and must not block.
func (u *Upstream) SetPool(state func() PoolState) { u.pool.Store(&state) }

// Target returns the handle of the target with this address; it starts healthy
// with its breaker closed.
func (u *Upstream) Target(address string) *Target {
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.mu.targets[address]
	if t == nil {
		t = &Target{address: address}
		t.healthy.Store(true)
		u.mu.targets[address] = t
	}
	t.use.lookedUp()
	return t
}

func (u *Upstream) targets() []*Target {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := make([]*Target, 0, len(u.mu.targets))
	for _, t := range u.mu.targets {
		list = append(list, t)
	}
	return list
}

func (u *Upstream) sweep(now time.Time, live map[string]bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for address, t := range u.mu.targets {
		if t.use.over(now, live[address], 0) {
			delete(u.mu.targets, address)
		}
	}
}

func (u *Upstream) wipe(epoch int64) {
	if w := u.window.Load(); w != nil {
		w.wipe(epoch)
	}
}

// latency returns the sum of the cells.
func (u *Upstream) latency() (t total) {
	for i := range u.cells {
		if c := u.cells[i].Load(); c != nil {
			t.add(&c.latency)
		}
	}
	return t
}

func (u *Upstream) reused() (n uint64) {
	for i := range u.cells {
		if c := u.cells[i].Load(); c != nil {
			n += c.reused.Load()
		}
	}
	return n
}

// quantiles are the ones that the summary shows.
var quantiles = [...]float64{0.5, 0.9, 0.99, 0.999}

// latencyQuantiles returns the sliding quantiles in seconds, zeros when nothing was observed.
func (u *Upstream) latencyQuantiles(epoch int64) map[float64]float64 {
	m := make(map[float64]float64, len(quantiles))
	var counts merged
	var n uint64
	if w := u.window.Load(); w != nil {
		n = w.merge(epoch, &counts)
	}
	for _, q := range quantiles {
		m[q] = counts.quantile(q, n)
	}
	return m
}

// BreakerState is the state of a target's circuit breaker as the metric shows it.
type BreakerState int32

// The states.
const (
	BreakerClosed   BreakerState = 0
	BreakerOpen     BreakerState = 1
	BreakerHalfOpen BreakerState = 2
)

// Target is the handle of one target's series.
type Target struct {
	address string
	healthy atomic.Bool
	breaker atomic.Int32
	use     usage // guarded by the upstream's lock
}

// SetHealthy records the verdict of the health checks.
func (t *Target) SetHealthy(ok bool) { t.healthy.Store(ok) }

// SetBreaker records the state of the circuit breaker.
func (t *Target) SetBreaker(s BreakerState) { t.breaker.Store(int32(s)) }
