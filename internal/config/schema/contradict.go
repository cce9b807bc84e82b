package schema

import (
	"slices"
	"time"
)

// botched reports whether key name of block b was written in a way that was refused, so
// that nothing can be said about what it stands against.
func (d *decoder) botched(b any, name string, from Origin) bool {
	return d.tried(b, name) && from.Kind != Written
}

// ordered reports that the value of key low of block b lies above that of key high. The
// default of one counts when the other is written.
func (d *decoder) ordered(block string, b any, low, high string) {
	s := d.specs[block]
	lowKey, _ := s.row(low)
	highKey, _ := s.row(high)
	l, lText, lFrom := effective(lowKey, b)
	h, hText, hFrom := effective(highKey, b)
	if l <= h || d.botched(b, low, lFrom) || d.botched(b, high, hFrom) {
		return
	}
	at, other := lFrom, hFrom
	if !at.IsSet() {
		at, other = hFrom, lFrom
	}
	p := d.errorAt(at, "%s %s is above %s %s", low, lText, high, hText).related(other, "the other one is here")
	switch {
	case !hFrom.IsSet():
		p.hint("lower it, or raise %s, which is %s by default", high, hText)
	case !lFrom.IsSet():
		p.hint("raise it, or lower %s, which is %s by default", low, lText)
	default:
		p.hint("lower the one or raise the other")
	}
}

// effective returns the number that key k of block b stands for, as text too, and where it
// was written.
func effective(k *Key, b any) (n int64, text string, from Origin) {
	switch v := k.slot.at(b).(type) {
	case *Value[time.Duration]:
		x := *v
		fillOne(&x, k.preset, Origin{Kind: Default})
		return int64(x.V), formatValue(x.V), v.From
	case *Value[int64]:
		x := *v
		fillOne(&x, k.preset, Origin{Kind: Default})
		return x.V, formatValue(x.V), v.From
	}
	return 0, "", Origin{}
}

// suits reports that key k has an effect only with some words of the key that key stands
// against, and that another one is written or is the default.
func (d *decoder) suits(k sourcedKey, against *Key, word Value[string], only ...string) {
	effective := word.V
	if !word.IsSet() {
		effective = against.Default
	}
	if k.from.Kind == Written && !slices.Contains(only, effective) {
		d.errorAt(k.from, "%s has no effect with %s %q", k.name, against.Name, effective).
			hint("remove it, or use %s %s", against.Name, orList(only)).related(word.From, "%s is here", against.Name)
	}
}
