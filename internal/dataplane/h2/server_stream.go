package h2

import (
	"iter"
	"sync"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// stream is one exchange. It is the Content and the Responder that the handler sees, and by
// both a pipe of bytes in two directions. It is pooled: nobody but its task may know it once
// it has left the table of its connection.
type stream struct {
	c       *conn
	id      uint32
	req     message.Request
	refusal fault.Kind // why the request isn't served

	answer
	streamState // guarded by the connection's mutex
}

// streamState is what the reading goroutine and the stream's tasks share.
type streamState struct {
	next     *stream // in its slot of the table
	priority priority
	connect  bool          // the request is an extended CONNECT: content is bytes of a tunnel
	tunnelBy time.Duration // when a read of the tunnel ends; 0 is never

	// Content of the request.
	in       []byte
	from     int   // where in it the unread bytes begin
	want     int64 // what Content-Length says; -1 without one
	got      int64
	ended    bool // all of it has come
	gone     bool // the peer has reset the stream
	trailers []byte
	receive  receiveWindow
	readErr  error
	onGone   func() // told when nobody wants the answer any more
	reader   *netio.Waiter

	// The answer.
	window   sendWindow
	sent     uint64
	localEnd bool // its last frame is out
	wasReset bool // by us
	sendErr  error
	sender   *netio.Waiter
	waits    waits
	after    *stream // in the queue for room
	stall    stall
}

var streams sync.Pool

// newStream returns a stream for the section that comes in. The caller holds the mutex.
func newStream(c *conn, id uint32) *stream {
	s, _ := streams.Get().(*stream)
	if s == nil {
		s = new(stream)
	}
	s.c, s.id = c, id
	s.priority = usual
	s.want = -1
	window := c.set.StreamWindow
	s.receive = newReceiveWindow(window)
	if !c.mu.acked { // it may not know of a smaller one yet
		s.receive.left = max(window, windowInitial)
	}
	s.window = sendWindow(c.mu.peerStreamWindow)
	s.req.Client, s.req.Content, s.req.Received = c.client, s, max(c.now, 1)
	s.req.Head.Reset(s.req.Head.Buf[:0])
	s.req.Head.Major, s.req.Head.Minor = 2, 1
	return s
}

// keepBytesMax is the most memory of one kind that a pooled stream keeps.
const keepBytesMax = 16 << 10

// free gives s back; it keeps its memory.
func (s *stream) free() {
	head, in, trailers, scratch := s.req.Head, s.in[:0], s.trailers[:0], s.scratch
	if cap(head.Buf) > keepBytesMax {
		head.Buf = nil
	}
	if cap(in) > keepBytesMax {
		in = nil
	}
	*s = stream{}
	s.req.Head.Buf, s.req.Head.Fields, s.req.Head.Extra = head.Buf[:0], head.Fields[:0], head.Extra[:0]
	s.in, s.trailers, s.scratch = in, trailers, scratch
	streams.Put(s)
}

// open makes the stream of the section that has come one of those in progress.
func (c *conn) open() error {
	x := &c.section
	s := x.stream
	x.stream = nil
	s.refusal = x.head.end(x.endStream)
	if p, ok := c.early.take(s.id); ok {
		s.priority = p
	}
	mustClose := c.life.MustClose()
	c.mu.Lock()
	defer c.mu.Unlock()
	s.ended, s.connect = x.endStream, s.req.Head.Connect
	if s.connect {
		s.req.Content = nothing{}
	}
	c.mu.streams.add(s)
	if c.mu.active++; c.mu.active == 1 {
		c.life.Busy()
		c.armLocked()
	}
	c.starting = append(c.starting, s)
	c.mu.served++
	if limit := c.srv.Settings(c.client).RequestsMax; limit > 0 && c.mu.served >= limit {
		c.goneLocked()
	} else if mustClose {
		c.drainLocked(c.now)
	}
	if malformed(s.refusal) {
		return c.offenceLocked()
	}
	return nil
}

// start begins the exchanges that the turn in hand has brought, the urgent ones first. Most
// of those with little content have it by now.
func (c *conn) start() {
	list := c.starting
	for i := 1; i < len(list); i++ {
		for k := i; k > 0 && list[k].priority.urgency < list[k-1].priority.urgency; k-- {
			list[k], list[k-1] = list[k-1], list[k]
		}
	}
	crew := c.net.Clock().Crew()
	for i, s := range list {
		crew.Go(s)
		list[i] = nil
	}
	c.starting = list[:0]
}

// Run is the task of a stream.
func (s *stream) Run() {
	c := s.c
	err := error(fault.Internal)
	defer func() {
		if v := recover(); v != nil {
			c.panicked(v)
		}
		if c.close(s, err) {
			c.flush()
		}
	}()
	switch {
	case s.abandoned():
		err = fault.ClientAborted
	case s.refusal != fault.None:
		c.srv.Handler.Refuse(&s.req, s, s.refusal)
		err = nil
	default:
		err = c.srv.Handler.ServeExchange(&s.req, s)
	}
}

func (c *conn) panicked(v any) {
	if c.srv.Panicked == nil {
		panic(v)
	}
	c.srv.Panicked(v)
}

// abandoned reports whether the peer has given the stream up before it began.
func (s *stream) abandoned() bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.gone
}

