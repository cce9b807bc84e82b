package kdl

import "strings"

// piece is what stands between the parts of a node: a comment, or a
// continuation of the line.
type piece struct {
	kind tokenKind // tokenBlockComment, tokenLineComment or tokenContinuation
	text string
}

// between moves over space and returns the comments and continuations in
// it. With lines it goes over newlines too, as after a slashdash.
func (f *formatter) between(lines bool) (pieces []piece) {
	continued, noted := false, true // inside a continuation; it left a piece
	for {
		switch f.tok.kind {
		case tokenSpace:
		case tokenBlockComment:
			pieces = append(pieces, piece{tokenBlockComment, f.raw()})
		case tokenContinuation:
			continued, noted = true, false
		case tokenLineComment:
			if !continued && !lines {
				return pieces
			}
			pieces = append(pieces, piece{tokenLineComment, f.comment()})
			noted = true
		case tokenNewline:
			if !continued && !lines {
				return pieces
			}
			if continued && !noted {
				pieces = append(pieces, piece{kind: tokenContinuation})
			}
			continued = false
		default:
			return pieces
		}
		f.next()
	}
}

// comments returns the pieces without plain continuations.
func comments(pieces []piece) []piece {
	kept := pieces[:0:0]
	for _, p := range pieces {
		if p.kind != tokenContinuation {
			kept = append(kept, p)
		}
	}
	return kept
}

// head reads type annotation and name of a node and returns how to write
// them, and the comments that stood inside.
func (f *formatter) head() (text string, pieces []piece) {
	if f.tok.kind == tokenOpenType {
		text, pieces = f.annotation()
	}
	text += f.literal(true)
	f.next()
	return text, pieces
}

// annotation reads a type annotation and the space after it.
func (f *formatter) annotation() (text string, pieces []piece) {
	f.next()
	pieces = f.between(false)
	text = "(" + f.literal(true) + ")"
	f.next()
	pieces = append(pieces, f.between(false)...)
	f.next() // the closing parenthesis
	return text, comments(append(pieces, f.between(false)...))
}

// body writes what follows the name of a node.
func (f *formatter) body(level int) {
	pieces := f.between(false)
	for {
		prefix := ""
		if f.tok.kind == tokenSlashdash {
			prefix = "/-"
			f.next()
			pieces = append(pieces, comments(f.between(true))...)
		}
		switch f.tok.kind {
		case tokenOpenBlock:
			f.pieces(comments(pieces), level)
			f.children(prefix, level)
			pieces = f.between(false)
		case tokenWord, tokenString, tokenNumber, tokenKeyword, tokenOpenType:
			text, inside, after := f.entry()
			f.pieces(append(pieces, inside...), level)
			f.word(prefix + text)
			pieces = after
		default:
			f.lastPieces(comments(pieces), level)
			return
		}
		if f.unfit {
			return
		}
	}
}

// entry reads an argument or property and returns how to write it, the
// comments inside it, and what stands between it and the next part.
func (f *formatter) entry() (text string, inside, after []piece) {
	if f.tok.kind == tokenOpenType {
		text, inside = f.annotation()
	}
	asName, asValue := f.literal(true), f.literal(false)
	f.next()
	after = f.between(false)
	if f.tok.kind != tokenEquals {
		return text + asValue, inside, after
	}
	f.next()
	inside = append(comments(after), comments(f.between(false))...)
	text = asName + "="
	if f.tok.kind == tokenOpenType {
		typ, more := f.annotation()
		text, inside = text+typ, append(inside, more...)
	}
	text += f.literal(false)
	f.next()
	return text, inside, f.between(false)
}

