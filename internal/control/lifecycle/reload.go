package lifecycle

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
)

// generation is a configuration that is ready to serve. Exactly one of commit and abort
// must be called.
type generation struct {
	loaded *Loaded
	undo   []func()
	do     []func()
	sides  []func() // what is beside the traffic
}

// commit makes the generation serve; serveSides must follow.
func (g *generation) commit() {
	for _, f := range g.do {
		f()
	}
}

// serveSides makes what is beside the traffic answer for the generation.
func (g *generation) serveSides() {
	for _, f := range g.sides {
		f()
	}
}

func (g *generation) abort() {
	for _, f := range g.undo {
		f()
	}
}

// prepareLoaded does all of a start or a reload that can fail, except for the pid file. When
// it returns an error nothing has changed.
func (p *Process) prepareLoaded(loaded *Loaded) (*generation, error) {
	g := &generation{loaded: loaded}
	if err := p.prepareParts(g); err != nil {
		g.abort()
		return nil, err
	}
	return g, nil
}

func (p *Process) prepareParts(g *generation) error {
	s := &g.loaded.Settings
	if p.opt.KernelBans != nil {
		if err := p.opt.KernelBans.Possible(s); err != nil {
			return err
		}
	}
	listeners, err := p.registry.Prepare(s.Listeners)
	if err != nil {
		return err
	}
	// The snapshot is swapped before the listeners: the first connection of a new one
	// must find itself in the snapshot.
	g.undo = append(g.undo, listeners.Abort)
	swap, abort, err := g.loaded.Build(listeners.Slot)
	if err != nil {
		return err
	}
	g.undo = append(g.undo, abort)
	p.metricsAt = s.MetricsAt
	metrics, abort, err := p.metrics.prepare(s.MetricsAddress)
	if err != nil {
		return err
	}
	g.undo = append(g.undo, abort)
	answer := p.opt.Scrape(s.MetricsPath)
	g.do = []func(){
		func() { setWorkers(s.Workers) },
		func() { p.setMemory(s.MemoryMax) },
		swap,
		listeners.Commit,
		func() { p.serveKernelBans(s) },
		func() { p.scrape.Store(&answer) },
	}
	g.sides = []func(){metrics}
	return p.prepareAdmin(g)
}

// order is what a reload is asked for with.
type order struct {
	cause string
	by    *admin.Actor // nil when nobody knows
	admin.ReloadRequest
	kind   orderKind
	copyOf int           // the entry of the history that serves again
	wait   *confirmation // what it is to be confirmed by
}

// orderKind is what kind of change is asked for.
type orderKind int

const (
	orderReload   orderKind = iota // what the files hold
	orderRollback                  // what a person chose from the history
	orderRevert                    // what served before, by the process itself
)

// served is what serves, or did.
type served struct {
	loaded *Loaded
	entry  int
}

func (p *Process) served() served {
	p.mu.Lock()
	defer p.mu.Unlock()
	return served{p.mu.current, p.mu.entry}
}

func (p *Process) stateDir() string { return p.served().loaded.Settings.StateDir }

// reload reads the configuration again and makes all of it real, or nothing. It writes
// one log line, once the outcome is felt.
func (p *Process) reload(q order) admin.Outcome {
	p.notify.reloading()
	began := time.Now()
	g, err := p.prepareReload(&q)
	var o admin.Outcome
	if err != nil {
		o = p.reloadFailed(q, err)
	} else {
		o = p.reloadSucceeded(q, g, began)
	}
	p.notify.ready(fmt.Sprintf("serving, generation %d", o.Generation))
	if q.by == nil {
		p.auditUnasked(&o)
	}
	return o
}

func (p *Process) prepareReload(q *order) (*generation, error) {
	loaded, err := p.opt.Engine.Load(p.opt.ConfigFile, nil)
	if err != nil {
		return nil, err
	}
	if err := p.mayServe(loaded, q.Again); err != nil {
		return nil, err
	}
	g, err := p.prepareLoaded(loaded)
	if err == nil {
		err = p.movePID(g)
	}
	if err != nil {
		return nil, err
	}
	if err := p.promise(q, loaded); err != nil {
		g.abort()
		return nil, &promiseError{err}
	}
	return g, nil
}

