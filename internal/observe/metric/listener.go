package metric

import (
	"sync/atomic"
)

// Listener is the handle of one listener's series.
type Listener struct {
	name    string
	cells   []listenerCell
	secured atomic.Bool
	usage   // guarded by the registry's lock
}

type listenerCell struct {
	opened, closed atomic.Uint64
	handshakes     [handshakeOutcomes]atomic.Uint64
	_              [cacheLine - 16 - 8*int(handshakeOutcomes)]byte
}

func newListener(name string, cells int) *Listener {
	return &Listener{name: name, cells: make([]listenerCell, cells)}
}

// Name returns the listener's name, its label value.
func (l *Listener) Name() string { return l.name }

// Opened counts an accepted connection.
func (l *Listener) Opened(cell int) { l.cells[uint(cell)&uint(len(l.cells)-1)].opened.Add(1) }

// Closed counts the end of a connection; the cell may be another than Opened's.
func (l *Listener) Closed(cell int) { l.cells[uint(cell)&uint(len(l.cells)-1)].closed.Add(1) }

// connections returns how many are open and how many there were. Closings are
// read first, so that open is never below zero.
func (l *Listener) connections() (open, accepted uint64) {
	var closed uint64
	for i := range l.cells {
		closed += l.cells[i].closed.Load()
	}
	for i := range l.cells {
		accepted += l.cells[i].opened.Load()
	}
	return accepted - min(closed, accepted), accepted
}

// HandshakeOutcome is what became of a client's TLS handshake.
type HandshakeOutcome int

// The outcomes of handshakes.
const (
	HandshakeFull    HandshakeOutcome = iota
	HandshakeResumed                  // of a session that the client had before
	HandshakeFailed
	handshakeOutcomes
)

// String returns the outcome, its label value.
func (o HandshakeOutcome) String() string { return [...]string{"full", "resumed", "failed"}[o] }

// Secured gives the listener its series of handshakes.
func (l *Listener) Secured() { l.secured.Store(true) }

// Handshake counts what became of a handshake.
func (l *Listener) Handshake(cell int, o HandshakeOutcome) {
	l.cells[uint(cell)&uint(len(l.cells)-1)].handshakes[o].Add(1)
}

func collectHandshakes(v *view, e emitter) {
	for _, l := range v.listeners {
		for o := HandshakeOutcome(0); o < handshakeOutcomes && l.secured.Load(); o++ {
			var n uint64
			for i := range l.cells {
				n += l.cells[i].handshakes[o].Load()
			}
			e.counter(float64(n), l.name, o.String())
		}
	}
}
