package outlier

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Group is the targets of one upstream, as far as it matters how many of them are ejected.
// The zero value is a group of no target, which ejects none.
type Group struct {
	recheck atomic.Bool // size or a configuration changed: more may be ejected than may be

	mu struct {
		sync.Mutex
		size    int
		ejected []*Detector
		untold  []told
		telling bool
	}
}

// told is a change, and who is to be told.
type told struct {
	onChange func(Change)
	Change
}

// SetSize sets how many targets the group has. Where more are ejected than may be of a
// smaller group, the next call to one of them returns those that are nearest to their end.
func (g *Group) SetSize(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.size = n
	g.recheck.Store(true)
}

// Ejected returns how many targets are ejected, of how many. Ejections that are over count
// until a call notices.
func (g *Group) Ejected() (ejected, size int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.mu.ejected), g.mu.size
}

// mostLocked returns how many of the group may be ejected by cfg.
func (g *Group) mostLocked(cfg *Config) int {
	if g.mu.size < 2 || cfg.MaxEjectedPercent <= 0 {
		return 0
	}
	return min(max(g.mu.size*cfg.MaxEjectedPercent/100, 1), g.mu.size)
}

// eject ejects d if the group lets it.
func (g *Group) eject(d *Detector, now time.Duration) {
	g.mu.Lock()
	defer g.unlockAndTell()
	g.noticeLocked(now)
	cfg := d.cfg.Load()
	cause := d.takeRun(cfg)
	if cause == "" || d.closed || d.until.Load() != 0 {
		return
	}
	if len(g.mu.ejected) >= g.mostLocked(cfg) {
		g.refuseLocked(d, now, cause)
		return
	}
	d.level = nextLevel(d.level, now-d.wellSince, cfg)
	until := now + min(cfg.Ejection*time.Duration(d.level), cfg.EjectionMax)
	d.refused = false
	d.until.Store(int64(until))
	g.mu.ejected = append(g.mu.ejected, d)
	g.tellLocked(d, Change{Ejected: true, Cause: cause, At: now, Until: until, Level: d.level})
}

// nextLevel returns the level of an ejection that follows one of level n after a time spent
// well. It grows no further than the maximum lasts, so that it can fall again.
func nextLevel(n int, well time.Duration, cfg *Config) int {
	n = max(n-int(max(well, 0)/cfg.Ejection), 0)
	most := int((cfg.EjectionMax + cfg.Ejection - 1) / cfg.Ejection)
	return min(n+1, most)
}

// refuseLocked tells that d stays although it should be ejected: once, until it is ejected
// or an ejection has gone by without another refusal.
func (g *Group) refuseLocked(d *Detector, now time.Duration, cause string) {
	again := d.refused && now < d.refusedAt+d.cfg.Load().Ejection
	d.refused, d.refusedAt = true, now
	if !again {
		g.tellLocked(d, Change{Refused: true, Cause: cause, At: now})
	}
}

// notice ends the ejections that are over at now.
func (g *Group) notice(now time.Duration) {
	g.mu.Lock()
	defer g.unlockAndTell()
	g.noticeLocked(now)
}

func (g *Group) noticeLocked(now time.Duration) {
	for i := len(g.mu.ejected) - 1; i >= 0; i-- {
		d := g.mu.ejected[i]
		if until := time.Duration(d.until.Load()); now >= until {
			g.endLocked(i, now, until, "its time was over")
		}
	}
	if g.recheck.Swap(false) {
		g.recheckLocked(now)
	}
}

// recheckLocked ends ejections until no more are left than may be.
func (g *Group) recheckLocked(now time.Duration) {
	slices.SortFunc(g.mu.ejected, func(a, b *Detector) int { return int(b.until.Load() - a.until.Load()) })
	for i := len(g.mu.ejected) - 1; i >= 0; i-- {
		cfg := g.mu.ejected[i].cfg.Load()
		switch {
		case cfg.off():
			g.endLocked(i, now, now, "nothing ejects it any more")
		case len(g.mu.ejected) > g.mostLocked(cfg):
			g.endLocked(i, now, now, "too many of the upstream were ejected")
		}
	}
}

// giveBack ends the ejection of d.
func (g *Group) giveBack(d *Detector, now time.Duration) {
	g.mu.Lock()
	defer g.unlockAndTell()
	g.noticeLocked(now)
	if i := slices.Index(g.mu.ejected, d); i >= 0 {
		g.endLocked(i, now, now, "it was returned")
	}
}

// endLocked ends the ith ejection, from end on.
func (g *Group) endLocked(i int, now, end time.Duration, cause string) {
	d := g.mu.ejected[i]
	g.mu.ejected = slices.Delete(g.mu.ejected, i, i+1)
	d.wellSince = end
	d.failures.Store(0)
	d.gatewayErrors.Store(0)
	d.until.Store(0)
	g.tellLocked(d, Change{Cause: cause, At: now})
}

// leave takes d out of the group, untold.
func (g *Group) leave(d *Detector) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d.closed = true
	d.until.Store(0)
	if i := slices.Index(g.mu.ejected, d); i >= 0 {
		g.mu.ejected = slices.Delete(g.mu.ejected, i, i+1)
	}
}

func (g *Group) tellLocked(d *Detector, c Change) {
	if d.onChange != nil {
		g.mu.untold = append(g.mu.untold, told{d.onChange, c})
	}
}

// unlockAndTell releases the mutex and tells what hasn't been told. One goroutine tells at a
// time, so that changes are told in order; others leave theirs to it.
func (g *Group) unlockAndTell() {
	defer g.mu.Unlock()
	for !g.mu.telling && len(g.mu.untold) > 0 {
		t := g.mu.untold[0]
		g.mu.untold = slices.Delete(g.mu.untold, 0, 1)
		g.tellUnlocked(t)
	}
}

// tellUnlocked releases the mutex while it tells t, and holds it again even if that panics.
func (g *Group) tellUnlocked(t told) {
	g.mu.telling = true
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		g.mu.telling = false
	}()
	t.onChange(t.Change)
}
