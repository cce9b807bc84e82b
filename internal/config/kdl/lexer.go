package kdl

import (
	"strings"
	"unicode/utf8"
)

// tokenKind tells the tokens apart. Space and comments are tokens too: the
// reader steps over them, the formatter keeps the comments.
type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenNewline
	tokenSpace
	tokenLineComment  // up to the newline
	tokenBlockComment // with those nested in it
	tokenContinuation // the backslash alone
	tokenSemicolon
	tokenOpenBlock
	tokenCloseBlock
	tokenOpenType
	tokenCloseType
	tokenEquals
	tokenSlashdash
	tokenWord    // text without quotes
	tokenString  // quoted text
	tokenNumber  // also #inf, #-inf and #nan
	tokenKeyword // true, false and null, in version 2 with a number sign
	tokenInvalid // reported; stands where a value would
)

// token is one token. Its text is the decoded text of a word or string and
// the literal of a number or keyword.
type token struct {
	kind tokenKind
	text string
	span Span
}

// lexer cuts a text into tokens, of which it holds the current one. It never
// fails: what is wrong it reports, and then goes on with the likeliest token.
type lexer struct {
	cursor
	reporter
	version Version
	tok     token

	indent     int32 // column of the first token in the current line
	indentLine int32 // the line that indent is of

	dangling bool // a string without an end was reported
	cutOff   bool // a string or comment without an end runs to the end of the text

	// Signs that the text is of one version or the other.
	signsV1, signsV2 int
}

func newLexer(file, src string, v Version) lexer {
	l := lexer{cursor: newCursor(src), reporter: reporter{file: file}, version: v}
	if n := textBody(src); n > 0 {
		l.Offset += int32(n) // the mark takes no column
	}
	return l
}

// raw returns the current token as written.
func (l *lexer) raw() string { return l.src[l.tok.span.Start.Offset:l.tok.span.End.Offset] }

// next moves to the next token.
func (l *lexer) next() {
	start := l.Pos
	l.tok.text = ""
	l.tok.kind = l.scan()
	l.tok.span = Span{start, l.Pos}
	if l.indentLine != start.Line && l.tok.kind != tokenSpace {
		l.indentLine, l.indent = start.Line, start.Column
	}
}

// scan moves over one token and returns its kind, with l.tok.text set for
// those that have one.
func (l *lexer) scan() tokenKind {
	s := l.rest()
	if s == "" || l.full {
		return tokenEnd
	}
	switch s[0] {
	case ' ', '\t':
		return l.scanSpace()
	case '\n', '\r', '\f':
		return l.scanNewline()
	case '\v':
		if l.version == V2 {
			return l.scanNewline()
		}
	case '"':
		return l.scanQuoted()
	case '#':
		if l.version == V2 {
			return l.scanHash()
		}
	case '/':
		return l.scanSlash()
	}
	if kind := punctuation(s[0]); kind != tokenEnd {
		l.skip(1)
		return kind
	}
	if s[0] >= utf8.RuneSelf {
		if newlineLen(s) > 0 {
			return l.scanNewline()
		}
		if l.spaceLen(s) > 0 {
			return l.scanSpace()
		}
	}
	return l.scanWord()
}

// punctuation returns the kind of a token of one byte, or tokenEnd.
func punctuation(c byte) tokenKind {
	switch c {
	case ';':
		return tokenSemicolon
	case '{':
		return tokenOpenBlock
	case '}':
		return tokenCloseBlock
	case '(':
		return tokenOpenType
	case ')':
		return tokenCloseType
	case '=':
		return tokenEquals
	case '\\':
		return tokenContinuation
	}
	return tokenEnd
}

// spaceLen is like the function; in version 1 a byte order mark is space.
func (l *lexer) spaceLen(s string) int {
	if l.version == V1 && strings.HasPrefix(s, byteOrderMark) {
		return len(byteOrderMark)
	}
	return spaceLen(s)
}

func (l *lexer) scanSpace() tokenKind {
	s, n := l.rest(), 0
	for n < len(s) {
		step := l.spaceLen(s[n:])
		if step == 0 {
			break
		}
		n += step
	}
	l.skip(n)
	return tokenSpace
}

func (l *lexer) scanNewline() tokenKind {
	l.Offset += int32(newlineLen(l.rest()))
	l.Line++
	l.Column = 1
	return tokenNewline
}

// scanSlash reads what starts with a slash: a comment, a slashdash, or text
// that should have been quoted.
func (l *lexer) scanSlash() tokenKind {
	s := l.rest()
	switch {
	case strings.HasPrefix(s, "//"):
		n := strings.IndexFunc(s, l.isLineEnd)
		if n < 0 {
			n = len(s)
		}
		l.skip(n)
		return tokenLineComment
	case strings.HasPrefix(s, "/*"):
		l.scanBlockComment()
		return tokenBlockComment
	case strings.HasPrefix(s, "/-"):
		l.skip(2)
		return tokenSlashdash
	}
	return l.scanUnquotable(0)
}

// isLineEnd is isNewline without what version 1 doesn't count.
func (l *lexer) isLineEnd(r rune) bool {
	return isNewline(r) && !(r == '\v' && l.version == V1)
}

