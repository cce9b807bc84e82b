package flight

import (
	"sync"
	"time"
	"unsafe"
)

const (
	// lasts is how long a ring lasts at least once it takes no more than its share.
	lasts = 2 * time.Minute
	// burst is the part of a ring that may be filled at once.
	burst = 4

	// BytesMax is what all rings take together, 7 MB.
	BytesMax = recordsMax * int(unsafe.Sizeof(record{}))
)

// ringMax is how many records of each class are kept, in all cells together.
func ringMax(c Class) int { return [classes]int{failedMax, slowMax, refusedMax, askedMax}[c] }

const (
	failedMax  = 4096
	slowMax    = 1024
	refusedMax = 512
	askedMax   = 256
	recordsMax = failedMax + slowMax + refusedMax + askedMax
)

// Recorder keeps records. Its methods may be called from many goroutines at once.
type Recorder struct {
	cells []cell // a power of two
}

// cell holds one ring for each class. Connections are spread over cells, so the mutex is hardly
// ever waited for; nobody waits while holding it.
type cell struct {
	mu struct {
		sync.Mutex
		rings [classes]ring
	}
	_ [64]byte
}

type ring struct {
	chunks  []*[chunkRecords]record // made as they are needed
	max     int                     // how many records there may be
	next    int                     // where the next one goes
	used    int                     // how many there are
	full    time.Duration           // on the clock, when all of the burst may be used again
	leftOut uint64
}

// chunkRecords is how many records are made at once.
const chunkRecords = 16

// New returns a Recorder for that many cells, a power of two of at most 64.
func New(cells int) *Recorder {
	r := &Recorder{cells: make([]cell, cells)}
	for i := range r.cells {
		for c := range classes {
			r.cells[i].mu.rings[c].max = max(ringMax(c)/cells, 1)
		}
	}
	return r
}

// Note keeps q, which has ended, as one of a class. number is that of the connection's cell.
// What is too much in a short time is only counted.
func (r *Recorder) Note(number int, class Class, q *Request) {
	c := &r.cells[number&(len(r.cells)-1)]
	c.mu.Lock()
	if to := c.mu.rings[class].take(q.Done); to != nil {
		to.write(class, q)
	}
	c.mu.Unlock()
}

// take returns where the next record goes; nil when there were too many.
func (g *ring) take(now time.Duration) *record {
	share := lasts / time.Duration(g.max) // the time that one record stands for
	if g.full < now {
		g.full = now
	}
	if g.full-now > share*time.Duration(max(g.max/burst-1, 0)) {
		g.leftOut++
		return nil
	}
	g.full += share
	if g.next/chunkRecords == len(g.chunks) {
		g.chunks = append(g.chunks, new([chunkRecords]record))
	}
	to := g.at(g.next)
	g.next = (g.next + 1) % g.max
	g.used = min(g.used+1, g.max)
	return to
}

func (g *ring) at(i int) *record { return &g.chunks[i/chunkRecords][i%chunkRecords] }

// LeftOut returns how many requests of a class were only counted.
func (r *Recorder) LeftOut(class Class) (n uint64) {
	for i := range r.cells {
		c := &r.cells[i]
		c.mu.Lock()
		n += c.mu.rings[class].leftOut
		c.mu.Unlock()
	}
	return n
}

// readBatch is how many records are copied while a cell is held.
const readBatch = 32

// each calls f with every record of a class, cell by cell, the newest of a cell first, until
// f returns false. Records that come meanwhile may be missed or met twice.
func (r *Recorder) each(class Class, f func(*record) bool) {
	batch := make([]record, readBatch)
	for i := range r.cells {
		c := &r.cells[i]
		for from, more := 0, true; more; from += readBatch {
			c.mu.Lock()
			n := c.mu.rings[class].copy(batch, from)
			c.mu.Unlock()
			for j := range n {
				if !f(&batch[j]) {
					return
				}
			}
			more = n == readBatch
		}
	}
}

// copy copies records, from counting from the newest, and returns how many.
func (g *ring) copy(to []record, from int) (n int) {
	for ; n < len(to) && from+n < g.used; n++ {
		to[n] = *g.at((g.next - 1 - from - n + 2*g.max) % g.max)
	}
	return n
}
