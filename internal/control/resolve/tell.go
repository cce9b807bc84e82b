package resolve

import (
	"slices"
	"time"
)

// tell hands changes to Options.Changed until Close.
func (r *Resolver) tell() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-r.wakeTell:
		case <-timer.C:
		}
		if !r.pause(gather) {
			return
		}
		updates, next := r.takeUpdates()
		for _, u := range updates {
			if r.ctx.Err() != nil {
				return
			}
			r.opts.Log.Debug("targets looked up", "upstream", u.Source.Upstream, "source", u.Source.Value,
				"addresses", len(u.Endpoints), "stale", u.Stale)
			r.opts.Changed(u)
		}
		timer.Reset(next)
	}
}

// pause waits for d and reports whether the Resolver is still open.
func (r *Resolver) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// takeUpdates returns what there is to tell, in the order of the sources, and when to
// come again for what had to be held back.
func (r *Resolver) takeUpdates() (updates []Update, next time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	next = time.Hour
	for e := range r.mu.dirty {
		v := r.viewLocked(e.source)
		if hold := e.settleBy.Sub(now); v.pending && hold > 0 {
			next = min(next, hold)
			continue
		}
		delete(r.mu.dirty, e)
		u := v.update(e.source)
		if !e.isNews(&u) {
			continue
		}
		e.told = &u
		updates = append(updates, u)
	}
	slices.SortFunc(updates, func(a, b Update) int { return compareSources(a.Source, b.Source) })
	return updates, next
}

// isNews reports whether an update says something that wasn't told. Another error in the
// place of one is not news.
func (e *entry) isNews(u *Update) bool {
	switch {
	case e.told == nil:
		return len(u.Endpoints) > 0 && e.source.Kind != Literal || u.Err != nil
	case (u.Err == nil) != (e.told.Err == nil):
		return true
	}
	return u.Stale != e.told.Stale || !slices.Equal(u.Endpoints, e.told.Endpoints)
}
