package limit

import (
	"math/bits"
	"sync"
	"time"
)

const (
	shards = 256 // a power of two
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
	sets    []set
	shards  [shards]shard // that of a set by the low bits of its index
	ledgers *ledgers      // nil unless it is shared

	mu struct { // of Configure; comes before that of a shard
		sync.Mutex
		rule Rule
	}
}

// shard guards every 256th set and counts for them. The mutexes stay in the cache while sets
// come from memory, so that a set's two lines are fetched at the same time.
type shard struct {
	mu struct {
		sync.Mutex
		meter *meter
		counts
	}
	_ [16]byte
}

// counts are what a table says of itself.
type counts struct {
	allowed, blocked, evicted, used uint64
}

// NewTable returns an empty table. It holds r.Entries keys, rounded up to whole sets of seven.
func NewTable(r Rule) *Table {
	r = r.filled()
	t := &Table{sets: make([]set, setsFor(r.Entries))}
	t.mu.rule = r
	m := newMeter(r)
	for i := range t.shards {
		t.shards[i].mu.meter = m
	}
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
	h, s, place, key := t.at(key)
	h.mu.Lock()
	m := h.mu.meter
	base := m.ticks(now)
	way, full := s.findLocked(key, base)
	full = t.ledgers.confineLocked(place, way, full, now, m)
	ask := m.ask(full, cost)
	d := Decision{Allowed: ask <= base+m.window+m.patience(patience) && cost <= int64(m.burst)}
	if !d.Allowed {
		s.refuseLocked(way)
		h.mu.blocked++
	} else {
		h.mu.allowed++
		full = ask
		if cost > 0 {
			if way < 0 {
				way = s.insertLocked(key, base, m, &h.mu.counts)
				t.ledgers.enterLocked(place, way)
			}
			s.full[way] = full
			t.ledgers.spendLocked(place, way, key, cost, now)
		}
	}
	h.mu.Unlock()
	m.describe(&d, base, full, ask)
	return d
}

// Peek returns what Take would say to one request, and takes and counts nothing.
func (t *Table) Peek(key uint64, now time.Duration) Decision {
	h, s, place, key := t.at(key)
	h.mu.Lock()
	m := h.mu.meter
	base := m.ticks(now)
	way, full := s.findLocked(key, base)
	full = t.ledgers.confineLocked(place, way, full, now, m)
	h.mu.Unlock()
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
	if t.mu.rule == r {
		return true
	}
	t.mu.rule = r
	m := newMeter(r)
	for i := range t.shards {
		t.convert(i, m, now)
	}
	return true
}

// convert makes the sets of one shard count by another meter.
func (t *Table) convert(shard int, m *meter, now time.Duration) {
	h := &t.shards[shard]
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := shard; i < len(t.sets); i += shards {
		t.sets[i].convertLocked(h.mu.meter, m, now)
	}
	h.mu.meter = m
}

// Rule returns the rule that the table counts by, with its defaults.
func (t *Table) Rule() Rule {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.rule
}

// Cap returns how many keys the table can hold.
func (t *Table) Cap() int { return len(t.sets) * ways }

// Len returns how many places hold a key, those with full credit included.
func (t *Table) Len() int { return int(t.sum().used) }

// Allowed returns how many decisions were yes.
func (t *Table) Allowed() uint64 { return t.sum().allowed }

// Blocked returns how many decisions were no.
func (t *Table) Blocked() uint64 { return t.sum().blocked }

// Evicted returns how many keys were forgotten before their credit was full. It begins to
// grow where more than half of the table is in debt at once, because sets fill unevenly.
func (t *Table) Evicted() uint64 { return t.sum().evicted }

func (t *Table) sum() (all counts) {
	for i := range t.shards {
		h := &t.shards[i]
		h.mu.Lock()
		all.allowed += h.mu.allowed
		all.blocked += h.mu.blocked
		all.evicted += h.mu.evicted
		all.used += h.mu.used
		h.mu.Unlock()
	}
	return all
}

// at returns where a key belongs, with the set's index, and the key as it stands there, where
// 0 is nobody's.
func (t *Table) at(key uint64) (h *shard, s *set, place, stands uint64) {
	if key == 0 {
		key = spread
	}
	i := t.index(key)
	return &t.shards[i%shards], &t.sets[i], i, key
}

func (t *Table) index(key uint64) uint64 {
	i, _ := bits.Mul64(key*spread, uint64(len(t.sets)))
	return i
}
