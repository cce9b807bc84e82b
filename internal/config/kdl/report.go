package kdl

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// diagnosticsMax bounds how many diagnostics one text gives; a text with more
// is no slip of the pen, and the rest of it is not read.
const diagnosticsMax = 100

// reporter collects the diagnostics of one text.
type reporter struct {
	file string
	list Diagnostics
	full bool
}

func (r *reporter) errorf(span Span, format string, args ...any) {
	r.add(Errorf(r.file, span, format, args...))
}

func (r *reporter) add(d Diagnostic) {
	if r.full {
		return
	}
	if len(r.list) == diagnosticsMax {
		r.full = true
		d = Errorf(r.file, d.Span, "too many errors, the rest of the text is not read")
	}
	r.list = append(r.list, d)
}

// sorted returns the diagnostics in the order of the text.
func (r *reporter) sorted() Diagnostics {
	slices.SortStableFunc(r.list, func(a, b Diagnostic) int {
		return int(a.Span.Start.Offset) - int(b.Span.Start.Offset)
	})
	return r.list
}

// checkText reports what may not stand anywhere in a text: bytes that are
// not UTF-8 and, in version 2, the disallowed code points. One diagnostic
// covers a run of them.
func (r *reporter) checkText(src string, v Version) {
	at := newCursor(src)
	for i := textBody(src); i < len(src) && !r.full; {
		n := badTextLen(src[i:], v)
		if n == 0 {
			i += plainLen(src[i:])
			continue
		}
		at.advanceTo(i)
		start := at.Pos
		for n > 0 {
			i += n
			n = badTextLen(src[i:], v)
		}
		at.advanceTo(i)
		r.badText(Span{start, at.Pos}, src[start.Offset:i])
	}
}

// textBody returns the offset after a byte order mark.
func textBody(src string) int {
	if strings.HasPrefix(src, byteOrderMark) {
		return len(byteOrderMark)
	}
	return 0
}

// plainLen returns how many bytes from the start of s need no closer look,
// at least one character.
func plainLen(s string) int {
	i := 0
	for i < len(s) && (s[i] >= ' ' && s[i] < 0x7F || s[i] >= '\t' && s[i] <= '\r') {
		i++
	}
	if i > 0 {
		return i
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// badTextLen returns the length of the character at the start of s when it
// may not stand there, else 0.
func badTextLen(s string, v Version) int {
	if s == "" {
		return 0
	}
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 || v == V2 && isDisallowed(r) {
		return n
	}
	return 0
}

func (r *reporter) badText(span Span, text string) {
	char, n := utf8.DecodeRuneInString(text)
	switch {
	case char == utf8.RuneError && n == 1:
		r.add(Errorf(r.file, span, "text is not UTF-8 here (byte 0x%02X)", text[0]).
			WithHint("save the file as UTF-8"))
	case char == 0xFEFF:
		r.add(Errorf(r.file, span, "a byte order mark may only stand at the very start").
			WithHint("remove this invisible character"))
	case char > 0x7F:
		r.add(Errorf(r.file, span, "the invisible character U+%04X may not stand in the text", char).
			WithHint("remove it, or write \\u{%X} in a quoted string", char))
	default:
		r.add(Errorf(r.file, span, "the control character U+%04X may not stand in the text", char).
			WithHint("remove it, or write \\u{%X} in a quoted string", char))
	}
}
