package proxyproto

import (
	"bytes"
	"errors"
	"net/netip"
)

const (
	// PayloadBytesMax bounds what a header of version 2 may say it holds: addresses and TLVs.
	PayloadBytesMax = 4096
	// BytesMax is the longest header that is read.
	BytesMax = prefixBytes + PayloadBytesMax

	// lineBytesMax is the longest header of version 1, its line end included.
	lineBytesMax = 107
	// prefixBytes is what comes before the payload of version 2.
	prefixBytes = 16
)

const (
	word      = "PROXY "                 // begins a header of version 1
	signature = "\r\n\r\n\x00\r\nQUIT\n" // begins one of version 2
	lineEnd   = "\r\n"
)

// ErrAbsent says that the bytes are the beginning of something else.
var ErrAbsent = errors.New("no PROXY header")

// ErrMalformed says that the bytes begin like a header and aren't one.
var ErrMalformed = errors.New("malformed PROXY header")

// Header is a header that was received.
type Header struct {
	Version int
	// Local says that the connection speaks for the sender itself, such as a health check, or
	// that the sender doesn't say for whom. The addresses are invalid then.
	Local bool
	// Source and Destination are the ends of the connection that is handed on; an IPv4
	// address is never in its IPv6-mapped form.
	Source, Destination netip.AddrPort
	// TLVs are those of version 2 that may be handed on (see Kept), as they came.
	TLVs []byte
}

// Parse reads a header from the beginning of b. n is its length; 0 without an error says that
// need bytes must be there to go on. What Header holds doesn't point into b.
func Parse(b []byte) (h Header, n, need int, err error) {
	switch {
	case begins(b, word):
		return parseLine(b)
	case begins(b, signature):
		return parseBinary(b)
	}
	return h, 0, 0, ErrAbsent
}

// begins reports whether b and what is said to begin it agree as far as b goes.
func begins(b []byte, with string) bool {
	n := min(len(b), len(with))
	return string(b[:n]) == with[:n]
}

// parseLine reads version 1: PROXY TCP4 SOURCE DESTINATION SOURCE-PORT DESTINATION-PORT.
func parseLine(b []byte) (h Header, n, need int, err error) {
	end := bytes.Index(b[:min(len(b), lineBytesMax)], []byte(lineEnd))
	if end < 0 {
		if len(b) >= lineBytesMax || bytes.IndexByte(b, '\n') >= 0 {
			return h, 0, 0, ErrMalformed
		}
		return h, 0, len(b) + 1, nil
	}
	h = Header{Version: 1}
	rest := b[len(word):end]
	family, rest, _ := bytes.Cut(rest, []byte(" "))
	switch string(family) {
	case "UNKNOWN": // what follows it is to be ignored
		h.Local = true
		return h, end + len(lineEnd), 0, nil
	case "TCP4", "TCP6":
	default:
		return Header{}, 0, 0, ErrMalformed
	}
	var fields [4][]byte
	for i := range fields {
		var more bool
		if fields[i], rest, more = bytes.Cut(rest, []byte(" ")); more != (i < len(fields)-1) {
			return Header{}, 0, 0, ErrMalformed
		}
	}
	four := family[3] == '4'
	source, ok1 := parseEnd(fields[0], fields[2], four)
	destination, ok2 := parseEnd(fields[1], fields[3], four)
	if !ok1 || !ok2 {
		return Header{}, 0, 0, ErrMalformed
	}
	h.Source, h.Destination = source, destination
	return h, end + len(lineEnd), 0, nil
}

// parseEnd reads an address of the family and a port.
func parseEnd(address, port []byte, four bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(string(address))
	if err != nil || a.Is4() != four || a.Zone() != "" {
		return netip.AddrPort{}, false
	}
	n := 0
	for i, c := range port {
		if c < '0' || c > '9' || i > 0 && port[0] == '0' || i >= 5 {
			return netip.AddrPort{}, false
		}
		n = 10*n + int(c-'0')
	}
	if len(port) == 0 || n > 65535 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), true
}
