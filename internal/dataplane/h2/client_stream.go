package h2

import (
	"bytes"
	"strconv"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// Stream is one exchange on a Client. One goroutine sends the request and waits for the
// response; another one may send content meanwhile. Errors are faults.
type Stream struct {
	Head message.Head // of the response in hand

	c      *Client
	id     uint32      // 0 before the head is sent
	toHead bool        // the request was a HEAD
	task   *netio.Task // sends the content beside the wait for the response; nil for none

	// What follows is guarded by the connection's lock.

	deadline    time.Duration // of waits for the response; 0: never
	writeBy     time.Duration // of the wait to send; 0 while there is none
	sentAt      time.Duration
	reading     *netio.Waiter // the wait for the response
	writing     *netio.Waiter // the wait to send content
	client      *netio.Conn   // whom the response is for; nil where nobody looks
	lookAt      time.Duration // when to look whether it is there
	gone        bool          // it has gone
	interrupted bool
	muted       bool       // waits to send end
	window      sendWindow // of the peer
	sentEnd     bool       // END_STREAM is sent
	gotEnd      bool       // END_STREAM has come
	reset       bool       // a reset was sent or has come
	failed      fault.Kind // why nothing more comes

	heads    *heldHead // that nobody has asked for yet, oldest first
	interims int       // that came
	headed   bool      // the final head has come
	received receiveWindow
	content  queue
	left     int64 // of the content's declared length; -1 where there is none
	trailers []byte
}

// begin readies s for an exchange on c.
func (s *Stream) begin(c *Client) {
	trailers := s.trailers[:0]
	head := s.Head
	head.Reset(head.Buf[:0])
	*s = Stream{c: c, Head: head, trailers: trailers, left: -1, received: newReceiveWindow(clientStreamWindow)}
}

// SetReadDeadline sets when a wait for the response ends, on the clock; 0 is never. Any
// goroutine may call it.
func (s *Stream) SetReadDeadline(at time.Duration) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	s.deadline = at
	if s.reading != nil {
		c.armLocked(at)
	}
}

// WaitFor says whom the response is for: once a wait for it has lasted for netio.GoneAfter,
// somebody looks now and then whether that client has closed its connection, and the wait
// ends if so. A nil client ends the watch. now is on the clock.
func (s *Stream) WaitFor(client *netio.Conn, now time.Duration) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.client = client; client != nil {
		s.lookAt = now + netio.GoneAfter
	}
}

// Interrupt ends all waits of the exchange, now and later. Any goroutine may call it.
func (s *Stream) Interrupt() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.interrupted = true
	rouse(&s.reading)
	rouse(&s.writing)
}

// InterruptWrites ends the waits to send content. Any goroutine may call it.
func (s *Stream) InterruptWrites() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.muted = true
	rouse(&s.writing)
}

// Exchange sends a whole request and waits for the head of its response. Content that the
// windows don't let out at once is sent beside that wait; it must stay where it is until
// Finish.
func (s *Stream) Exchange(o *message.Outgoing) error {
	alone := len(o.Content) == 0 && len(o.Trailers) == 0
	if err := s.sendHead(o, alone); err != nil {
		return err
	}
	if alone || s.sendNow(o.Content, len(o.Trailers) == 0) && len(o.Trailers) == 0 {
		return s.ReadHead()
	}
	content, trailers := o.Content, o.Trailers
	s.task = netio.Go(func() error { return s.sendLater(content, trailers) })
	return s.ReadHead()
}

// sendNow sends content if all of it may go out at once, and reports whether it has.
func (s *Stream) sendNow(b []byte, end bool) bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if len(b) > s.roomLocked() || s.sendableLocked() != nil {
		return false
	}
	for len(b) > frameBytesMaxLow {
		s.dataFrameLocked(b[:frameBytesMaxLow], false)
		b = b[frameBytesMaxLow:]
	}
	s.dataFrameLocked(b, end)
	return true
}

// sendLater sends content as the windows allow. Where it can't, the wait for the response
// ends.
func (s *Stream) sendLater(content, trailers []byte) error {
	err := s.send(content, len(trailers) == 0)
	if err == nil && len(trailers) > 0 {
		err = s.EndContent(trailers)
	}
	if k, ok := err.(fault.Kind); ok && k != errUnwanted {
		s.c.mu.Lock()
		s.endLocked(k)
		s.c.mu.Unlock()
	}
	return err
}

// errUnwanted is why content isn't sent on: the whole response is there already.
const errUnwanted = fault.ContentTruncated

// SendHead sends the head of a request whose content follows in pieces.
func (s *Stream) SendHead(o *message.Outgoing) error { return s.sendHead(o, false) }

func (s *Stream) sendHead(o *message.Outgoing, end bool) error {
	o.Scratch = appendRequestSection(o.Scratch[:0], o, s.c.limits.Secure)
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.failed != fault.None || c.mu.ended || c.mu.leaving || c.mu.nextID > streamIDMax {
		c.mu.leaving = true
		return fault.UpstreamRefusedStream // nothing was sent
	}
	s.id, s.toHead = c.mu.nextID, o.Head.Method == message.MethodHead
	c.mu.nextID += 2
	s.window, s.sentEnd, s.sentAt = sendWindow(c.mu.streamWindow), end, c.net.Clock().Now()
	c.mu.streams = append(c.mu.streams, s)
	flags := uint8(0)
	if end {
		flags = flagEndStream
	}
	if !c.mu.tableOff {
		c.mu.tableOff = true
		o.Scratch = append(o.Scratch, 0)
		copy(o.Scratch[1:], o.Scratch)
		o.Scratch[0] = tableOff
	}
	c.mu.out = appendSection(c.mu.out, s.id, flags, o.Scratch, frameBytesMaxLow)
	c.flushLocked()
	return nil
}

