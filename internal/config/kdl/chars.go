package kdl

import (
	"strings"
	"unicode/utf8"
)

// byteOrderMark may open a text and is skipped there.
const byteOrderMark = "\uFEFF"

// byteSet holds bytes below 0x80.
type byteSet [2]uint64

func newByteSet(bytes string) (s byteSet) {
	for i := range len(bytes) {
		s[bytes[i]>>6] |= 1 << (bytes[i] & 63)
	}
	return s
}

func (s *byteSet) has(c byte) bool {
	return c < utf8.RuneSelf && s[c>>6]&(1<<(c&63)) != 0
}

// Bytes that end a bare word. In version 2 the control characters that are
// no space are errors of their own (see checkText) and don't end a word.
var (
	wordEndsV1 = newByteSet(`\/(){}<>;[]=,"` + "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\v\f\r\x0e\x0f" +
		"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f ")
	wordEndsV2 = newByteSet(`\/(){};[]"#=` + " \t\n\v\f\r")
)

// newlineLen returns the length of the newline that b starts with, or 0. A
// carriage return and a line feed count as one newline.
func newlineLen[T string | []byte](b T) int {
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

// spaceLen returns the length of the space character, newlines not among
// them, that s starts with, or 0.
func spaceLen(s string) int {
	if s == "" {
		return 0
	}
	if s[0] == ' ' || s[0] == '\t' {
		return 1
	}
	if s[0] < utf8.RuneSelf {
		return 0
	}
	switch r, n := utf8.DecodeRuneInString(s); {
	case r == 0xA0, r == 0x1680, r >= 0x2000 && r <= 0x200A, r == 0x202F, r == 0x205F, r == 0x3000:
		return n
	}
	return 0
}

// isBlank reports whether s holds space characters only.
func isBlank(s string) bool {
	for s != "" {
		n := spaceLen(s)
		if n == 0 {
			return false
		}
		s = s[n:]
	}
	return true
}

// skipBlank returns s without the space characters and newlines it starts
// with.
func skipBlank(s string) string {
	for {
		n := spaceLen(s)
		if n == 0 {
			n = newlineLen(s)
		}
		if n == 0 {
			return s
		}
		s = s[n:]
	}
}

// isDisallowed reports whether KDL 2 forbids r anywhere in a text, written
// as itself: control characters, the marks that change the direction of the
// text, and a byte order mark.
func isDisallowed(r rune) bool {
	switch {
	case r < 0x20:
		return r < '\t' || r > '\r'
	case r == 0x7F, r == 0x200E, r == 0x200F, r == 0xFEFF:
		return true
	}
	return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069
}

// isReserved reports whether word has a meaning of its own in that version,
// or in version 2 looks so much like one that it must be quoted.
func isReserved(word string, v Version) bool {
	switch word {
	case "true", "false", "null":
		return true
	case "inf", "-inf", "nan":
		return v == V2
	}
	return false
}

// isBareWord reports whether text may be written without quotes as a name.
func isBareWord(text string, v Version) bool {
	if text == "" || isReserved(text, v) || looksNumeric(text, v) {
		return false
	}
	if v == V2 && strings.ContainsFunc(text, isDisallowed) || !utf8.ValidString(text) {
		return false
	}
	return wordLen(text, v) == len(text)
}

// wordLen returns the length of the run of word characters s starts with.
func wordLen(s string, v Version) int {
	ends := &wordEndsV2
	if v == V1 {
		ends = &wordEndsV1
	}
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			if ends.has(s[i]) {
				return i
			}
			i++
			continue
		}
		if spaceLen(s[i:]) > 0 || newlineLen(s[i:]) > 0 || v == V1 && strings.HasPrefix(s[i:], byteOrderMark) {
			return i
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		i += n
	}
	return len(s)
}

// looksNumeric reports whether a word is a number or was meant to be one:
// it starts with a digit, after a sign if any, in version 2 also with a
// point and a digit.
func looksNumeric(word string, v Version) bool {
	if word != "" && (word[0] == '-' || word[0] == '+') {
		word = word[1:]
	}
	if v == V2 && word != "" && word[0] == '.' {
		word = word[1:]
	}
	return word != "" && isDigit(word[0])
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
