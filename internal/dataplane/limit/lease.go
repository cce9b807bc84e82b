package limit

import (
	"math"
	"sync/atomic"
	"time"
)

// A shared table counts with the tables of other processes, by way of a store that none of
// its decisions waits for. What is in a table is a lease: what this process may spend of a key
// before it hears of the store again.
//
//	Reserve ---> spent, due ---> Collect ---> store ---> Settle ---> the next lease
//
// The store keeps one moment for each key, that of full credit, and moves it on by all that
// is settled, also beyond a burst: what several processes have spent together too much is
// paid back before any of them gets more. So over any time the fleet allows what one process
// would, plus what is spent between two settlements.

const (
	// dueMax is how many keys of one shard wait to be settled. A key that finds no room is
	// counted here alone until it finds some.
	dueMax = 64
	// staleAfter is how long the word of the store on a key is good for. After that others may
	// have spent all of it, and only the first lease is to be had.
	staleAfter = time.Second
)

// Spending is what was spent of one key since it was last settled.
type Spending struct {
	Key      uint64
	Requests int64
	Age      time.Duration // since the first of them
}

// Position is what the store says of a key.
type Position struct {
	Spending
	// Ahead is how long it takes until the key's credit is full again, for the whole fleet.
	// It is above the whole burst where the fleet has spent too much.
	Ahead time.Duration
}

// ledgers are what a shared table knows beyond an ordinary one; nil for that.
type ledgers struct {
	sets  []ledger
	first atomic.Int64 // requests of a first lease; 0 is a whole burst
	due   [shards]dueList
	next  int // the shard that Collect begins with; its caller's alone
}

// dueList holds the keys of one shard that are to be settled. Its shard's mutex guards it.
type dueList struct {
	keys [dueMax]uint64
	n    int
	late uint64       // keys that found no room
	some atomic.Int32 // n, readable without the mutex
}

// ledger is what a set's keys have spent and what the store has said of them. Its shard's
// mutex guards it.
type ledger struct {
	global [ways]uint64 // the word of the store: when credit is full for the fleet, in ticks
	seen   [ways]uint32 // when it spoke, in milliseconds; 0 is never
	since  [ways]uint32 // when the first of spent was, in milliseconds
	spent  [ways]uint16 // requests that aren't settled, as far as they can be counted here
	queued uint8        // a bit for each key that is due
	_      [1]byte
}

// NewShared returns an empty table whose keys are settled with a store: see Collect and
// Settle. It takes twice the memory of an ordinary one.
func NewShared(r Rule) *Table {
	t := NewTable(r)
	t.ledgers = &ledgers{sets: make([]ledger, len(t.sets))}
	return t
}

// SetFirstLease says how many requests a key gets before the store was asked about it; 0 is a
// whole burst, as in a table that isn't shared.
func (t *Table) SetFirstLease(requests int64) { t.ledgers.first.Store(requests) }

// Late returns how often a key found no room among those that are to be settled.
func (t *Table) Late() (n uint64) {
	for i := range t.ledgers.due {
		h := &t.shards[i]
		h.mu.Lock()
		n += t.ledgers.due[i].late
		h.mu.Unlock()
	}
	return n
}

// confineLocked returns when the credit of a key is full, as far as this process may know:
// full, unless the store hasn't spoken of the key lately.
func (l *ledgers) confineLocked(set uint64, way int, full uint64, now time.Duration, m *meter) uint64 {
	if l == nil {
		return full
	}
	first := uint64(l.first.Load())
	if first == 0 || first >= m.burst {
		return full
	}
	if way >= 0 && l.sets[set].fresh(way, now) {
		return full
	}
	return max(full, m.ticks(now)+m.window-first*m.interval)
}

// enterLocked gives a place to a new key.
func (l *ledgers) enterLocked(set uint64, way int) {
	if l == nil {
		return
	}
	g := &l.sets[set]
	g.spent[way], g.seen[way], g.global[way] = 0, 0, 0
	g.queued &^= 1 << way
}

