package lifecycle

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"sentinel/internal/config/compile"
	"sentinel/internal/config/schema"
	"sentinel/internal/control/acme"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/certs"
	"sentinel/internal/control/fleet"
	"sentinel/internal/control/memory"
	"sentinel/internal/control/override"
	"sentinel/internal/control/staple"
	"sentinel/internal/control/targets"
	"sentinel/internal/control/tokenkeys"
	"sentinel/internal/dataplane/exchange"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/listen"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/observe/accesslog"
	"sentinel/internal/observe/demand"
	"sentinel/internal/observe/event"
	"sentinel/internal/observe/flight"
	"sentinel/internal/observe/metric"
	"sentinel/internal/observe/series"
)

const (
	// sweepEvery is how often what outlives reloads is swept.
	sweepEvery = 5 * time.Second
	// cellsMax bounds the metric cells that connections are spread over.
	cellsMax = 64
	// eventsMax is how many changes of state are remembered.
	eventsMax = 4096
)

// cellCount returns how many metric cells there are: one for each processor that this process
// may run on, rounded up to a power of two. More would only spread what is counted over more
// of the processor's cache.
func cellCount() int {
	n := 1
	for n < min(runtime.NumCPU(), cellsMax) {
		n *= 2
	}
	return n
}

// assembly is the data plane with what it stands on; it is the Engine of the process.
type assembly struct {
	*exchange.Proxy
	metrics   *metric.Registry
	live      *compile.Live
	logs      *logs
	keeper    *targets.Keeper // nil in a check, as all that follows
	bans      *bans
	kernel    *kernelBans
	overrides *override.Keeper
	keys      *tokenkeys.Keeper
	fleet     *fleet.Keeper
	whatIf    *whatIfs
	certs     *certs.Keeper
	acme      *acme.Keeper
	staples   *staple.Keeper
	events    *event.Log
	registry  *listen.Registry
}

// Run assembles a proxy for the configuration at path and serves until ctx ends or a
// signal asks to stop, with companions beside it.
func Run(ctx context.Context, path string, v admin.Version, companions ...Companion) error {
	return Start{ConfigFile: path, Version: v}.Run(ctx, companions...)
}

// Start is how a proxy starts.
type Start struct {
	ConfigFile string
	Version    admin.Version
	// FallbackLastGood has it go on with the last known good configuration where the file is
	// broken.
	FallbackLastGood bool
}

