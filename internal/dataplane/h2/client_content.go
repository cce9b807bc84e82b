package h2

import (
	"sync"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// pieceBytes is the size of the pieces that content is kept in until it is read: one of the
// largest frames, or many small ones.
const pieceBytes = frameBytesMaxLow

type piece struct {
	next       *piece
	begin, end int
	b          [pieceBytes]byte
}

var pieces = sync.Pool{New: func() any { return new(piece) }}

// queue is content that has come and hasn't been read, in order. It holds no more than the
// stream's window allows.
type queue struct {
	first, last *piece
	lent        *piece // what it is read from
}

func (q *queue) add(b []byte) {
	for len(b) > 0 {
		if q.last == nil || q.last.end == pieceBytes {
			p := pieces.Get().(*piece)
			p.next, p.begin, p.end = nil, 0, 0
			if q.last == nil {
				q.first = p
			} else {
				q.last.next = p
			}
			q.last = p
		}
		n := copy(q.last.b[q.last.end:], b)
		q.last.end += n
		b = b[n:]
	}
}

// take returns the oldest content; it is valid until the next call.
func (q *queue) take() []byte {
	if q.lent != nil {
		pieces.Put(q.lent)
		q.lent = nil
	}
	p := q.first
	if p == nil {
		return nil
	}
	if q.first = p.next; q.first == nil {
		q.last = nil
	}
	q.lent = p
	return p.b[p.begin:p.end]
}

func (q *queue) free() {
	for q.first != nil || q.lent != nil {
		q.take()
	}
}

// over reports whether the stream takes nothing more from the peer.
func (s *Stream) over() bool { return s.gotEnd || s.failed != fault.None || s.reset }

// headLocked takes a response head.
func (s *Stream) headLocked(held *heldHead, end bool) {
	h := &held.head
	interim := h.Status < 200
	if interim {
		s.interims++
	}
	if s.headed || interim && (end || s.interims > s.c.limits.InterimMax) {
		held.free()
		s.refuseLocked(codeProtocol, fault.UpstreamBadResponse)
		return
	}
	s.headed = !interim
	if s.headed && !s.startContentLocked(h, end) {
		held.free()
		s.refuseLocked(codeProtocol, fault.UpstreamBadFraming)
		return
	}
	at := &s.heads
	for *at != nil {
		at = &(*at).next
	}
	*at = held
	rouse(&s.reading)
}

// startContentLocked settles how much content follows the final head (RFC 9113 section
// 8.1.1). It reports whether the declared length can be true.
func (s *Stream) startContentLocked(h *message.Head, end bool) bool {
	s.gotEnd = end
	if s.toHead || h.Status == 304 || h.Status == 204 {
		s.left = 0
		if h.Status == 204 {
			h.ContentLength = -1
		}
		h.Framing = message.NoContent
		return true
	}
	if h.Framing == message.Length {
		s.left = h.ContentLength
	} else {
		h.Framing = message.Chunked
	}
	return !end || s.left <= 0
}

// dataLocked takes content; padding counts for the windows too.
func (s *Stream) dataLocked(b []byte, padding int, end bool) {
	switch {
	case s.failed != fault.None || s.reset:
		return
	case s.gotEnd:
		s.refuseLocked(codeStreamClosed, fault.UpstreamBadFraming)
		return
	case !s.headed:
		s.refuseLocked(codeProtocol, fault.UpstreamBadResponse)
		return
	case !s.received.take(len(b) + padding):
		s.refuseLocked(codeFlowControl, fault.UpstreamBadResponse)
		return
	}
	if s.left >= 0 {
		if s.left -= int64(len(b)); s.left < 0 || end && s.left > 0 {
			s.refuseLocked(codeProtocol, fault.UpstreamBadFraming)
			return
		}
	}
	s.content.add(b)
	s.creditLocked(padding)
	s.endLockedIf(end)
	rouse(&s.reading)
}

func (s *Stream) endLockedIf(end bool) {
	if s.gotEnd = s.gotEnd || end; end {
		rouse(&s.writing)
	}
}

// trailersLocked takes the trailer section, which must end the stream.
func (s *Stream) trailersLocked(h *message.Head, end bool) {
	if !end || s.left > 0 {
		s.refuseLocked(codeProtocol, fault.UpstreamBadFraming)
		return
	}
	s.trailers = allowedTrailers(s.trailers, h)
	s.endLockedIf(true)
	rouse(&s.reading)
}

// resetLocked takes a reset by the peer. After a whole response it only says that the rest
// of the request isn't wanted (RFC 9113 section 8.1).
func (s *Stream) resetLocked(why code) {
	s.reset = true
	switch {
	case s.gotEnd:
		rouse(&s.writing)
	case why == codeRefused:
		s.endLocked(fault.UpstreamRefusedStream)
	default:
		s.endLocked(fault.UpstreamReset)
	}
}

// refuseLocked ends the stream because of what the peer has sent.
func (s *Stream) refuseLocked(why code, k fault.Kind) {
	if !s.reset {
		s.resetByUsLocked(why)
	}
	s.gotEnd = false
	s.endLocked(k)
}

// endLocked says that nothing more comes, because of k.
func (s *Stream) endLocked(k fault.Kind) {
	if s.gotEnd || s.failed != fault.None {
		rouse(&s.writing)
		return
	}
	s.failed = k
	rouse(&s.reading)
	rouse(&s.writing)
}

// creditLocked lets the peer send n bytes more.
func (s *Stream) creditLocked(n int) {
	if by := s.received.release(n); by > 0 && !s.over() {
		s.c.mu.out = appendWindowUpdate(s.c.mu.out, s.id, by)
		s.c.flushLocked()
	}
}

// Received reports whether anything of the response has come. Where nothing has, a request
// that may be repeated can go elsewhere.
func (s *Stream) Received() bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.headed || s.interims > 0
}

