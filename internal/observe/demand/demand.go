// Package demand remembers which requests came in the last minutes, so that it can be asked
// what a limit would have made of them. It is always on and its memory is constant: rings of
// entries of 40 bytes, one ring for each metric cell, of which each overwrites its oldest.
//
//	request --hash--> slot --> the entry in the ring that this slot wrote last
//	                           same request within Span: one more there
//	                           else: the next entry of the ring, and the slot is its
//
// Of a request it keeps the client's address and hashes of the rest; no bytes that a client
// has sent. Requests of one client, listener, route, path, host and method within Span are
// one entry with a count, so that a flood by few takes little room. What is found later is
// complete back to a moment that Read tells: the youngest of the moments at which the rings
// begin.
package demand

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"hash/maphash"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// Window is how far back at most Read looks.
	Window = 5 * time.Minute
	// Span is how long one entry may stand for. Nothing is known of when within it the
	// requests between the first and the last came.
	Span = 100 * time.Millisecond
	// entriesMax is how many entries there are in all rings: 10 MB, touched as they fill.
	entriesMax = 1 << 18
	// slots is how many entries of a ring may still grow. A power of two.
	slots = 1024
)

// Request is what is remembered of a request. All but the address and the method are hashes;
// see Record.Hash.
type Request struct {
	Client          netip.Addr
	Listener, Route uint32
	Path, Host      uint32
	Method          uint8
}

// Seen are requests alike.
type Seen struct {
	Request
	At    time.Duration // when the first came, on the clock, to the millisecond
	Span  time.Duration // from the first to the last
	Count int           // at least 1
}

// Record remembers. Its methods may be called from many goroutines at once.
type Record struct {
	seed  maphash.Seed
	cells []cell // a power of two
}

// cell is one ring. Connections are spread over them, so its mutex is hardly ever waited for.
type cell struct {
	mu struct {
		sync.Mutex
		ring []entry
		next uint32 // where the next entry goes
		full bool   // the ring has come round
		slot [slots]uint32
	}
	_ [64]byte
}

type entry struct {
	high, low  uint64 // of the client's address
	at         uint32 // milliseconds, rounded down; comes round every seven weeks
	listener   uint32
	route      uint32
	path, host uint32
	count      uint16
	span       uint8 // milliseconds, up to Span
	method     uint8
}

// New returns a Record for that many cells, a power of two.
func New(cells int) *Record {
	r := &Record{seed: maphash.MakeSeed(), cells: make([]cell, cells)}
	for i := range r.cells {
		r.cells[i].mu.ring = make([]entry, entriesMax/cells)
	}
	return r
}

// Hash returns what stands for a path or a host. It differs between processes.
func (r *Record) Hash(b []byte) uint32 { return uint32(maphash.Bytes(r.seed, b)) }

// Name returns what stands for the name of a listener or route, which no client chooses.
func Name(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32()
}

// Note remembers a request that came at now. A cell is that of the client's connection.
func (r *Record) Note(number int, q *Request, now time.Duration) {
	client := q.Client.As16()
	high, low, at := binary.BigEndian.Uint64(client[:8]), binary.BigEndian.Uint64(client[8:]), milliseconds(now)
	slot := q.slot(high, low)
	c := &r.cells[number&(len(r.cells)-1)]
	c.mu.Lock()
	last := &c.mu.ring[c.mu.slot[slot]]
	if age := at - last.at; age < uint32(Span/time.Millisecond) && last.low == low && last.high == high && last.is(q) {
		last.count++
		last.span = uint8(age)
		c.mu.Unlock()
		return
	}
	i := c.mu.next
	c.mu.slot[slot] = i
	if c.mu.next++; c.mu.next == uint32(len(c.mu.ring)) {
		c.mu.next, c.mu.full = 0, true
	}
	c.mu.ring[i] = entry{
		high: high, low: low, at: at, listener: q.Listener, route: q.Route,
		path: q.Path, host: q.Host, count: 1, method: q.Method,
	}
	c.mu.Unlock()
}

// is reports whether an entry may count one more such request of its client. One that was
// never written counts none.
func (e *entry) is(q *Request) bool {
	return e.path == q.Path && e.route == q.Route && e.host == q.Host && e.listener == q.Listener &&
		e.method == q.Method && e.count > 0 && e.count < math.MaxUint16
}

// slot returns which slot a request belongs to. A client that finds requests which share one
// gains entries that don't grow, which many addresses give it more cheaply.
func (q *Request) slot(high, low uint64) uint32 {
	a, b := bits.Mul64(high^uint64(q.Path)^0x9e3779b97f4a7c15, low^uint64(q.Host)<<32^uint64(q.Route)^0xc2b2ae3d27d4eb4f)
	return uint32((a^b)>>32) % slots
}

// Read returns what came within window, at most Window, before now, in order of time, and how
// long before now that is complete.
func (r *Record) Read(window, now time.Duration) (list []Seen, covered time.Duration) {
	covered = min(window, Window, now)
	for i := range r.cells {
		list, covered = r.cells[i].read(list, covered, now)
	}
	from := now - covered
	list = slices.DeleteFunc(list, func(s Seen) bool { return s.At < from })
	slices.SortStableFunc(list, func(a, b Seen) int { return cmp.Compare(a.At, b.At) })
	return list, covered
}

// read appends what one ring holds of the time that is covered, and cuts that where the ring
// has already lost some of it.
func (c *cell) read(list []Seen, covered, now time.Duration) ([]Seen, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := uint32(len(c.mu.ring))
	held := c.mu.next
	if c.mu.full {
		held = size
	}
	for n := range held {
		e := &c.mu.ring[(c.mu.next+size-1-n)%size] // the youngest first
		age := time.Duration(int32(milliseconds(now)-e.at)) * time.Millisecond
		if age < 0 { // it came while this began
			continue
		}
		if age > covered {
			return list, covered
		}
		list = append(list, Seen{
			Request: Request{Client: e.client(), Listener: e.listener, Route: e.route, Path: e.path, Host: e.host, Method: e.method},
			At:      now - now%time.Millisecond - age, Span: time.Duration(e.span) * time.Millisecond, Count: int(e.count),
		})
	}
	if c.mu.full {
		covered = min(covered, time.Duration(milliseconds(now)-c.mu.ring[c.mu.next].at)*time.Millisecond)
	}
	return list, covered
}

func (e *entry) client() netip.Addr {
	var a [16]byte
	binary.BigEndian.PutUint64(a[:8], e.high)
	binary.BigEndian.PutUint64(a[8:], e.low)
	return netip.AddrFrom16(a).Unmap()
}

func milliseconds(now time.Duration) uint32 { return uint32(now / time.Millisecond) }
