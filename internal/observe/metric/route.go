package metric

import (
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"sentinel/internal/dataplane/fault"
)

// Route is the handle of one route's series. Its methods take no lock and
// allocate only when a cell is used for the first time.
type Route struct {
	name     string
	cells    []atomic.Pointer[routeCell]
	rare     atomic.Pointer[rareCodes]
	faults   atomic.Pointer[faultCounts]
	fallback atomic.Pointer[atomic.Uint64]                 // requests that went there; nil without one
	mirrored atomic.Pointer[[mirrorOutcomes]atomic.Uint64] // nil where nothing is mirrored
	policies atomic.Pointer[policyCounts]                  // nil without any
	slow     slowness
	seeded   bool // every fault has its zero series
	usage         // guarded by the registry's lock
}

// routeCell is one worker's share. Frequent codes have a slot of their own here, the
// others share one table per route, which keeps a cell at six cache lines.
type routeCell struct {
	routeCounts
	_ [(cacheLine - unsafe.Sizeof(routeCounts{})%cacheLine) % cacheLine]byte
}

type routeCounts struct {
	codes     [len(frequentCodes) + 1]atomic.Uint64 // [0] is unused
	durations histogram
}

const cacheLine = 64

type (
	rareCodes   [codeLast - codeFirst + 2]atomic.Uint64 // the last one counts codes out of range
	faultCounts [fault.Count]atomic.Uint64
)

const (
	codeFirst = 100
	codeLast  = 599
)

// frequentCodes have a slot per cell.
var frequentCodes = [...]int{
	101, 200, 201, 202, 204, 206, 301, 302, 303, 304, 307,
	400, 401, 403, 404, 408, 429, 499, 500, 502, 503, 504,
}

// zeroCodes have a series from the start: success, and the four that an
// operator looks for during an incident.
var zeroCodes = [...]int{200, 500, 502, 503, 504}

// codeSlot says by code-codeFirst which slot of a cell counts it; 0 means the rare table.
var codeSlot = buildCodeSlot()

func buildCodeSlot() (t [codeLast - codeFirst + 1]uint8) {
	for i, code := range frequentCodes {
		t[code-codeFirst] = uint8(i + 1)
	}
	return t
}

func newRoute(name string, cells int) *Route {
	return &Route{name: name, cells: make([]atomic.Pointer[routeCell], cells)}
}

// Name returns the route's name, its label value.
func (r *Route) Name() string { return r.name }

// Observe counts one answered request: the status code that was sent, and the
// time from the first byte read to the last byte written. cell is the caller's
// worker number; any number will do. Codes outside 100 to 599 count as "other".
func (r *Route) Observe(cell, code int, d time.Duration) {
	c := r.cells[uint(cell)&uint(len(r.cells)-1)].Load()
	if c == nil {
		c = r.cell(cell)
	}
	if i := uint(code - codeFirst); i < uint(len(codeSlot)) && codeSlot[i] != 0 {
		c.codes[codeSlot[i]].Add(1)
	} else {
		r.observeRare(code)
	}
	c.durations.observe(d)
}

// HasFallback gives the route its series of requests that went to its fallback.
func (r *Route) HasFallback() { firstOf(&r.fallback) }

// FailedOver counts a request that went to the fallback.
func (r *Route) FailedOver() {
	if n := r.fallback.Load(); n != nil {
		n.Add(1)
	}
}

// MirrorOutcome is what became of a copy of a request.
type MirrorOutcome int

// The outcomes of copies.
const (
	MirrorSent MirrorOutcome = iota
	MirrorFailed
	MirrorSkipped // too many were under way, or the content was too large or not at hand
	mirrorOutcomes
)

// String returns the outcome, its label value.
func (o MirrorOutcome) String() string { return [...]string{"sent", "failed", "skipped"}[o] }

// Mirrors gives the route its series of copies.
func (r *Route) Mirrors() { firstOf(&r.mirrored) }

// Mirrored counts what became of a copy of a request.
func (r *Route) Mirrored(o MirrorOutcome) {
	if m := r.mirrored.Load(); m != nil {
		m[o].Add(1)
	}
}

// Fault counts one failed request by its cause. None isn't counted.
func (r *Route) Fault(k fault.Kind) {
	if k == fault.None {
		return
	}
	if k >= fault.Count {
		k = fault.Internal
	}
	f := r.faults.Load()
	if f == nil {
		f = firstOf(&r.faults)
	}
	f[k].Add(1)
}

//go:noinline
func (r *Route) cell(cell int) *routeCell {
	return firstOf(&r.cells[uint(cell)&uint(len(r.cells)-1)])
}

//go:noinline
func (r *Route) observeRare(code int) {
	t := r.rare.Load()
	if t == nil {
		t = firstOf(&r.rare)
	}
	if code < codeFirst || code > codeLast {
		code = codeLast + 1
	}
	t[code-codeFirst].Add(1)
}

// firstOf fills an empty pointer; of several callers one wins and all get its value.
func firstOf[T any](p *atomic.Pointer[T]) *T {
	p.CompareAndSwap(nil, new(T))
	return p.Load()
}

// counts returns the duration histogram and the requests by code-codeFirst, the
// last element standing for all other codes.
func (r *Route) counts() (durations total, codes [len(rareCodes{})]uint64) {
	for i := range r.cells {
		c := r.cells[i].Load()
		if c == nil {
			continue
		}
		durations.add(&c.durations)
		for slot, code := range frequentCodes {
			codes[code-codeFirst] += c.codes[slot+1].Load()
		}
	}
	if t := r.rare.Load(); t != nil {
		for i := range t {
			codes[i] += t[i].Load()
		}
	}
	return durations, codes
}

// faultCount returns how often k happened.
func (r *Route) faultCount(k fault.Kind) uint64 {
	if f := r.faults.Load(); f != nil {
		return f[k].Load()
	}
	return 0
}

// hasZero reports whether k has a series before it first happens.
func (r *Route) hasZero(k fault.Kind) bool {
	return r.seeded && (r.name == RouteNone || k.Row().Routed)
}

// faultSeries returns the number of series that seeding takes.
func (r *Route) faultSeries() (n int) {
	for k := range fault.All() {
		if r.name == RouteNone || k.Row().Routed {
			n++
		}
	}
	return n
}

// codeLabels holds the label values of a status code.
type codeLabels struct{ code, status string }

// labelsOfCode is indexed like Route.counts.
var labelsOfCode = buildLabelsOfCode()

func buildLabelsOfCode() (t [len(rareCodes{})]codeLabels) {
	for i := range t {
		code := i + codeFirst
		t[i] = codeLabels{strconv.Itoa(code), strconv.Itoa(code/100) + "xx"}
	}
	t[len(t)-1] = codeLabels{"other", "other"}
	return t
}

func isZeroCode(code int) bool {
	for _, c := range zeroCodes {
		if c == code {
			return true
		}
	}
	return false
}
