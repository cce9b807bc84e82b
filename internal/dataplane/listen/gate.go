package listen

import "sync/atomic"

// Gate counts what is open and refuses above a limit, which may change at any time.
// Lowering it refuses new entries and throws nobody out; Shed does. The zero value has no
// limit.
type Gate struct {
	open   atomic.Int64
	forced atomic.Int64 // of open
	limit  atomic.Int64
	shadow atomic.Int64 // a limit that only counts
}

// SetLimit sets how many may be open at once; 0 or less is no limit.
func (g *Gate) SetLimit(n int64) { g.limit.Store(n) }

// SetShadow sets a limit that refuses nobody and that Beyond asks about; 0 or less is none.
func (g *Gate) SetShadow(n int64) { g.shadow.Store(n) }

// Beyond reports whether more are open than the limit in shadow mode would allow.
func (g *Gate) Beyond() bool {
	limit := g.shadow.Load()
	return limit > 0 && g.open.Load() > limit
}

// Limit returns the limit; 0 or less is none.
func (g *Gate) Limit() int64 { return g.limit.Load() }

// Open returns how many are open.
func (g *Gate) Open() int64 { return g.open.Load() }

// Enter counts one more unless that would exceed the limit, and reports whether it did.
func (g *Gate) Enter() bool {
	for {
		n, limit := g.open.Load(), g.limit.Load()
		if limit > 0 && n >= limit {
			return false
		}
		if g.open.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Force counts one more whatever the limit.
func (g *Gate) Force() {
	g.forced.Add(1)
	g.open.Add(1)
}

// Leave undoes one Enter that returned true.
func (g *Gate) Leave() { g.open.Add(-1) }

// LeaveForced undoes one Force.
func (g *Gate) LeaveForced() {
	g.open.Add(-1)
	g.forced.Add(-1)
}

// Excess returns by how much what has entered is above the limit.
func (g *Gate) Excess() int64 {
	if limit := g.limit.Load(); limit > 0 {
		return max(g.open.Load()-g.forced.Load()-limit, 0)
	}
	return 0
}
