package h2

import (
	"strconv"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// answer is what belongs to the task that serves a stream.
type answer struct {
	scratch   []byte // an encoded field section
	responded bool   // the final head is out
	mute      bool   // the request or the status allows no content
	left      int64  // of a Content-Length; -1 without one
	started   bool   // content of the request has been read
	asked     bool   // 100 Continue was sent
	read      int64
	readSince time.Duration // when the first wait for content began
}

// Peer implements message.Watched.
func (s *stream) Peer() *netio.Conn { return s.c.net }

// Interim implements message.Responder.
func (s *stream) Interim(h *message.Head) error {
	if h.Status == 100 {
		if s.asked || !s.req.Head.Continue {
			return nil
		}
		s.asked = true
	}
	s.scratch = appendSectionOf(appendStatus(s.scratch[:0], h.Status), h)
	return s.send(s.scratch, nil, false)
}

// Respond implements message.Responder.
func (s *stream) Respond(h *message.Head, content []byte, end bool) error {
	s.responded = true
	if s.connect && h.Status < 300 {
		return s.accept(h)
	}
	b := appendSectionOf(appendStatus(s.scratch[:0], h.Status), h)
	b = s.appendDate(b, h)
	b = s.frame(b, h, len(content), end)
	s.scratch = b
	if s.mute {
		return s.send(b, nil, true)
	}
	if err := s.account(len(content), end); err != nil {
		return err
	}
	return s.send(b, content, end)
}

// appendDate adds the date where h has none.
func (s *stream) appendDate(b []byte, h *message.Head) []byte {
	if h.Find(message.FieldDate) >= 0 {
		return b
	}
	var date [32]byte
	return appendFieldLiteral(b, message.FieldDate, dateName, s.c.net.Clock().AppendDate(date[:0]))
}

var dateName, lengthName = []byte("date"), []byte("content-length")

// frame decides whether there is content and says how long it is where that is known.
func (s *stream) frame(b []byte, h *message.Head, have int, end bool) []byte {
	s.left = -1
	s.mute = s.req.Head.Method == message.MethodHead || h.Status == 204 || h.Status == 304
	switch {
	case h.Status == 204:
		return b
	case h.ContentLength >= 0:
		s.left = h.ContentLength
	case s.mute || !end:
		return b
	default:
		s.left = int64(have)
	}
	var length [20]byte
	return appendFieldLiteral(b, message.FieldContentLength, lengthName, strconv.AppendInt(length[:0], s.left, 10))
}

// account checks content against the length that was said.
func (s *stream) account(n int, end bool) error {
	if s.left < 0 {
		return nil
	}
	if s.left -= int64(n); s.left < 0 {
		return fault.Internal
	}
	if end && s.left > 0 {
		return fault.UpstreamTruncated
	}
	return nil
}

// Write implements message.Responder.
func (s *stream) Write(content []byte, end bool) error {
	if s.mute {
		return nil
	}
	if err := s.account(len(content), end); err != nil {
		return err
	}
	return s.send(nil, content, end)
}

// WriteTrailers implements message.TrailerWriter.
func (s *stream) WriteTrailers(lines []byte) error {
	if s.mute {
		return nil
	}
	if err := s.account(0, true); err != nil {
		return err
	}
	s.scratch = appendLines(s.scratch[:0], lines)
	return s.send(s.scratch, nil, true)
}
