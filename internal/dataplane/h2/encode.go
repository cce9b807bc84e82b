package h2

import (
	"bytes"

	"sentinel/internal/dataplane/message"
)

// Fields are written as literals that go into no table (RFC 7541 section 6.2.2), with names
// from the static table where it has them: that needs no state and next to no time, and what
// a proxy carries is rarely the same twice.

// tableOff tells the peer's decoder that our encoder uses no dynamic table (RFC 7541 section
// 6.3). It stands once, at the beginning of the first field section of a connection.
const tableOff = 0x20

// literalNever is the first byte of a literal that no hop may put into a table (RFC 7541
// section 6.2.3): for what is secret.
const literalNever = 0x10

// appendInt appends n with a prefix of so many bits behind first (RFC 7541 section 5.1).
func appendInt(dst []byte, first byte, bits uint, n int) []byte {
	limit := 1<<bits - 1
	if n < limit {
		return append(dst, first|byte(n))
	}
	dst = append(dst, first|byte(limit))
	for n -= limit; n >= 128; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// appendText appends a string literal without Huffman coding.
func appendText(dst, s []byte) []byte { return append(appendInt(dst, 0, 7, len(s)), s...) }

// appendFieldLiteral appends one field with its name in lower case.
func appendFieldLiteral(dst []byte, id message.FieldID, name, value []byte) []byte {
	first := byte(0)
	if id == message.FieldAuthorization || id == message.FieldCookie {
		first = literalNever
	}
	if i := staticName(name); i > 0 {
		dst = appendInt(dst, first, 4, i)
	} else {
		dst = appendInt(append(dst, first), 0, 7, len(name))
		for _, c := range name {
			if c-'A' < 26 {
				c |= 0x20
			}
			dst = append(dst, c)
		}
	}
	return appendText(dst, value)
}

// appendStatus appends :status, which the static table has for the usual ones.
func appendStatus(dst []byte, status int) []byte {
	for i, s := range [...]int{200, 204, 206, 304, 400, 404, 500} {
		if s == status {
			return append(dst, 0x80|byte(8+i))
		}
	}
	return append(dst, 8, 3, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10))
}

// appendSectionOf appends the kept field lines and Extra of h but for what concerns a
// connection or frames content.
func appendSectionOf(dst []byte, h *message.Head) []byte {
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.Dropped || f.ID.HopByHop() || f.ID == message.FieldHost {
			continue
		}
		dst = appendFieldLiteral(dst, f.ID, h.Bytes(f.Name), h.Bytes(f.Value))
	}
	return appendLines(dst, h.Extra)
}

// appendLines appends complete field lines likewise.
func appendLines(dst, lines []byte) []byte {
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, crlf)
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 {
			continue
		}
		name := line[:colon]
		id := message.Classify(name)
		if id.HopByHop() || id == message.FieldHost {
			continue
		}
		dst = appendFieldLiteral(dst, id, name, message.TrimSpace(line[colon+1:]))
	}
	return dst
}

var crlf = []byte("\r\n")

// staticName returns the index of a name, in any letter case, in the static table (RFC 7541
// appendix A); 0 for names that it doesn't have or that are rare.
func staticName(name []byte) int {
	for _, e := range staticNames[min(len(name), len(staticNames)-1)] {
		if message.EqualFold(name, e.name) {
			return e.index
		}
	}
	return 0
}

type staticEntry struct {
	name  string
	index int
}

// staticNames holds names of the static table by their length.
var staticNames = [...][]staticEntry{
	3:  {{"age", 21}, {"via", 60}},
	4:  {{"date", 33}, {"etag", 34}, {"vary", 59}, {"link", 45}},
	5:  {{"allow", 22}, {"range", 50}},
	6:  {{"server", 54}, {"accept", 19}, {"cookie", 32}},
	7:  {{"expires", 36}, {"referer", 51}},
	8:  {{"location", 46}, {"if-match", 39}, {"if-range", 42}},
	10: {{"set-cookie", 55}, {"user-agent", 58}},
	11: {{"retry-after", 53}},
	12: {{"content-type", 31}},
	13: {{"cache-control", 24}, {"last-modified", 44}, {"accept-ranges", 18}, {"content-range", 30}, {"if-none-match", 41}, {"authorization", 23}},
	14: {{"content-length", 28}, {"accept-charset", 15}},
	15: {{"accept-encoding", 16}, {"accept-language", 17}},
	16: {{"content-encoding", 26}, {"content-language", 27}, {"content-location", 29}, {"www-authenticate", 61}},
	17: {{"if-modified-since", 40}},
	19: {{"content-disposition", 25}, {"if-unmodified-since", 43}},
	25: {{"strict-transport-security", 56}},
	27: {{"access-control-allow-origin", 20}},
	28: nil, // whatever is longer
}
