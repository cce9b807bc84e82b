package schema

import (
	"fmt"
	"slices"
	"strings"

	"sentinel/internal/config/kdl"
)

// Commit returns the texts of sources that must be others for the configuration to mean by
// itself what it means with the overlay o laid over it: only what o says is edited, comments
// and layout stay. base is the configuration of sources without o. What the overlay is for
// must be there. The caller makes sure that the result means what it should.
func Commit(base *Config, sources *Sources, o *Overlay) (map[string][]byte, error) {
	fragment, diags := kdl.Parse(o.Name, o.Text, kdl.Options{Version: kdl.V2})
	if diags.HasErrors() {
		return nil, fmt.Errorf("%v", diags[0])
	}
	c := &committer{base: base}
	for _, name := range sources.Names {
		doc, diags := kdl.Parse(name, sources.Texts[name], kdl.Options{})
		if diags.HasErrors() {
			return nil, fmt.Errorf("%v", diags[0])
		}
		c.docs = append(c.docs, doc)
		for _, n := range doc.Nodes {
			c.top.nodes = append(c.top.nodes, written{doc, n})
		}
	}
	c.top.doc, c.top.spec, c.top.block = c.docs[0], table()[""], base
	for _, n := range fragment.Nodes {
		if err := c.node(&c.top, n); err != nil {
			return nil, err
		}
	}
	changed := make(map[string][]byte)
	for _, doc := range c.docs {
		if text := doc.AppendText(nil); string(text) != string(doc.Source) {
			changed[doc.Name] = text
		}
	}
	return changed, nil
}

// committer edits documents.
type committer struct {
	base *Config
	docs []*kdl.Document
	top  scope
}

// written is a node and the document it stands in.
type written struct {
	doc  *kdl.Document
	node *kdl.Node
}

// scope is a block in the documents: its nodes, and where new ones go.
type scope struct {
	spec  *spec
	block any // of the configuration; nil where that has none
	nodes []written
	doc   *kdl.Document
	node  *kdl.Node // the block's own; nil at top level
}

// find returns the nodes of a scope that spell key k.
func (s *scope) find(k *Key) (list []written) {
	for _, w := range s.nodes {
		if row, _ := s.spec.row(w.node.Name.Text); row == k {
			list = append(list, w)
		}
	}
	return list
}

// inside returns the scope of a node that opens a block.
func (s *scope) inside(w written, into *spec, block any) *scope {
	in := &scope{spec: into, block: block, doc: w.doc, node: w.node}
	for _, c := range w.node.Children {
		in.nodes = append(in.nodes, written{w.doc, c})
	}
	return in
}

// node commits one node of the overlay into a scope.
func (c *committer) node(s *scope, n *kdl.Node) error {
	k, _ := s.spec.row(n.Name.Text)
	if k == nil {
		return fmt.Errorf("there is no key %s", n.Name.Text)
	}
	there := s.find(k)
	switch {
	case k.Kind != Opens:
		return c.value(s, k, there, n)
	case k.Merges:
		return c.limits(s, k, there, n)
	case k.PerFile:
		for _, w := range there {
			for _, child := range n.Children {
				if err := c.within(s.inside(w, table()[k.Opens], s.block), child); err != nil {
					return err
				}
			}
		}
		return nil
	case k.Many:
		return c.many(s, k, there, n)
	case len(there) == 0:
		return c.add(s, n)
	}
	in := s.inside(there[0], table()[k.Opens], nil)
	for _, child := range n.Children {
		if err := c.node(in, child); err != nil {
			return err
		}
	}
	return nil
}

// within commits a named block, such as a route, into the one of its name, if that stands in
// this scope.
func (c *committer) within(s *scope, n *kdl.Node) error {
	k, _ := s.spec.row(n.Name.Text)
	if k == nil || n.Arg(0) == nil {
		return fmt.Errorf("%s has no place here", n.Name.Text)
	}
	for _, w := range s.find(k) {
		if a := w.node.Arg(0); a == nil || a.Value.Text != n.Arg(0).Value.Text {
			continue
		}
		into := table()[k.Opens]
		var block any
		for _, b := range k.slot.each(c.base) {
			if into.named(b) == n.Arg(0).Value.Text {
				block = b
			}
		}
		in := s.inside(w, into, block)
		for _, child := range n.Children {
			if err := c.node(in, child); err != nil {
				return err
			}
		}
	}
	return nil
}

