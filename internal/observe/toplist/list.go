package toplist

import (
	"math/bits"
	"sync"
	"time"
	"unsafe"
)

const (
	// KeyBytesMax is how much of a key is kept for display. Keys that differ later on count
	// separately all the same.
	KeyBytesMax = 128
	// WindowMax is how far back Top can look.
	WindowMax = 5 * time.Minute
	// SliceWidth is how exactly it does: a window is at most this much longer.
	SliceWidth = 5 * time.Second
	// EntriesMax bounds the entries of a list: 640 MB.
	EntriesMax = 1 << 16

	sliceCount  = int(WindowMax / SliceWidth)
	cellRecords = 64 // a power of two
)

// List counts the keys of one dimension. Make it by New; its methods may be called by many
// goroutines at once. Every now is on the clock of the process.
type List struct {
	cells []cell

	// The locks in the order in which they are taken: past, one cell, current.
	past struct {
		sync.Mutex
		ring    [sliceCount]slice
		next    int   // the oldest, to be replaced
		scratch slice // for a copy of the current one
	}
	current struct {
		sync.Mutex
		summary summary
		start   time.Duration
	}
}

// cell is what one worker writes, on cache lines of its own.
type cell struct {
	mu struct {
		sync.Mutex
		records [cellRecords]record
	}
	_ [56]byte
}

// record is a key with what was observed of it since it came.
type record struct {
	hash, n uint64 // n is 0 where there is none
	name
}

// name is a key as it is kept.
type name struct {
	length uint8
	cut    bool // it was longer
	bytes  [KeyBytesMax]byte
}

// slice is what a summary said at the end of its time.
type slice struct {
	slots []slot
	used  int
	floor uint64 // what a key that isn't listed may have had at most
	total uint64
	end   time.Duration // on the clock of the process
}

// New returns an empty list with so many entries, 1 to EntriesMax, for so many cells, one for
// each worker, rounded up to a power of two.
func New(entries, cells int) *List {
	entries = min(max(entries, 1), EntriesMax)
	l := &List{cells: make([]cell, 1<<bits.Len(uint(max(cells, 1)-1)))}
	for i := range l.past.ring {
		l.past.ring[i].slots = make([]slot, entries)
	}
	l.past.scratch.slots = make([]slot, entries)
	l.current.summary = newSummary(entries)
	return l
}

// Observe adds n to a key. The hash is one of the whole key, of 64 good bits and with a secret
// seed. The key is copied. Any number is a cell; those of one worker should be the same.
func (l *List) Observe(cell int, key []byte, hash, n uint64) {
	if n == 0 {
		return
	}
	c := &l.cells[cell&(len(l.cells)-1)]
	c.mu.Lock()
	r := &c.mu.records[hash%cellRecords]
	if r.n != 0 && r.hash == hash {
		r.n += n
	} else {
		l.replace(r, key, hash, n)
	}
	c.mu.Unlock()
}

// replace gives a record, whose cell is locked, to another key.
func (l *List) replace(r *record, key []byte, hash, n uint64) {
	if r.n != 0 {
		l.current.Lock()
		l.current.summary.add(r)
		l.current.Unlock()
	}
	r.hash, r.n = hash, n
	r.set(key)
}

func (k *name) set(key []byte) {
	k.length = uint8(copy(k.bytes[:], key))
	k.cut = len(key) > KeyBytesMax
}

// Tick ends the slice whose time is over. It wants to be called every second or so; a slice
// that is ended late counts for a longer time.
func (l *List) Tick(now time.Duration) {
	l.past.Lock()
	defer l.past.Unlock()
	l.advanceLocked(now)
}

// advanceLocked ends the current slice if it is time.
func (l *List) advanceLocked(now time.Duration) {
	l.current.Lock()
	due := now-l.current.start >= SliceWidth
	l.current.Unlock()
	if !due {
		return
	}
	l.drain()
	oldest := &l.past.ring[l.past.next]
	l.past.next = (l.past.next + 1) % sliceCount
	l.current.Lock()
	defer l.current.Unlock()
	l.current.summary.end(oldest)
	oldest.end, l.current.start = now, now
}

// drain moves the records of all cells into the current summary.
func (l *List) drain() {
	for i := range l.cells {
		c := &l.cells[i]
		c.mu.Lock()
		l.current.Lock()
		for j := range c.mu.records {
			if r := &c.mu.records[j]; r.n != 0 {
				l.current.summary.add(r)
				r.n = 0
			}
		}
		l.current.Unlock()
		c.mu.Unlock()
	}
}

// Bytes returns how much memory the list holds, always the same.
func (l *List) Bytes() int {
	slots := (sliceCount + 2) * len(l.past.scratch.slots) * int(unsafe.Sizeof(slot{}))
	cells := len(l.cells) * int(unsafe.Sizeof(cell{}))
	return int(unsafe.Sizeof(*l)) + slots + cells + l.current.summary.bytes()
}
