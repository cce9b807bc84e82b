package kdl

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// StringValue returns a String to give to an edit.
func StringValue(s string) Value { return Value{Kind: String, Text: s} }

// IntValue returns a whole Number to give to an edit.
func IntValue(n int64) Value { return Value{Kind: Number, Raw: strconv.FormatInt(n, 10)} }

// FloatValue returns a Number to give to an edit. Infinities and NaN can be
// written in version 2 only.
func FloatValue(f float64) Value {
	switch {
	case math.IsNaN(f):
		return Value{Kind: Number, Raw: "#nan"}
	case math.IsInf(f, 1):
		return Value{Kind: Number, Raw: "#inf"}
	case math.IsInf(f, -1):
		return Value{Kind: Number, Raw: "#-inf"}
	}
	return Value{Kind: Number, Raw: strconv.FormatFloat(f, 'g', -1, 64)}
}

// BoolValue returns a Bool to give to an edit.
func BoolValue(b bool) Value { return Value{Kind: Bool, Bool: b} }

// NullValue returns a Null to give to an edit.
func NullValue() Value { return Value{Kind: Null} }

// Reasons why an edit is refused. The document is then as it was before.
var (
	ErrEditOverlap = errors.New("this part of the text was already changed or removed")
	ErrEditResult  = errors.New("the edit would not give a valid document")
	ErrEditVersion = errors.New("value can't be written in KDL 1")
)

// SetValue replaces the value of an entry, and the value that the tree holds.
// A type annotation stays.
func (d *Document) SetValue(e *Entry, v Value) error {
	literal, err := v.literal(d.Version)
	if err != nil {
		return err
	}
	if err := d.edit(e.Value.Span, literal, 0); err != nil {
		return err
	}
	v.Raw, v.Span = literal, e.Value.Span
	e.Value = v
	return nil
}

// SetProp sets the property of that name where the node has it, else adds it
// behind the last entry.
func (d *Document) SetProp(n *Node, name string, v Value) error {
	if e := n.Prop(name); e != nil {
		return d.SetValue(e, v)
	}
	literal, err := v.literal(d.Version)
	if err != nil {
		return err
	}
	if !isBareWord(name, d.Version) {
		name = quote(name, d.Version)
	}
	return d.edit(lastEntryEnd(n), " "+name+"="+literal, 0)
}

// AddArg adds an argument behind the last entry of a node.
func (d *Document) AddArg(n *Node, v Value) error {
	literal, err := v.literal(d.Version)
	if err != nil {
		return err
	}
	return d.edit(lastEntryEnd(n), " "+literal, 0)
}

// RemoveEntry removes an entry and the space before it from the text. The
// tree keeps it.
func (d *Document) RemoveEntry(e *Entry) error {
	span := e.Span
	span.Start.Offset = int32(d.trimmed(int(span.Start.Offset)))
	return d.edit(span, "", 0)
}

// lastEntryEnd returns the empty span where another entry can follow.
func lastEntryEnd(n *Node) Span {
	end := n.Name.Span.End
	if last := len(n.Entries) - 1; last >= 0 {
		end = n.Entries[last].Span.End
	}
	return Span{end, end}
}

// literal returns how to write v in that version.
func (v Value) literal(version Version) (string, error) {
	sign := "#"
	if version == V1 {
		sign = ""
	}
	switch v.Kind {
	case String:
		return quote(v.Text, version), nil
	case Bool:
		return sign + strconv.FormatBool(v.Bool), nil
	case Null:
		return sign + "null", nil
	}
	if version == V1 && strings.HasPrefix(v.Raw, "#") {
		return "", ErrEditVersion
	}
	return v.Raw, nil
}

// edit puts text in the place of a span, if the result is a valid document
// with so many nodes more, or fewer when negative.
func (d *Document) edit(span Span, text string, more int) error {
	edits, err := d.edits.with(edit{int(span.Start.Offset), int(span.End.Offset), text})
	if err != nil {
		return err
	}
	result, ds := Parse(d.Name, edits.appendTo(nil, d.Source), d.editOptions())
	if ds.HasErrors() {
		return fmt.Errorf("%w: %v", ErrEditResult, ds[0])
	}
	if want := countNodes(d.Nodes) + d.added + more; countNodes(result.Nodes) != want {
		return ErrEditResult
	}
	d.edits = edits
	d.added += more
	return nil
}

// editOptions are the options to read an edited text with.
func (d *Document) editOptions() Options {
	return Options{Version: d.Version, BytesMax: bytesLimit, DepthMax: depthLimit}
}

func countNodes(nodes []*Node) int {
	count := len(nodes)
	for _, n := range nodes {
		count += countNodes(n.Children)
	}
	return count
}

// editList holds changes to a source text, in the order of the text. They
// don't overlap.
type editList []edit

type edit struct {
	start, end int // bytes of the source that text stands in for
	text       string
}

// appendTo appends source with the edits to dst.
func (l editList) appendTo(dst, source []byte) []byte {
	at := 0
	for _, e := range l {
		dst = append(dst, source[at:e.start]...)
		dst = append(dst, e.text...)
		at = e.end
	}
	return append(dst, source[at:]...)
}

// with returns a new list with one more edit, in the place of those that lie
// inside its span.
func (l editList) with(e edit) (editList, error) {
	list := make(editList, 0, len(l)+1)
	for _, x := range l {
		switch {
		case x.end <= e.start || x.start >= e.end:
			if e.start == e.end && x.start < e.start && e.start < x.end {
				return nil, ErrEditOverlap
			}
			list = append(list, x)
		case x.start < e.start || x.end > e.end:
			return nil, ErrEditOverlap
		}
	}
	list = append(list, e)
	slices.SortStableFunc(list, func(a, b edit) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return a.end - b.end // insertions first
	})
	return list, nil
}
