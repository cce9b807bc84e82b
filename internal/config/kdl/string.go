package kdl

import "strings"

const tripleQuote = `"""`

// scanQuoted reads a string in quotes.
func (l *lexer) scanQuoted() tokenKind {
	s := l.rest()
	if l.version == V2 && strings.HasPrefix(s, tripleQuote) {
		l.signsV2++
		return l.scanMultiline(len(tripleQuote), tripleQuote, true)
	}
	n, escaped := quotedLen(s[1:], l.version)
	body := s[1 : 1+n]
	if !strings.HasPrefix(s[1+n:], `"`) {
		return l.unclosedString(body)
	}
	l.tok.text = body
	if escaped {
		l.checkEscapes(int(l.Offset)+1, body)
		l.tok.text = unescape(body, l.version)
	}
	l.advanceTo(int(l.Offset) + n + 2)
	return tokenString
}

// quotedLen returns the length of the body of a quoted string, up to its
// closing quote or, when there is none, to where it must end, and whether
// the body holds a backslash. Version 1 has strings over several lines.
func quotedLen(s string, v Version) (n int, escaped bool) {
	for n < len(s) {
		switch c := s[n]; {
		case c == '"':
			return n, escaped
		case c == '\\':
			escaped = true
			n += escapeLen(s[n:], v)
		case v == V2 && newlineLen(s[n:]) > 0:
			return n, escaped
		default:
			n++
		}
	}
	return len(s), escaped
}

// escapeLen returns the length of the escape that s starts with, as far as
// it matters for finding the end of a string: the backslash and the character
// after it, or in version 2 all the space after it.
func escapeLen(s string, v Version) int {
	if v == V2 {
		if n := len(s) - len(skipBlank(s[1:])); n > 1 {
			return n
		}
	}
	return min(2, len(s))
}

// unclosedString reports a string without a closing quote and takes body for
// its text. In version 2 that is the rest of the line, in version 1 the rest
// of the text.
func (l *lexer) unclosedString(body string) tokenKind {
	d := Diagnostic{Message: "string is never closed", Hint: `close it with "`}
	if l.version == V2 {
		d.Message = "string is not closed on its line"
		d.Hint += "; a text over several lines stands between " + tripleQuote
	}
	if l.dangling && strings.Trim(body, " \t;}#") == "" {
		l.dangling = false // the other end of the one reported before
		d.Message = ""
	}
	return l.unclosed(1, body, d)
}

// unclosed reports a string without an end and takes body for its text.
// opening is the length of the opening delimiter.
func (l *lexer) unclosed(opening int, body string, d Diagnostic) tokenKind {
	start := l.Pos
	l.skip(opening)
	d.File, d.Span = l.file, Span{start, l.Pos}
	if d.Message != "" {
		l.add(d)
		l.dangling = true
	}
	l.tok.text = body
	l.advanceTo(int(l.Offset) + len(body))
	l.cutOff = int(l.Offset) == len(l.src)
	return tokenInvalid
}

// scanRaw reads a raw string: opening is the length of what stands before
// the quote, hashes how many number signs are part of that.
func (l *lexer) scanRaw(opening, hashes int) tokenKind {
	s := l.rest()
	closing := `"` + s[opening-hashes:opening]
	if l.version == V2 && strings.HasPrefix(s[opening:], tripleQuote) {
		return l.scanMultiline(opening+len(tripleQuote), `""`+closing, false)
	}
	body := s[opening+1:]
	if l.version == V2 {
		if n := strings.IndexFunc(body, isNewline); n >= 0 {
			body = body[:n]
		}
	}
	n := strings.Index(body, closing)
	if n < 0 {
		d := Diagnostic{Message: "raw string is never closed", Hint: "close it with " + excerptOf(closing)}
		if l.version == V2 {
			d.Message = "raw string is not closed on its line"
		}
		return l.unclosed(opening+1, body, d)
	}
	l.tok.text = body[:n]
	l.advanceTo(int(l.Offset) + opening + 1 + n + len(closing))
	return tokenString
}