// ReadHead waits for the next response head: the first one, or the one after an
// informational one.
func (s *Stream) ReadHead() error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for s.heads == nil {
		if s.failed != fault.None {
			return s.failed
		}
		if err := s.waitLocked(fault.UpstreamResponseTimeout, fault.ClientClosed); err != nil {
			return err
		}
	}
	held := s.heads
	s.heads = held.next
	extra := s.Head.Extra
	s.Head, held.head = held.head, s.Head
	s.Head.Extra, held.head.Extra = extra, s.Head.Extra
	held.free()
	return nil
}

// Await goes on waiting for the head of a response after a wait that has timed out.
func (s *Stream) Await() error { return s.ReadHead() }

// waitLocked waits until something has come, or the deadline has, or the client has gone.
func (s *Stream) waitLocked(late, gone fault.Kind) error {
	c := s.c
	switch {
	case s.interrupted:
		return netio.ErrInterrupted
	case s.gone:
		return gone
	case s.deadline != 0 && c.net.Clock().Now() >= s.deadline:
		return late
	}
	w := netio.NewWaiter()
	s.reading = w
	c.armLocked(s.deadline)
	if s.client != nil {
		c.armLocked(s.lookAt)
	}
	c.mu.Unlock()
	w.Await()
	c.mu.Lock()
	w.Free()
	return nil
}

// Frame readies the content of the final response in hand. It drops the fields that concern
// its framing, which the reader has settled.
func (s *Stream) Frame() { s.Head.DropHopByHop() }

// Buffered returns the content that is at hand without waiting and takes it. end says that
// it is the last.
func (s *Stream) Buffered() (content []byte, end bool, err error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	content, end = s.takeLocked()
	return content, end, nil
}

// takeLocked takes what is at hand and lets the peer send as much again.
func (s *Stream) takeLocked() (content []byte, end bool) {
	content = s.content.take()
	s.creditLocked(len(content))
	return content, s.gotEnd && s.content.first == nil
}

// ReadContent waits for more content and returns it; it is valid until the next call. end
// says that it is the last.
func (s *Stream) ReadContent() (content []byte, end bool, err error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if content, end = s.takeLocked(); len(content) > 0 || end {
			return content, end, nil
		}
		switch s.failed {
		case fault.None:
		case fault.UpstreamReset, fault.UpstreamClosed, fault.UpstreamRefusedStream, fault.UpstreamWriteFailed:
			return nil, false, fault.UpstreamTruncated
		default:
			return nil, false, s.failed
		}
		if err := s.waitLocked(fault.UpstreamReadTimeout, fault.ClientAborted); err != nil {
			return nil, false, err
		}
	}
}

// Trailers returns the trailer section of complete content, as field lines that may be
// passed on; nothing where one of them may not.
func (s *Stream) Trailers() []byte { return s.trailers }
