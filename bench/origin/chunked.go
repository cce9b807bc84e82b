package main

import "bytes"

// chunkReader skips chunked content (RFC 9112, section 7.1) piece by piece.
// The zero value stands before the first chunk.
type chunkReader struct {
	left  int64 // bytes of chunk data and its CRLF still to skip
	final bool  // the last chunk was seen; trailer lines follow
}

// skip consumes content from b and returns what it left: when done is false, an
// incomplete line to be offered again with more bytes behind it. It reports
// ok == false for a malformed chunk size.
func (r *chunkReader) skip(b []byte) (rest []byte, done, ok bool) {
	for {
		if r.left > 0 {
			n := min(r.left, int64(len(b)))
			r.left -= n
			b = b[n:]
		}
		line, after, whole := bytes.Cut(b, crlf)
		if r.left > 0 || !whole {
			return b, false, true
		}
		b = after
		switch {
		case r.final && len(line) == 0:
			*r = chunkReader{}
			return b, true, true
		case r.final:
			continue // a trailer field
		}
		size := parseChunkSize(line)
		if size < 0 {
			return b, false, false
		}
		if size == 0 {
			r.final = true
			continue
		}
		r.left = size + int64(len(crlf))
	}
}

// parseChunkSize reads the hexadecimal size that starts a chunk, extensions
// ignored; it returns -1 for anything else.
func parseChunkSize(line []byte) int64 {
	line, _, _ = bytes.Cut(line, []byte(";"))
	line = bytes.TrimSpace(line)
	if len(line) == 0 || len(line) > 12 {
		return -1
	}
	var n int64
	for _, c := range line {
		d := bytes.IndexByte([]byte("0123456789abcdef"), c|0x20)
		if d < 0 {
			return -1
		}
		n = n<<4 | int64(d)
	}
	return n
}
