package h2

import (
	"strings"
	"unsafe"

	"sentinel/internal/dataplane/message"
)

// The classes of bytes that fields are checked by (RFC 9113 sections 8.2.1 and 8.3.1).
const (
	isName   = 1 << iota // a token in lower case
	isToken              // a method
	isTarget             // visible ASCII that may stand in a request target
	isHost               // may stand in an authority: reg-name, IP literal, port
)

var class = classes()

func classes() (t [256]uint8) {
	for c := byte('!'); c < 127; c++ {
		t[c] |= isTarget
	}
	t['#'] &^= isTarget // a fragment is never sent
	for _, r := range [...][2]byte{{'0', '9'}, {'A', 'Z'}, {'a', 'z'}} {
		for c := r[0]; c <= r[1]; c++ {
			t[c] |= isToken | isHost
			if r[0] != 'A' {
				t[c] |= isName
			}
		}
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= isToken | isName
	}
	for _, c := range []byte("-._~!$&'()*+,;=:[]%") {
		t[c] |= isHost
	}
	return t
}

// all reports whether s is not empty and each of its bytes is of a class.
func all(s string, of uint8) bool {
	for i := range len(s) {
		if class[s[i]]&of == 0 {
			return false
		}
	}
	return len(s) > 0
}

// validName reports whether s may be a field name: a token without upper case (RFC 9113
// section 8.2.1).
func validName(s string) bool { return all(s, isName) }

// validValue reports whether s may be a field value: no control byte but tab, no white space
// at either end (RFC 9113 section 8.2.1, RFC 9110 section 5.5).
func validValue(s string) bool {
	if s == "" {
		return true
	}
	first, last := s[0], s[len(s)-1]
	if first == ' ' || first == '\t' || last == ' ' || last == '\t' {
		return false
	}
	return noControls(s)
}

// noControls looks at eight bytes at a time.
func noControls(s string) bool {
	const low, high = 0x0101010101010101, 0x8080808080808080
	for len(s) >= 8 {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		below32 := (w - low*32) &^ w & high
		del := w ^ low*127
		del = (del - low) &^ del & high
		if below32|del != 0 && hasControl(s[:8]) {
			return false
		}
		s = s[8:]
	}
	return !hasControl(s)
}

func hasControl(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 127 {
			return true
		}
	}
	return false
}

// ofConnection reports whether a field is about the connection and makes a message malformed
// (RFC 9113 section 8.2.2). TE is judged by its value.
func ofConnection(id message.FieldID, value string) bool {
	switch id {
	case message.FieldConnection, message.FieldKeepAlive, message.FieldProxyConnection,
		message.FieldTransferEncoding, message.FieldUpgrade:
		return true
	case message.FieldTE:
		return value != "trailers"
	}
	return false
}

// appendLine appends one field line to h: name, value and offsets as the HTTP/1 engine
// yields them. The caller has checked both and that h has room for them.
func appendLine(h *message.Head, id message.FieldID, name, value string) {
	at := len(h.Buf)
	h.Buf = append(h.Buf, name...)
	h.Buf = append(h.Buf, ": "...)
	from := len(h.Buf)
	h.Buf = append(h.Buf, value...)
	to := len(h.Buf)
	h.Buf = append(h.Buf, '\r', '\n')
	h.Fields = append(h.Fields, message.Field{
		Name:    message.Span{Start: uint16(at), End: uint16(at + len(name))},
		Value:   message.Span{Start: uint16(from), End: uint16(to)},
		LineEnd: uint16(to + 2),
		ID:      id,
	})
}

// digits parses 1 to 18 decimal digits.
func digits(s string) (int64, bool) {
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// classify is message.Classify for a name that stands in a string.
func classify(name string) message.FieldID {
	return message.Classify(unsafe.Slice(unsafe.StringData(name), len(name)))
}

// validAuthority reports whether s is a host with an optional port (RFC 9110 section 7.2);
// user information is refused with everything else that is none (RFC 9113 section 8.3.1).
func validAuthority(s string) bool {
	if len(s) > 255+6 || !all(s, isHost) {
		return false
	}
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 3 || end+1 < len(s) && s[end+1] != ':' {
			return false
		}
		return validLiteral(s[1:end]) && validPort(s[min(end+2, len(s)):])
	}
	host, port, _ := strings.Cut(s, ":")
	return host != "" && !strings.ContainsAny(host, "[]") && validPort(port)
}

// validLiteral reports whether s may stand between the brackets of an IP literal.
func validLiteral(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'f', c == ':', c == '.':
		default:
			return false
		}
	}
	return true
}

func validPort(s string) bool {
	n, ok := digits(s)
	return s == "" || ok && len(s) <= 5 && n <= 65535
}
