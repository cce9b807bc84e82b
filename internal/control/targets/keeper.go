// Package targets keeps what is known of every upstream's targets current, beside the
// traffic: where they are (resolve), what the checks say of them (probe), what an operator
// wants of them (drains). What it learns it writes into the endpoints and has the upstreams
// refresh their views; what has changed it tells as one event.
//
//	names ──> resolve ──┐
//	checks ──> probe ───┼──> endpoints ──> views that requests read
//	drains ─────────────┘         │
//	breakers, ejections, panic ───┴──> events
package targets

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sentinel/internal/config/compile"
	"sentinel/internal/config/schema"
	"sentinel/internal/control/probe"
	"sentinel/internal/control/resolve"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/upstream"
	"sentinel/internal/observe/event"
)

const (
	// tickEvery is how often time alone may change a view: the end of an ejection, a step
	// of a slow start.
	tickEvery = 100 * time.Millisecond
	// changesMax bounds the changes that wait to become events; what comes beyond is
	// counted.
	changesMax = 1024
	// firstAnswers bounds the wait for the addresses of names that are new.
	firstAnswers = 2 * time.Second
)

// Options are what a Keeper is made with.
type Options struct {
	Clock  *netio.Clock
	Events *event.Log
	Log    *slog.Logger
}

// Keeper keeps the targets. Make one, hand Lookup and Notify to the compile.Live it is to
// keep, then Run it.
type Keeper struct {
	opt     Options
	live    *compile.Live
	prober  *probe.Prober
	changes chan upstream.Change
	lost    atomic.Uint64 // changes beyond changesMax

	committed atomic.Bool // a configuration serves
	checked   atomic.Bool // and each target has had a verdict since the start

	saving sync.Mutex // of the drains

	stop  context.CancelFunc
	tasks sync.WaitGroup

	mu struct {
		sync.Mutex
		resolver *resolve.Resolver
		settings schema.Resolver                 // of resolver
		handed   map[question][]resolve.Endpoint // what resolvers before it knew
		sources  []resolve.Source
		checks   map[string]*probe.Check // by upstream
		drains   map[drainKey]*drain
		// drainsPath is where they are kept; "" until OpenDrains.
		drainsPath string
	}
}

// New returns a Keeper that knows nothing yet.
func New(o Options) *Keeper {
	k := &Keeper{opt: o, changes: make(chan upstream.Change, changesMax)}
	k.mu.drains = make(map[drainKey]*drain)
	k.prober = probe.New(probe.Options{Verdict: k.judged})
	return k
}

// Run keeps the targets of live until Close.
func (k *Keeper) Run(live *compile.Live) {
	k.live = live
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	k.tasks.Go(func() { k.tell(ctx) })
	k.tasks.Go(func() { k.tick(ctx) })
}

// Close ends all work and waits for it.
func (k *Keeper) Close() {
	k.prober.Close()
	k.mu.Lock()
	resolver := k.mu.resolver
	k.mu.Unlock()
	if resolver != nil {
		resolver.Close()
	}
	k.stop()
	k.tasks.Wait()
}

// Prepare learns the addresses of names that cfg brings, before it serves. What serves now
// is left as it is. abort must be called when cfg won't serve.
func (k *Keeper) Prepare(cfg *schema.Config) (commit, abort func()) {
	sources := sourcesOf(cfg)
	k.mu.Lock()
	old, next := k.mu.resolver, k.mu.resolver
	before, handed := k.mu.sources, k.mu.handed
	change := next == nil || !sameResolver(&k.mu.settings, &cfg.System.Resolver)
	k.mu.Unlock()
	if change {
		next = k.newResolver(&cfg.System.Resolver)
		known := k.handOver(before)
		k.mu.Lock()
		k.mu.resolver, k.mu.handed = next, known
		k.mu.Unlock()
	}
	next.Set(append(append([]resolve.Source(nil), before...), sources...))
	ctx, cancel := context.WithTimeout(context.Background(), firstAnswers)
	defer cancel()
	next.Await(ctx)
	abort = func() {
		k.mu.Lock()
		k.mu.resolver, k.mu.handed = old, handed
		k.mu.Unlock()
		switch {
		case old == next:
			next.Set(before)
		case next != nil:
			next.Close()
		}
	}
	commit = func() { k.commit(cfg, sources, old, next) }
	return commit, abort
}

// commit makes cfg, which serves now, what is kept.
func (k *Keeper) commit(cfg *schema.Config, sources []resolve.Source, old, next *resolve.Resolver) {
	k.firstChecks()
	k.mu.Lock()
	k.mu.settings, k.mu.sources = cfg.System.Resolver, sources
	k.mu.checks = checksOf(cfg, k.live.UpstreamTLS)
	k.mu.Unlock()
	next.Set(sources)
	if old != nil && old != next {
		old.Close()
	}
	k.readdressed()
	k.committed.Store(true)
}

// readdressed brings drains and checks in line with the endpoints there are.
func (k *Keeper) readdressed() {
	k.applyDrains()
	k.mu.Lock()
	checks := k.mu.checks
	k.mu.Unlock()
	var list []probe.Target
	for _, e := range k.live.Endpoints() {
		if c := checks[e.Upstream.Name]; c != nil {
			list = append(list, probe.Target{Upstream: e.Upstream.Name, Address: e.Authority, Dial: e.Dial, Check: c})
		} else if e.Verdict() != upstream.Unknown {
			e.SetVerdict(upstream.Unknown, k.opt.Clock.Now()) // it isn't checked any more
			e.Upstream.Refresh(k.opt.Clock.Now())
		}
	}
	k.prober.Set(list)
}

// Notify takes a change from the data plane, without waiting.
func (k *Keeper) Notify(c upstream.Change) {
	select {
	case k.changes <- c:
	default:
		k.lost.Add(1)
	}
}

// tell makes events of changes.
func (k *Keeper) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-k.changes:
			k.opt.Events.Emit(event.Event{
				Kind: c.Kind, Worse: c.Worse, Upstream: c.Upstream, Target: c.Target,
				Route: c.Route, From: c.From, To: c.To, Cause: c.Cause,
			})
			if n := k.lost.Swap(0); n > 0 {
				k.opt.Log.Warn("changes of upstreams were not recorded: too many at once", "count", n)
			}
		}
	}
}

// tick lets time do its work.
func (k *Keeper) tick(ctx context.Context) {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			k.live.Tick()
			k.watchDrains()
			k.endDrains(time.Now())
			k.firstChecks()
		}
	}
}

// NotReady returns why traffic should not come here yet: after the start, a target whose
// first check is still out. Targets that a reload brings don't make a process unready that
// serves.
func (k *Keeper) NotReady() []string {
	var reasons []string
	seen := make(map[string]bool)
	for _, t := range k.firstChecks() {
		if !seen[t.Upstream] {
			seen[t.Upstream] = true
			reasons = append(reasons, "the first health check of upstream "+t.Upstream+" is still out")
		}
	}
	return reasons
}

// firstChecks returns the targets whose first check since the start is still out. When none
// is left there will be none again.
func (k *Keeper) firstChecks() []probe.Target {
	if k.checked.Load() {
		return nil
	}
	pending := k.prober.Pending()
	if len(pending) == 0 && k.committed.Load() {
		k.checked.Store(true)
	}
	return pending
}
