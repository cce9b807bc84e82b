// Package hello reads the server name out of a ClientHello (RFC 8446 section 4.1.2, RFC 6066
// section 3) that somebody else will answer: it is looked at and passed on.
//
// It is strict, because the one who answers reads the same bytes: what two readers could
// understand differently is malformed.
package hello

import "errors"

const (
	// helloBytesMax bounds the handshake message, recordsMax the records it comes in.
	helloBytesMax = 16 << 10
	recordsMax    = 64
	// BytesMax is the most that must be looked at.
	BytesMax = helloBytesMax + recordsMax*recordHeadBytes

	recordHeadBytes = 5
	messageHead     = 4
	recordBytesMax  = 16 << 10 // RFC 8446 section 5.1
	nameBytesMax    = 253
)

// ErrNotTLS says that the bytes begin no TLS handshake.
var ErrNotTLS = errors.New("no TLS handshake")

// ErrMalformed says that they begin like one and aren't.
var ErrMalformed = errors.New("malformed ClientHello")

// ServerName finds the name in the bytes that a connection begins with. Where need isn't 0
// that many must be there to go on. An empty name is a ClientHello without one. name points
// into b, which is changed.
func ServerName(b []byte) (name []byte, need int, err error) {
	message, need, err := reassemble(b)
	if need > 0 || err != nil {
		return nil, need, err
	}
	name, ok := parse(message)
	if !ok {
		return nil, 0, ErrMalformed
	}
	return name, 0, nil
}

// reassemble returns the body of the first handshake message, which may be spread over several
// records, at the beginning of b.
func reassemble(b []byte) (message []byte, need int, err error) {
	length, have := -1, 0
	for at, records := 0, 0; ; records++ {
		if records == recordsMax {
			return nil, 0, ErrMalformed
		}
		head := b[at:]
		if len(head) > 0 && head[0] != 0x16 || len(head) > 1 && head[1] != 3 {
			if records == 0 {
				return nil, 0, ErrNotTLS
			}
			return nil, 0, ErrMalformed
		}
		if len(head) < recordHeadBytes {
			return nil, at + recordHeadBytes, nil
		}
		size := int(head[3])<<8 | int(head[4])
		if size == 0 || size > recordBytesMax {
			return nil, 0, ErrMalformed
		}
		part := head[recordHeadBytes:min(len(head), recordHeadBytes+size)]
		have += copy(b[have:], part) // never beyond what was read
		at += recordHeadBytes + size
		if length < 0 && have >= messageHead {
			length = messageHead + (int(b[1])<<16 | int(b[2])<<8 | int(b[3]))
			if b[0] != 1 || length > helloBytesMax {
				return nil, 0, ErrMalformed
			}
		}
		switch {
		case at > BytesMax-recordHeadBytes:
			return nil, 0, ErrMalformed
		case at > len(b):
			return nil, at, nil
		case length >= 0 && have > length: // a client waits for an answer behind its hello
			return nil, 0, ErrMalformed
		case have == length:
			return b[messageHead:length], 0, nil
		}
	}
}

// cut takes a vector with a length of so many bytes off.
func cut(b []byte, lengthBytes int) (vector, rest []byte, ok bool) {
	if len(b) < lengthBytes {
		return nil, nil, false
	}
	n := 0
	for _, c := range b[:lengthBytes] {
		n = n<<8 | int(c)
	}
	b = b[lengthBytes:]
	if len(b) < n {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// parse returns the server name of a ClientHello's body.
func parse(b []byte) (name []byte, ok bool) {
	const versionAndRandom = 2 + 32
	if len(b) < versionAndRandom {
		return nil, false
	}
	session, b, ok := cut(b[versionAndRandom:], 1)
	if !ok || len(session) > 32 {
		return nil, false
	}
	suites, b, ok := cut(b, 2)
	if !ok || len(suites) < 2 || len(suites)%2 != 0 {
		return nil, false
	}
	methods, b, ok := cut(b, 1)
	if !ok || len(methods) == 0 {
		return nil, false
	}
	if len(b) == 0 {
		return nil, true // TLS 1.2 without extensions
	}
	extensions, b, ok := cut(b, 2)
	if !ok || len(b) > 0 {
		return nil, false
	}
	seen := false
	for len(extensions) > 0 {
		if len(extensions) < 2 {
			return nil, false
		}
		kind := int(extensions[0])<<8 | int(extensions[1])
		var value []byte
		if value, extensions, ok = cut(extensions[2:], 2); !ok {
			return nil, false
		}
		if kind != 0 {
			continue
		}
		if name, ok = nameOf(value); !ok || seen {
			return nil, false
		}
		seen = true
	}
	return name, true
}

// nameOf reads the extension server_name, which holds exactly one host name.
func nameOf(value []byte) ([]byte, bool) {
	list, rest, ok := cut(value, 2)
	if !ok || len(rest) > 0 || len(list) < 1 || list[0] != 0 {
		return nil, false
	}
	name, rest, ok := cut(list[1:], 2)
	if !ok || len(rest) > 0 || len(name) == 0 || len(name) > nameBytesMax {
		return nil, false
	}
	dot := true // a label is to begin
	for i, c := range name {
		switch {
		case c == '.' && dot:
			return nil, false
		case c == '.', c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'z', c == '-', c == '_':
		default:
			return nil, false
		}
		if dot = c == '.'; dot && i == len(name)-1 {
			return nil, false
		}
	}
	return name, true
}
