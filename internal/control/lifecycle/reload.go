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
}

func (g *generation) commit() {
	for _, f := range g.do {
		f()
	}
}

func (g *generation) abort() {
	for _, f := range g.undo {
		f()
	}
}

// prepare does all of a start or a reload that can fail, except for the pid file. When it
// returns an error nothing has changed.
func (p *Process) prepare() (*generation, error) {
	loaded, err := p.opt.Engine.Load(p.opt.ConfigFile)
	if err != nil {
		return nil, err
	}
	g := &generation{loaded: loaded}
	if err := p.prepareParts(g); err != nil {
		g.abort()
		return nil, err
	}
	return g, nil
}

func (p *Process) prepareParts(g *generation) error {
	s := &g.loaded.Settings
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
	api, abort, err := p.admin.prepare(s.AdminSocket)
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
		func() { p.scrape.Store(&answer) },
		metrics,
		api,
	}
	return nil
}

// reload reads the configuration again and makes all of it real, or nothing. It writes
// one log line, once the outcome is felt.
func (p *Process) reload(cause string) admin.Outcome {
	p.notify.reloading()
	began := time.Now()
	g, err := p.prepare()
	if err == nil {
		err = p.movePID(g)
	}
	var o admin.Outcome
	if err != nil {
		o = p.reloadFailed(cause, err)
	} else {
		o = p.reloadSucceeded(cause, g, began)
	}
	p.notify.ready(fmt.Sprintf("serving, generation %d", o.Generation))
	return o
}

// movePID claims the new pid file before the old one is given up.
func (p *Process) movePID(g *generation) error {
	path := g.loaded.Settings.PIDFile
	if path == p.pid.path {
		return nil
	}
	next, err := claimPID(path)
	if err != nil {
		g.abort()
		return err
	}
	g.do = append(g.do, func() {
		p.pid.remove()
		p.pid = next
	})
	return nil
}

func (p *Process) reloadSucceeded(cause string, g *generation, began time.Time) admin.Outcome {
	g.commit()
	o := admin.Outcome{At: time.Now(), OK: true, Generation: p.install(g.loaded), Cause: cause, Notes: g.loaded.Notes}
	p.setLast(o)
	p.record(event.Event{Kind: event.KindReload, To: "generation " + strconv.FormatUint(o.Generation, 10), Cause: cause})
	p.opt.Metrics.ReloadSucceeded(o.At, o.Generation)
	args := []any{"cause", cause, "generation", o.Generation, "took", time.Since(began).Round(time.Microsecond).String()}
	p.log.Info("Configuration reload succeeded", append(args, noteArgs(o.Notes)...)...)
	p.keep(g.loaded)
	return o
}

func (p *Process) reloadFailed(cause string, err error) admin.Outcome {
	d := describe(err)
	p.mu.Lock()
	o := admin.Outcome{At: time.Now(), Generation: p.mu.generation, Cause: cause, Error: d.kind, Details: d.lines}
	p.mu.Unlock()
	p.setLast(o)
	p.record(event.Event{Kind: event.KindReload, Worse: true, Cause: d.kind, Detail: strings.Join(d.lines, "; ")})
	p.opt.Metrics.ReloadFailed()
	d.log(p.log, "Configuration reload failed", "cause", cause, "generation", o.Generation)
	return o
}

func (p *Process) record(e event.Event) {
	if p.opt.Record != nil {
		p.opt.Record(e)
	}
}

func (p *Process) setLast(o admin.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.last = &o
}

// Reload asks for a reload and waits for its outcome. It is called by the admin API.
func (p *Process) Reload(ctx context.Context) admin.Outcome {
	return p.request(ctx, reloadRequest{cause: "admin", reply: make(chan admin.Outcome, 1)})
}

// request hands r to the goroutine of Run and waits for the outcome.
func (p *Process) request(ctx context.Context, r reloadRequest) admin.Outcome {
	select {
	case p.requests <- r:
		return <-r.reply
	case <-p.ended:
	case <-ctx.Done():
	}
	return admin.Outcome{At: time.Now(), Cause: r.cause, Error: "not reloaded", Details: []string{"the process is stopping"}}
}
