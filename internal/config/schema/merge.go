package schema

import "sentinel/internal/config/kdl"

// merged decodes a block that may be repeated: each into a copy of its own, and the
// strictest value of each key wins, whatever the order. The operator is told of both.
func (d *decoder) merged(s *spec, into any, n *kdl.Node) {
	b := into.(*Limits)
	if !b.From.IsSet() {
		d.owner[b] = d.owner[into]
		d.block(s, b, n)
		return
	}
	var next Limits
	d.owner[&next] = d.owner[into]
	d.block(s, &next, n)
	for _, k := range s.rows {
		have, more := k.slot.at(b).(*Value[int64]), k.slot.at(&next).(*Value[int64])
		if !more.IsSet() {
			continue
		}
		if !have.IsSet() || stricter(k, more.V, have.V) {
			*have = *more
		}
	}
	d.diags = append(d.diags, kdl.Warningf(d.file, n.Name.Span, "limits stand more than once and are merged: the strictest value of each key wins").
		WithRelated(b.From.File, b.From.Span, "the first limits are here"))
}

// stricter reports whether a allows less than b; 0 is no limit where the key says so.
func stricter(k *Key, a, b int64) bool {
	if k.ZeroOff {
		if a == 0 || b == 0 {
			return b == 0 && a != 0
		}
	}
	return a < b
}
