package h1

import (
	"bytes"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
)

// methodBytesMax bounds a method token.
const methodBytesMax = 32

// parseRequest parses a request head (RFC 9112 section 3) from b into h. done is false
// when b doesn't hold all of it yet. An error is a fault of the client's side; what was
// read before it stands in h.
func parseRequest(b []byte, h *message.Head, lim *limits) (done bool, err error) {
	h.Reset(b[:min(len(b), lim.headBytesMax)])
	nl := bytes.IndexByte(h.Buf, '\n')
	if nl < 0 {
		return false, tooLong(b, h, lim, fault.TargetTooLong)
	}
	if nl < 1 || b[nl-1] != '\r' {
		return false, fault.BadRequest
	}
	if err := parseRequestLine(b[:nl-1], h, lim); err != nil {
		return false, err
	}
	h.FieldsAt = uint16(nl + 1)
	var s section
	done, err = parseFields(h, &s, lim.fieldsMax)
	if err != nil {
		return false, err
	}
	if !done {
		return false, tooLong(b, h, lim, fault.HeadTooLarge)
	}
	return true, finishRequest(h, &s)
}

// tooLong reports a head that has filled its limit without an end.
func tooLong(b []byte, h *message.Head, lim *limits, kind fault.Kind) error {
	if len(b) >= lim.headBytesMax {
		return kind
	}
	return nil
}

func parseRequestLine(line []byte, h *message.Head, lim *limits) error {
	m := span(line, isToken)
	if m == 0 || m > methodBytesMax || m == len(line) || line[m] != ' ' {
		return fault.BadRequest
	}
	h.MethodAt = message.Span{End: uint16(m)}
	h.Method = message.ParseMethod(line[:m])
	rest := line[m+1:]
	t := span(rest, isTarget)
	if t == 0 || t == len(rest) || rest[t] != ' ' {
		return fault.BadRequest
	}
	if t > lim.targetBytesMax {
		return fault.TargetTooLong
	}
	h.Target = message.Span{Start: uint16(m + 1), End: uint16(m + 1 + t)}
	return parseVersion(rest[t+1:], h)
}

// parseVersion accepts HTTP/1.0 and HTTP/1.1.
func parseVersion(v []byte, h *message.Head) error {
	if len(v) != 8 || string(v[:5]) != "HTTP/" || v[6] != '.' || v[5]-'0' > 9 || v[7]-'0' > 9 {
		return fault.BadRequest
	}
	if v[5] != '1' || v[7] > '1' {
		return fault.BadVersion
	}
	h.Minor = v[7] - '0'
	return nil
}

// finishRequest checks what only the whole head can tell.
func finishRequest(h *message.Head, s *section) error {
	if err := frame(h, s); err != nil {
		return err
	}
	if s.hosts > 1 || s.hosts == 0 && h.Minor == 1 {
		return fault.BadHost
	}
	h.Authority = s.host
	if s.hosts == 1 && !validHost(h.Bytes(s.host)) {
		return fault.BadHost
	}
	if err := splitTarget(h); err != nil {
		return err
	}
	if s.expected {
		return fault.ExpectationFailed
	}
	if h.Minor == 0 {
		h.Continue = false
	}
	return nil
}

// splitTarget takes the request target apart by its form (RFC 9112 section 3.2).
func splitTarget(h *message.Head) error {
	t := h.Bytes(h.Target)
	start := h.Target.Start
	switch {
	case h.Method == message.MethodConnect:
		return fault.ConnectRefused
	case t[0] == '/':
	case len(t) == 1 && t[0] == '*':
		if h.Method != message.MethodOptions {
			return fault.BadTarget
		}
		h.Path = h.Target
		return nil
	default:
		n, err := absoluteForm(h, t)
		if err != nil {
			return err
		}
		start += uint16(n)
		t = t[n:]
	}
	path := len(t)
	if q := bytes.IndexByte(t, '?'); q >= 0 {
		path = q
		h.HasQuery = true
		h.Query = message.Span{Start: start + uint16(q) + 1, End: h.Target.End}
	}
	h.Path = message.Span{Start: start, End: start + uint16(path)}
	return nil
}

// absoluteForm checks the scheme and authority of an absolute-form target against the
// Host field and returns their length. RFC 9112 lets the target win over a Host that
// differs; two readers would then see two hosts, so here they must agree.
func absoluteForm(h *message.Head, t []byte) (int, error) {
	scheme := bytes.Index(t, []byte("://"))
	if scheme < 0 || !message.EqualFold(t[:scheme], "http") && !message.EqualFold(t[:scheme], "https") {
		return 0, fault.BadTarget
	}
	at := scheme + 3
	n := bytes.IndexAny(t[at:], "/?")
	if n < 0 {
		n = len(t) - at
	}
	authority := t[at : at+n]
	if n == 0 || !validHost(authority) {
		return 0, fault.BadTarget
	}
	if h.Authority.Empty() {
		h.Authority = message.Span{Start: h.Target.Start + uint16(at), End: h.Target.Start + uint16(at+n)}
	}
	if !bytes.EqualFold(authority, h.Bytes(h.Authority)) {
		return 0, fault.BadHost
	}
	return at + n, nil
}

// validHost reports whether b is a host with an optional port (RFC 9110 section 7.2). An
// empty one is not: the http scheme has none (section 4.2.1).
func validHost(b []byte) bool {
	if len(b) == 0 || len(b) > 255+6 || span(b, isHost) != len(b) {
		return false
	}
	host, port := b, []byte(nil)
	if b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 3 || end+1 < len(b) && b[end+1] != ':' {
			return false
		}
		if end+1 < len(b) {
			port = b[end+2:]
		}
		return validLiteral(b[1:end]) && validPort(port)
	}
	if c := bytes.IndexByte(b, ':'); c >= 0 {
		host, port = b[:c], b[c+1:]
	}
	return len(host) > 0 && bytes.IndexByte(host, '[') < 0 && bytes.IndexByte(host, ']') < 0 && validPort(port)
}

// validLiteral reports whether b may stand between the brackets of an IP literal.
func validLiteral(b []byte) bool {
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'f', c == ':', c == '.':
		default:
			return false
		}
	}
	return true
}

func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	n, ok := digits(b)
	return ok && len(b) <= 5 && n <= 65535
}