// close ends a stream whose task is done. It reports whether the caller must flush.
func (c *conn) close(s *stream, err error) (flush bool) {
	now := c.net.Clock().Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s.gone || s.wasReset || c.mu.broken != nil:
	case !s.localEnd && malformed(s.refusal):
		s.resetLocked(codeProtocol)
	case !s.localEnd && s.connect && err == nil:
		s.endTunnelLocked()
	case !s.localEnd:
		s.resetLocked(resetCode(err))
	case !s.ended: // the peer needn't send the rest (RFC 9113 section 8.1)
		s.resetLocked(codeNone)
	}
	c.giveBackLocked(s)
	c.mu.streams.remove(s)
	if s.wasReset {
		c.mu.reset.add(s.id)
	} else if !s.gone {
		c.mu.conduct.completed()
	}
	if c.mu.active--; c.mu.active == 0 {
		c.mu.idleAt = now
		c.life.Idle(now)
		c.armLocked()
	}
	if c.mu.going.over(c.mu.active) && c.mu.broken == nil {
		c.net.InterruptReads()
	}
	s.free()
	flush = c.takeFlushLocked()
	c.restedLocked()
	return flush
}

// resetCode is what the peer is told of a stream whose exchange ended with err.
func resetCode(err error) code {
	if err == fault.ClientStalled {
		return codeEnhanceCalm
	}
	return codeInternal
}

// resetLocked tells the peer that the stream is over.
func (s *stream) resetLocked(code code) {
	if !s.wasReset && !s.gone {
		s.wasReset = true
		s.c.mu.out = appendReset(s.c.outLocked(), s.id, code)
	}
}

// endLocked makes reading and writing fail, each for a reason of its own.
func (s *stream) endLocked(readErr, sendErr error) {
	if s.readErr == nil {
		s.readErr = readErr
	}
	if s.sendErr == nil {
		s.sendErr = sendErr
	}
	s.wakeReaderLocked()
	s.wakeSenderLocked()
	s.tellGoneLocked()
}

// streamTable finds streams by their id. They are chained in slots.
type streamTable struct{ slots *[tableSlots]*stream }

const tableSlots = 64 // a power of two

func (t *streamTable) slot(id uint32) **stream { return &t.slots[id>>1%tableSlots] }

func (t *streamTable) find(id uint32) *stream {
	if t.slots == nil {
		return nil
	}
	s := *t.slot(id)
	for s != nil && s.id != id {
		s = s.next
	}
	return s
}

func (t *streamTable) add(s *stream) {
	if t.slots == nil {
		t.slots = new([tableSlots]*stream)
	}
	slot := t.slot(s.id)
	s.next, *slot = *slot, s
}

func (t *streamTable) remove(s *stream) {
	at := t.slot(s.id)
	for *at != s {
		at = &(*at).next
	}
	*at, s.next = s.next, nil
}

func (t *streamTable) all() iter.Seq[*stream] {
	return func(yield func(*stream) bool) {
		if t.slots == nil {
			return
		}
		for _, s := range t.slots {
			for ; s != nil; s = s.next {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// resetRing knows the last streams that we have reset: frames that their peer sent before it
// knew are no violation.
type resetRing struct {
	ids  *[128]uint32
	next uint8
}

func (r *resetRing) add(id uint32) {
	if r.ids == nil {
		r.ids = new([128]uint32)
	}
	r.ids[r.next] = id
	r.next = (r.next + 1) % uint8(len(r.ids))
}

func (r *resetRing) has(id uint32) bool {
	if r.ids == nil {
		return false
	}
	for _, known := range r.ids {
		if known == id {
			return true
		}
	}
	return false
}

// stall tells a peer that takes nothing from one that is slow: it must take a few bytes in
// the time of a write, however small the windows are that it opens.
type stall struct {
	since      time.Duration // 0 while the stream has never waited
	sent, both uint64        // of the stream and of the connection, then
}

// stallBytes is how much counts as progress at least.
const stallBytes = 1 << 10
