package kdl

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// checkEscapes reports the wrong escapes in the body of a string that starts
// at an offset of the source.
func (l *lexer) checkEscapes(offset int, body string) {
	at := l.cursor
	for i := 0; !l.full; {
		step := strings.IndexByte(body[i:], '\\')
		if step < 0 {
			return
		}
		i += step
		_, n, problem := decodeEscape(body[i:], l.version)
		if problem != "" {
			at.advanceTo(offset + i)
			start := at.Pos
			at.advanceTo(offset + i + n)
			l.badEscape(Span{start, at.Pos}, body[i:i+n], problem)
		}
		i += n
	}
}

func (l *lexer) badEscape(span Span, escape, problem string) {
	d := Errorf(l.file, span, "%s %s", excerptOf(escape), problem)
	switch {
	case strings.HasPrefix(escape, `\u`) && strings.HasSuffix(escape, "}"):
	case strings.HasPrefix(escape, `\u`):
		d = d.WithHint(`write \u{, up to six hexadecimal digits, and }`)
	case l.version == V1:
		d = d.WithHint(`write \\ for a backslash, or a raw string: r"..."`)
	case escape == `\/`:
		d = d.WithHint("write / alone")
	default:
		d = d.WithHint(`write \\ for a backslash, or a raw string: #"..."#`)
	}
	l.add(d)
}

// unescape replaces the escapes in the text of a string; wrong ones stay.
func unescape(text string, v Version) string {
	var b strings.Builder
	b.Grow(len(text))
	for {
		i := strings.IndexByte(text, '\\')
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i])
		text = text[i:]
		r, n, problem := decodeEscape(text, v)
		switch {
		case problem != "":
			b.WriteString(text[:n])
		case r >= 0:
			b.WriteRune(r)
		}
		text = text[n:]
	}
}

// decodeEscape returns the character that the escape at the start of s
// stands for, -1 when for none, its length, and what is wrong with it.
func decodeEscape(s string, v Version) (r rune, n int, problem string) {
	if len(s) < 2 {
		return 0, len(s), "is not an escape"
	}
	switch s[1] {
	case 'n':
		return '\n', 2, ""
	case 'r':
		return '\r', 2, ""
	case 't':
		return '\t', 2, ""
	case 'b':
		return '\b', 2, ""
	case 'f':
		return '\f', 2, ""
	case '\\', '"':
		return rune(s[1]), 2, ""
	case 's':
		if v == V2 {
			return ' ', 2, ""
		}
	case '/':
		if v == V1 {
			return '/', 2, ""
		}
	case 'u':
		return decodeUnicodeEscape(s)
	}
	if n := escapeLen(s, v); v == V2 && skipBlank(s[1:n]) == "" {
		return -1, n, ""
	}
	_, n = utf8.DecodeRuneInString(s[1:])
	return 0, 1 + n, "is not an escape"
}

// decodeUnicodeEscape reads \u{...}.
func decodeUnicodeEscape(s string) (r rune, n int, problem string) {
	if len(s) < 3 || s[2] != '{' {
		return 0, 2, "has no code point"
	}
	digits := digitsLen(strings.ReplaceAll(s[3:min(len(s), 11)], "_", "."), 'x')
	n = 3 + digits
	if n >= len(s) || s[n] != '}' || digits == 0 || digits > 6 {
		return 0, n, "has no code point of one to six hexadecimal digits in braces"
	}
	code, _ := strconv.ParseUint(s[3:n], 16, 32)
	if code > utf8.MaxRune || code >= 0xD800 && code <= 0xDFFF {
		return 0, n + 1, "is not a Unicode character"
	}
	return rune(code), n + 1, ""
}

// quote returns text as a quoted string of that version.
func quote(text string, v Version) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		writeEscaped(&b, r, v)
	}
	b.WriteByte('"')
	return b.String()
}

// writeEscaped writes one character of a quoted string.
func writeEscaped(b *strings.Builder, r rune, v Version) {
	switch r {
	case '\n':
		b.WriteString(`\n`)
	case '\r':
		b.WriteString(`\r`)
	case '\t':
		b.WriteString(`\t`)
	case '\b':
		b.WriteString(`\b`)
	case '\f':
		b.WriteString(`\f`)
	case '\\', '"':
		b.WriteByte('\\')
		b.WriteRune(r)
	default:
		if isDisallowed(r) || isNewline(r) {
			fmt.Fprintf(b, `\u{%x}`, r)
			return
		}
		b.WriteRune(r)
	}
}
