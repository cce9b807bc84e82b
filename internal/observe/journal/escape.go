package journal

import (
	"unicode/utf8"
)

// Text is what can be quoted without a conversion.
type Text interface{ ~string | ~[]byte }

// plain says which ASCII bytes stand for themselves in a quoted value, in both forms.
var plain = buildPlain()

func buildPlain() (t [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}

const hex = "0123456789abcdef"

// AppendQuoted appends s in double quotes. Control characters, the quote, the
// backslash, invalid UTF-8, and characters that end lines or turn the direction of text
// become escapes of Go's string syntax; the quote is \x22, so that a pattern
// like path="[^"]*" takes the whole value. Of more than limit bytes the
// first limit are kept and three dots follow. limit 0 is no limit.
func AppendQuoted[T Text](dst []byte, s T, limit int) []byte {
	return appendText(dst, s, limit, inText)
}

// AppendJSON appends s as a JSON string (RFC 8259 section 7). Invalid UTF-8 becomes
// U+FFFD. limit works as in AppendQuoted.
func AppendJSON[T Text](dst []byte, s T, limit int) []byte { return appendText(dst, s, limit, inJSON) }

// form is where a quoted value stands, which decides how it is escaped.
type form bool

const (
	inText form = false
	inJSON form = true
)

// appendText appends s in double quotes: the stretches that stand for themselves as they
// are, and one character after the other between them.
func appendText[T Text](dst []byte, s T, limit int, f form) []byte {
	s, cut := clip(s, limit)
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		n := 0
		dst, n = appendEscape(dst, s[i:min(i+utf8.UTFMax, len(s))], f)
		i += n
		from = i
	}
	dst = append(dst, s[from:]...)
	if cut {
		dst = append(dst, "..."...)
	}
	return append(dst, '"')
}

// clip shortens s to limit bytes, and not within a character.
func clip[T Text](s T, limit int) (T, bool) {
	if limit <= 0 || len(s) <= limit {
		return s, false
	}
	for back := 0; back < utf8.UTFMax && limit > 0 && !utf8.RuneStart(s[limit]); back++ {
		limit--
	}
	return s[:limit], true
}

// appendEscape appends the first character of s, escaped if need be, and returns its length.
func appendEscape[T Text](dst []byte, s T, f form) ([]byte, int) {
	if s[0] < utf8.RuneSelf {
		return appendEscapedByte(dst, s[0], f), 1
	}
	r, n := decode(s)
	switch {
	case r == utf8.RuneError && n == 1 && f == inJSON:
		return append(dst, `\ufffd`...), 1
	case r == utf8.RuneError && n == 1:
		return appendEscapedByte(dst, s[0], f), 1
	case misleading(r):
		return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15]), n
	}
	return append(dst, s[:n]...), n
}

func appendEscapedByte(dst []byte, c byte, f form) []byte {
	switch {
	case c == '\\' || c == '"' && f == inJSON:
		return append(dst, '\\', c)
	case f == inJSON:
		return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
	case c == '\n':
		return append(dst, `\n`...)
	case c == '\r':
		return append(dst, `\r`...)
	case c == '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'x', hex[c>>4], hex[c&15])
}

// misleading reports whether r ends lines, is a control character or changes
// the direction of the text around it.
func misleading(r rune) bool {
	return r >= 0x80 && r <= 0x9f || r == 0x061c || r == 0x200e || r == 0x200f ||
		r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff
}

func decode[T Text](s T) (rune, int) {
	return utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
}
