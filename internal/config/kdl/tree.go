package kdl

// Version is the version of the KDL language that a text is written in.
type Version uint8

const (
	// Auto takes the version from the marker "/- kdl-version N" in the first
	// line, and without one tries version 2 and then version 1.
	Auto Version = iota
	// V1 is KDL 1.0.
	V1
	// V2 is KDL 2.0.
	V2
)

// String returns "auto", "1" or "2".
func (v Version) String() string {
	switch v {
	case V1:
		return "1"
	case V2:
		return "2"
	default:
		return "auto"
	}
}

// Defaults for the limits in Options.
const (
	DefaultBytesMax = 16 << 20
	DefaultDepthMax = 128
)

// Options steer Parse and Format. The zero value is ready to use.
type Options struct {
	// Version is the version to read; Auto finds out.
	Version Version
	// BytesMax limits the size of the text; zero means DefaultBytesMax. The
	// hard upper end is 1 GiB, so that every offset fits a Pos.
	BytesMax int
	// DepthMax limits how deep blocks may nest; zero means DefaultDepthMax.
	// A document without blocks has depth zero.
	DepthMax int
}

// Pos is a place in a text. It is kept small because a tree holds many; the
// zero Pos means "no place known".
type Pos struct {
	Offset int32 // in bytes, from 0
	Line   int32 // from 1
	Column int32 // in characters (code points), from 1
}

// IsValid reports whether p is a known place.
func (p Pos) IsValid() bool { return p.Line > 0 }

// Span is the text from Start up to but not including End.
type Span struct{ Start, End Pos }

// IsValid reports whether s is a known span.
func (s Span) IsValid() bool { return s.Start.IsValid() }

// Document is one parsed text. Its tree describes Source; edits are kept
// beside it until AppendText writes them out.
type Document struct {
	Name    string  // what diagnostics call the text, usually a file name
	Source  []byte  // the text as given; not to be changed
	Version Version // the version the text was read as: V1 or V2, never Auto
	Nodes   []*Node // top-level nodes in order, without those commented out

	edits editList
	added int // nodes that the edits add to those in the tree
}

// AppendText appends the document's text to dst: Source byte for byte, with
// the edits made since it was parsed.
func (d *Document) AppendText(dst []byte) []byte {
	return d.edits.appendTo(dst, d.Source)
}

// Child returns the first top-level node of that name, or nil.
func (d *Document) Child(name string) *Node { return childNamed(d.Nodes, name) }

// Node is one node with its arguments, properties and children. What is
// commented out with a slashdash is not part of the tree.
type Node struct {
	Type     *Ident // type annotation, nil when there is none
	Name     Ident
	Entries  []*Entry // arguments and properties in the order of the text
	Children []*Node
	// HasBlock reports whether the node has a children block, even an empty
	// one. Block is the block with its braces.
	HasBlock bool
	Block    Span
	// Span runs from the type annotation or name to the end of the last
	// entry or block, without the terminator.
	Span Span

	end int32 // offset of the terminator, after comments and what is commented out
}

// Args returns the arguments (entries without a name) in order.
func (n *Node) Args() []*Entry {
	count := 0
	for _, e := range n.Entries {
		if e.Name == nil {
			count++
		}
	}
	switch count {
	case 0:
		return nil
	case len(n.Entries):
		return n.Entries
	}
	args := make([]*Entry, 0, count)
	for _, e := range n.Entries {
		if e.Name == nil {
			args = append(args, e)
		}
	}
	return args
}

// Arg returns the i-th argument, counted from 0, or nil.
func (n *Node) Arg(i int) *Entry {
	for _, e := range n.Entries {
		if e.Name != nil {
			continue
		}
		if i == 0 {
			return e
		}
		i--
	}
	return nil
}

// Prop returns the property of that name, or nil. When the name is repeated
// the rightmost one counts, as the language says.
func (n *Node) Prop(name string) *Entry {
	for i := len(n.Entries) - 1; i >= 0; i-- {
		if e := n.Entries[i]; e.Name != nil && e.Name.Text == name {
			return e
		}
	}
	return nil
}

// Child returns the first child of that name, or nil.
func (n *Node) Child(name string) *Node { return childNamed(n.Children, name) }

func childNamed(nodes []*Node, name string) *Node {
	for _, n := range nodes {
		if n.Name.Text == name {
			return n
		}
	}
	return nil
}

// Entry is an argument or a property of a node.
type Entry struct {
	Name  *Ident // property name; nil for an argument
	Type  *Ident // type annotation of the value, nil when there is none
	Value Value
	Span  Span // name, annotation and value
}

// Ident is a node name, property name or type annotation: its decoded text
// and where it is written, quotes included. The span of a type annotation
// leaves out the parentheses.
type Ident struct {
	Text string
	Span Span
}

// Kind is the kind of a value.
type Kind uint8

// The kinds of values.
const (
	Null Kind = iota
	Bool
	Number
	String
)

// String returns "null", "boolean", "number" or "string".
func (k Kind) String() string {
	return [...]string{"null", "boolean", "number", "string"}[k]
}

// Value is a value and how it is written.
type Value struct {
	Kind Kind
	Bool bool   // the value of a Bool
	Text string // the decoded text of a String
	Raw  string // the literal as written, quotes included
	Span Span
}