// appendRequestSection appends the field section of a request (RFC 9113 section 8.3.1).
func appendRequestSection(dst []byte, o *message.Outgoing, secure bool) []byte {
	h := o.Head
	switch h.Method {
	case message.MethodGet:
		dst = append(dst, 0x80|2)
	case message.MethodPost:
		dst = append(dst, 0x80|3)
	default:
		dst = appendText(append(dst, 2), h.Bytes(h.MethodAt))
	}
	if secure {
		dst = append(dst, 0x80|7)
	} else {
		dst = append(dst, 0x80|6)
	}
	dst = appendText(append(dst, 1), authority(h))
	n := len(o.Path)
	if h.HasQuery {
		n += 1 + len(o.Query)
	}
	dst = append(appendInt(append(dst, 4), 0, 7, n), o.Path...)
	if h.HasQuery {
		dst = append(append(dst, '?'), o.Query...)
	}
	if o.Framing == message.Length {
		var digits [20]byte
		dst = appendFieldLiteral(dst, message.FieldContentLength, lengthName, strconv.AppendInt(digits[:0], o.Length, 10))
	}
	if o.WantsTrailers {
		dst = appendFieldLiteral(dst, message.FieldTE, teName, trailersToken)
	}
	return appendSectionOf(dst, h)
}

var teName, trailersToken = []byte("te"), []byte("trailers")

// authority returns the host that a request is for: what its Host field says.
func authority(h *message.Head) []byte {
	if i := h.Find(message.FieldHost); i >= 0 {
		return h.FieldValue(i)
	}
	for lines := h.Extra; len(lines) > 0; {
		var line []byte
		line, lines, _ = bytes.Cut(lines, crlf)
		if len(line) > 5 && message.EqualFold(line[:5], "host:") {
			return message.TrimSpace(line[5:])
		}
	}
	return h.Bytes(h.Authority)
}

// SendContent sends a piece of content.
func (s *Stream) SendContent(b []byte) error { return s.send(b, false) }

// EndContent ends content that was sent in pieces, with its trailer section, which is empty
// or complete field lines.
func (s *Stream) EndContent(trailers []byte) error {
	if len(trailers) == 0 {
		return s.send(nil, true)
	}
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := s.sendableLocked(); err != nil {
		return err
	}
	c.mu.out = appendSection(c.mu.out, s.id, flagEndStream, appendLines(nil, trailers), frameBytesMaxLow)
	s.sentEnd = true
	c.flushLocked()
	return nil
}

// send sends content as the windows allow; end says that it is the last.
func (s *Stream) send(b []byte, end bool) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for {
		if err := s.sendableLocked(); err != nil {
			return err
		}
		n := min(len(b), frameBytesMaxLow, s.roomLocked())
		if n == 0 && len(b) > 0 {
			if err := s.waitToSendLocked(); err != nil {
				return err
			}
			continue
		}
		if n > 0 || end {
			s.dataFrameLocked(b[:n], end && n == len(b))
		}
		if b = b[n:]; len(b) == 0 {
			return nil
		}
	}
}

// roomLocked returns how much content may be sent now.
func (s *Stream) roomLocked() int {
	return max(0, min(int(s.window), int(s.c.mu.window), outBytesMax-len(s.c.mu.out)))
}

// dataFrameLocked sends a DATA frame.
func (s *Stream) dataFrameLocked(b []byte, end bool) {
	c := s.c
	f := frameHead{length: len(b), kind: frameData, stream: s.id}
	if end {
		f.flags, s.sentEnd = flagEndStream, true
	}
	c.mu.out = append(appendFrameHead(c.mu.out, f), b...)
	s.window -= sendWindow(len(b))
	c.mu.window -= sendWindow(len(b))
	s.writeBy = 0
	c.flushLocked()
}

// sendableLocked returns why content can't be sent any more.
func (s *Stream) sendableLocked() error {
	switch {
	case s.interrupted:
		return netio.ErrInterrupted
	case s.muted:
		return fault.UpstreamWriteTimeout
	case s.gotEnd:
		return errUnwanted
	case s.failed != fault.None:
		return s.failed
	}
	return nil
}

// waitToSendLocked waits for a window, or for room in the buffer.
func (s *Stream) waitToSendLocked() error {
	c := s.c
	if limit := c.limits.WriteTimeout; limit > 0 {
		if now := c.net.Clock().Now(); s.writeBy == 0 {
			s.writeBy = now + limit
		} else if now >= s.writeBy {
			return fault.UpstreamWriteTimeout
		}
	}
	w := netio.NewWaiter()
	s.writing = w
	c.armLocked(s.writeBy)
	c.mu.Unlock()
	w.Await()
	c.mu.Lock()
	w.Free()
	return nil
}

// Leaving reports whether the connection lets no further exchange in.
func (s *Stream) Leaving() bool { return s.c.Leaving() }

// Finish ends the exchange: the peer is told where its messages haven't ended, and s may be
// used for another one.
func (s *Stream) Finish() {
	c := s.c
	if s.task != nil {
		s.InterruptWrites()
		s.task.Wait()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.id != 0 && !s.reset && !(s.gotEnd && s.sentEnd) {
		s.resetByUsLocked(codeCancel)
	}
	c.releaseLocked(s)
	for h := s.heads; h != nil; h = s.heads {
		s.heads = h.next
		h.free()
	}
	s.content.free()
}

// resetByUsLocked tells the peer that we have no more use for the stream.
func (s *Stream) resetByUsLocked(why code) {
	s.reset = true
	s.c.mu.out = appendReset(s.c.mu.out, s.id, why)
	s.c.flushLocked()
}
