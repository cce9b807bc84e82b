package kdl

import "strings"

// skipNodeSpace moves over what may stand between the parts of a node:
// space, block comments, and newlines after a backslash. It reports whether
// there was any.
func (p *parser) skipNodeSpace() (any bool) {
	for {
		switch p.tok.kind {
		case tokenSpace, tokenBlockComment:
			p.next()
		case tokenContinuation:
			p.continuation()
		default:
			return any
		}
		any = true
	}
}

// skipLineSpace moves over what may stand between nodes.
func (p *parser) skipLineSpace() {
	for {
		switch p.tok.kind {
		case tokenSpace, tokenBlockComment, tokenLineComment, tokenNewline:
			p.next()
		case tokenContinuation:
			if p.version == V1 {
				p.add(Errorf(p.file, p.tok.span, "a backslash at the start of a line continues nothing").
					WithHint("put it at the end of the line before"))
				p.next()
				continue
			}
			p.continuation()
		default:
			return
		}
	}
}

// continuation moves over a backslash and the newline that it escapes.
func (p *parser) continuation() {
	backslash := p.tok.span
	p.next()
	for p.tok.kind == tokenSpace || p.tok.kind == tokenBlockComment {
		p.next()
	}
	if p.tok.kind == tokenLineComment {
		p.next()
	}
	switch {
	case p.tok.kind == tokenNewline:
		p.next()
	case p.tok.kind != tokenEnd || p.version == V1:
		p.add(Errorf(p.file, backslash, "only a comment may follow a backslash on its line").
			WithHint("a backslash continues a node on the next line; text with a backslash stands in quotes"))
	}
}

// describe names a token for a message.
func (t token) describe() string {
	switch t.kind {
	case tokenEnd:
		return "the end of the text"
	case tokenNewline, tokenLineComment:
		return "the end of the line"
	case tokenSemicolon:
		return ";"
	case tokenOpenBlock:
		return "{"
	case tokenCloseBlock:
		return "}"
	case tokenOpenType:
		return "("
	case tokenCloseType:
		return ")"
	case tokenEquals:
		return "="
	case tokenSlashdash:
		return "/-"
	case tokenContinuation:
		return "a backslash"
	case tokenString:
		return "a string"
	case tokenNumber:
		return "the number " + excerptOf(t.text)
	case tokenKeyword:
		return excerptOf(t.text)
	case tokenSpace, tokenBlockComment:
		return "space"
	}
	return excerptOf(t.text)
}

// noteString remembers, in version 1, a string that spans lines.
func (p *parser) noteString(tok token) {
	if p.version == V1 && tok.span.Start.Line != tok.span.End.Line {
		p.longText = tok.span
	}
}

// reopen handles what stands directly after a string over several lines in
// version 1. Its closing quote is then most likely the opening one of another
// string, and its own is missing. It reads on from the line after its start.
func (p *parser) reopen(n *Node) bool {
	if !p.longText.IsValid() || p.longText.End != p.tok.span.Start || p.tok.kind == tokenInvalid {
		return false
	}
	text := p.longText
	start := text.Start
	p.longText = Span{}
	end := start
	end.Offset++
	end.Column++
	p.add(Errorf(p.file, Span{start, end}, "string is never closed").WithHint(`close it with "`))
	p.Pos = start
	for p.Offset < int32(len(p.src)) && newlineLen(p.rest()) == 0 {
		p.skip(wordOrByte(p.rest()))
	}
	if last := len(p.entryStack) - 1; last >= 0 && p.entryStack[last].Value.Span == text {
		e := p.entryStack[last]
		e.Span.End, e.Value.Span.End, n.Span.End = p.Pos, p.Pos, p.Pos
		e.Value.Raw = p.src[start.Offset:p.Offset]
		e.Value.Text = strings.TrimPrefix(e.Value.Raw, `"`)
	}
	p.next()
	return true
}

// wordOrByte returns the length of a step that stays on its line.
func wordOrByte(s string) int {
	if n := wordLen(s, V2); n > 0 {
		return n
	}
	if n := spaceLen(s); n > 0 {
		return n
	}
	return 1
}
