package message

import "bytes"

// HeadBytesMax bounds a head in bytes: field offsets are 16-bit.
const HeadBytesMax = 1<<16 - 1

// Span is a half-open range of bytes in Head.Buf.
type Span struct{ Start, End uint16 }

// Empty reports whether s covers no bytes.
func (s Span) Empty() bool { return s.Start == s.End }

// Field is one field line of a head, as offsets into Head.Buf. The line starts
// with its name (no white space may precede it) and ends after its CRLF.
type Field struct {
	Name    Span // the field name, a token
	Value   Span // the field value without surrounding white space
	LineEnd uint16
	ID      FieldID
	// Dropped lines are not written by AppendFields.
	Dropped bool
}

// Framing says how the content of a message is delimited (RFC 9112 section 6).
type Framing uint8

// The four ways a message's content ends.
const (
	NoContent  Framing = iota // there is none
	Length                    // after ContentLength bytes
	Chunked                   // by the chunked transfer coding
	UntilClose                // when the connection closes; responses only
)

// Head is a parsed request or response head. It is filled by an engine, owned by
// one exchange and valid until the engine reads its next message: every offset
// points into Buf, which is the connection's buffer.
type Head struct {
	Buf    []byte
	Fields []Field

	// Request line (RFC 9112 section 3). Target is the request target as received;
	// Path and Query are its parts, Authority the host the request is for: that of
	// an absolute-form target or else of the Host field.
	Method    Method
	MethodAt  Span
	Target    Span
	Path      Span
	Query     Span // without its question mark
	HasQuery  bool
	Authority Span

	// Status line (RFC 9112 section 4).
	Status int
	Reason Span

	Major         uint8 // 2 for HTTP/2; 0 is HTTP/1
	Minor         uint8 // HTTP/1.Minor as received; 1 where Major is another
	Framing       Framing
	ContentLength int64 // bytes; -1 unless Framing is Length

	// What the Connection field says (RFC 9110 section 7.6.1).
	Close           bool
	KeepAlive       bool
	ConnectionNames bool // it names fields other than close, keep-alive, upgrade

	Upgrade   bool // an Upgrade field, named by Connection
	Connect   bool // an extended CONNECT (RFC 8441) in the guise of a GET with Upgrade
	Continue  bool // Expect: 100-continue (RFC 9110 section 10.1.1)
	Forwarded bool // at least one field of the forwarded family is present

	// End is the length of the head in Buf, its empty line included; FieldsAt is
	// where the first field line starts.
	End      int
	FieldsAt uint16

	// Extra holds complete field lines, CRLF included, written after the kept ones.
	Extra []byte
}

// Reset empties h for the next message and keeps its memory.
func (h *Head) Reset(buf []byte) {
	fields, extra := h.Fields[:0], h.Extra[:0]
	*h = Head{Buf: buf, Fields: fields, Extra: extra, ContentLength: -1}
}

// Bytes returns the bytes of s.
func (h *Head) Bytes(s Span) []byte { return h.Buf[s.Start:s.End] }

// FieldName returns the name of field i as received.
func (h *Head) FieldName(i int) []byte { return h.Bytes(h.Fields[i].Name) }

// FieldValue returns the value of field i without surrounding white space.
func (h *Head) FieldValue(i int) []byte { return h.Bytes(h.Fields[i].Value) }

// Find returns the index of the first kept field line with the given well-known
// name, or -1.
func (h *Head) Find(id FieldID) int {
	for i := range h.Fields {
		if h.Fields[i].ID == id && !h.Fields[i].Dropped {
			return i
		}
	}
	return -1
}

// FindName is Find for any field name, given in lower case.
func (h *Head) FindName(lower string) int {
	for i := range h.Fields {
		f := &h.Fields[i]
		if int(f.Name.End-f.Name.Start) == len(lower) && !f.Dropped && EqualFold(h.Bytes(f.Name), lower) {
			return i
		}
	}
	return -1
}

// Drop marks every field line with the given well-known name as not to be written.
func (h *Head) Drop(id FieldID) {
	for i := range h.Fields {
		if h.Fields[i].ID == id {
			h.Fields[i].Dropped = true
		}
	}
}

// Add appends one field line to Extra. Name and value must be valid already: the
// configuration and the engine's parser see to that.
func (h *Head) Add(name string, value []byte) {
	h.Extra = append(h.Extra, name...)
	h.Extra = append(h.Extra, ": "...)
	h.Extra = append(h.Extra, value...)
	h.Extra = append(h.Extra, '\r', '\n')
}

// DropName marks every field line of a name, given in lower case, as not to be written.
func (h *Head) DropName(lower string) {
	for i := h.FindName(lower); i >= 0; i = h.FindName(lower) {
		h.Fields[i].Dropped = true
	}
}

// DropExtra takes lines of a name, given in lower case, out of Extra.
func (h *Head) DropExtra(lower string) {
	kept := h.Extra[:0]
	for rest := h.Extra; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		line := rest[:end]
		rest = rest[end:]
		if colon := bytes.IndexByte(line, ':'); !EqualFold(line[:colon], lower) {
			kept = append(kept, line...)
		}
	}
	h.Extra = kept
}

// AppendFields appends the kept field lines and Extra to dst. Neighbouring kept
// lines are copied as one run.
func (h *Head) AppendFields(dst []byte) []byte {
	run := int(h.FieldsAt)
	for i := range h.Fields {
		f := &h.Fields[i]
		if !f.Dropped {
			continue
		}
		dst = append(dst, h.Buf[run:f.Name.Start]...)
		run = int(f.LineEnd)
	}
	if n := len(h.Fields); n > 0 {
		dst = append(dst, h.Buf[run:h.Fields[n-1].LineEnd]...)
	}
	return append(dst, h.Extra...)
}

// PersistsAfter reports whether the sender of h means to keep the connection open
// after this message (RFC 9112 section 9.3).
func (h *Head) PersistsAfter() bool {
	if h.Minor == 0 {
		return h.KeepAlive && !h.Close
	}
	return !h.Close
}
