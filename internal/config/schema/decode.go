package schema

import (
	"fmt"
	"slices"
	"strings"

	"sentinel/internal/config/kdl"
)

// decoder turns trees into a Config by the key table and gathers every problem on the way.
type decoder struct {
	file  string // of the tree being decoded
	diags kdl.Diagnostics
	env   func(string) (string, bool)
	// written remembers where each key of each block was written; under the name "",
	// where any was.
	written map[place]Origin
	// owner names the block that a block belongs to, for keys that are limited to some.
	owner map[any]string
	// specs is the table; what finishes a block stands in it and reads it from here.
	specs map[string]*spec
	// unbuilt is that of Options.
	unbuilt bool
	// fragment is that of Options.
	fragment bool
	// layer is the overlay that is being decoded, laid is what became of it; nil for a file.
	layer *Overlay
	laid  *Laid
	// suggested counts the unknown words that were compared with the known ones.
	suggested int
}

// problem lets a caller add to the diagnostic it just made.
type problem struct {
	d *decoder
	i int
}

func (p problem) hint(format string, args ...any) problem {
	p.d.diags[p.i].Hint = fmt.Sprintf(format, args...)
	return p
}

func (p problem) related(at Origin, format string, args ...any) problem {
	if at.Kind == Written || at.Kind == Inherited {
		p.d.diags[p.i] = p.d.diags[p.i].WithRelated(at.File, at.Span, format, args...)
	}
	return p
}

func (d *decoder) errorAt(at Origin, format string, args ...any) problem {
	return d.problem(kdl.Errorf(at.File, at.Span, format, args...))
}

func (d *decoder) warnAt(at Origin, format string, args ...any) problem {
	return d.problem(kdl.Warningf(at.File, at.Span, format, args...))
}

func (d *decoder) errorSpan(at kdl.Span, format string, args ...any) problem {
	return d.problem(kdl.Errorf(d.file, at, format, args...))
}

func (d *decoder) problem(g kdl.Diagnostic) problem {
	d.diags = append(d.diags, g)
	return problem{d, len(d.diags) - 1}
}

func (d *decoder) from(at kdl.Span) Origin {
	return Origin{Kind: Written, Span: at, File: d.file, Layer: d.layer}
}

// place is a key of one block of the Config.
type place struct {
	block any
	key   string // its name
}

// topNode decodes one node of a file's top level into c.
func (d *decoder) topNode(c *Config, n *kdl.Node) { d.child(table()[""], c, n) }

// block decodes the contents of n into b, a block that s describes.
func (d *decoder) block(s *spec, b any, n *kdl.Node) {
	if p, ok := b.(placed); ok && !p.block().From.IsSet() {
		p.block().From = d.from(n.Name.Span)
	}
	d.annotations(n)
	d.arguments(s, b, n)
	for _, e := range n.Entries {
		if e.Name == nil {
			continue
		}
		if k, _ := s.row(e.Name.Text); k == nil || k.Kind == Opens || k.ArgOnly {
			d.unknown(s, e.Name.Text, e.Name.Span)
		} else if d.admits(k, b, e.Name.Text, e.Name.Span) && d.first(b, k, e.Name.Span) {
			d.value(b, k, e.Name.Span, []*kdl.Entry{e})
		}
	}
	for _, c := range n.Children {
		d.child(s, b, c)
	}
	if d.fragment && (s.name == "listener" || s.name == "route" || s.name == "upstream") {
		return // what it lacks stands elsewhere
	}
	d.required(s, b, n)
	if s.finish != nil {
		s.finish(d, b)
	}
}

// annotations refuses type annotations: none has a meaning here.
func (d *decoder) annotations(n *kdl.Node) {
	if n.Type != nil {
		d.errorSpan(n.Type.Span, "type annotation (%s) has no meaning here", n.Type.Text).hint("remove it")
	}
	for _, e := range n.Entries {
		if e.Type != nil {
			d.errorSpan(e.Type.Span, "type annotation (%s) has no meaning here", e.Type.Text).hint("remove it")
		}
	}
}

// arguments gives the node's arguments to the keys that take them.
func (d *decoder) arguments(s *spec, b any, n *kdl.Node) {
	for i, e := range n.Args() {
		if i >= len(s.args) {
			d.errorSpan(e.Span, "%s takes %s", n.Name.Text, argumentCount(len(s.args))).
				hint("remove %s, or write it as a key in the block", e.Value.Raw)
			return
		}
		k, _ := s.row(s.args[i])
		if d.first(b, k, e.Span) {
			d.value(b, k, e.Span, []*kdl.Entry{e})
		}
	}
}

func argumentCount(n int) string {
	switch n {
	case 0:
		return "no argument"
	case 1:
		return "one argument"
	}
	return fmt.Sprintf("at most %d arguments", n)
}

