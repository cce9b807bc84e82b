package kdl

// arena hands out the parts of a tree in large pieces: a document of
// thousands of nodes costs the collector little, and its parts lie together.
type arena struct {
	nodes   []Node
	entries []Entry
	idents  []Ident

	nodePointers  []*Node
	entryPointers []*Entry

	// Nodes and entries of the blocks and nodes being read, innermost last.
	nodeStack  []*Node
	entryStack []*Entry
}

// arenaPiece is how many parts are allocated at once, at most; the first
// pieces are smaller for the sake of small documents.
const (
	arenaPieceMin = 8
	arenaPiece    = 512
)

// part returns room for one more part.
func part[T any](piece *[]T) *T {
	if len(*piece) == cap(*piece) {
		*piece = make([]T, 0, min(max(2*cap(*piece), arenaPieceMin), arenaPiece))
	}
	*piece = (*piece)[:len(*piece)+1]
	return &(*piece)[len(*piece)-1]
}

// parts returns a copy of list whose capacity is its length.
func parts[T any](piece *[]T, list []T) []T {
	if len(list) == 0 {
		return nil
	}
	if cap(*piece)-len(*piece) < len(list) {
		*piece = make([]T, 0, max(len(list), min(max(2*cap(*piece), arenaPieceMin), arenaPiece)))
	}
	start := len(*piece)
	*piece = append(*piece, list...)
	return (*piece)[start:len(*piece):len(*piece)]
}

func (a *arena) newNode() *Node   { return part(&a.nodes) }
func (a *arena) newEntry() *Entry { return part(&a.entries) }
func (a *arena) newIdent() *Ident { return part(&a.idents) }

func (a *arena) nodeMark() int      { return len(a.nodeStack) }
func (a *arena) pushNode(n *Node)   { a.nodeStack = append(a.nodeStack, n) }
func (a *arena) entryMark() int     { return len(a.entryStack) }
func (a *arena) pushEntry(e *Entry) { a.entryStack = append(a.entryStack, e) }
func (a *arena) takeNodes(base int) []*Node {
	nodes := parts(&a.nodePointers, a.nodeStack[base:])
	a.nodeStack = a.nodeStack[:base]
	return nodes
}

func (a *arena) takeEntries(base int) []*Entry {
	entries := parts(&a.entryPointers, a.entryStack[base:])
	a.entryStack = a.entryStack[:base]
	return entries
}
