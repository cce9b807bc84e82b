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
	var out []string
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
		case !ok && !after.lacks(f.where):
			out = append(out, fmt.Sprintf("%s: %s %s is no longer set", f.where, f.key, was))
		case ok && now != was:
			out = append(out, fmt.Sprintf("%s: %s changes from %s to %s", f.where, f.key, was, now))
		}
	}
	for f, now := range after.values {
		if _, ok := before.values[f]; !ok && !before.lacks(f.where) {
			out = append(out, fmt.Sprintf("%s: %s %s is set", f.where, f.key, now))
		}
	}
	slices.Sort(out)
	return out
}

// fact is a key and the words that lead to its block.
type fact struct{ where, key string }

// facts are all values of a configuration, and its named blocks.
type facts struct {
	values map[fact]string
	blocks map[string]bool
}

func factsOf(c *Config) *facts {
	f := &facts{make(map[fact]string), make(map[string]bool)}
	f.gather("the proxy", table()[""], c, "")
	return f
}

// lacks reports whether a block on the way to where is missing.
func (f *facts) lacks(where string) bool {
	return where != "the proxy" && (isBlock(where) && !f.blocks[where] || f.lacksAround(where))
}

// isBlock reports whether the last step to where is a block with a name.
func isBlock(where string) bool { return strings.HasSuffix(where, `"`) }

func (f *facts) lacksAround(where string) bool {
	i := strings.LastIndex(where, ", ")
	return i >= 0 && f.lacks(where[:i])
}

func (f *facts) gather(where string, s *spec, block any, owner string) {
	for _, k := range s.rows {
		switch {
		case k.Pending || k.ArgOnly || k.In != nil && !slices.Contains(k.In, owner):
		case k.Kind == Opens:
			f.gatherBlocks(where, k, block)
		default:
			var texts []string
			for _, l := range lines(k.slot.at(block)) {
				if l.from.Kind != Inherited && !(l.from.Kind == Default && yields(k, owner)) {
					texts = append(texts, l.text+unitOf(k))
				}
			}
			if len(texts) > 0 {
				f.values[fact{where, k.words()}] = strings.Join(texts, ", ")
			}
		}
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
		case c == nil || c == block && k.Name == "targets":
		case c == block:
			f.gather(where, into, c, k.Block)
		default:
			f.gather(step(strings.ReplaceAll(k.Name, "-", " ")), into, c, k.Block)
		}
		return
	}
	for _, c := range k.slot.each(block) {
		a, _ := into.row(into.args[0])
		inner := step(k.Name + " " + lines(a.slot.at(c))[0].text)
		f.blocks[inner] = true
		f.gather(inner, into, c, k.Block)
	}
}