// spendLocked notes that a key has spent cost.
func (l *ledgers) spendLocked(set uint64, way int, key uint64, cost int64, now time.Duration) {
	if l == nil {
		return
	}
	g := &l.sets[set]
	bit := uint8(1) << way
	if g.spent[way] == 0 {
		g.since[way] = milliseconds(now)
	}
	g.spent[way] = uint16(min(uint64(g.spent[way])+uint64(cost), math.MaxUint16))
	if g.queued&bit != 0 {
		return
	}
	d := &l.due[set%shards]
	if d.n == dueMax {
		d.late++
		return
	}
	d.keys[d.n] = key
	g.queued |= bit
	d.n++
	d.some.Store(int32(d.n))
}

// Collect appends what is to be settled to dst, as long as dst has capacity, and takes it for
// settled. What came of an answer goes to Settle; without an answer the fleet forgets it.
// owed says that nobody was asked for a while: then a key is asked for no more than what it
// hasn't earned back since. Only one goroutine may call it.
func (t *Table) Collect(dst []Spending, now time.Duration, owed bool) []Spending {
	l := t.ledgers
	for range shards {
		if len(dst) == cap(dst) {
			break
		}
		if l.due[l.next].some.Load() > 0 {
			dst = t.collect(dst, l.next, now, owed)
		}
		l.next = (l.next + 1) % shards
	}
	return dst
}

// collect does it for one shard.
func (t *Table) collect(dst []Spending, shard int, now time.Duration, owed bool) []Spending {
	h, d := &t.shards[shard], &t.ledgers.due[shard]
	h.mu.Lock()
	defer h.mu.Unlock()
	for d.n > 0 && len(dst) < cap(dst) {
		d.n--
		key := d.keys[d.n]
		set := t.index(key)
		base := h.mu.meter.ticks(now)
		way, full := t.sets[set].findLocked(key, base)
		if way < 0 {
			continue
		}
		g := &t.ledgers.sets[set]
		spent := int64(g.spent[way])
		age := time.Duration(milliseconds(now)-g.since[way]) * time.Millisecond
		if owed {
			spent, age = min(spent, int64(divideUp(full-base, 1, h.mu.meter.interval))), 0
		}
		g.spent[way] = 0
		g.queued &^= 1 << way
		dst = append(dst, Spending{Key: key, Requests: spent, Age: age})
	}
	d.some.Store(int32(d.n))
	return dst
}

// Settle takes over what the store said of a key when it was asked, at now, and makes the next lease of it: of the
// credit that the fleet has, the share that this process had in what was spent since the
// store spoke before, and at least one request where there is any.
func (t *Table) Settle(p Position, now time.Duration) {
	h, s, set, key := t.at(p.Key)
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.mu.meter
	base := m.ticks(now)
	way, _ := s.findLocked(key, base)
	if way < 0 {
		return
	}
	g := &t.ledgers.sets[set]
	ahead := min(m.ticks(p.Ahead), windowMax)
	full := base + ahead
	if ahead+m.interval <= m.window {
		mine := float64(p.Requests) * float64(m.interval)
		others := float64(full) - float64(max(g.global[way], base)) - mine
		credit := m.window - ahead
		lease := uint64(float64(credit) * t.ledgers.share(g.fresh(way, now), mine, others, m))
		full = base + m.window - min(max(lease, m.interval), credit)
	}
	s.full[way] = full + min(uint64(g.spent[way]), m.burst)*m.interval
	g.global[way], g.seen[way] = base+ahead, max(milliseconds(now), 1)
}

// share returns which part of what was spent of a key since the store spoke before was mine;
// where it didn't speak lately, the part that is everybody's.
func (l *ledgers) share(fresh bool, mine, others float64, m *meter) float64 {
	first := float64(l.first.Load())
	switch {
	case !fresh && first > 0:
		return min(first/float64(m.burst), 1)
	case !fresh, others <= mine/64: // so little comes from rounding, and from clocks that don't run alike
		return 1
	}
	return mine / (mine + others)
}

// fresh reports whether the store has spoken of a key lately.
func (g *ledger) fresh(way int, now time.Duration) bool {
	seen := g.seen[way]
	return seen != 0 && milliseconds(now)-seen < uint32(staleAfter/time.Millisecond)
}

// milliseconds returns a moment as ledgers keep it. It comes round every seven weeks, and a
// key that stood still so long is then taken for fresh.
func milliseconds(now time.Duration) uint32 { return uint32(now / time.Millisecond) }
