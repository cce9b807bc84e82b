package kdl

import (
	"bytes"
	"strings"
)

// FormatOptions steer Format. The zero value keeps the version of the text.
type FormatOptions struct {
	Read  Options // how to read the text
	Write Version // the version to write; Auto means that of the text
}

// formatWidthMax is the widest line that may keep a block on it.
const formatWidthMax = 100

const formatIndent = "    "

// Format lays a document out in the house style: a node on each line, four
// spaces for each block, one space between entries, at most one empty line
// between nodes. A block that stands on one line stays there when it fits
// and holds no comment, and lines continued with a backslash stay continued.
// Comments are kept, literals are left as they are written unless the version
// changes, and formatting twice changes nothing more.
//
// With errors in the text, or when it can't be said in the version asked for,
// the result is nil and the diagnostics tell why.
func Format(name string, src []byte, opt FormatOptions) ([]byte, Diagnostics) {
	doc, p := parse(name, src, opt.Read, true)
	if p == nil {
		return nil, sizeDiagnostics(name, src, opt.Read)
	}
	if p.list.HasErrors() {
		return nil, p.sorted()
	}
	f := &formatter{lexer: newLexer(name, p.src, doc.Version), to: opt.Write, oneLine: p.oneLine}
	if f.to == Auto {
		f.to = doc.Version
	}
	_, marker := findMarker(p.src)
	f.marked = marker.IsValid()
	f.next()
	f.block(0)
	if len(f.out) > 0 {
		f.out = append(f.out, '\n')
	}
	f.setMarker()
	if f.list.HasErrors() {
		return nil, f.sorted()
	}
	if ds := f.verify(doc); ds != nil {
		return nil, ds
	}
	return f.out, p.sorted()
}

// setMarker brings the version marker in line with the version written.
func (f *formatter) setMarker() {
	v, span := findMarker(string(f.out))
	switch {
	case !span.IsValid():
	case !f.marked:
		// What was no marker in its old place must not become one.
		f.out = append([]byte{'\n'}, f.out...)
	case v != f.to && (v != Auto || f.to != f.version):
		rest := bytes.Clone(f.out[span.End.Offset:])
		f.out = append(append(f.out[:span.Start.Offset], f.to.String()...), rest...)
	}
}

// verify reads the output again and makes sure that it says the same.
func (f *formatter) verify(doc *Document) Diagnostics {
	again, ds := Parse(f.file, f.out, Options{Version: f.to, BytesMax: bytesLimit, DepthMax: depthLimit})
	for _, d := range ds {
		if d.Severity == Error {
			return Diagnostics{Errorf(f.file, Span{}, "text can't be written as KDL %s: %s", f.to, d.Message).WithHint("%s", d.Hint)}
		}
	}
	if !equalNodes(doc.Nodes, again.Nodes) {
		return Diagnostics{Errorf(f.file, Span{}, "text can't be written as KDL %s without a change of meaning", f.to)}
	}
	return nil
}

// equalNodes reports whether two lists of nodes say the same.
func equalNodes(a, b []*Node) bool {
	if len(a) != len(b) {
		return false
	}
	for i, n := range a {
		m := b[i]
		if n.Name.Text != m.Name.Text || !equalIdents(n.Type, m.Type) || n.HasBlock != m.HasBlock ||
			len(n.Entries) != len(m.Entries) || !equalNodes(n.Children, m.Children) {
			return false
		}
		for k, e := range n.Entries {
			if !equalEntries(e, m.Entries[k]) {
				return false
			}
		}
	}
	return true
}

func equalEntries(a, b *Entry) bool {
	v, w := a.Value, b.Value
	return equalIdents(a.Name, b.Name) && equalIdents(a.Type, b.Type) && v.Kind == w.Kind &&
		v.Bool == w.Bool && v.Text == w.Text && (v.Kind != Number || v.Raw == w.Raw)
}

func equalIdents(a, b *Ident) bool {
	return a == b || a != nil && b != nil && a.Text == b.Text
}

// formatter writes a text without errors anew, token by token.
type formatter struct {
	lexer
	to      Version
	oneLine map[int32]int32 // blocks that stand on one line in the source
	marked  bool            // the text starts with a version marker

	out       []byte
	lineStart int  // where the current line of out starts
	fresh     bool // nothing but indentation stands on that line yet

	inline  bool // writing a block on one line
	unfit   bool // that block can't stay on one line after all
	slashed int  // nodes commented out so far
}

