package kdl

import (
	"bytes"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// excerptBytesMax bounds how much of a long line an excerpt shows.
const excerptBytesMax = 160

// appendPlace appends "file:line:column: ", leaving out what is not known.
func appendPlace(dst []byte, file string, span Span) []byte {
	if file != "" {
		dst = append(dst, file...)
		dst = append(dst, ':')
	}
	if span.IsValid() {
		dst = strconv.AppendInt(dst, int64(span.Start.Line), 10)
		dst = append(dst, ':')
		dst = strconv.AppendInt(dst, int64(span.Start.Column), 10)
		dst = append(dst, ':')
	}
	if len(dst) > 0 && dst[len(dst)-1] == ':' {
		dst = append(dst, ' ')
	}
	return dst
}

// appendExcerpt appends the line that span starts in and a line with carets
// under the span.
func appendExcerpt(dst []byte, file string, span Span, sourceOf func(file string) []byte) []byte {
	if sourceOf == nil || !span.IsValid() {
		return dst
	}
	src := sourceOf(file)
	at := int(span.Start.Offset)
	if src == nil || at < 0 || at > len(src) {
		return dst
	}
	line, before, after := lineAround(src, at)
	marked := min(max(int(span.End.Offset)-at, 0), len(after))

	number := strconv.AppendInt(nil, int64(span.Start.Line), 10)
	for range max(5-len(number), 0) {
		dst = append(dst, ' ')
	}
	dst = append(dst, number...)
	dst = append(dst, " | "...)
	dst = appendPrintable(dst, line)
	dst = append(dst, '\n')

	for range max(5, len(number)) {
		dst = append(dst, ' ')
	}
	dst = append(dst, " | "...)
	dst = appendBlank(dst, before)
	for range max(columns(after[:marked]), 1) {
		dst = append(dst, '^')
	}
	return append(dst, '\n')
}

// lineAround returns the line that holds src[at] without its newline, and
// its parts before and from that byte. A long line is cut to a window.
func lineAround(src []byte, at int) (line, before, after []byte) {
	low, high := max(at-excerptBytesMax/2, 0), min(at+excerptBytesMax/2, len(src))
	start, end := low, high
	if i := lastNewline(src[low:at]); i >= 0 {
		start = low + i
	} else {
		for start > 0 && start < at && !utf8.RuneStart(src[start]) {
			start++
		}
	}
	if i := firstNewline(src[at:high]); i >= 0 {
		end = at + i
	} else {
		for end < len(src) && end > at && !utf8.RuneStart(src[end]) {
			end--
		}
	}
	if start == 0 && bytes.HasPrefix(src[:at], []byte(byteOrderMark)) {
		start = len(byteOrderMark)
	}
	return src[start:end], src[start:at], src[at:end]
}

// firstNewline returns the index of the first newline in b, or -1.
func firstNewline(b []byte) int {
	for i := range b {
		if newlineLen(b[i:]) > 0 {
			return i
		}
	}
	return -1
}

// lastNewline returns the index after the last newline in b, or -1.
func lastNewline(b []byte) int {
	for i := len(b) - 1; i >= 0; i-- {
		if n := newlineLen(b[i:]); n > 0 {
			return i + n
		}
	}
	return -1
}

// appendPrintable appends text so that it can't move the cursor or reorder
// what is around it: tabs stay, other unprintable characters become U+FFFD.
func appendPrintable(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r != '\t' && !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		dst = utf8.AppendRune(dst, r)
		text = text[n:]
	}
	return dst
}

// appendBlank appends blanks that take the room of text on the screen.
func appendBlank(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == '\t' {
			dst = append(dst, '\t')
		} else {
			for range runeColumns(r) {
				dst = append(dst, ' ')
			}
		}
		text = text[n:]
	}
	return dst
}

// columns returns how many columns of a screen text takes, about.
func columns(text []byte) int {
	sum := 0
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		sum += runeColumns(r)
		text = text[n:]
	}
	return sum
}

// runeColumns returns the columns of one character: none for combining
// marks, two for the wide scripts of East Asia and for emoji.
func runeColumns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r >= 0x1100 && r <= 0x115F, r >= 0x2E80 && r <= 0xA4CF, r >= 0xAC00 && r <= 0xD7A3,
		r >= 0xF900 && r <= 0xFAFF, r >= 0xFE30 && r <= 0xFE6F, r >= 0xFF00 && r <= 0xFF60,
		r >= 0xFFE0 && r <= 0xFFE6, r >= 0x1F300 && r <= 0x1F64F, r >= 0x1F900 && r <= 0x1F9FF,
		r >= 0x20000 && r <= 0x3FFFD:
		return 2
	}
	return 1
}
