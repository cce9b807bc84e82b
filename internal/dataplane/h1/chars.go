package h1

import "encoding/binary"

// The classes of bytes a parser asks for (RFC 9110 section 5.6.2, RFC 9112 section 3).
const (
	isToken  = 1 << iota // tchar
	isTarget             // visible ASCII that may stand in a request target
	isHost               // may stand in a Host value: reg-name, IP literal, port
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
		}
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= isToken
	}
	for _, c := range []byte("-._~!$&'()*+,;=:[]%") {
		t[c] |= isHost
	}
	return t
}

// span returns how many leading bytes of b are of a class.
func span(b []byte, of uint8) int {
	for i, c := range b {
		if class[c]&of == 0 {
			return i
		}
	}
	return len(b)
}

// validValue reports whether b may be a field value: no control byte but tab (RFC 9110
// section 5.5). It looks at eight bytes at a time.
func validValue(b []byte) bool {
	const low, high = 0x0101010101010101, 0x8080808080808080
	for len(b) >= 8 {
		w := binary.LittleEndian.Uint64(b)
		below32 := (w - low*32) &^ w & high
		del := w ^ low*127
		del = (del - low) &^ del & high
		if below32|del != 0 && !validBytes(b[:8]) {
			return false
		}
		b = b[8:]
	}
	return validBytes(b)
}

func validBytes(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 127 {
			return false
		}
	}
	return true
}

// digits parses 1 to 18 decimal digits.
func digits(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
