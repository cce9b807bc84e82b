package h2

import (
	"strings"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
)

// methodBytesMax bounds a method.
const methodBytesMax = 32

// headReader makes a message.Head of a field section, or the lines of a trailer section. It
// checks every field as RFC 9113 section 8 wants it, since what passes here is written to
// upstreams as HTTP/1.
type headReader struct {
	s        *stream // nil: nobody wants the section
	trailers bool
	deaf     bool       // nothing more is wanted of the section
	fault    fault.Kind // why the request is refused

	bytesMax, fieldsMax, targetMax int
	bytes, fields                  int

	regular   bool // a field that is no pseudo field has come
	method    string
	scheme    string
	path      string
	authority string
	protocol  string // of an extended CONNECT
	seen      uint8  // pseudo fields
	hosts     int
	lengths   int
	expected  bool   // Expect with a value other than 100-continue
	cookie    []byte // crumbs, joined
	lines     []byte // of trailers
}

// The pseudo fields of a request (RFC 9113 section 8.3.1).
const (
	seenMethod = 1 << iota
	seenScheme
	seenPath
	seenAuthority
	seenProtocol // RFC 8441 section 4
)

// begin readies h for a section of s.
func (h *headReader) begin(c *conn, s *stream, trailers bool) {
	set := c.srv.Settings(c.client)
	*h = headReader{
		s: s, trailers: trailers, deaf: s == nil && !trailers,
		bytesMax: set.HeadBytesMax, fieldsMax: set.FieldsMax, targetMax: set.TargetBytesMax,
		cookie: h.cookie[:0], lines: h.lines[:0],
	}
}

// refuse ends the interest in the section.
func (h *headReader) refuse(k fault.Kind) {
	h.deaf = true
	if h.fault == fault.None {
		h.fault = k
	}
}

// add takes in one field.
func (h *headReader) add(name, value string) {
	if h.deaf {
		return
	}
	h.bytes += len(name) + len(value) + len(": \r\n")
	if h.bytes > h.bytesMax {
		h.refuse(fault.HeadTooLarge)
		return
	}
	if len(name) > 0 && name[0] == ':' {
		h.addPseudo(name, value)
		return
	}
	if h.fields++; h.fields > h.fieldsMax {
		h.refuse(fault.TooManyFields)
		return
	}
	if !validName(name) || !validValue(value) {
		h.refuse(fault.BadField)
		return
	}
	id := classify(name)
	switch {
	case ofConnection(id, value):
		h.refuse(fault.BadFraming)
	case h.trailers:
		h.addTrailer(id, name, value)
	default:
		h.addField(id, name, value)
	}
}

// addTrailer keeps a trailer field that may be passed on (RFC 9110 section 6.5.1).
func (h *headReader) addTrailer(id message.FieldID, name, value string) {
	if id != message.FieldOther {
		return
	}
	h.lines = append(h.lines, name...)
	h.lines = append(h.lines, ": "...)
	h.lines = append(h.lines, value...)
	h.lines = append(h.lines, '\r', '\n')
}

func (h *headReader) addPseudo(name, value string) {
	var into *string
	var bit uint8
	switch name {
	case ":method":
		into, bit = &h.method, seenMethod
	case ":scheme":
		into, bit = &h.scheme, seenScheme
	case ":path":
		into, bit = &h.path, seenPath
	case ":authority":
		into, bit = &h.authority, seenAuthority
	case ":protocol":
		into, bit = &h.protocol, seenProtocol
	}
	if bit == 0 || h.seen&bit != 0 || h.regular || h.trailers {
		h.refuse(fault.BadRequest)
		return
	}
	if k := checkPseudo(bit, value); k != fault.None {
		h.refuse(k)
		return
	}
	*into = value
	h.seen |= bit
}

// checkPseudo looks at the bytes of a value before it gets into a head, so that not even one
// that is refused holds a line that it shouldn't.
func checkPseudo(bit uint8, value string) fault.Kind {
	switch {
	case bit == seenMethod && (len(value) > methodBytesMax || !all(value, isToken)):
		return fault.BadRequest
	case bit == seenPath && !all(value, isTarget):
		return fault.BadTarget
	case bit == seenAuthority && !validAuthority(value):
		return fault.BadHost
	}
	return fault.None
}

func (h *headReader) addField(id message.FieldID, name, value string) {
	if !h.regular {
		h.startFields()
	}
	m := &h.s.req.Head
	switch id {
	case message.FieldCookie:
		// A cookie that comes in crumbs is one line again (RFC 9113 section 8.2.3).
		if len(h.cookie) > 0 {
			h.cookie = append(h.cookie, "; "...)
		}
		h.cookie = append(h.cookie, value...)
		return
	case message.FieldHost:
		h.addHost(name, value)
		return
	case message.FieldContentLength:
		n, ok := digits(value)
		if h.lengths++; !ok || h.lengths > 1 {
			h.refuse(fault.BadFraming)
		}
		m.ContentLength, m.Framing = n, message.Length
	case message.FieldExpect:
		m.Continue = strings.EqualFold(value, "100-continue")
		h.expected = !m.Continue
	case message.FieldOther:
		if name == "priority" {
			h.s.priority = parsePriority(value)
		}
	default:
		m.Forwarded = m.Forwarded || id.InForwardedFamily()
	}
	appendLine(m, id, name, value)
}