// Run is Run with all that can be chosen.
func (s Start) Run(ctx context.Context, companions ...Companion) error {
	v := s.Version
	binary, err := os.Executable() // before anybody replaces it
	if err != nil {
		return err
	}
	clock := netio.NewClock()
	defer clock.Stop()
	var p *Process
	state, cells := &State{}, cellCount()
	m := metric.New(metric.Options{Cells: cells, Version: v.Version})
	a := &assembly{metrics: m, logs: newLogs(m)}
	defer a.logs.close()
	log := a.logs.journal.Logger()
	defer profileCPU(log)()
	events := event.New(eventsMax, log)
	a.events = events
	a.keeper = targets.New(targets.Options{Clock: clock, Events: events, Log: log})
	a.acme = acme.New(acme.Options{Record: events.Record, Count: m.Issuance().Count, Log: log})
	defer a.acme.Close()
	a.live = compile.NewLive(compile.LiveOptions{
		Clock: clock, Metrics: m, Lookup: a.keeper.Lookup, Notify: a.keeper.Notify,
		Issued: func(i *compile.Issuance, host string) *tls.Certificate { return a.acme.Load(accountOf(i), host) },
		Prove:  a.acme.Prove,
	})
	defer a.live.Close()
	a.keeper.Run(a.live)
	defer a.keeper.Close()
	a.kernel = newKernelBans(m, log, func() *listen.Registry { return a.registry })
	defer a.kernel.Close()
	a.bans = newBans(a.live, events, log, a.kernel)
	a.bans.Run()
	defer a.bans.Close()
	a.overrides = override.New(override.Options{Events: events, Log: log, Count: m.SetOverrides, Hits: func(o *admin.Override) *admin.OverrideHits { return a.whatIf.hits(o) }, Apply: func(ctx context.Context, t override.Trial) (override.Applied, error) { return p.applyLayers(ctx, t) }})
	m.ShowHeld(func() (drains, bans int) { return a.keeper.Drains(), a.bans.Count() })
	a.overrides.Run()
	defer a.overrides.Close()
	a.keys = newTokenKeys(events, m)
	defer a.keys.Close()
	a.fleet = fleet.New(fleet.Options{Clock: clock, Events: events, Metrics: m.Store()})
	a.fleet.Run()
	defer a.fleet.Close()
	recorder, causes, signer := flight.New(cells), series.NewCauses(), flight.NewSigner()
	a.whatIf = newWhatIfs(clock, demand.New(cells))
	a.staples = staple.New(staple.Options{Certificates: a.live.Certificates, Log: log})
	top := talkers{exchange.NewTalkers(cells), clock}
	a.Proxy = exchange.New(exchange.Options{
		Clock: clock, Cells: cells, Log: a.logs.access, Talkers: top.Talkers, Flight: recorder, Causes: causes, Asked: signer, Demand: a.whatIf.record, Bans: &a.bans.table, Proof: a.acme.Answer,
		NotReady: func() []string { return append(state.NotReady(), a.keeper.NotReady()...) },
		Panicked: func(v any) { tellPanic(log, v, debug.Stack()) },
	})
	before := findPredecessor()
	inherited := inherit(before.id(), log)
	a.registry = listen.NewRegistry(a.listenOptions(clock, log, inherited, before != nil))
	a.bans.registry.Store(a.registry)
	hour := series.New(series.Options{Read: m.Read, Resident: memory.Resident, Causes: causes, Now: clock.Now, Time: clock.Time}, time.Now())
	a.whatIf.registry, a.whatIf.proxy = a.registry, a.Proxy
	guard := memory.NewGuard(a.memoryChanged)
	a.certs = newCerts(a.live, events, m, func(ctx context.Context) []string { return p.Renew(ctx) })
	p = New(Options{
		ConfigFile: s.ConfigFile, FallbackLastGood: s.FallbackLastGood, Emit: events.Emit, Safety: m, Routes: func() []metric.RouteReading { return m.Read().Routes }, Log: log, Engine: a, Metrics: m, State: state, Version: v,
		Scrape:   func(path string) http.Handler { return metric.Handler(m, path) },
		Registry: a.registry, SetMemoryBudget: func(n int64) { guard.SetBudget(n); m.SetMemoryBudget(n) },
		Reopen: a.logs.reopen, NotReady: a.NotReady,
		Traffic:   func() []RouteCount { return trafficOf(m) },
		Inherited: inherited, Before: before, Binary: binary, Hanging: hanging(a.registry, clock),
		Upstreams: a.keeper, Events: events, Record: events.Record, Talkers: top, Series: hour, Bans: a.bans, WhatIf: a.whatIf, Overrides: a.overrides, SetGeneration: m.SetGeneration, Certificates: a.certs,
		KernelBans: a.kernel,
		Flight:     flights{recorder, clock},
		Explain:    a.explain,
		SignLive:   signer.Token,
	})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go m.Run(ctx)
	go a.sweep(ctx)
	go a.tend(ctx)
	go top.run(ctx)
	go hour.Run(ctx)
	go a.whatIf.run(ctx)
	go a.kernel.Run(ctx)
	go guard.Run(ctx)
	go a.certs.Run(ctx)
	go a.staples.Run(ctx)
	for _, c := range companions {
		go c(ctx, p, events.Emit)
	}
	return p.Run(ctx)
}

func tellPanic(log *slog.Logger, v any, stack []byte) {
	log.Error("request failed by a fault of the proxy itself", "error", "internal fault", "detail", fmt.Sprint(v), "stack", string(stack))
}

func (a *assembly) listenOptions(clock *netio.Clock, log *slog.Logger, inherited *listen.Inherited, hold bool) listen.Options {
	return listen.Options{
		Clock: clock, Handler: a, Inherited: inherited, Hold: hold, Screen: a.screen, Refused: a.refused, Dropped: a.dropped,
		Shadowed:     a.metrics.Shadowed().Count,
		AcceptFailed: newAcceptWarning(clock, log).tell,
		Panicked:     func(v any, stack []byte) { tellPanic(log, v, stack) },
	}
}

// refused counts and logs a client that was answered before a byte of it was read. Its
// log lines are bounded like those of other refusals.
func (a *assembly) refused(l *listen.Listener, client netip.Addr, k fault.Kind) {
	a.metrics.Unrouted().Observe(l.Slot(), k.Status(), 0)
	a.metrics.Unrouted().Fault(k)
	a.metrics.ConnectionRefused(k)
	a.logs.access.Record(l.Slot(), &accesslog.Entry{
		Time: time.Now(), Client: client, Listener: l.Name(), Status: k.Status(), Fault: k,
	})
}

// dropped counts and logs a connection that was reset because nobody knows whose it is.
func (a *assembly) dropped(l *listen.Listener, peer netip.Addr, k fault.Kind) {
	a.metrics.ConnectionRefused(k)
	a.metrics.Unrouted().Fault(k)
	a.logs.access.Record(l.Slot(), &accesslog.Entry{Time: time.Now(), Client: peer, Listener: l.Name(), Fault: k})
}

// acceptWarnEvery is how often at most it is said that connections can't be accepted.
const acceptWarnEvery = 10 * time.Second