// pieces writes what stands before a part of a node.
func (f *formatter) pieces(pieces []piece, level int) {
	for _, p := range pieces {
		switch p.kind {
		case tokenBlockComment:
			f.word(p.text)
			f.unfit = f.unfit || f.inline
		case tokenLineComment:
			f.word(`\ ` + p.text)
			f.newline(level + 1)
		default:
			if !f.fresh {
				f.word(`\`)
				f.newline(level + 1)
			}
		}
	}
}

// lastPieces writes what stands at the end of a node.
func (f *formatter) lastPieces(pieces []piece, level int) {
	if last := len(pieces) - 1; last >= 0 && pieces[last].kind == tokenLineComment {
		f.pieces(pieces[:last], level)
		f.word(pieces[last].text)
		return
	}
	f.pieces(pieces, level)
}

// children writes a block, on the line or over several.
func (f *formatter) children(prefix string, level int) {
	f.word(prefix + "{")
	if f.inline {
		f.next()
		f.inlineBlock()
		f.closeInline()
		return
	}
	end, ok := f.oneLine[f.tok.span.Start.Offset]
	if ok && end-f.tok.span.Start.Offset <= 4*formatWidthMax {
		cursor, tok, mark := f.cursor, f.tok, len(f.out)
		f.inline, f.unfit = true, false
		f.next()
		f.inlineBlock()
		f.closeInline()
		unfit := f.unfit
		f.inline, f.unfit = false, false
		if !unfit {
			return
		}
		f.cursor, f.tok, f.out, f.fresh = cursor, tok, f.out[:mark], false
	}
	f.next()
	before := len(f.out)
	f.block(level + 1)
	if len(f.out) > before {
		f.newline(level)
	}
	f.out = append(f.out, '}')
	f.fresh = false
	f.next()
}

// closeInline writes the closing brace of a block on one line.
func (f *formatter) closeInline() {
	if f.unfit {
		return
	}
	if f.out[len(f.out)-1] == '{' {
		f.out = append(f.out, '}')
	} else {
		f.word("}")
	}
	f.unfit = f.unfit || len(f.out)-f.lineStart > formatWidthMax
	f.next()
}

// literal returns how to write the current word, string, number or keyword,
// as a name or as a value.
func (f *formatter) literal(name bool) string {
	raw := f.raw()
	if f.to == f.version {
		return raw
	}
	switch f.tok.kind {
	case tokenWord:
		if (name || f.to == V2) && isBareWord(f.tok.text, f.to) {
			return raw
		}
		return quote(f.tok.text, f.to)
	case tokenString:
		if f.to == V1 {
			return stringV1(raw, f.tok.text)
		}
		return stringV2(raw, f.tok.text, f.level())
	case tokenKeyword:
		if f.to == V1 {
			return strings.TrimPrefix(raw, "#")
		}
		return "#" + raw
	}
	if strings.HasPrefix(raw, "#") && !name {
		f.errorf(f.tok.span, "%s can't be written in KDL 1", raw)
	}
	return raw
}

// level returns how deep the current line of the output is indented.
func (f *formatter) level() int {
	line := f.out[f.lineStart:]
	n := 0
	for n < len(line) && line[n] == ' ' {
		n++
	}
	return n / len(formatIndent)
}

// stringV1 returns how to write a string of version 2 in version 1.
func stringV1(raw, text string) string {
	quoted := strings.TrimLeft(raw, "#")
	switch {
	case strings.HasPrefix(quoted, tripleQuote):
	case raw[0] == '#':
		return "r" + raw
	case strings.IndexByte(raw, '\\') < 0:
		return raw
	}
	return quote(text, V1)
}

// stringV2 returns how to write a string of version 1 in version 2.
func stringV2(raw, text string, level int) string {
	lines := strings.ContainsFunc(raw, isNewline)
	plain := !lines && !strings.ContainsFunc(raw, isDisallowed)
	switch {
	case plain && raw[0] == 'r' && !strings.HasPrefix(text, `"`):
		if hashed := raw[1:]; hashed[0] == '#' {
			return hashed
		}
		if !strings.Contains(text, `"#`) {
			return "#" + raw[1:] + "#"
		}
	case plain && raw[0] == '"' && !strings.Contains(raw, `\/`):
		return raw
	case lines && strings.Contains(text, "\n"):
		return multiline(text, strings.Repeat(formatIndent, level+1))
	}
	return quote(text, V2)
}

// multiline returns text as a string over several lines, or as one on a line
// when a line of spaces would not survive that.
func multiline(text, indent string) string {
	var b strings.Builder
	b.WriteString(tripleQuote + "\n")
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			if isBlank(line) {
				return quote(text, V2)
			}
			b.WriteString(indent)
			for _, r := range line {
				writeEscaped(&b, r, V2)
			}
		}
		b.WriteByte('\n')
	}
	b.WriteString(indent + tripleQuote)
	return b.String()
}
