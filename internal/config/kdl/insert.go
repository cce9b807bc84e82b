package kdl

import (
	"bytes"
	"fmt"
	"strings"
)

// InsertBefore inserts nodes, written in the version of the document, before
// the node and the comment lines directly above it. They get the indentation
// of the node and don't enter the tree.
func (d *Document) InsertBefore(n *Node, text string) error {
	f, err := d.fragment(text)
	if err != nil {
		return err
	}
	at := int(n.Span.Start.Offset)
	start, indent := d.lineOf(at)
	if len(indent) == at-start {
		return d.insert(d.aboveComments(start), f.lines(indent), f.count)
	}
	return d.insert(at, f.inline(indent, "; "), f.count)
}

// InsertAfter inserts nodes after the node and the comment behind it.
func (d *Document) InsertAfter(n *Node, text string) error {
	f, err := d.fragment(text)
	if err != nil {
		return err
	}
	_, indent := d.lineOf(int(n.Span.Start.Offset))
	after, last := d.afterNode(n)
	switch {
	case !last:
		return d.insert(d.trimmed(int(n.end)), "; "+f.inline(indent, ""), f.count)
	case after == len(d.Source) && lastNewline(d.Source) != after:
		return d.insert(after, "\n"+f.lines(indent), f.count)
	}
	return d.insert(after, f.lines(indent), f.count)
}

// AppendChild inserts nodes at the end of the node's block, which is made
// when there is none, or with a nil node at the end of the document.
func (d *Document) AppendChild(parent *Node, text string) error {
	f, err := d.fragment(text)
	if err != nil {
		return err
	}
	if parent == nil {
		return d.appendTop(f)
	}
	_, indent := d.lineOf(int(parent.Span.Start.Offset))
	inner := indent + formatIndent
	if last := len(parent.Children) - 1; last >= 0 {
		child := parent.Children[last]
		if parent.Block.Start.Line == parent.Block.End.Line {
			return d.InsertAfter(child, text)
		}
		if start, blank := d.lineOf(int(child.Span.Start.Offset)); start+len(blank) == int(child.Span.Start.Offset) {
			inner = blank
		}
	}
	if !parent.HasBlock {
		return d.insert(d.trimmed(int(parent.end)), " {\n"+f.lines(inner)+indent+"}", f.count)
	}
	brace := int(parent.Block.End.Offset) - 1
	start, blank := d.lineOf(brace)
	if start+len(blank) == brace {
		return d.insert(start, f.lines(inner), f.count)
	}
	return d.insert(brace, "\n"+f.lines(inner)+indent, f.count)
}

func (d *Document) appendTop(f fragment) error {
	end := len(d.Source)
	text := f.lines("")
	if end > 0 && lastNewline(d.Source) != end {
		text = "\n" + text
	}
	return d.insert(end, text, f.count)
}

// Remove removes a node with its block, and its line when nothing else but a
// comment stands there. Comment lines above it stay. The tree keeps the node.
func (d *Document) Remove(n *Node) error {
	start := int(n.Span.Start.Offset)
	line, indent := d.lineOf(start)
	end, last := d.afterNode(n)
	switch {
	case last && line+len(indent) == start:
		start = line
	case last:
		start, end = d.trimmed(start), d.trimmed(int(n.end))
	}
	return d.edit(Span{Pos{Offset: int32(start)}, Pos{Offset: int32(end)}}, "", -1-countNodes(n.Children))
}

func (d *Document) insert(at int, text string, more int) error {
	pos := Pos{Offset: int32(at)}
	return d.edit(Span{pos, pos}, text, more)
}

// afterNode returns where what follows a node starts, and whether nothing
// but a comment follows it on its line; then that is the next line.
func (d *Document) afterNode(n *Node) (after int, last bool) {
	rest := trimBlank(string(d.Source[n.end:]))
	if strings.HasPrefix(rest, ";") {
		rest = trimBlank(rest[1:])
	}
	after = len(d.Source) - len(rest)
	if strings.HasPrefix(rest, "//") {
		if i := strings.IndexFunc(rest, isNewline); i >= 0 {
			return after + i + newlineLen(rest[i:]), true
		}
		return len(d.Source), true
	}
	size := newlineLen(rest)
	return after + size, size > 0 || rest == ""
}

// lineOf returns where the line of an offset starts and its indentation.
func (d *Document) lineOf(at int) (start int, indent string) {
	start = textBody(string(d.Source[:min(len(d.Source), len(byteOrderMark))]))
	if i := lastNewline(d.Source[:at]); i >= 0 {
		start = i
	}
	line := string(d.Source[start:at])
	return start, line[:len(line)-len(trimBlank(line))]
}

// aboveComments returns the start of the comment lines directly above the
// line that starts at an offset.
func (d *Document) aboveComments(start int) int {
	for {
		above := bytes.TrimRight(d.Source[:start], "\r\n")
		if bytes.Count(d.Source[len(above):start], []byte("\n")) != 1 {
			return start
		}
		line, indent := d.lineOf(len(above))
		text := above[line+len(indent):]
		if !bytes.HasPrefix(text, []byte("//")) || bytes.Contains(text, []byte("*/")) {
			return start
		}
		start = line
	}
}

// trimmed returns an offset without the space before it.
func (d *Document) trimmed(at int) int {
	return len(bytes.TrimRight(d.Source[:at], " \t"))
}

// fragment is text to insert, laid out.
type fragment struct {
	text    string
	count   int // nodes in it
	version Version
}

func (d *Document) fragment(text string) (fragment, error) {
	doc, ds := Parse("new text", []byte(text), d.editOptions())
	if ds.HasErrors() {
		return fragment{}, fmt.Errorf("%w: %v", ErrEditResult, ds[0])
	}
	out, ds := Format("new text", []byte(text), FormatOptions{Read: d.editOptions()})
	if ds.HasErrors() {
		return fragment{}, fmt.Errorf("%w: %v", ErrEditResult, ds[0])
	}
	return fragment{string(out), countNodes(doc.Nodes), d.Version}, nil
}

// lines returns the fragment as whole lines. A fragment with a string or
// comment over several lines is not indented, since that might change it.
func (f fragment) lines(indent string) string {
	if strings.Contains(f.text, tripleQuote) || strings.Contains(f.text, "/*") || f.longString() {
		return f.text
	}
	var b strings.Builder
	for line := range strings.Lines(f.text) {
		if line != "\n" {
			b.WriteString(indent)
		}
		b.WriteString(line)
	}
	return b.String()
}

// longString reports whether a quoted string may span lines: its quotes don't
// come in pairs on each line.
func (f fragment) longString() bool {
	for line := range strings.Lines(f.text) {
		if strings.Count(line, `"`)%2 != 0 {
			return true
		}
	}
	return false
}

// inline returns the fragment to stand in the middle of a line, with the
// separator behind it. What ends in a comment or takes several lines needs a
// new line instead.
func (f fragment) inline(indent, separator string) string {
	text := strings.TrimRight(f.text, "\n")
	if strings.Contains(text, "\n") || f.hasLineComment() {
		return text + "\n" + indent
	}
	return text + separator
}

func (f fragment) hasLineComment() bool {
	l := newLexer("", f.text, f.version)
	for l.next(); l.tok.kind != tokenEnd; l.next() {
		if l.tok.kind == tokenLineComment {
			return true
		}
	}
	return false
}
