package h2

import (
	"encoding/binary"
	"time"

	"golang.org/x/net/http2/hpack"

	"sentinel/internal/dataplane/fault"
)

const (
	// continuationsMax bounds the frames that one field section may be cut into.
	continuationsMax = 16
	// sectionBytesMin is what an encoded field section may have whatever the limit of heads,
	// so that one that is a little too large is answered and not cut off.
	sectionBytesMin = 64 << 10
)

// section is a field section that is being taken in (RFC 9113 section 4.3). It is decoded
// whatever becomes of it: the table of the connection depends on it.
type section struct {
	open      bool // CONTINUATION must follow
	id        uint32
	since     time.Duration // when it began
	block     []byte        // its fragments so far, when there is more than one
	fragments int
	endStream bool
	refused   bool // no place for the stream

	stream *stream // that it opens; nil when it is of one that is open, or nobody wants it
	head   headReader
}

func (c *conn) blockBytesMax() int { return max(sectionBytesMin, 2*c.set.HeadBytesMax) }

// takeHeaders begins a field section: of a new stream, or the trailers of one.
func (c *conn) takeHeaders(f frameHead, payload []byte) error {
	if f.stream&1 == 0 {
		return violation(codeProtocol)
	}
	b, ok := unpad(f, payload)
	if ok && f.has(flagPriority) {
		if ok = len(b) >= priorityBytes && binary.BigEndian.Uint32(b)&streamIDMax != f.stream; ok {
			b = b[priorityBytes:]
		}
	}
	if !ok {
		return violation(codeProtocol)
	}
	x := &c.section
	x.id, x.endStream, x.since, x.refused, x.stream = f.stream, f.has(flagEndStream), max(c.now, 1), false, nil
	if err := c.place(); err != nil {
		return err
	}
	if f.has(flagEndHeaders) {
		return c.decode(b)
	}
	x.open, x.fragments = true, 0
	x.block = append(x.block[:0], b...)
	return nil
}

// place finds out whose the section is.
func (c *conn) place() error {
	x := &c.section
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.mu.streams.find(x.id)
	switch {
	case s != nil && (s.ended || s.gone):
		return violation(codeStreamClosed)
	case s != nil:
		x.head.begin(c, nil, true)
		return nil
	case x.id <= c.mu.maxID:
		x.head.begin(c, nil, false)
		if !c.mu.reset.has(x.id) {
			return violation(codeStreamClosed)
		}
		return nil
	}
	c.mu.maxID = x.id
	switch {
	case c.mu.going.final: // it is above the last stream that we have named
	case c.mu.active >= c.set.StreamsMax:
		x.refused = true
	default:
		x.stream = newStream(c, x.id)
	}
	x.head.begin(c, x.stream, false)
	return nil
}

// takeContinuation takes in a further fragment.
func (c *conn) takeContinuation(f frameHead, payload []byte) error {
	x := &c.section
	if !x.open {
		return violation(codeProtocol)
	}
	if x.fragments++; x.fragments > continuationsMax {
		return connectionError{codeEnhanceCalm, fault.HeaderFlood}
	}
	x.block = append(x.block, payload...)
	if !f.has(flagEndHeaders) {
		return nil
	}
	x.open = false
	err := c.decode(x.block)
	if cap(x.block) > sectionBytesUsual {
		x.block = nil
	} else {
		x.block = x.block[:0]
	}
	return err
}

// decode reads a whole section and hands its stream on.
func (c *conn) decode(block []byte) error {
	x := &c.section
	c.table.SetEmitEnabled(!x.head.deaf)
	_, err := c.table.Write(block)
	if err == nil {
		err = c.table.Close()
	}
	if err != nil {
		c.dropSection()
		return violation(codeCompression)
	}
	switch {
	case x.head.trailers:
		return c.endTrailers()
	case x.stream != nil:
		return c.open()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !x.refused {
		return nil
	}
	c.mu.reset.add(x.id)
	c.mu.out = appendReset(c.outLocked(), x.id, codeRefused)
	return c.offenceLocked()
}

// dropSection gives back a stream that hasn't been opened.
func (c *conn) dropSection() {
	if s := c.section.stream; s != nil {
		s.free()
	}
	c.section.stream = nil
}

// field is called by the decoder for each field of a section.
func (c *conn) field(f hpack.HeaderField) {
	h := &c.section.head
	if h.add(f.Name, f.Value); h.deaf {
		c.table.SetEmitEnabled(false)
	}
}

// endTrailers ends the content of a stream with a trailer section.
func (c *conn) endTrailers() error {
	x := &c.section
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.mu.streams.find(x.id) // unless its task has ended meanwhile
	if s == nil || s.sendErr != nil {
		return nil
	}
	k := x.head.fault
	if k == fault.None && (!x.endStream || s.connect) {
		k = fault.BadFraming
	}
	if k != fault.None {
		return c.malformedLocked(s, k)
	}
	s.trailers = append(s.trailers[:0], x.head.lines...)
	return c.endContentLocked(s)
}

// malformedLocked ends a stream whose request has turned out to be wrong after it began.
func (c *conn) malformedLocked(s *stream, k fault.Kind) error {
	s.resetLocked(codeProtocol)
	s.endLocked(k, k)
	return c.offenceLocked()
}
