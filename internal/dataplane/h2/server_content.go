package h2

import (
	"io"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// dataFrame is the DATA frame whose payload comes in.
type dataFrame struct {
	id        uint32
	left, pad int
	endStream bool
	open      bool
}

func (d *dataFrame) busy() bool { return d.open }

// takeData begins a DATA frame (RFC 9113 section 6.1). All of it counts against the windows
// at once; what is no content is given back at once.
func (c *conn) takeData(f frameHead, payload []byte) error {
	n, pad := f.length, 0
	c.begin += frameHeadBytes
	if f.has(flagPadded) {
		if n == 0 || int(payload[0]) >= n {
			return violation(codeProtocol)
		}
		c.begin++
		pad = int(payload[0])
		n -= 1 + pad
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.mu.streams.find(f.stream)
	switch {
	case f.stream&1 == 0 || s == nil && f.stream > c.mu.maxID:
		return violation(codeProtocol)
	case s == nil && !c.mu.reset.has(f.stream), s != nil && (s.ended || s.gone):
		return violation(codeStreamClosed)
	case !c.mu.receive.take(f.length), s != nil && !s.receive.take(f.length):
		return violation(codeFlowControl)
	case n == 0 && !f.has(flagEndStream) && !c.mu.conduct.empty(c):
		return connectionError{codeEnhanceCalm, fault.FrameFlood}
	}
	c.releaseLocked(s, f.length-n)
	c.data = dataFrame{id: f.stream, left: n, pad: pad, endStream: f.has(flagEndStream), open: true}
	if s == nil {
		return nil
	}
	if s.got += int64(n); s.want >= 0 && s.got > s.want && s.readErr == nil {
		return c.malformedLocked(s, fault.BadFraming)
	}
	if n == 0 && pad == 0 {
		return c.endDataLocked(s)
	}
	c.mu.conduct.content()
	return nil
}

// takeContent takes in payload of the DATA frame in hand. It reports false when more must be
// read first.
func (c *conn) takeContent() (done bool, err error) {
	d := &c.data
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.mu.streams.find(d.id)
	if n := min(d.left, c.end-c.begin); n > 0 {
		if s != nil && s.readErr == nil {
			s.put(c.buf[c.begin : c.begin+n])
			s.wakeReaderLocked()
		} else {
			c.releaseLocked(nil, n)
		}
		d.left -= n
		c.begin += n
	}
	n := min(d.pad, c.end-c.begin)
	d.pad -= n
	c.begin += n
	if c.begin == c.end {
		c.begin, c.end = 0, 0
	}
	if d.left > 0 || d.pad > 0 {
		return false, nil
	}
	return true, c.endDataLocked(s)
}

// endDataLocked ends the DATA frame in hand; s is its stream or nil.
func (c *conn) endDataLocked(s *stream) error {
	d := &c.data
	d.open = false
	if d.endStream && s != nil {
		return c.endContentLocked(s)
	}
	return nil
}

// endContentLocked notes that all content has come. It must be as long as was said: what is
// forwarded as HTTP/1 is cut there (RFC 9113 section 8.1.1).
func (c *conn) endContentLocked(s *stream) error {
	s.ended = true
	if s.want >= 0 && s.got != s.want && s.readErr == nil {
		return c.malformedLocked(s, fault.BadFraming)
	}
	s.wakeReaderLocked()
	return nil
}

// releaseLocked gives n bytes back to the windows of the connection and of s, which may be
// nil.
func (c *conn) releaseLocked(s *stream, n int) {
	if n == 0 {
		return
	}
	if by := c.mu.receive.release(n); by > 0 {
		c.mu.out = appendWindowUpdate(c.outLocked(), 0, by)
	}
	if s == nil || s.ended || s.gone || s.wasReset {
		return
	}
	if by := s.receive.release(n); by > 0 {
		c.mu.out = appendWindowUpdate(c.outLocked(), s.id, by)
	}
}

// giveBackLocked drops the content of s that nobody has read.
func (c *conn) giveBackLocked(s *stream) {
	n := len(s.in) - s.from
	s.from = len(s.in)
	c.releaseLocked(nil, n)
}

// put keeps content until it is read. The windows bound how much that can be.
func (s *stream) put(b []byte) {
	if s.from > 0 && len(s.in)+len(b) > cap(s.in) {
		s.in = s.in[:copy(s.in, s.in[s.from:])]
		s.from = 0
	}
	s.in = append(s.in, b...)
}

func (s *stream) wakeReaderLocked() {
	if s.reader != nil {
		s.reader.Wake()
		s.reader = nil
	}
}

// Whole implements message.Content.
func (s *stream) Whole() ([]byte, bool) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.ended || s.readErr != nil {
		return nil, false
	}
	b := s.in[s.from:]
	c.giveBackLocked(s)
	c.kickLocked()
	return b, true
}

// Started implements message.Content.
func (s *stream) Started() bool { return s.started }

// Read implements message.Content.
func (s *stream) Read(p []byte) (int, error) {
	c := s.c
	s.started = true
	if err := s.AskForContent(); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.readLocked(p)
}

func (s *stream) readLocked(p []byte) (int, error) {
	c := s.c
	for {
		if s.readErr != nil {
			return 0, s.readErr
		}
		if n := copy(p, s.in[s.from:]); n > 0 {
			if s.from += n; s.from == len(s.in) {
				s.in, s.from = s.in[:0], 0
			}
			s.read += int64(n)
			c.releaseLocked(s, n)
			c.kickLocked()
			return n, nil
		}
		if s.ended {
			return 0, io.EOF
		}
		if err := s.awaitContentLocked(); err != nil {
			if err != netio.ErrTimeout {
				s.readErr = err
			}
			return 0, err
		}
	}
}

// awaitContentLocked waits for content without the mutex.
func (s *stream) awaitContentLocked() error {
	c := s.c
	now := c.net.Clock().Now()
	if s.readSince == 0 {
		s.readSince = max(now, 1)
	}
	by := s.contentDeadline(now)
	if s.connect {
		by = s.tunnelDeadline(now)
	}
	w := netio.NewWaiter()
	s.reader = w
	c.kickLocked()
	c.mu.Unlock()
	woken := w.Wait(by - now)
	c.mu.Lock()
	woken = woken || s.reader != w
	s.reader = nil
	w.Free()
	switch {
	case woken:
		return nil
	case s.connect && c.net.Clock().Now() < by:
		return nil
	case s.connect:
		return netio.ErrTimeout
	}
	return s.contentFault()
}

// contentDeadline is when the wait for content ends: after a silence, when the least rate
// isn't kept, or when the handler wants it to.
func (s *stream) contentDeadline(now time.Duration) time.Duration {
	set := s.c.srv.Settings(s.c.client)
	at := now + set.ContentTimeout
	if silence := s.req.ContentSilence; silence > 0 {
		at = now + silence
	} else if set.ContentRateMin > 0 {
		at = min(at, s.readSince+set.ContentTimeout+time.Duration(float64(s.read)/float64(set.ContentRateMin)*float64(time.Second)))
	}
	if by := s.req.ContentBy; by > 0 {
		at = min(at, by)
	}
	return at
}

func (s *stream) contentFault() error {
	if by := s.req.ContentBy; by > 0 && s.c.net.Clock().Now() >= by {
		return fault.RequestDeadline
	}
	if s.read > 0 && s.req.ContentSilence == 0 && s.c.srv.Settings(s.c.client).ContentRateMin > 0 {
		return fault.ContentTooSlow
	}
	return fault.ContentTimeout
}

// Abandon implements message.Abandoner.
func (s *stream) Abandon() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.readErr == nil {
		s.readErr = netio.ErrInterrupted
	}
	s.wakeReaderLocked()
}

// Trailers implements message.Trailered.
func (s *stream) Trailers() []byte {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.trailers
}

// AskForContent implements message.Asker: it sends 100 Continue to a client that waits for
// it, once.
func (s *stream) AskForContent() error {
	if !s.req.Head.Continue || s.asked || s.responded {
		return nil
	}
	var h message.Head
	h.Status = 100
	return s.Interim(&h)
}
