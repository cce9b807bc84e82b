package h1

import "sentinel/internal/dataplane/message"

const (
	// chunkLineMax bounds a chunk-size line with its extensions, which are dropped.
	chunkLineMax = 256
	// trailerBytesMax bounds a trailer section.
	trailerBytesMax = 8 << 10
)

// chunkState is where a decoder stands within a chunked message (RFC 9112 section 7.1).
type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart
	trailerLine
	trailerLineLF
	trailerEndLF
	chunkDone
)

// chunkDecoder takes the chunked framing off a stream of bytes, in place. It checks
// every byte of the framing: sizes of at most 15 digits, CR LF exactly, bounded
// extensions and trailers.
type chunkDecoder struct {
	state   chunkState
	digits  uint8
	line    uint16 // bytes of the current size line
	trailer uint16 // bytes of the trailer section
	left    int64  // bytes of the current chunk still to come
	keep    []byte // the trailer section's lines
}

func (d *chunkDecoder) reset() { *d = chunkDecoder{keep: d.keep[:0]} }

func (d *chunkDecoder) done() bool { return d.state == chunkDone }

// decode takes the framing off b. Content is moved to the front of dst, which may be b
// itself; n is its length, used how many bytes of b were taken. It stops after the
// message's last byte. ok is false when the framing is broken.
func (d *chunkDecoder) decode(dst, b []byte) (n, used int, ok bool) {
	for used < len(b) && d.state != chunkDone {
		if d.state == chunkData {
			k := copy(dst[n:], b[used:used+int(min(d.left, int64(len(b)-used)))])
			if k == 0 {
				return n, used, true
			}
			n += k
			used += k
			if d.left -= int64(k); d.left == 0 {
				d.state = chunkDataCR
			}
			continue
		}
		if !d.step(b[used]) {
			return n, used, false
		}
		used++
	}
	return n, used, true
}

// step takes one byte of framing.
func (d *chunkDecoder) step(c byte) bool {
	switch d.state {
	case chunkSize:
		return d.sizeByte(c)
	case chunkExtension:
		if d.line++; d.line > chunkLineMax {
			return false
		}
		if c == '\r' {
			d.state = chunkSizeLF
			return true
		}
		return c >= ' ' && c != 127 || c == '\t'
	case chunkSizeLF:
		return d.sizeEnd(c)
	case chunkDataCR:
		d.state = chunkDataLF
		return c == '\r'
	case chunkDataLF:
		d.state = chunkSize
		d.digits, d.line, d.left = 0, 0, 0
		return c == '\n'
	default:
		return d.trailerByte(c)
	}
}

func (d *chunkDecoder) sizeByte(c byte) bool {
	var v byte
	switch {
	case c >= '0' && c <= '9':
		v = c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		v = c | 0x20 - 'a' + 10
	case d.digits == 0:
		return false
	case c == '\r':
		d.state = chunkSizeLF
		return true
	case c == ';':
		d.state = chunkExtension
		return true
	default:
		return false
	}
	d.digits++
	d.left = d.left<<4 | int64(v)
	return d.digits <= 15
}

func (d *chunkDecoder) sizeEnd(c byte) bool {
	d.state = chunkData
	if d.left == 0 {
		d.state = trailerStart
	}
	return c == '\n'
}

// trailerByte takes a byte of the trailer section. Here only the shape of its lines is
// checked; validTrailers does the rest for those that are passed on.
func (d *chunkDecoder) trailerByte(c byte) bool {
	if d.trailer++; d.trailer > trailerBytesMax {
		return false
	}
	switch d.state {
	case trailerStart:
		if c == '\r' {
			d.state = trailerEndLF
			return true
		}
		if class[c]&isToken == 0 {
			return false
		}
		d.state = trailerLine
		d.keep = append(d.keep, c)
		return true
	case trailerLine:
		d.keep = append(d.keep, c)
		if c == '\r' {
			d.state = trailerLineLF
			return true
		}
		return c >= ' ' && c != 127 || c == '\t'
	case trailerLineLF:
		d.state = trailerStart
		d.keep = append(d.keep, c)
		return c == '\n'
	case trailerEndLF:
		d.state = chunkDone
		return c == '\n'
	}
	return false
}

// trailers returns the lines of the trailer section, if all of them may be passed on.
func (d *chunkDecoder) trailers() []byte {
	if !d.done() || !validTrailers(d.keep) {
		return nil
	}
	return d.keep
}

// validTrailers reports whether collected lines are field lines that may be passed on:
// none that frames, routes or is about the connection (RFC 9110 section 6.5.1).
func validTrailers(lines []byte) bool {
	for len(lines) > 0 {
		end := 0
		for lines[end] != '\n' {
			end++
		}
		line := lines[:end-1]
		lines = lines[end+1:]
		name := span(line, isToken)
		if name == 0 || name == len(line) || line[name] != ':' || !validValue(line[name+1:]) {
			return false
		}
		if message.Classify(line[:name]) != message.FieldOther {
			return false
		}
	}
	return true
}
