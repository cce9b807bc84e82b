package schema

import "sentinel/internal/config/kdl"

// pairValue decodes a key with two strings, of which the second may be empty.
func (d *decoder) pairValue(b any, k *Key, entries []*kdl.Entry) {
	from, to := d.from(entries[0].Value.Span), d.from(entries[1].Value.Span)
	strict, loose := *k, *k
	strict.inserts = environmentOnly
	first, ok1 := d.text(&strict, entries[0], &from)
	loose.mayBeEmpty = true
	if k.check == nil || entries[1].Value.Text == "" {
		loose.check = checkReplacement
	}
	second, ok2 := d.text(&loose, entries[1], &to)
	if ok1 && ok2 {
		from.Env = from.Env || to.Env
		set(k.slot.at(b), Pair{first, second}, from)
	}
}

// pairs decodes `set "NAME" "VALUE"` and `set { "NAME" "VALUE" }`.
func (d *decoder) pairs(b any, k *Key, n *kdl.Node) {
	d.annotations(n)
	switch args := n.Args(); {
	case len(args) == 2 && len(n.Entries) == 2 && len(n.Children) == 0:
		if args[0].Value.Kind != kdl.String {
			d.wrongKind(k, args[0])
			return
		}
		d.pair(b, k, args[0].Value.Text, args[0].Value.Span, args[1])
	case len(n.Entries) > 0:
		d.errorSpan(n.Name.Span, "%s takes a name and a value, not %s", k.Name, counted(len(n.Entries), "value")).
			hint(`write %s "NAME" "VALUE", or several in a block: %s { "NAME" "VALUE" }`, k.Name, k.Name)
	case len(n.Children) == 0:
		d.errorSpan(n.Name.Span, "%s is empty", k.Name).hint(`write %s { "NAME" "VALUE" }`, k.Name)
	default:
		for _, c := range n.Children {
			d.pairNode(b, k, c)
		}
	}
}

// pairNode decodes one `"NAME" "VALUE"` of a block.
func (d *decoder) pairNode(b any, k *Key, c *kdl.Node) {
	d.annotations(c)
	if len(c.Entries) != 1 || c.Entries[0].Name != nil || len(c.Children) > 0 {
		d.errorSpan(c.Name.Span, "%s %q takes one value", k.Name, c.Name.Text).hint(`write "NAME" "VALUE"`)
		return
	}
	d.pair(b, k, c.Name.Text, c.Name.Span, c.Entries[0])
}

func (d *decoder) pair(b any, k *Key, name string, at kdl.Span, e *kdl.Entry) {
	from := d.from(at)
	if !d.checked(k, name, from) {
		return
	}
	loose := *k
	loose.check = nil
	if k.Kind == Edits {
		loose.Kind = Template
	}
	valueFrom := d.from(e.Value.Span)
	value, ok := d.text(&loose, e, &valueFrom)
	if !ok {
		return
	}
	from.Env = valueFrom.Env
	switch list := k.slot.at(b).(type) {
	case *[]Rename:
		if k.Kind == Pairs || d.checked(k, value, valueFrom) {
			*list = append(*list, Rename{name, value, from})
		}
	case *[]Edit:
		*list = append(*list, Edit{name, Pattern{value}, from})
	}
}
