package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/memory"
	"sentinel/internal/dataplane/listen"
	"sentinel/internal/observe/flight"
	"sentinel/internal/observe/lastrun"
)

// Process is one running proxy.
type Process struct {
	opt      Options
	log      *slog.Logger
	registry *listen.Registry
	state    *State
	notify   notifier
	started  time.Time
	signals  *signals
	requests chan func()   // what Run is to do for others
	ended    chan struct{} // closed when Run no longer takes requests

	// What follows belongs to the goroutine of Run.
	pid         *pidFile
	before      *predecessor // while this process takes over from it
	replaced    bool         // another process serves instead of this one
	keepsafe    keepsafe
	metrics     side
	scrape      atomic.Pointer[http.Handler] // what the metrics listener answers
	metricsAt   string
	admin       side
	adminTCP    side // "" as place while there is none
	adminAt     string
	audit       *admin.Audit
	gate        *admin.Gate
	memoryLimit int64
	probation   probation
	watching    watching
	alarm       *time.Timer   // when something about the probation is due
	mark        *lastrun.Mark // in the state folder

	mu struct {
		sync.Mutex
		current    *Loaded // what serves
		metrics    string  // address of the metrics
		admin      string  // address of the admin API for other machines
		generation uint64
		entry      int               // of the history: what serves; 0 when it isn't kept
		state      admin.ConfigState // what is known of it without a look at files
		last       *admin.Outcome    // of the last reload
		rates      rates
	}
}

// New returns a process that Run starts. Signals are caught from now on, so that none
// that comes during the start is lost.
func New(opt Options) *Process {
	p := &Process{
		opt: opt, log: opt.Log, registry: opt.Registry, state: opt.State,
		notify: newNotifier(), started: time.Now(), signals: catchSignals(),
		requests: make(chan func()), ended: make(chan struct{}), before: opt.Before,
	}
	p.keepsafe.notify = p.notify
	p.metrics.open = p.openMetrics
	p.alarm = time.NewTimer(lookAgain)
	p.alarm.Stop()
	p.metrics.serve = func() sideServer { return newScrape(&p.scrape) }
	p.admin.open = p.openAdmin(admin.Listen)
	p.admin.serve = p.newAdmin
	p.openAdminPlane()
	return p
}

// Run starts the process, serves until ctx ends or a signal asks to stop, drains and
// returns. It returns nil after a stop that was asked for, and why it could not start
// otherwise. A Process runs once.
func (p *Process) Run(ctx context.Context) error {
	defer p.signals.release()
	memory.Tune(memory.Budget(0)) // until the configuration is read
	if err := p.start(ctx); err != nil {
		p.before.failed(err)
		d := describe(err)
		d.log(p.log, "start failed")
		p.noteFailedStart(d)
		p.stopSides()
		p.pid.remove()
		return err
	}
	alive, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { newWatchdog(p.notify, p.opt.Hanging, p.log).run(alive) })
	p.serve(ctx)
	p.drain()
	stop()
	watch.Wait()
	return nil
}

// start brings up the first generation.
func (p *Process) start(ctx context.Context) error {
	first, err := p.prepareStart()
	if err != nil {
		return err
	}
	next := first.generation
	if p.before != nil {
		err = p.takeOver(ctx, next)
	} else {
		err = p.begin(next)
	}
	if err != nil {
		return err
	}
	p.install(next.loaded)
	p.settle()
	p.opt.Metrics.ConfigLoaded(time.Now(), 1)
	p.probation = first.on
	p.keep(next.loaded, order{cause: "start", copyOf: first.entry})
	p.markRun(next.loaded)
	p.tellStarted(next.loaded)
	p.tellFirst(first)
	p.observe()
	return nil
}

// begin makes the first generation serve.
func (p *Process) begin(next *generation) (err error) {
	if p.pid, err = claimPID(next.loaded.Settings.PIDFile, 0); err != nil {
		next.abort()
		return err
	}
	p.markRun(next.loaded)
	next.commit()
	next.serveSides()
	p.state.set(serving)
	return nil
}

func (p *Process) tellStarted(l *Loaded) {
	args := []any{
		"version", p.opt.Version.Version, "pid", os.Getpid(), "config", p.opt.ConfigFile,
		"listeners", addressList(p.registry.Bindings()), "metrics", p.metrics.address(),
	}
	if p.memoryLimit > 0 {
		args = append(args, "memory_limit_bytes", p.memoryLimit)
	}
	args = append(args, noteArgs(l.Notes)...)
	p.log.Info("started", args...)
	p.notify.ready("serving, generation 1")
}

// serve is the life between start and drain. It ends too when another process serves instead
// of this one.
func (p *Process) serve(ctx context.Context) {
	defer close(p.ended)
	tick := time.NewTicker(rateEvery)
	defer tick.Stop()
	for !p.replaced {
		select {
		case <-p.signals.hup:
			p.reload(order{cause: "SIGHUP"})
		case f := <-p.requests:
			f()
		case <-p.signals.usr1:
			p.reopen()
		case <-p.signals.usr2:
			p.upgrade(ctx, "SIGUSR2")
		case <-tick.C:
			p.sampleRates()
			p.checkFiles()
		case <-p.alarm.C:
			p.due()
		case s := <-p.signals.stop:
			p.log.Info("stopping", "cause", s.String())
			return
		case <-ctx.Done():
			p.log.Info("stopping", "cause", "asked by its owner")
			return
		}
	}
}

func (p *Process) reopen() {
	if err := errors.Join(p.opt.Reopen(), p.audit.Reopen()); err != nil {
		p.log.Error("log files not reopened", "error", "file error", "detail", err.Error())
		return
	}
	p.log.Info("log files reopened")
}

// install makes l what serves and returns its generation.
func (p *Process) install(l *Loaded) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.current, p.mu.metrics, p.mu.admin = l, p.metrics.address(), p.adminTCP.address()
	p.mu.generation++
	return p.mu.generation
}

func (p *Process) stopSides() {
	p.metrics.close()
	p.admin.close()
	p.adminTCP.close()
	p.audit.Close()
}

// newAdmin returns a server for the admin API.
func (p *Process) newAdmin() sideServer {
	s := admin.NewServer(p, p.opt.Version)
	s.AddConfigs(p)
	s.AddUpgrade(p)
	s.Share(p.gate)
	if p.opt.Upstreams != nil {
		s.AddUpstreams(p.opt.Upstreams)
	}
	if p.opt.Events != nil {
		s.AddEvents(p.opt.Events)
	}
	if p.opt.Talkers != nil {
		s.AddTalkers(p.opt.Talkers)
	}
	if p.opt.Series != nil {
		s.AddSeries(p.opt.Series)
	}
	if p.opt.Explain != nil {
		s.AddExplain(p.opt.Explain)
	}
	if p.opt.SignLive != nil {
		s.AddLive(flight.Field, flight.TokenLifeMax, p.opt.SignLive)
	}
	if p.opt.Flight != nil {
		s.AddFlight(p.opt.Flight)
	}
	if p.opt.WhatIf != nil {
		s.AddWhatIf(p.opt.WhatIf)
	}
	if p.opt.Bans != nil {
		s.AddBans(p.opt.Bans)
	}
	if p.opt.Overrides != nil {
		s.AddOverrides(p.opt.Overrides, overrideKeeping{p.opt.Overrides, p})
	}
	if p.opt.Certificates != nil {
		s.AddCertificates(p.opt.Certificates)
	}
	return s
}
