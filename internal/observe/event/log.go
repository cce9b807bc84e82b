package event

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// linesPerSecond bounds the lines of a second. Changes that a person asked for don't
// count.
const linesPerSecond = 50

// Log keeps the last events. Its methods are safe for concurrent use.
type Log struct {
	handler slog.Handler
	mu      struct {
		sync.Mutex
		ring    []entry
		last    uint64        // Seq of the newest event; 0 before the first
		changed chan struct{} // closed by the next event; nil while nobody waits

		// What follows is about lines.
		logged  uint64 // Seq up to which events had their line or were left out
		writing bool   // some caller writes lines
		second  time.Time
		lines   int // since second
		left    int // out of the log since it last said so
		worse   bool
	}
}

// entry is an event in the ring. silent ones get no line.
type entry struct {
	Event
	silent bool
}

// New returns a log that keeps the last size events, one at least, and writes a line for
// each to log.
func New(size int, log *slog.Logger) *Log {
	l := &Log{handler: log.Handler()}
	l.mu.ring = make([]entry, max(size, 1))
	return l
}

// Emit adds e with the next Seq, at the present time unless e says when, and logs it. It
// waits for nothing but, where the log is a file or pipe that stands still and nobody
// else is stuck there yet, for the log.
func (l *Log) Emit(e Event) {
	if l.add(entry{Event: e}) {
		l.writeLines()
	}
}

// Record adds e as Emit does, without a line: for changes that are logged elsewhere.
func (l *Log) Record(e Event) { l.add(entry{Event: e, silent: true}) }

// add reports whether the caller is to write lines.
func (l *Log) add(e entry) (write bool) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Severity = e.severity()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.last++
	e.Seq = l.mu.last
	*l.atLocked(e.Seq) = e
	if l.mu.changed != nil {
		close(l.mu.changed)
		l.mu.changed = nil
	}
	write = !e.silent && !l.mu.writing
	l.mu.writing = l.mu.writing || write
	return write
}

// atLocked returns the place of an event that is in the ring.
func (l *Log) atLocked(seq uint64) *entry { return &l.mu.ring[seq%uint64(len(l.mu.ring))] }

// Since returns the events after seq that are still kept, the oldest first and at most
// limit of them; a limit of 0 is none. A first Seq above seq+1 shows that events are lost.
func (l *Log) Since(seq uint64, limit int) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.mu.last - min(seq, l.mu.last)
	n = min(n, uint64(len(l.mu.ring)))
	first := l.mu.last - n + 1
	if limit > 0 {
		n = min(n, uint64(limit))
	}
	out := make([]Event, n)
	for i := range out {
		out[i] = l.atLocked(first + uint64(i)).Event
	}
	return out
}

// Wait returns nil once there is an event after seq, or the error of ctx when that ends
// first.
func (l *Log) Wait(ctx context.Context, seq uint64) error {
	for {
		changed := l.changedAfter(seq)
		if changed == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// changedAfter returns what the next event closes, or nil when there is one after seq.
func (l *Log) changedAfter(seq uint64) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.last > seq {
		return nil
	}
	if l.mu.changed == nil {
		l.mu.changed = make(chan struct{})
	}
	return l.mu.changed
}
