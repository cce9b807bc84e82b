package schema

import "sentinel/internal/config/kdl"

// merged decodes a block that may be repeated: each into a copy of its own, and the
// strictest value of each key wins, whatever the order; those in shadow mode merge apart.
// The operator is told of both.
func (d *decoder) merged(s *spec, into any, n *kdl.Node) {
	b := into.(*Limits)
	next := new(Limits)
	d.owner[next] = d.owner[into]
	d.block(s, next, n)
	if next.Mode.V == modeShadow {
		if b.Shadow == nil {
			b.Shadow = new(Limits)
		}
		b = b.Shadow
	}
	switch {
	case !b.From.IsSet():
		b.From = next.From
	case d.layer == nil:
		d.diags = append(d.diags, kdl.Warningf(d.file, n.Name.Span, "limits stand more than once and are merged: the strictest value of each key wins").
			WithRelated(b.From.File, b.From.Span, "the first limits are here"))
	}
	d.mergeLimits(s, b, next)
}

// mergeLimits takes the keys of next that are stricter over into b.
func (d *decoder) mergeLimits(s *spec, b, next *Limits) {
	for _, k := range s.rows {
		if at := d.written[place{next, k.Name}]; at.IsSet() && !d.written[place{b, k.Name}].IsSet() {
			d.written[place{b, k.Name}], d.written[place{b, ""}] = at, at
		}
		if k.Kind == Enum {
			if next.Mode.IsSet() && !b.Mode.IsSet() {
				b.Mode = next.Mode
			}
			continue
		}
		have, more := k.slot.at(b).(*Value[int64]), k.slot.at(next).(*Value[int64])
		if more.IsSet() && (!have.IsSet() || stricter(k, more.V, have.V)) {
			*have = *more
		}
	}
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
