package metric

import (
	"sync/atomic"
)

// Listener is the handle of one listener's series.
type Listener struct {
	name  string
	cells []listenerCell
	usage // guarded by the registry's lock
}

type listenerCell struct {
	opened, closed atomic.Uint64
	_              [cacheLine - 16]byte
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