// acceptWarning says that connections can't be accepted, which happens many times a
// second once it does.
type acceptWarning struct {
	clock *netio.Clock
	log   *slog.Logger
	next  atomic.Int64 // on the clock
}

func newAcceptWarning(clock *netio.Clock, log *slog.Logger) *acceptWarning {
	return &acceptWarning{clock: clock, log: log}
}

func (w *acceptWarning) tell(l *listen.Listener, err error) {
	now, next := int64(w.clock.Now()), w.next.Load()
	if now < next || !w.next.CompareAndSwap(next, now+int64(acceptWarnEvery)) {
		return
	}
	kind := "connection not accepted"
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		kind = fault.DescriptorLimit.Error()
	}
	w.log.Error("connections can't be accepted", "error", kind, "listener", l.Name(), "detail", err.Error())
}

// sweep tends what outlives reloads until ctx ends.
func (a *assembly) sweep(ctx context.Context) {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			a.live.Sweep()
		}
	}
}

// tendEvery is how often open streams are seen to.
const tendEvery = time.Second

// tend sees to open streams until ctx ends.
func (a *assembly) tend(ctx context.Context) {
	t := time.NewTicker(tendEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if a.Current() != nil {
				a.Tend()
			}
		}
	}
}

// Load implements Engine.
func (a *assembly) Load(path string, texts []Source) (*Loaded, error) {
	return a.loadLayered(path, texts)
}

// load reads and checks a configuration with overlays.
func (a *assembly) load(path string, texts []Source, overlays func(stateDir string) []*schema.Overlay) (*Loaded, error) {
	cfg, l, err := readLaid(path, texts, overlays)
	if err != nil {
		return nil, err
	}
	if err := a.compiles(cfg, l); err != nil {
		return nil, err
	}
	l.Build = func(slot func(string) int) (commit, abort func(), err error) { return a.build(cfg, l, slot) }
	return l, nil
}

// compiles reports what only the compiler can find, before anything is opened.
func (a *assembly) compiles(cfg *schema.Config, l *Loaded) error {
	_, _, diags := compile.Build(cfg, a.live, nil)
	if diags.HasErrors() {
		return NewConfigError(diags, l.text)
	}
	l.Notes = append(l.Notes, notesOf(diags)...)
	return nil
}

// text returns the text of one of the files of l.
func (l *Loaded) text(file string) []byte {
	for i := range l.laid {
		if l.laid[i].Name == file {
			return l.laid[i].Text
		}
	}
	for _, s := range l.Sources {
		if s.Path == file {
			return s.Text
		}
	}
	return nil
}

func (a *assembly) build(cfg *schema.Config, l *Loaded, slot func(string) int) (commit, abort func(), err error) {
	useLogs, dropLogs, err := a.logs.prepare(&cfg.Observability.Logging)
	if err != nil {
		return nil, nil, err
	}
	watch := a.watchCertificates(cfg)
	snap, handOver, diags := compile.Build(cfg, a.live, slot)
	if diags.HasErrors() { // compiles saw none, but a file may be gone meanwhile, or not be made
		dropLogs()
		return nil, nil, NewConfigError(diags, l.text)
	}
	keep, forget := a.keeper.Prepare(cfg)
	return func() {
		a.bans.serves(cfg)
		a.overrides.Serves(cfg.System.StateDir.V, l.effects)
		a.keeper.OpenDrains(cfg.System.StateDir.V)
		a.whatIf.serving.Store(cfg)
		handOver()
		a.fleet.Serve(a.live.Fleet())
		a.issue(cfg)
		a.Swap(snap)
		a.keys.Serve(a.live.Feeds())
		keep()
		a.metrics.SetMaxConnections(int(cfg.Limits.MaxConnections.V))
		useLogs()
		a.staples.Changed()
		watch() // it tells, by the logs, of what serves
	}, func() { forget(); dropLogs() }, nil
}

// Check reads and compiles the configuration at path as a start would, and touches nothing.
func Check(path string) (*schema.Config, *Loaded, error) { return CheckTexts(path, nil) }

// CheckTexts is Check with texts, unless nil, in place of the files.
func CheckTexts(path string, texts []Source) (*schema.Config, *Loaded, error) {
	cfg, l, err := readTexts(path, texts)
	if err != nil {
		return nil, nil, err
	}
	return checkCompiles(cfg, l)
}

// checkCompiles compiles a configuration that was read and touches nothing.
func checkCompiles(cfg *schema.Config, l *Loaded) (*schema.Config, *Loaded, error) {
	clock := netio.NewClock()
	defer clock.Stop()
	m := metric.New(metric.Options{Cells: 1})
	a := &assembly{metrics: m, live: compile.NewLive(compile.LiveOptions{Clock: clock, Metrics: m})}
	return cfg, l, a.compiles(cfg, l)
}
