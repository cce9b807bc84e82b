package schema

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"sentinel/internal/config/kdl"
)

// Migrated is a configuration in the spellings of this version.
type Migrated struct {
	Text []byte
	// Changes are what was spelled otherwise, a line each with its place in the old text.
	Changes []string
	// Includes are the patterns of files that weren't read and want a migration of their own.
	Includes []string
}

// Migrate writes a text in the spellings that Show prints, laid out, in KDL 2, with its
// comments. What it means doesn't change; a text that isn't a valid configuration, but for
// what stands in other files, is refused by the diagnostics.
func Migrate(name string, text []byte, opt Options) (Migrated, kdl.Diagnostics) {
	doc, diags := kdl.Parse(name, text, kdl.Options{})
	if diags.HasErrors() {
		return Migrated{}, diags
	}
	before, _, diags := LoadBytes(name, text, opt)
	if diags.HasErrors() {
		return Migrated{}, diags
	}
	m := &migration{name: name}
	for _, n := range doc.Nodes {
		if n.Name.Text == "include" {
			if args := n.Args(); len(args) > 0 {
				m.out.Includes = append(m.out.Includes, args[0].Value.Text)
			}
			continue
		}
		m.node(table()[""], n)
	}
	var ds kdl.Diagnostics
	if m.out.Text, ds = kdl.Format(name, m.applied(text), kdl.FormatOptions{Write: kdl.V2}); ds.HasErrors() {
		return Migrated{}, ds
	}
	after, _, ds := LoadBytes(name, m.out.Text, opt)
	if ds.HasErrors() {
		return Migrated{}, ds
	}
	if changes := Diff(before, after); len(changes) > 0 {
		return Migrated{}, kdl.Diagnostics{kdl.Errorf(name, kdl.Span{}, "it would change its meaning: %s", strings.Join(changes, "; "))}
	}
	return m.out, nil
}

// migration collects what is to be written otherwise.
type migration struct {
	name  string
	out   Migrated
	edits []respelling
}

// respelling is text that stands in for bytes of the old one.
type respelling struct {
	start, end int32
	text       string
}

// node looks at a node of a block, and at what is below it.
func (m *migration) node(s *spec, n *kdl.Node) {
	k, _ := s.row(n.Name.Text)
	if k == nil {
		return
	}
	if k.Kind != Opens {
		m.rename(k, n.Name)
		for _, e := range n.Entries {
			m.word(k, e)
		}
		return
	}
	into := table()[k.Opens]
	if k.Opens == "targets" && n.HasBlock {
		m.unwrap(n)
	} else {
		m.rename(k, n.Name)
	}
	for _, e := range n.Entries {
		if e.Name == nil {
			continue
		}
		if p, _ := into.row(e.Name.Text); p != nil {
			m.rename(p, *e.Name)
			m.word(p, e)
		}
	}
	for _, c := range n.Children {
		m.node(into, c)
	}
}

// rename gives a key its name.
func (m *migration) rename(k *Key, written kdl.Ident) {
	if written.Text == k.Name {
		return
	}
	m.replace(written.Span, k.Name)
	m.tell(written.Span, written.Text, k.Name)
}

// word gives a word of a closed list its spelling.
func (m *migration) word(k *Key, e *kdl.Entry) {
	if k.Kind != Enum || e.Value.Kind != kdl.String || slices.Contains(k.Words, e.Value.Text) {
		return
	}
	folded := strings.ReplaceAll(strings.ToLower(e.Value.Text), "-", "_")
	if w, ok := k.synonyms[folded]; ok {
		folded = w
	}
	for _, w := range k.Words {
		if strings.ReplaceAll(w, "-", "_") == folded {
			m.replace(e.Value.Span, `"`+w+`"`)
			m.tell(e.Value.Span, k.Name+" "+e.Value.Raw, `"`+w+`"`)
			return
		}
	}
}

// unwrap takes the block away that only groups targets.
func (m *migration) unwrap(n *kdl.Node) {
	open := n.Block
	open.Start = n.Name.Span.Start
	m.edits = append(m.edits,
		respelling{open.Start.Offset, n.Block.Start.Offset + 1, ""},
		respelling{n.Block.End.Offset - 1, n.Block.End.Offset, ""})
	m.tell(n.Name.Span, "targets { target ... }", "target ...")
}

func (m *migration) replace(s kdl.Span, text string) {
	m.edits = append(m.edits, respelling{s.Start.Offset, s.End.Offset, text})
}

func (m *migration) tell(s kdl.Span, before, after string) {
	m.out.Changes = append(m.out.Changes, fmt.Sprintf("%s:%d:%d: %s is spelled %s", m.name, s.Start.Line, s.Start.Column, before, after))
}

// applied returns the old text with what is written otherwise.
func (m *migration) applied(text []byte) []byte {
	slices.SortFunc(m.edits, func(a, b respelling) int { return int(a.start - b.start) })
	var b bytes.Buffer
	at := int32(0)
	for _, e := range m.edits {
		b.Write(text[at:e.start])
		b.WriteString(e.text)
		at = e.end
	}
	b.Write(text[at:])
	return b.Bytes()
}
