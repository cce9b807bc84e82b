package resolve

import (
	"container/heap"
	"context"
	"time"
)

// schedule starts look-ups until Close.
func (r *Resolver) schedule() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(r.startDue())
		select {
		case <-r.ctx.Done():
			return
		case <-r.wakeSchedule:
		case <-timer.C:
		}
	}
}

// startDue starts the look-ups that are due and returns when to come again; the end of a
// look-up wakes the schedule too.
func (r *Resolver) startDue() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for len(r.mu.queue) > 0 && r.mu.running < lookupsMax {
		rec := r.mu.queue[0]
		if wait := rec.due.Sub(now); wait > 0 {
			return wait
		}
		heap.Pop(&r.mu.queue)
		r.mu.running++
		var ctx context.Context
		ctx, rec.cancel = context.WithCancel(r.ctx)
		asker := asker{net: r.opts.net, timeout: r.opts.Timeout, system: r.mu.system}
		last := rec.answer
		r.tasks.Go(func() { r.look(ctx, rec, last, &asker) })
	}
	return time.Hour
}

// look does one look-up.
func (r *Resolver) look(ctx context.Context, rec *record, last answer, asker *asker) {
	a, err := asker.lookup(ctx, rec.question, last)
	r.mu.Lock()
	r.mu.running--
	dropped := ctx.Err() != nil // the record, or the Resolver
	rec.cancel()
	rec.cancel = nil
	var t turn
	if !dropped {
		t = r.storeLocked(rec, a, err)
	}
	r.mu.Unlock()
	wake(r.wakeSchedule)
	if t.news {
		wake(r.wakeTell)
	}
	switch {
	case t.failed:
		r.opts.Log.Warn("name look-up failed", "name", rec.name, "error", err, "addresses_kept", !a.empty())
	case t.recovered:
		r.opts.Log.Info("name look-up recovered", "name", rec.name, "server", a.server)
	}
}

// storeLocked stores what a look-up brought and puts the record back into the queue.
func (r *Resolver) storeLocked(rec *record, a answer, err error) turn {
	if !rec.asked {
		r.askingLocked(1) // kept above 0 until the new needs are counted
		defer r.askingLocked(-2)
	}
	t := rec.store(a, err, &r.opts)
	if rec.again {
		rec.again = false
		rec.due = time.Now()
	}
	heap.Push(&r.mu.queue, rec)
	if !t.news {
		return t
	}
	for e := range rec.users {
		if rec.service {
			r.linkLocked(e)
		}
		r.mu.dirty[e] = struct{}{}
	}
	return t
}