// startFields writes what pseudo fields say in front of the field lines: method, target and
// a Host line for the authority.
func (h *headReader) startFields() {
	h.regular = true
	m := &h.s.req.Head
	upgrade := h.connects()
	if upgrade {
		m.Buf = append(m.Buf, "GET"...)
	} else {
		m.Buf = append(m.Buf, h.method...)
	}
	m.MethodAt = message.Span{End: uint16(len(m.Buf))}
	m.Method = message.ParseMethod(m.Buf)
	m.Target.Start = uint16(len(m.Buf))
	m.Buf = append(m.Buf, h.path...)
	m.Target.End = uint16(len(m.Buf))
	m.FieldsAt = uint16(len(m.Buf))
	if h.seen&seenAuthority != 0 {
		appendLine(m, message.FieldHost, "Host", h.authority)
		m.Authority = m.Fields[0].Value
	}
	if upgrade {
		m.Connect, m.Upgrade = true, true
		appendLine(m, message.FieldUpgrade, "Upgrade", websocket)
	}
}

// addHost takes the authority from Host where no pseudo field names it. Two that differ are
// two hosts to two readers (RFC 9113 section 8.3.1).
func (h *headReader) addHost(name, value string) {
	m := &h.s.req.Head
	h.hosts++
	switch {
	case h.hosts > 1, h.seen&seenAuthority != 0 && !strings.EqualFold(value, h.authority):
		h.refuse(fault.BadHost)
	case h.seen&seenAuthority == 0:
		appendLine(m, message.FieldHost, name, value)
		m.Authority = m.Fields[len(m.Fields)-1].Value
		h.authority = value
	}
}

// end checks what only the whole section can tell and completes the head.
func (h *headReader) end(endStream bool) fault.Kind {
	if !h.regular {
		h.startFields()
	}
	m := &h.s.req.Head
	m.Path = m.Target
	if h.fault != fault.None {
		return h.fault
	}
	if len(h.cookie) > 0 {
		at := len(m.Buf)
		m.Buf = append(append(append(m.Buf, "cookie: "...), h.cookie...), '\r', '\n')
		m.Fields = append(m.Fields, message.Field{
			Name:    message.Span{Start: uint16(at), End: uint16(at + len("cookie"))},
			Value:   message.Span{Start: uint16(at + len("cookie: ")), End: uint16(len(m.Buf) - 2)},
			LineEnd: uint16(len(m.Buf)), ID: message.FieldCookie,
		})
	}
	m.End = len(m.Buf)
	if k := h.checkRequest(); k != fault.None {
		return k
	}
	return h.frame(endStream)
}

// frame decides how the content ends (RFC 9113 section 8.1.1).
func (h *headReader) frame(endStream bool) fault.Kind {
	m := &h.s.req.Head
	switch {
	case endStream && m.ContentLength > 0, m.Connect && m.Framing != message.NoContent:
		return fault.BadFraming
	case m.Connect: // what follows is no content
	case !endStream && m.Framing != message.Length:
		m.Framing, m.ContentLength = message.Chunked, -1
	}
	h.s.want = m.ContentLength
	if h.expected {
		return fault.ExpectationFailed
	}
	return fault.None
}

// checkRequest checks the pseudo fields.
func (h *headReader) checkRequest() fault.Kind {
	m := &h.s.req.Head
	switch {
	case h.seen&seenMethod == 0:
		return fault.BadRequest
	case h.seen&seenProtocol != 0:
		if k := h.checkConnect(); k != fault.None {
			return k
		}
	case m.Method == message.MethodConnect:
		return fault.ConnectRefused
	}
	return h.checkTarget()
}

// checkTarget checks what tells the target.
func (h *headReader) checkTarget() fault.Kind {
	m := &h.s.req.Head
	switch {
	case h.seen&(seenScheme|seenPath) != seenScheme|seenPath:
		return fault.BadRequest
	case !strings.EqualFold(h.scheme, "http") && !strings.EqualFold(h.scheme, "https"):
		return fault.BadTarget
	case len(h.path) > h.targetMax:
		return fault.TargetTooLong
	case !validAuthority(h.authority):
		return fault.BadHost
	case h.path == "*" && m.Method == message.MethodOptions:
		return fault.None
	case h.path[0] != '/':
		return fault.BadTarget
	}
	if q := strings.IndexByte(h.path, '?'); q >= 0 {
		m.Path.End = m.Target.Start + uint16(q)
		m.Query = message.Span{Start: m.Path.End + 1, End: m.Target.End}
		m.HasQuery = true
	}
	return fault.None
}

// malformed reports whether a request refused for k is malformed (RFC 9113 section 8.1.1):
// its stream ends with an error, whatever is answered.
func malformed(k fault.Kind) bool {
	switch k {
	case fault.BadRequest, fault.BadField, fault.BadFraming, fault.BadHost, fault.BadTarget:
		return true
	}
	return false
}
