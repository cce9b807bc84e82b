package listen

import "sync/atomic"

// Gate counts what is open and refuses above a limit, which may change at any time.
// Lowering it refuses new entries and throws nobody out. The zero value has no limit.
type Gate struct {
	open  atomic.Int64
	limit atomic.Int64
}

// SetLimit sets how many may be open at once; 0 or less is no limit.
func (g *Gate) SetLimit(n int64) { g.limit.Store(n) }

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
func (g *Gate) Force() { g.open.Add(1) }

// Leave undoes one Enter that returned true, or one Force.
func (g *Gate) Leave() { g.open.Add(-1) }
