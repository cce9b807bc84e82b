package schema

import (
	"slices"

	"sentinel/internal/config/kdl"
)

// Overlay is a text that is laid over a configuration, as if it were merged into its files: a
// value in it takes the place of the one there is, but for limits, of which the strictest
// holds. Its listeners, routes and upstreams are those of the configuration; what else may
// stand many times is added, or replaces the block of the same name. It is checked as files are.
type Overlay struct {
	Name string // what diagnostics call it
	Text []byte
	// Story says, as the origin of a value, whose it is and until when. In one line.
	Story func() string
}

func (o *Overlay) story() string {
	if o.Story == nil {
		return o.Name
	}
	return o.Story()
}

// Laid is an overlay and what became of it.
type Laid struct {
	*Overlay
	// Gone names a block that the overlay is for and that the configuration doesn't have: the
	// overlay is without effect. Empty where it is there.
	Gone string
}

// overlay lays what is to be laid over the configuration, unless that is faulty by itself.
func (l *loader) overlay() {
	if l.overlays == nil || l.garbled || l.d.diags.HasErrors() {
		return
	}
	dir := l.cfg.System.StateDir
	if !dir.IsSet() {
		k, _ := table()["system"].row("state-dir")
		fillValue(&dir, k.preset)
	}
	for _, o := range l.overlays(dir.V) {
		doc, diags := kdl.Parse(o.Name, o.Text, kdl.Options{Version: kdl.V2})
		l.d.diags = append(l.d.diags, diags...)
		laid := Laid{Overlay: o}
		l.d.file, l.d.layer, l.d.laid = o.Name, o, &laid
		for _, n := range doc.Nodes {
			l.d.topNode(l.cfg, n)
		}
		l.d.layer, l.d.laid = nil, nil
		l.sources.Laid = append(l.sources.Laid, laid)
	}
}

// layInto decodes a node of an overlay that opens a block which may stand many times.
func (d *decoder) layInto(into *spec, b any, k *Key, n *kdl.Node) {
	name := ""
	if a := n.Arg(0); a != nil {
		name = a.Value.Text
	}
	at := slices.IndexFunc(k.slot.each(b), func(c any) bool { return into.named(c) == name })
	switch {
	case k.Name == "rate-limit":
		block := k.slot.open(b)
		d.mark(b, k, n.Name.Span)
		d.block(into, block, n)
		if at >= 0 {
			replaceLast(b, at)
		}
	case at < 0:
		d.laid.Gone = k.Name + " " + quote(name)
	default:
		block := k.slot.each(b)[at]
		for _, c := range n.Children {
			d.child(into, block, c)
		}
		if into.finish != nil {
			into.finish(d, block)
		}
	}
}

// named returns the name that a block has by its first argument; "" for none.
func (s *spec) named(block any) string {
	if len(s.args) == 0 {
		return ""
	}
	k, _ := s.row(s.args[0])
	if v, ok := k.slot.at(block).(*Value[string]); ok {
		return v.V
	}
	return ""
}

// replaceLast puts the last rate limit of a block in the place of another.
func replaceLast(b any, at int) {
	list := limitsOf(b)
	(*list)[at] = (*list)[len(*list)-1]
	*list = (*list)[:len(*list)-1]
}

func limitsOf(b any) *[]*RateLimit {
	switch b := b.(type) {
	case *Listener:
		return &b.RateLimits
	case *Route:
		return &b.RateLimits
	case *Policies:
		return &b.RateLimits
	}
	return &b.(*Config).RateLimits
}
