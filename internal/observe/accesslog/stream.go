package accesslog

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"sentinel/internal/observe/journal"
)

const (
	// MemoryMaxDefault bounds the buffers of a stream in bytes.
	MemoryMaxDefault = 4 << 20
	// FlushEveryDefault is how long a line waits at most before it is written.
	FlushEveryDefault = 200 * time.Millisecond

	shardBytesMin = 64 << 10
	// headroom is the room that a shard keeps for a long line, so that
	// finding it too long costs no allocation. Only lines full of escapes are longer.
	headroom = 8 << 10
)

// stream carries lines from many exchanges to one output.
type stream struct {
	shards []shard
	mask   uint
	limit  int // bytes per shard
	every  time.Duration
	drop   func(n int)

	ready   chan struct{} // capacity 1: a shard holds something
	full    chan struct{} // capacity 1: a shard is half full
	enabled atomic.Bool
	after   func() // runs at the end of each flush that the goroutine makes

	flushing sync.Mutex
	spare    []byte // guarded by flushing: the buffer that no shard has
}

// shard is one cell's buffer.
type shard struct {
	shardState
	_ [(cacheLine - unsafe.Sizeof(shardState{})%cacheLine) % cacheLine]byte
}

type shardState struct {
	mu    sync.Mutex
	buf   []byte
	out   *journal.Output
	clock clock
	lost  int // lines dropped since the last flush
	full  bool
}

const cacheLine = 64

func newStream(o Options, out *journal.Output) *stream {
	n := 1
	for n < o.Cells {
		n *= 2
	}
	s := &stream{
		shards: make([]shard, n),
		mask:   uint(n - 1),
		// One buffer more than shards circulates: the one being written.
		limit: max(o.MemoryMax/(n+1)-headroom, shardBytesMin),
		every: o.FlushEvery,
		drop:  func(int) {},
		ready: make(chan struct{}, 1),
		full:  make(chan struct{}, 1),
	}
	for i := range s.shards {
		s.shards[i].out = out
	}
	s.enabled.Store(out != nil)
	return s
}

// record encodes e into the cell's buffer, or counts it as dropped.
func (s *stream) record(cell int, e *Entry) {
	if !s.enabled.Load() {
		return
	}
	sh := &s.shards[uint(cell)&s.mask]
	sh.mu.Lock()
	before := len(sh.buf)
	s.append(sh, e)
	after := len(sh.buf)
	sh.mu.Unlock()
	if before == 0 {
		signal(s.ready)
	}
	if half := s.limit / 2; before < half && after >= half {
		signal(s.full)
	}
}

// append leaves the buffer as it was when the line doesn't fit.
func (s *stream) append(sh *shard, e *Entry) {
	if sh.out == nil {
		return
	}
	if sh.full {
		sh.lost++
		return
	}
	if sh.buf == nil {
		sh.buf = make([]byte, 0, s.limit+headroom)
	}
	b := appendEntry(sh.buf, sh.out.Encoding(), &sh.clock, e)
	if len(b) > s.limit {
		// Shorter ones might fit still, but a log with gaps of long lines only would
		// mislead, and a line longer than the headroom has cost an allocation.
		sh.full = true
		sh.lost++
		return
	}
	sh.buf = b
}

// signal never waits: a signal that is already there will do.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run writes what comes until ctx ends, and then the rest.
func (s *stream) run(ctx context.Context) {
	wait := time.NewTimer(0)
	<-wait.C
	for {
		select {
		case <-s.ready:
		case <-ctx.Done():
			s.flush()
			return
		}
		wait.Reset(s.every)
		select {
		case <-wait.C:
		case <-s.full:
			wait.Stop()
		case <-ctx.Done():
			wait.Stop()
		}
		s.flush()
		if s.after != nil {
			s.after()
		}
	}
}

// flush writes what the shards hold. Lines that the output refuses are dropped and counted.
func (s *stream) flush() {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	for i := range s.shards {
		s.flushShard(&s.shards[i], nil)
	}
}

// flushShard takes the shard's buffer, gives it the spare one and, if next is
// given, its output, and writes the lines to the output that they were encoded for.
func (s *stream) flushShard(sh *shard, next **journal.Output) {
	sh.mu.Lock()
	buf, lost, out := sh.buf, sh.lost, sh.out
	sh.lost, sh.full = 0, false
	if len(buf) > 0 {
		sh.buf, s.spare = s.spare, nil
	}
	if next != nil {
		sh.out = *next
	}
	sh.mu.Unlock()
	if len(buf) > 0 {
		if err := out.Write(buf); err != nil {
			lost += records(buf, out.Encoding())
		}
		s.spare = buf[:0]
	}
	if lost > 0 {
		s.drop(lost)
	}
}

// setOutput makes out the output of the lines to come; nil switches the stream off.
// Lines recorded before go to the output before.
func (s *stream) setOutput(out *journal.Output) {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	s.enabled.Store(out != nil)
	for i := range s.shards {
		s.flushShard(&s.shards[i], &out)
	}
}

// write writes records past the buffers, from the goroutine of the stream.
func (s *stream) write(encode func(journal.Encoding) []byte) {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	sh := &s.shards[0]
	sh.mu.Lock()
	out := sh.out
	sh.mu.Unlock()
	if out == nil {
		return
	}
	if err := out.Write(encode(out.Encoding())); err != nil {
		s.drop(1)
	}
}
