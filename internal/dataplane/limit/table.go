package limit

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

const (
	ways    = 7  // entries a set, so that a set is two cache lines
	stripes = 16 // of counters; a power of two
	// spread makes neighbouring keys go to distant sets: the golden ratio as a fraction.
	spread = 0x9e3779b97f4a7c15
)

// Decision is what a table says to one request.
type Decision struct {
	Allowed bool
	// RetryAfter is 0, or how long it takes until the request may go: after a Take that was
	// refused, until it is worth another try; after a Reserve that was allowed, until its turn.
	RetryAfter time.Duration
	Limit      int64         // requests that full credit allows at once
	Remaining  int64         // requests that are left of it
	Next       time.Duration // until Remaining grows by one; 0 with full credit
	Reset      time.Duration // until credit is full, if nothing more is taken
}

// Table remembers the keys of one rule. Make it by NewTable; its methods may be called by
// many goroutines at once. Every now is on the clock of the process.
type Table struct {
	sets   []set
	meters [2]*meter // one is replaced only while no set counts by it
	counts [stripes]counts

	mu struct { // of Configure; before that of any set
		sync.Mutex
		current uint8 // index into meters
	}
}

// counts are counters that only some sets write, on a cache line of their own.
type counts struct {
	allowed, blocked, evicted, used atomic.Uint64
	_                               [32]byte
}

// NewTable returns an empty table. It holds r.Entries keys, rounded up to whole sets of seven.
func NewTable(r Rule) *Table {
	r = r.filled()
	t := &Table{sets: make([]set, setsFor(r.Entries))}
	t.meters[0] = newMeter(r)
	return t
}

func setsFor(entries int) int { return (entries + ways - 1) / ways }

// Take asks for cost requests at now, usually 1, and takes them out of the key's credit if
// they are there: all or nothing. The key is a hash, as of KeySpec. A cost above Burst is
// never allowed; RetryAfter is the time until full credit then. One below 1 takes nothing.
func (t *Table) Take(key uint64, now time.Duration, cost int64) Decision {
	return t.Reserve(key, now, cost, 0)
}

// Reserve is Take for a request that can wait as long as patience: it may use credit that is
// still to come, and then RetryAfter says how long it has to wait for its turn.
func (t *Table) Reserve(key uint64, now time.Duration, cost int64, patience time.Duration) Decision {
	at := t.index(key)
	s := &t.sets[at]
	c := &t.counts[at%stripes]
	s.mu.Lock()
	m := t.meters[s.meter]
	base := m.ticks(now)
	way, full := s.findLocked(key, base)
	ask := m.ask(full, cost)
	d := Decision{Allowed: ask <= base+m.window+m.patience(patience) && cost <= int64(m.burst)}
	if !d.Allowed {
		s.refuseLocked(way)
	} else if cost > 0 {
		if way < 0 {
			way = s.insertLocked(key, base, m, c)
		}
		full = ask
		s.full[way] = full
	}
	s.mu.Unlock()
	if d.Allowed {
		c.allowed.Add(1)
	} else {
		c.blocked.Add(1)
	}
	m.describe(&d, base, full, ask)
	return d
}

// Peek returns what Take would say to one request, and takes and counts nothing.
func (t *Table) Peek(key uint64, now time.Duration) Decision {
	s := &t.sets[t.index(key)]
	s.mu.Lock()
	m := t.meters[s.meter]
	base := m.ticks(now)
	_, full := s.findLocked(key, base)
	s.mu.Unlock()
	ask := m.ask(full, 1)
	d := Decision{Allowed: ask <= base+m.window}
	m.describe(&d, base, full, ask)
	return d
}

// Configure makes the table count by another rule from now on and reports whether it could:
// not where the rule wants another number of entries, which takes a new table. What a key has
// spent stays spent, up to the new burst; what was reserved beyond it is forgotten. The same
// rule again changes nothing.
func (t *Table) Configure(r Rule, now time.Duration) bool {
	r = r.filled()
	if setsFor(r.Entries) != len(t.sets) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.meters[t.mu.current]
	if old.rule == r {
		return true
	}
	t.mu.current ^= 1
	m := newMeter(r)
	t.meters[t.mu.current] = m
	for i := range t.sets {
		t.sets[i].convert(t.mu.current, old, m, now)
	}
	return true
}

// Rule returns the rule that the table counts by, with its defaults.
func (t *Table) Rule() Rule {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.meters[t.mu.current].rule
}

// Len returns how many places hold a key, those with full credit included.
func (t *Table) Len() int {
	return int(t.sum(func(c *counts) *atomic.Uint64 { return &c.used }))
}

// Cap returns how many keys the table can hold.
func (t *Table) Cap() int { return len(t.sets) * ways }

// Allowed returns how many decisions were yes.
func (t *Table) Allowed() uint64 {
	return t.sum(func(c *counts) *atomic.Uint64 { return &c.allowed })
}

// Blocked returns how many decisions were no.
func (t *Table) Blocked() uint64 {
	return t.sum(func(c *counts) *atomic.Uint64 { return &c.blocked })
}

// Evicted returns how many keys were forgotten before their credit was full. It begins to
// grow where more than half of the table is in debt at once, because sets fill unevenly.
func (t *Table) Evicted() uint64 {
	return t.sum(func(c *counts) *atomic.Uint64 { return &c.evicted })
}

func (t *Table) sum(field func(*counts) *atomic.Uint64) uint64 {
	var n uint64
	for i := range t.counts {
		n += field(&t.counts[i]).Load()
	}
	return n
}

func (t *Table) index(key uint64) uint64 {
	at, _ := bits.Mul64(key*spread, uint64(len(t.sets)))
	return at
}
