package h2

import (
	"slices"
	"sync"

	"golang.org/x/net/http2/hpack"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
)

const (
	// answerBytesMax bounds a field section as it comes, compressed, and each string in it.
	answerBytesMax = 64 << 10
	// fieldOverhead is what each field counts beside its name and value (RFC 9113 section
	// 6.5.2).
	fieldOverhead = 32
)

// answerSection is the field section that is coming in: a response head or trailers. It is decoded
// as it comes, whoever it is for, since the decoder's table is the connection's.
type answerSection struct {
	open      bool // END_HEADERS is still to come
	ended     bool // the frame had END_STREAM
	stream    uint32
	bytes     int // compressed
	frames    int
	size      int        // decoded, as the peer must count it
	bad       fault.Kind // why it can't be used
	trailers  bool
	regular   bool // a field that isn't a pseudo-field has come
	lengths   int
	head      *heldHead // where a head is decoded to
	statusSet bool
}

// heldHead is a response head that its exchange hasn't asked for yet.
type heldHead struct {
	head message.Head
	next *heldHead
}

var heldHeads = sync.Pool{New: func() any { return new(heldHead) }}

func (h *heldHead) free() {
	h.head.Reset(h.head.Buf[:0])
	h.next = nil
	heldHeads.Put(h)
}

// headers takes the first frame of a section (RFC 9113 section 6.2).
func (r *clientReader) headers(f frameHead, payload []byte) error {
	if !r.known(f.stream) {
		return errUpstreamProtocol
	}
	fragment, ok := unpad(f, payload)
	if !ok {
		return errUpstreamProtocol
	}
	if f.has(flagPriority) {
		if len(fragment) < priorityBytes {
			return errUpstreamFrameSize
		}
		fragment = fragment[priorityBytes:]
	}
	r.section = answerSection{stream: f.stream, ended: f.has(flagEndStream), open: true, trailers: r.expectsTrailers(f.stream)}
	r.section.head = heldHeads.Get().(*heldHead)
	r.section.head.head.Reset(r.section.head.head.Buf[:0])
	r.decoder.SetEmitEnabled(true)
	return r.fragment(f, fragment)
}

// expectsTrailers reports whether the stream's final head is here already.
func (r *clientReader) expectsTrailers(id uint32) bool {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	i := r.c.findLocked(id)
	return i >= 0 && r.c.mu.streams[i].headed
}

func (r *clientReader) continuation(f frameHead, payload []byte) error {
	if !r.section.open {
		return errUpstreamProtocol
	}
	if r.section.frames++; r.section.frames > continuationsMax {
		return errUpstreamFlood
	}
	return r.fragment(f, payload)
}

// fragment decodes a part of the section; with the last one the stream gets it.
func (r *clientReader) fragment(f frameHead, b []byte) error {
	s := &r.section
	if s.bytes += len(b); s.bytes > answerBytesMax {
		return errUpstreamFlood
	}
	if _, err := r.decoder.Write(b); err != nil {
		return errUpstreamTable
	}
	if !f.has(flagEndHeaders) {
		return nil
	}
	s.open = false
	if err := r.decoder.Close(); err != nil {
		return errUpstreamTable
	}
	return r.deliver()
}

// field takes one decoded field.
func (r *clientReader) field(f hpack.HeaderField) {
	s := &r.section
	h := &s.head.head
	s.size += len(f.Name) + len(f.Value) + fieldOverhead
	if s.size > r.c.limits.HeadBytesMax || len(h.Fields) >= r.c.limits.FieldsMax {
		s.bad = fault.UpstreamHeadTooLarge
	}
	if s.bad == fault.None && !s.note(f) {
		s.bad = fault.UpstreamBadResponse
	}
	if s.bad != fault.None {
		r.decoder.SetEmitEnabled(false) // its table goes on
	}
}

// note checks a field (RFC 9113 sections 8.2 and 8.3) and appends it to the head. It reports
// whether the section is well-formed so far.
func (s *answerSection) note(f hpack.HeaderField) bool {
	h := &s.head.head
	if len(f.Name) > 0 && f.Name[0] == ':' {
		ok := f.Name == ":status" && !s.trailers && !s.regular && !s.statusSet
		s.statusSet = true
		return ok && parseStatus(f.Value, h)
	}
	s.regular = true
	if !validName(f.Name) || !validValue(f.Value) {
		return false
	}
	id := classify(f.Name)
	if ofConnection(id, f.Value) {
		return false
	}
	if id == message.FieldContentLength && !s.trailers {
		n, ok := digits(f.Value)
		if s.lengths++; !ok || s.lengths > 1 {
			return false
		}
		h.ContentLength, h.Framing = n, message.Length
	}
	appendLine(h, id, f.Name, f.Value)
	return true
}

// parseStatus parses a status code. 101 doesn't exist here (RFC 9113 section 8.6).
func parseStatus(s string, h *message.Head) bool {
	n, ok := digits(s)
	if !ok || len(s) != 3 || n < 100 || n > 599 || n == 101 {
		return false
	}
	h.Status = int(n)
	return true
}

// deliver hands a whole section to its stream.
func (r *clientReader) deliver() error {
	s, c := &r.section, r.c
	held := s.head
	s.head = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.findLocked(s.stream)
	if i < 0 {
		held.free()
		return nil
	}
	st := c.mu.streams[i]
	if s.bad == fault.None && !s.trailers && !s.statusSet {
		s.bad = fault.UpstreamBadResponse
	}
	switch {
	case st.over():
		held.free()
	case s.bad != fault.None:
		held.free()
		st.refuseLocked(codeProtocol, s.bad)
	case s.trailers:
		st.trailersLocked(&held.head, s.ended)
		held.free()
	default:
		h := &held.head
		h.Minor, h.End = 1, len(h.Buf)
		st.headLocked(held, s.ended)
	}
	return nil
}

// allowedTrailers returns the lines of a trailer section if all of them may be passed on:
// none that frames, routes or is about the connection (RFC 9110 section 6.5.1).
func allowedTrailers(dst []byte, h *message.Head) []byte {
	if slices.ContainsFunc(h.Fields, func(f message.Field) bool { return f.ID != message.FieldOther }) {
		return dst[:0]
	}
	return append(dst[:0], h.Buf...)
}
