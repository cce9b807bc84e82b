package h1

import (
	"bytes"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
)

// limits bounds a head.
type limits struct {
	headBytesMax   int
	fieldsMax      int
	targetBytesMax int
}

// section is what a field section says of its own framing, gathered while its lines
// are parsed.
type section struct {
	length   int // Content-Length lines
	codings  int // Transfer-Encoding lines
	hosts    int
	host     message.Span
	unknown  bool // a transfer coding other than chunked
	upgrade  bool // an Upgrade field
	connUp   bool // Connection names upgrade
	expected bool // Expect with a value other than 100-continue
}

// parseFields parses the field lines of h.Buf from h.FieldsAt to the empty line. done is
// false when the empty line isn't there yet.
func parseFields(h *message.Head, s *section, fieldsMax int) (done bool, err error) {
	b := h.Buf
	at := int(h.FieldsAt)
	for {
		rest := b[at:]
		nl := bytes.IndexByte(rest, '\n')
		if nl < 0 {
			return false, nil
		}
		if nl == 0 || rest[nl-1] != '\r' {
			return false, fault.BadField
		}
		if nl == 1 {
			h.End = at + 2
			return true, nil
		}
		if len(h.Fields) >= fieldsMax {
			return false, fault.TooManyFields
		}
		if err := parseField(h, s, at, rest[:nl-1]); err != nil {
			return false, err
		}
		at += nl + 1
	}
}

// parseField parses one field line that starts at offset at; line is without its CRLF.
func parseField(h *message.Head, s *section, at int, line []byte) error {
	name := span(line, isToken)
	if name == 0 || name == len(line) || line[name] != ':' {
		return fault.BadField
	}
	from, to := name+1, len(line)
	for from < to && (line[from] == ' ' || line[from] == '\t') {
		from++
	}
	for to > from && (line[to-1] == ' ' || line[to-1] == '\t') {
		to--
	}
	value := line[from:to]
	if !validValue(value) {
		return fault.BadField
	}
	id := message.Classify(line[:name])
	h.Fields = append(h.Fields, message.Field{
		Name:    message.Span{Start: uint16(at), End: uint16(at + name)},
		Value:   message.Span{Start: uint16(at + from), End: uint16(at + to)},
		LineEnd: uint16(at + len(line) + 2),
		ID:      id,
	})
	if id == message.FieldOther {
		return nil
	}
	return note(h, s, id, value)
}

// note takes in a field that the engine itself must understand.
func note(h *message.Head, s *section, id message.FieldID, value []byte) error {
	switch id {
	case message.FieldContentLength:
		n, ok := digits(value)
		if !ok || s.length > 0 {
			return fault.BadFraming
		}
		s.length++
		h.ContentLength, h.Framing = n, message.Length
	case message.FieldTransferEncoding:
		if s.codings > 0 {
			return fault.BadFraming
		}
		s.codings++
		return s.noteCodings(value)
	case message.FieldConnection:
		noteConnection(h, s, value)
	case message.FieldHost:
		s.hosts++
		s.host = h.Fields[len(h.Fields)-1].Value
	case message.FieldUpgrade:
		s.upgrade = true
	case message.FieldExpect:
		if message.EqualFold(value, "100-continue") {
			h.Continue = true
		} else {
			s.expected = true
		}
	default:
		h.Forwarded = h.Forwarded || id.InForwardedFamily()
	}
	return nil
}

func noteConnection(h *message.Head, s *section, value []byte) {
	for len(value) > 0 {
		var token []byte
		token, value = message.NextToken(value)
		switch {
		case message.EqualFold(token, "keep-alive"):
			h.KeepAlive = true
		case message.EqualFold(token, "close"):
			h.Close = true
		case message.EqualFold(token, "upgrade"):
			s.connUp = true
		case len(token) > 0:
			h.ConnectionNames = true
		}
	}
}

// frame decides the framing from what the section said (RFC 9112 section 6.3), refusing
// every combination that two recipients could read in two ways.
func frame(h *message.Head, s *section) error {
	h.Upgrade = s.upgrade && s.connUp && h.Minor >= 1
	if s.codings == 0 {
		return nil
	}
	if s.length > 0 || h.Minor == 0 {
		return fault.BadFraming
	}
	if s.unknown {
		return fault.UnsupportedCoding
	}
	h.Framing, h.ContentLength = message.Chunked, -1
	return nil
}

// noteCodings takes note of a Transfer-Encoding. Content that doesn't end with one chunked
// coding has no length that two readers agree on (RFC 9112 sections 6.3 and 7.1).
func (s *section) noteCodings(value []byte) error {
	if message.EqualFold(value, "chunked") {
		return nil
	}
	s.unknown = true
	comma := bytes.LastIndexByte(value, ',')
	if comma < 0 || !message.EqualFold(message.TrimSpace(value[comma+1:]), "chunked") {
		return fault.BadFraming
	}
	for coding := range bytes.SplitSeq(value[:comma], []byte(",")) {
		if message.EqualFold(message.TrimSpace(coding), "chunked") {
			return fault.BadFraming
		}
	}
	return nil
}
