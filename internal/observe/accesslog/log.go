package accesslog

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"sync"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/observe/journal"
)

// Limits of the lines about failing exchanges in the event stream.
const (
	// FailedPerSecond and FailedBurst bound failed exchanges.
	FailedPerSecond, FailedBurst = 50, 200
	// RefusedPerSecond and RefusedBurst bound refused ones, which clients can cause at will.
	RefusedPerSecond, RefusedBurst = 5, 20
)

// Options are what New needs to know.
type Options struct {
	// Cells is the number of cells, normally that of the metric registry; it
	// is rounded up to a power of two.
	Cells int
	// Access is the output of the access log, nil for none.
	Access *journal.Output
	// Events is where events go; failed and refused exchanges are written there
	// too, at a bounded rate. nil for none. When it is the same as Access every line is
	// written once, by the access log.
	Events *journal.Output
	// MemoryMax bounds the buffers of each of both streams in bytes, 0 is
	// MemoryMaxDefault. A cell gets at least 64 KiB.
	MemoryMax int
	// FlushEvery is how long a line waits at most, 0 is FlushEveryDefault.
	FlushEvery time.Duration
	// Dropped is told how many access log lines were dropped, Suppressed how many
	// exchanges were left out of the event stream. Both may be nil.
	Dropped, Suppressed func(n int)
}

// Log records exchanges. Record is safe for concurrent use, never waits for
// an output and allocates nothing.
type Log struct {
	access, events  *stream
	failed, refused bucket
	least           slog.LevelVar // of the event stream
	suppressed      func(n int)
	outputs         struct {
		sync.Mutex
		access, events *journal.Output
	}
}

// New returns a log that holds lines back until Run runs.
func New(o Options) *Log {
	if o.MemoryMax <= 0 {
		o.MemoryMax = MemoryMaxDefault
	}
	if o.FlushEvery <= 0 {
		o.FlushEvery = FlushEveryDefault
	}
	l := &Log{
		failed:     newBucket(FailedPerSecond, FailedBurst),
		refused:    newBucket(RefusedPerSecond, RefusedBurst),
		suppressed: o.Suppressed,
	}
	if l.suppressed == nil {
		l.suppressed = func(int) {}
	}
	l.access = newStream(o, o.Access)
	l.events = newStream(o, separate(o.Events, o.Access))
	l.events.drop = l.suppressed
	l.events.after = l.reportSuppressed
	if o.Dropped != nil {
		l.access.drop = o.Dropped
	}
	l.outputs.access, l.outputs.events = o.Access, o.Events
	return l
}

// separate returns events unless it is the output of the access log as well.
func separate(events, access *journal.Output) *journal.Output {
	if events == access {
		return nil
	}
	return events
}

// SetLevel changes the least level of lines in the event stream, LevelInfo at first:
// refused exchanges are warnings, failed ones errors. The access log has all lines always.
func (l *Log) SetLevel(least slog.Level) { l.least.Set(least) }

// Record writes e to the access log and, when the exchange failed or was
// refused, among the events. cell is the caller's worker number; any will do.
func (l *Log) Record(cell int, e *Entry) {
	l.access.record(cell, e)
	if e.Fault == 0 && e.Status < 500 || !l.events.enabled.Load() {
		return
	}
	l.report(cell, e)
}

// Wants reports whether Record would do anything with an exchange that ended so.
func (l *Log) Wants(status int, k fault.Kind) bool {
	return l.access.enabled.Load() || (k != fault.None || status >= 500) && l.events.enabled.Load()
}

func (l *Log) report(cell int, e *Entry) {
	level := e.judge().level
	if level < max(l.least.Level(), slog.LevelWarn) {
		return
	}
	b := &l.refused
	if level >= slog.LevelError {
		b = &l.failed
	}
	if b.take(e.Time.Add(e.Total)) {
		l.events.record(cell, e)
	} else if b.refused.Add(1) == 1 {
		signal(l.events.ready)
	}
}

// reportSuppressed writes how many exchanges the buckets left out since the last report.
func (l *Log) reportSuppressed() {
	n := l.failed.refused.Swap(0) + l.refused.refused.Swap(0)
	if n == 0 {
		return
	}
	l.suppressed(int(n))
	if l.least.Level() > slog.LevelWarn {
		return
	}
	l.events.write(func(enc journal.Encoding) []byte {
		return appendLeftOut(nil, enc, time.Now(), n)
	})
}

// SetOutputs changes the outputs, as after a reload. When it returns nothing is
// written to the ones before any more, and the caller may close them.
func (l *Log) SetOutputs(access, events *journal.Output) {
	l.outputs.Lock()
	defer l.outputs.Unlock()
	if access != l.outputs.access {
		l.access.setOutput(access)
	}
	l.events.setOutput(separate(events, access))
	l.outputs.access, l.outputs.events = access, events
}

// Run writes lines until ctx ends, then writes the rest and returns.
func (l *Log) Run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { l.access.run(ctx) })
	both.Go(func() { l.events.run(ctx) })
	both.Wait()
	l.reportSuppressed()
}

// Flush writes what is held back now.
func (l *Log) Flush() {
	l.access.flush()
	l.events.flush()
}

// Reopen opens the access log's file again, after what is held back went into the old one.
func (l *Log) Reopen() error {
	l.access.flush()
	l.outputs.Lock()
	defer l.outputs.Unlock()
	if l.outputs.access == nil {
		return nil
	}
	return l.outputs.access.Reopen()
}

// records counts the records in buf.
func records(buf []byte, enc journal.Encoding) (n int) {
	if enc != journal.EncodingNative {
		return bytes.Count(buf, []byte("\n"))
	}
	for len(buf) >= 4 {
		buf = buf[min(4+int(binary.LittleEndian.Uint32(buf)), len(buf)):]
		n++
	}
	return n
}