// movePID claims the new pid file before the old one is given up.
func (p *Process) movePID(g *generation) error {
	path := g.loaded.Settings.PIDFile
	if path == p.pid.path {
		return nil
	}
	next, err := claimPID(path, 0)
	if err != nil {
		g.abort()
		return err
	}
	g.undo = append(g.undo, next.remove)
	g.do = append(g.do, func() {
		p.pid.remove()
		p.pid = next
	})
	return nil
}

func (p *Process) reloadSucceeded(q order, g *generation, began time.Time) admin.Outcome {
	was := p.served()
	g.commit()
	g.serveSides()
	p.keepsafe.sync(p.listening(false))
	o := admin.Outcome{At: time.Now(), OK: true, Generation: p.install(g.loaded), Cause: q.cause, By: q.by, Notes: g.loaded.Notes}
	p.setLast(o)
	p.record(event.Event{Kind: event.KindReload, To: "generation " + strconv.FormatUint(o.Generation, 10), Cause: q.cause, Detail: askedBy(q.by)})
	p.opt.Metrics.ReloadSucceeded(o.At, o.Generation)
	args := []any{"cause", q.cause, "generation", o.Generation, "took", time.Since(began).Round(time.Microsecond).String()}
	p.log.Info("Configuration reload succeeded", append(append(args, byArgs(q.by)...), noteArgs(o.Notes)...)...)
	p.conclude(q, g.loaded, was)
	p.markRun(g.loaded)
	return o
}

func (p *Process) reloadFailed(q order, err error) admin.Outcome {
	d := describe(err)
	p.mu.Lock()
	o := admin.Outcome{At: time.Now(), Generation: p.mu.generation, Cause: q.cause, By: q.by, Error: d.kind, Details: d.lines}
	p.mu.Unlock()
	p.setLast(o)
	p.record(event.Event{Kind: event.KindReload, Worse: true, Cause: d.kind, Detail: strings.Join(d.lines, "; ")})
	p.opt.Metrics.ReloadFailed()
	d.log(p.log, "Configuration reload failed", append([]any{"cause", q.cause, "generation", o.Generation}, byArgs(q.by)...)...)
	return o
}

// askedBy says who asked, as events do.
func askedBy(by *admin.Actor) string {
	if by == nil {
		return ""
	}
	return "asked by " + by.String()
}

// byArgs is the part of a log line that says who asked.
func byArgs(by *admin.Actor) []any {
	if by == nil {
		return nil
	}
	return []any{"by", by.String()}
}

func (p *Process) record(e event.Event) {
	if p.opt.Record != nil {
		p.opt.Record(e)
	}
}

// emit keeps an event and logs it.
func (p *Process) emit(e event.Event) {
	if p.opt.Emit != nil {
		p.opt.Emit(e)
	}
}

func (p *Process) setLast(o admin.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.last = &o
}

// Reload implements admin.Process.
func (p *Process) Reload(ctx context.Context, q admin.ReloadRequest, by *admin.Actor) (o admin.Outcome) {
	if !p.request(ctx, func() { o = p.reload(order{cause: "admin", by: by, ReloadRequest: q}) }) {
		return stoppingOutcome("admin")
	}
	return o
}

// request has f run by the goroutine of Run and waits for its end. It reports false when
// that no longer takes requests.
func (p *Process) request(ctx context.Context, f func()) bool {
	done := make(chan struct{})
	select {
	case p.requests <- func() { defer close(done); f() }:
		<-done
		return true
	case <-p.ended:
	case <-ctx.Done():
	}
	return false
}

func stoppingOutcome(cause string) admin.Outcome {
	return admin.Outcome{At: time.Now(), Cause: cause, Error: "not reloaded", Details: []string{"the process is stopping"}}
}
