package kdl

// byteOrderMark may open a text and is skipped there.
const byteOrderMark = "\uFEFF"

// newlineLen returns the length of the newline that b starts with, or 0. A
// carriage return and a line feed count as one newline.
func newlineLen(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	switch b[0] {
	case '\r':
		if len(b) > 1 && b[1] == '\n' {
			return 2
		}
		return 1
	case '\n', '\v', '\f':
		return 1
	case 0xC2: // U+0085 next line
		if len(b) > 1 && b[1] == 0x85 {
			return 2
		}
	case 0xE2: // U+2028 and U+2029, line and paragraph separator
		if len(b) > 2 && b[1] == 0x80 && (b[2] == 0xA8 || b[2] == 0xA9) {
			return 3
		}
	}
	return 0
}