// newline starts a new line.
func (f *formatter) newline(level int) {
	if len(f.out) > 0 {
		f.out = append(f.out, '\n')
	}
	f.lineStart = len(f.out)
	for range level {
		f.out = append(f.out, formatIndent...)
	}
	f.fresh = true
}

// word writes text, with a space before it unless it starts the line.
func (f *formatter) word(text string) {
	if !f.fresh && len(f.out) > 0 {
		f.out = append(f.out, ' ')
	}
	f.out = append(f.out, text...)
	f.fresh = false
	if f.inline && len(f.out)-f.lineStart > formatWidthMax {
		f.unfit = true
	}
}

// block writes the nodes of a block, or of the text, a line for each.
func (f *formatter) block(level int) {
	b := blockLayout{f: f, level: level, first: true, attach: level > 0}
	for {
		switch f.tok.kind {
		case tokenEnd, tokenCloseBlock:
			return
		case tokenNewline:
			if !b.joined {
				b.newlines++
			}
			b.joined = false
			f.next()
		case tokenContinuation:
			b.joined = true
			f.next()
		case tokenSpace, tokenSemicolon:
			f.next()
		case tokenLineComment:
			b.lineComment(f.comment())
			f.next()
		case tokenBlockComment:
			b.startItem()
			f.word(f.raw())
			b.after = true
			f.next()
		case tokenSlashdash:
			prefix, pieces := f.slashdash()
			b.node(prefix, pieces)
		default:
			b.node("", nil)
		}
	}
}

// blockLayout tells where the next node or comment of a block goes.
type blockLayout struct {
	f        *formatter
	level    int
	newlines int  // since the last item
	first    bool // no item written yet
	attach   bool // a comment may follow on the current line
	after    bool // a block comment stands before on the current line
	joined   bool // a backslash waits for its newline
}

// startItem moves to where a node or block comment starts.
func (b *blockLayout) startItem() {
	if !b.after || b.newlines > 0 {
		b.startLine()
	}
	b.newlines, b.after, b.first, b.attach = 0, false, false, true
}

// startLine starts a line, after an empty one when the source has one there.
func (b *blockLayout) startLine() {
	if !b.first && b.newlines > 1 {
		b.f.out = append(b.f.out, '\n')
	}
	b.f.newline(b.level)
}

func (b *blockLayout) lineComment(text string) {
	if b.newlines > 0 || !b.attach {
		b.startLine()
	}
	b.f.word(text)
	b.newlines, b.after, b.first, b.attach = 0, false, false, false
}

// node writes a node, with prefix before it and before that the comments
// that stood inside its head.
func (b *blockLayout) node(prefix string, pieces []piece) {
	head, more := b.f.head()
	for _, p := range append(pieces, more...) {
		switch p.kind {
		case tokenBlockComment:
			b.startItem()
			b.f.word(p.text)
			b.after = true
		case tokenLineComment:
			b.attach = b.after
			b.lineComment(p.text)
			b.newlines = 1
		}
	}
	b.startItem()
	b.f.word(prefix + head)
	b.f.body(b.level)
}

// inlineBlock writes the nodes of a block one after the other on the line. It
// gives up when they turn out not to fit.
func (f *formatter) inlineBlock() {
	first := true
	for !f.unfit {
		prefix := ""
		var pieces, more []piece
		switch f.tok.kind {
		case tokenEnd, tokenCloseBlock:
			if f.to == V1 && !first {
				f.out = append(f.out, ';')
			}
			return
		case tokenSpace, tokenSemicolon:
			f.next()
			continue
		case tokenSlashdash:
			prefix, pieces = f.slashdash()
		}
		switch f.tok.kind {
		case tokenWord, tokenString, tokenOpenType:
		default:
			f.unfit = true
			return
		}
		if !first {
			f.out = append(f.out, ';')
		}
		first = false
		var head string
		head, more = f.head()
		if len(pieces)+len(more) > 0 {
			f.unfit = true
			return
		}
		f.word(prefix + head)
		f.body(0)
	}
}

// slashdash moves over a slashdash before a node and returns how to write it
// and the comments between the two.
func (f *formatter) slashdash() (prefix string, pieces []piece) {
	prefix = "/-"
	if f.marked && f.slashed == 0 {
		prefix = "/- " // the usual way to write the version marker
	}
	f.slashed++
	f.next()
	return prefix, f.between(true)
}

// comment returns the current line comment as it is to be written.
func (f *formatter) comment() string {
	text := f.raw()
	if f.to != f.version {
		// A vertical tab ends a comment in version 2 only.
		text = strings.ReplaceAll(text, "\v", " ")
	}
	return strings.TrimRight(text, " \t")
}