// scanBlockComment reads a block comment; comments nest.
func (l *lexer) scanBlockComment() {
	opening := Span{l.Pos, l.Pos}
	opening.End.Offset += 2
	opening.End.Column += 2
	s, i, depth := l.rest(), 2, 1
	nested := false
	for depth > 0 {
		step := strings.IndexAny(s[i:], "*/")
		if step < 0 || i+step+1 >= len(s) {
			i = len(s)
			break
		}
		i += step
		switch s[i : i+2] {
		case "/*":
			depth++
			nested = true
			i += 2
		case "*/":
			depth--
			i += 2
		default:
			i++
		}
	}
	l.advanceTo(int(l.Offset) + i)
	if depth > 0 {
		l.cutOff = true
		d := Errorf(l.file, opening, "block comment is never closed").WithHint("close it with */")
		if nested {
			d = d.WithHint("comments nest: every /* needs its own */")
		}
		l.add(d)
	}
}

// scanHash reads what starts with a number sign in version 2: a raw string
// or a keyword.
func (l *lexer) scanHash() tokenKind {
	s := l.rest()
	hashes := 1
	for hashes < len(s) && s[hashes] == '#' {
		hashes++
	}
	if hashes < len(s) && s[hashes] == '"' {
		l.signsV2++
		return l.scanRaw(hashes, hashes)
	}
	end := hashes + wordLen(s[hashes:], V2)
	word := s[:end]
	if !l.unquotableAt(s[end:]) {
		switch word {
		case "#true", "#false", "#null":
			return l.keyword(tokenKeyword, word)
		case "#inf", "#-inf", "#nan":
			return l.keyword(tokenNumber, word)
		}
	}
	start := l.Pos
	l.skip(end + l.unquotableLen(s[end:]))
	l.tok.text = l.src[start.Offset:l.Offset]
	l.add(Errorf(l.file, Span{start, l.Pos}, "%s is not a keyword", excerptOf(l.tok.text)).
		WithHint("the keywords are #true, #false, #null, #inf, #-inf and #nan; text with # stands in quotes"))
	return tokenInvalid
}

func (l *lexer) keyword(kind tokenKind, word string) tokenKind {
	if l.version == V2 {
		l.signsV2++
	}
	l.skip(len(word))
	l.tok.text = word
	return kind
}

// scanWord reads text without quotes and tells what it is.
func (l *lexer) scanWord() tokenKind {
	s := l.rest()
	if l.version == V1 && s[0] == 'r' {
		hashes := 0
		for 1+hashes < len(s) && s[1+hashes] == '#' {
			hashes++
		}
		if 1+hashes < len(s) && s[1+hashes] == '"' {
			l.signsV1++
			return l.scanRaw(1+hashes, hashes)
		}
	}
	n := wordLen(s, l.version)
	if n == 0 || l.unquotableAt(s[n:]) && !l.legacyRaw(s, n) {
		return l.scanUnquotable(n)
	}
	word := s[:n]
	switch {
	case looksNumeric(word, l.version):
		return l.scanNumber(word)
	case l.version == V1 && isReserved(word, V1):
		return l.keyword(tokenKeyword, word)
	}
	l.skip(n)
	l.tok.text = word
	return tokenWord
}

// legacyRaw reports whether s, of which the first n bytes are a word, starts
// with a raw string of version 1 in a text of version 2.
func (l *lexer) legacyRaw(s string, n int) bool {
	return l.version == V2 && s[:n] == "r" && strings.HasPrefix(strings.TrimLeft(s[n:], "#"), `"`)
}

// unquotableAt reports whether s starts with a character that neither ends
// a word nor may stand in one.
func (l *lexer) unquotableAt(s string) bool {
	if s == "" {
		return false
	}
	switch s[0] {
	case '/':
		return len(s) == 1 || s[1] != '/' && s[1] != '*' && s[1] != '-'
	case '[', ']':
		return true
	case '#':
		return l.version == V2
	case '<', '>', ',':
		return l.version == V1
	}
	return l.version == V1 && s[0] < ' ' && newlineLen(s) == 0 && s[0] != '\t' || l.version == V1 && s[0] == '\v'
}

// unquotableLen returns the length of a run of words and such characters.
func (l *lexer) unquotableLen(s string) int {
	n := 0
	for n < len(s) {
		step := wordLen(s[n:], l.version)
		if step == 0 {
			if !l.unquotableAt(s[n:]) {
				break
			}
			step = 1
		}
		n += step
	}
	return n
}

// scanUnquotable reads a run of text that should have been quoted, of which
// the character at offset bad is the first that can't stand there.
func (l *lexer) scanUnquotable(bad int) tokenKind {
	s := l.rest()
	start := l.Pos
	n := max(l.unquotableLen(s), 1)
	l.skip(n)
	l.tok.text = s[:n]
	l.add(Errorf(l.file, Span{start, l.Pos}, "%q can't stand in text without quotes", s[bad:bad+1]).
		WithHint("write %s", quote(excerptOf(s[:n]), l.version)))
	return tokenInvalid
}

// excerptOf shortens a text to what fits a message.
func excerptOf(s string) string {
	const runesMax = 60
	count := 0
	for i := range s {
		if count == runesMax {
			return s[:i] + "…"
		}
		count++
	}
	return s
}
