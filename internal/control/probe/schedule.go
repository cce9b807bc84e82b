package probe

import (
	"context"
	"time"
)

// How many probes run at once, and how many of them for targets that are known to be down:
// those tend to hang until their timeout.
const (
	probesAtOnceMax = 64
	downAtOnceMax   = 48
)

// queues hold the entries whose time has come, and count the probes that run.
type queues struct {
	up, down             []*entry
	workers, downWorkers int
}

// job is one probe to be done, as it was when it was taken from the queue.
type job struct {
	entry      *entry
	generation int
	down       bool
	ctx        context.Context
	asker      asker
}

// waitLocked has e probed after d.
func (p *Prober) waitLocked(e *entry, d time.Duration) {
	e.phase, e.next = waiting, time.Now().Add(d)
	if e.timer == nil {
		e.timer = time.AfterFunc(d, func() { p.due(e) })
	} else {
		e.timer.Reset(d)
	}
}

// due is called by e's timer.
func (p *Prober) due(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed || e.gone || e.phase != waiting {
		return // the timer fired while it was stopped or set anew
	}
	e.phase = queued
	if e.state == Unhealthy {
		p.mu.down = append(p.mu.down, e)
	} else {
		p.mu.up = append(p.mu.up, e)
	}
	if p.mu.workers < probesAtOnceMax {
		p.mu.workers++
		p.done.Go(p.work)
	}
}

// work probes until no queue holds anything that may run now.
func (p *Prober) work() {
	for {
		j := p.take()
		if j == nil {
			return
		}
		t := j.asker.ask(j.ctx)
		p.finish(j, t)
	}
}

// take returns the next probe, nil when the worker is to end.
func (p *Prober) take() *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, down := p.pickLocked()
	if e == nil {
		p.mu.workers--
		return nil
	}
	if down {
		p.mu.downWorkers++
	}
	e.phase, e.again = running, false
	ctx, cancel := context.WithCancelCause(context.Background())
	e.cancel = cancel
	check := e.check
	return &job{
		entry: e, generation: e.generation, down: down, ctx: ctx,
		asker: asker{dialer: p.opt.Dialer, lookup: p.opt.Lookup, target: e.target, check: &check},
	}
}

func (p *Prober) pickLocked() (e *entry, down bool) {
	if p.mu.closed {
		return nil, false
	}
	if e := pop(&p.mu.up); e != nil {
		return e, false
	}
	if p.mu.downWorkers >= downAtOnceMax {
		return nil, false
	}
	e = pop(&p.mu.down)
	return e, e != nil
}

// pop takes the first entry that is still in the set, nil when there is none.
func pop(q *[]*entry) *entry {
	for len(*q) > 0 {
		e := (*q)[0]
		(*q)[0] = nil
		*q = (*q)[1:]
		if !e.gone {
			return e
		}
	}
	*q = nil
	return nil
}

// finish takes the result of a probe, tells it, and puts the entry back to wait.
func (p *Prober) finish(j *job, t *Transcript) {
	p.mu.Lock()
	e := j.entry
	e.cancel(nil)
	counts := e.generation == j.generation && !p.mu.closed
	var changed bool
	v := Verdict{Target: j.asker.target, Healthy: t.OK, First: e.state == Unknown, Transcript: *t}
	if counts {
		changed = e.count(t)
		v.Streak = e.streak
	}
	p.mu.Unlock()

	if counts { // the entry is still running: nobody else tells of it
		p.tell(v, t, changed)
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	if j.down {
		p.mu.downWorkers--
	}
	p.backLocked(j, t, counts)
}

// tell calls those who want to know.
func (p *Prober) tell(v Verdict, t *Transcript, changed bool) {
	if p.opt.Probed != nil {
		p.opt.Probed(v.Target, t)
	}
	if changed {
		p.logVerdict(&v, t)
		if p.opt.Verdict != nil {
			p.opt.Verdict(v)
		}
	} else if !t.OK {
		p.opt.Log.Debug("health check failed", "error", t.Cause, "upstream", v.Upstream, "target", v.Address, "streak", v.Streak, "probe", t.String())
	}
}

func (p *Prober) logVerdict(v *Verdict, t *Transcript) {
	if v.Healthy {
		p.opt.Log.Info("target is healthy", "upstream", v.Upstream, "target", v.Address, "streak", v.Streak, "probe", t.String())
		return
	}
	p.opt.Log.Warn("target is unhealthy", "error", t.Cause, "upstream", v.Upstream, "target", v.Address, "streak", v.Streak, "probe", t.String())
}

// backLocked ends the running phase of an entry.
func (p *Prober) backLocked(j *job, t *Transcript, counted bool) {
	e := j.entry
	e.cancel = nil
	switch {
	case e.gone:
		e.phase = waiting
		if n := e.target.name(); p.mu.entries[n] == e {
			delete(p.mu.entries, n)
		}
	case p.mu.closed:
		e.phase = waiting
	case e.again:
		p.waitLocked(e, 0)
	case !counted || e.generation != j.generation:
		p.waitLocked(e, e.soon())
	default:
		gap := e.gap()
		left := time.Until(t.At.Add(gap))
		p.waitLocked(e, max(left, min(restMin, gap)))
	}
}