// scanMultiline reads a string over several lines, version 2 only: opening
// is the length of its opening delimiter.
func (l *lexer) scanMultiline(opening int, closing string, escapes bool) tokenKind {
	s, start := l.rest(), l.Pos
	n := multilineLen(s[opening:], closing, escapes)
	if n < 0 {
		return l.unclosed(opening, s[opening:], Diagnostic{
			Message: "string over several lines is never closed",
			Hint:    "close it with " + excerptOf(closing) + " on a line of its own",
		})
	}
	body := s[opening : opening+n]
	if escapes {
		l.checkEscapes(int(start.Offset)+opening, body)
	}
	if newlineLen(body) == 0 {
		l.oneLineMultiline(opening, body, closing)
	} else {
		l.tok.text = l.dedent(int(start.Offset)+opening, body, escapes)
	}
	l.advanceTo(int(start.Offset) + opening + n + len(closing))
	return tokenString
}

// oneLineMultiline reports a multi-line string whose text starts beside the
// opening quotes.
func (l *lexer) oneLineMultiline(opening int, body, closing string) {
	start := l.Pos
	l.skip(opening)
	d := Errorf(l.file, Span{start, l.Pos}, "a string that opens with %s must start on the next line", tripleQuote)
	if strings.IndexFunc(body, isNewline) < 0 {
		d = d.WithHint("a string on one line has one quote on each side")
	}
	l.add(d)
	l.tok.text = body
}

// multilineLen returns the length of the body before the closing delimiter,
// or -1.
func multilineLen(s, closing string, escapes bool) int {
	if !escapes {
		return strings.Index(s, closing)
	}
	for n := 0; n < len(s); {
		step := strings.IndexAny(s[n:], `\"`)
		if step < 0 {
			return -1
		}
		n += step
		switch {
		case s[n] == '\\':
			n += escapeLen(s[n:], V2)
		case strings.HasPrefix(s[n:], closing):
			return n
		default:
			n++
		}
	}
	return -1
}

// dedent returns the text of a multi-line string whose body starts at an
// offset: space that is escaped goes first, then the indentation that the
// last line sets, then the other escapes are replaced.
func (l *lexer) dedent(offset int, body string, escapes bool) string {
	lines, starts := joinedLines(body, escapes)
	last := len(lines) - 1
	prefix := lines[last]
	if !isBlank(prefix) {
		at := l.cursor
		at.advanceTo(offset + len(body))
		l.add(Errorf(l.file, Span{at.Pos, at.Pos}, "the closing quotes must stand on a line of their own").
			WithHint("start a new line before them; no backslash may join it to the text"))
		return body
	}
	var text strings.Builder
	for i, line := range lines[1:max(last, 1)] {
		if i > 0 {
			text.WriteByte('\n')
		}
		if isBlank(line) {
			continue
		}
		rest, ok := strings.CutPrefix(line, prefix)
		if !ok {
			l.badIndent(offset+starts[i+1], offset+len(body))
			return body
		}
		text.WriteString(rest)
	}
	if !escapes || strings.IndexByte(body, '\\') < 0 {
		return text.String()
	}
	return unescape(text.String(), V2)
}

// joinedLines splits the body of a multi-line string into lines, without
// the space that a backslash escapes, and says where in the body each starts.
func joinedLines(body string, escapes bool) (lines []string, starts []int) {
	var line strings.Builder
	start, plain := 0, 0
	for i := 0; ; {
		step := strings.IndexFunc(body[i:], func(r rune) bool { return r == '\\' && escapes || isNewline(r) })
		if step < 0 {
			line.WriteString(body[plain:])
			return append(lines, line.String()), append(starts, start)
		}
		i += step
		if body[i] == '\\' {
			n := escapeLen(body[i:], V2)
			if blank := len(body[i:]) - len(skipBlank(body[i+1:])); blank > 1 {
				line.WriteString(body[plain:i])
				plain = i + n
			}
			i += n
			continue
		}
		line.WriteString(body[plain:i])
		lines, starts = append(lines, line.String()), append(starts, start)
		line.Reset()
		i += newlineLen(body[i:])
		start, plain = i, i
	}
}

// badIndent reports a line of a multi-line string that doesn't start with
// the indentation of its closing quotes.
func (l *lexer) badIndent(line, closing int) {
	at := l.cursor
	at.advanceTo(line)
	start := at.Pos
	for {
		n := spaceLen(at.rest())
		if n == 0 {
			break
		}
		at.skip(n)
	}
	end := at.Pos
	at.advanceTo(closing)
	quotes := at.Pos
	quotes.Offset += 3
	quotes.Column += 3
	l.add(Errorf(l.file, Span{start, end}, "line is not indented like the closing quotes of its string").
		WithHint("start it with the same spaces and tabs, or indent the closing quotes less").
		WithRelated(l.file, Span{at.Pos, quotes}, "these quotes set the indentation"))
}