// child decodes one node of a block.
func (d *decoder) child(s *spec, b any, n *kdl.Node) {
	k, _ := s.row(n.Name.Text)
	switch {
	case k == nil || k.ArgOnly:
		d.unknown(s, n.Name.Text, n.Name.Span)
	case !d.admits(k, b, n.Name.Text, n.Name.Span):
	case k.Kind != Opens:
		d.valueNode(b, k, n)
	case k.Many || k.PerFile || k.Merges || d.first(b, k, n.Name.Span):
		d.opens(b, k, n)
	}
}

// opens decodes a node that opens a block.
func (d *decoder) opens(b any, k *Key, n *kdl.Node) {
	if k.PerFile && !d.first(d.file, k, n.Name.Span) {
		return
	}
	into := table()[k.Opens]
	if d.layer != nil && k.Many {
		d.layInto(into, b, k, n)
		return
	}
	if k.Many || k.Merges {
		d.mark(b, k, n.Name.Span)
	}
	block := k.slot.open(b)
	if k.Opens == "limits" || k.Opens == "timeouts" || k.Opens == "security" {
		d.owner[block] = k.Block
	}
	if k.Merges {
		d.merged(into, block, n)
		return
	}
	d.block(into, block, n)
}

// valueNode decodes a node that is a value: its arguments, or pairs in its block.
func (d *decoder) valueNode(b any, k *Key, n *kdl.Node) {
	if k.Many {
		d.mark(b, k, n.Name.Span)
	} else if !d.first(b, k, n.Name.Span) {
		return
	}
	if k.Kind == Edits || k.Kind == Renames || k.Kind == Pairs {
		d.pairs(b, k, n)
		return
	}
	d.annotations(n)
	for _, e := range n.Entries {
		if e.Name != nil {
			d.errorSpan(e.Name.Span, "%s takes no property %q", k.Name, e.Name.Text).hint("write the value as an argument: %s %s", k.Name, e.Value.Raw)
			return
		}
	}
	if n.HasBlock && len(n.Children) > 0 {
		d.errorSpan(n.Name.Span, "%s takes no block", k.Name).hint("%s: %s", k.Name, k.Doc)
		return
	}
	d.value(b, k, n.Name.Span, n.Entries)
}

// mark remembers that key k of block b is written, be it wrongly.
func (d *decoder) mark(b any, k *Key, at kdl.Span) {
	d.written[place{b, k.Name}] = d.from(at)
	d.written[place{b, ""}] = d.from(at)
}

// tried reports whether one of the keys of block b was written, be it wrongly; the name ""
// stands for any key.
func (d *decoder) tried(b any, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return d.written[place{b, name}].IsSet() })
}

// first reports whether key k of block b is written for the first time, and says so where
// it is not.
func (d *decoder) first(b any, k *Key, at kdl.Span) bool {
	if before, twice := d.written[place{b, k.Name}]; twice && d.layer == nil {
		d.errorSpan(at, "%s stands twice", k.Name).hint("keep one of them").related(before, "the first one is here")
		return false
	}
	d.mark(b, k, at)
	return true
}

// admits reports whether key k, written as name, may stand in b, and says so where it may
// not. What this version doesn't act on is reported and decoded all the same, so that
// mistakes in it show at once.
func (d *decoder) admits(k *Key, b any, name string, at kdl.Span) bool {
	if k.Pending && !d.unbuilt {
		d.errorSpan(at, "%s is not built yet in this version", name).hint("remove it; nothing here is accepted and ignored")
	}
	if k.In == nil || slices.Contains(k.In, d.encloses(b)) {
		return true
	}
	places := make([]string, len(k.In))
	for i, in := range k.In {
		if places[i] = in; in == "" {
			places[i] = "top level"
		}
	}
	d.errorSpan(at, "%s has no effect in the %s of %s", name, k.Block, withArticle(d.encloses(b))).
		hint("write it in %s of: %s", k.Block, strings.Join(places, ", "))
	return false
}

// encloses names the block that b, which may stand in several, belongs to.
func (d *decoder) encloses(b any) string { return d.owner[b] }

// required reports the keys that the block can't do without.
func (d *decoder) required(s *spec, b any, n *kdl.Node) {
	for _, k := range s.rows {
		if k.Required && !d.tried(b, k.Name) {
			p := d.errorSpan(n.Name.Span, "%s needs %s", n.Name.Text, k.Name)
			if k.ArgOnly || slices.Contains(s.args, k.Name) {
				p.hint("write %s %q", n.Name.Text, strings.ToUpper(k.Name))
			} else {
				p.hint("add %s: %s", k.Name, k.Doc)
			}
		}
	}
}

// originOf returns where an optional block stands.
func originOf[T any, P interface {
	*T
	placed
}](b P) Origin {
	if b == nil {
		return Origin{}
	}
	return b.block().From
}