// many commits a block that may stand many times, into the one of its name.
func (c *committer) many(s *scope, k *Key, there []written, n *kdl.Node) error {
	name := ""
	if a := n.Arg(0); a != nil {
		name = a.Value.Text
	}
	for _, w := range there {
		a := w.node.Arg(0)
		if a == nil || a.Value.Text != name {
			continue
		}
		in := s.inside(w, table()[k.Opens], nil)
		for _, child := range n.Children {
			if err := c.node(in, child); err != nil {
				return err
			}
		}
		return nil
	}
	return c.add(s, n)
}

// value commits a value into where it stands: a node, a property or an argument.
func (c *committer) value(s *scope, k *Key, there []written, n *kdl.Node) error {
	for _, w := range there {
		if e := w.node.Arg(0); e != nil {
			return w.doc.SetValue(e, n.Arg(0).Value)
		}
	}
	if s.node != nil {
		for i, arg := range s.spec.args {
			if row, _ := s.spec.row(arg); row == k && s.node.Arg(i) != nil {
				return s.doc.SetValue(s.node.Arg(i), n.Arg(0).Value)
			}
		}
		for _, e := range s.node.Entries {
			if e.Name == nil {
				continue
			}
			if row, _ := s.spec.row(e.Name.Text); row == k {
				return s.doc.SetValue(e, n.Arg(0).Value)
			}
		}
	}
	return c.add(s, n)
}

// limits commits limits where they are stricter than what holds.
func (c *committer) limits(s *scope, k *Key, there []written, n *kdl.Node) error {
	have, _ := k.slot.at(s.block).(*Limits)
	there = slices.DeleteFunc(there, func(w written) bool {
		mode := w.node.Child("mode")
		return w.node.Prop("mode") != nil || mode != nil && mode.Arg(0) != nil && mode.Arg(0).Value.Text == modeShadow
	})
	d := &decoder{}
	var fresh []*kdl.Node
	for _, child := range n.Children {
		key, _ := table()["limits"].row(child.Name.Text)
		if key == nil || child.Arg(0) == nil {
			return fmt.Errorf("there is no limit %s", child.Name.Text)
		}
		at, ok := key.slot.at(have).(*Value[int64])
		v, good := d.number(key, child.Arg(0))
		switch {
		case !ok || !good:
			return fmt.Errorf("%s is no limit", child.Name.Text)
		case at.From.Kind == Written && !stricter(key, v, at.V):
			continue // what the file says is as strict
		}
		if !c.tighten(s, key, there, child) {
			fresh = append(fresh, child)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if len(there) == 0 {
		whole := *n
		whole.Children = fresh
		return c.add(s, &whole)
	}
	for _, child := range fresh {
		if err := c.add(s.inside(there[0], table()["limits"], nil), child); err != nil {
			return err
		}
	}
	return nil
}

// tighten sets a limit that stands in one of the blocks, and reports whether one does.
func (c *committer) tighten(s *scope, k *Key, blocks []written, n *kdl.Node) bool {
	for _, w := range blocks {
		in := s.inside(w, table()["limits"], nil)
		held := len(in.find(k)) > 0 || slices.ContainsFunc(w.node.Entries, func(e *kdl.Entry) bool {
			row, _ := in.spec.row(nameOfEntry(e))
			return row == k
		})
		if held && c.value(in, k, in.find(k), n) == nil {
			return true
		}
	}
	return false
}

func nameOfEntry(e *kdl.Entry) string {
	if e.Name == nil {
		return ""
	}
	return e.Name.Text
}

// add adds a node at the end of a scope.
func (c *committer) add(s *scope, n *kdl.Node) error {
	var b strings.Builder
	appendNode(&b, n)
	b.WriteByte('\n')
	out, diags := kdl.Format("overlay", []byte(b.String()), kdl.FormatOptions{Read: kdl.Options{Version: kdl.V2}, Write: s.doc.Version})
	if diags.HasErrors() {
		return fmt.Errorf("%v", diags[0])
	}
	return s.doc.AppendChild(s.node, string(out))
}

// appendNode writes a node of an overlay as KDL 2, in one line.
func appendNode(b *strings.Builder, n *kdl.Node) {
	b.WriteString(n.Name.Text)
	for _, e := range n.Entries {
		b.WriteString(" ")
		if e.Name != nil {
			b.WriteString(e.Name.Text + "=")
		}
		b.WriteString(e.Value.Raw)
	}
	for i, c := range n.Children {
		if i == 0 {
			b.WriteString(" { ")
		} else {
			b.WriteString("; ")
		}
		appendNode(b, c)
	}
	if len(n.Children) > 0 {
		b.WriteString(" }")
	}
}
