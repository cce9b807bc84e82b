package schema

import (
	"fmt"
	"slices"
	"strings"
)

// Diff says in words what the change from a to b means for traffic; nothing when it means
// nothing.
func Diff(a, b *Config) []string {
	before, after := factsOf(a), factsOf(b)
	out := reordered(a, b)
	for where := range before.blocks {
		if !after.blocks[where] && !after.lacksAround(where) {
			out = append(out, where+" is removed")
		}
	}
	for where := range after.blocks {
		if !before.blocks[where] && !before.lacksAround(where) {
			out = append(out, where+" is new")
		}
	}
	for f, was := range before.values {
		now, ok := after.values[f]
		switch {
		case !ok && !was.byDefault && !after.lacks(f.where):
			out = append(out, fmt.Sprintf("%s: %s %s is no longer set", f.where, f.key, was.text))
		case ok && now.text != was.text:
			out = append(out, fmt.Sprintf("%s: %s changes from %s to %s", f.where, f.key, was.text, now.text))
		}
	}
	for f, now := range after.values {
		if _, ok := before.values[f]; !ok && !now.byDefault && !before.lacks(f.where) {
			out = append(out, fmt.Sprintf("%s: %s %s is set", f.where, f.key, now.text))
		}
	}
	slices.Sort(out)
	return out
}

// fact is a key and the words that lead to its block.
type fact struct{ where, key string }

// setting is the value of a fact in words.
type setting struct {
	text      string
	byDefault bool
}

// facts are all values of a configuration, and those of its blocks that may be absent.
type facts struct {
	values  map[fact]setting
	blocks  map[string]bool
	unbuilt bool // that of Options
}

func factsOf(c *Config) *facts {
	f := &facts{make(map[fact]setting), make(map[string]bool), c.unbuilt}
	f.gather("the proxy", table()[""], c, "")
	return f
}

// lacks reports whether a block on the way to where is missing.
func (f *facts) lacks(where string) bool {
	return where != "the proxy" && (isNamed(where) && !f.blocks[where] || f.lacksAround(where))
}

// isNamed reports whether the last step to where is a block with a name.
func isNamed(where string) bool { return strings.HasSuffix(where, `"`) }

func (f *facts) lacksAround(where string) bool {
	i := strings.LastIndex(where, ", ")
	return i >= 0 && f.lacks(where[:i])
}

func (f *facts) gather(where string, s *spec, block any, owner string) {
	for _, k := range s.rows {
		switch {
		case k.Pending && !f.unbuilt || k.ArgOnly || k.In != nil && !slices.Contains(k.In, owner):
		case k.Kind == Opens:
			f.gatherBlocks(where, k, block)
		default:
			f.gatherValue(where, k, block, owner)
		}
	}
}

func (f *facts) gatherValue(where string, k *Key, block any, owner string) {
	var texts []string
	byDefault := true
	for _, l := range lines(k.slot.at(block)) {
		if l.from.Kind != Inherited && !(l.from.Kind == Default && yields(k, owner)) {
			texts = append(texts, l.text+unitOf(k))
			byDefault = byDefault && l.from.Kind == Default
		}
	}
	if len(texts) > 0 {
		f.values[fact{where, k.words()}] = setting{strings.Join(texts, ", "), byDefault}
	}
}

// words is what people call the key.
func (k *Key) words() string {
	if k.Label != "" {
		return k.Label
	}
	return strings.ReplaceAll(k.Name, "-", " ")
}

func unitOf(k *Key) string {
	if k.Kind == Seconds || k.Kind == Size || k.Kind == Rate {
		return " " + k.Unit
	}
	return ""
}

func (f *facts) gatherBlocks(where string, k *Key, block any) {
	into, step := table()[k.Opens], func(name string) string { return strings.TrimPrefix(where+", "+name, "the proxy, ") }
	if k.slot.each == nil {
		switch c := k.slot.at(block); {
		case c == nil || c == block && k.Name == "targets" || isInherited(c):
		case c == block:
			f.gather(where, into, c, k.Block)
		default:
			inner := step(strings.ReplaceAll(k.Name, "-", " "))
			if k.slot.maybe && into.hasDefaults() {
				f.blocks[inner] = true
			}
			f.gather(inner, into, c, k.Block)
			if l, ok := c.(*Limits); ok && l.Shadow != nil && !isInherited(l.Shadow) {
				f.blocks[inner+" in shadow mode"] = true
				f.gather(inner+" in shadow mode", into, l.Shadow, k.Block)
			}
		}
		return
	}
	for _, c := range k.slot.each(block) {
		inner := step(k.Name + " " + into.nameOf(c))
		f.blocks[inner] = true
		f.gather(inner, into, c, k.Block)
	}
}

// hasDefaults reports whether a block that is there may hold nothing that was written.
func (s *spec) hasDefaults() bool {
	return slices.ContainsFunc(s.rows, func(k *Key) bool { return k.Default != "" })
}

// nameOf returns what tells a block from others of its kind: its argument, or the first
// text that was written in its place.
func (s *spec) nameOf(block any) string {
	for _, k := range s.rows {
		if l := lines(k.slot.at(block)); len(l) > 0 && (k.Kind == Text || k.Kind == Address) {
			return l[0].text
		}
	}
	return `""`
}
