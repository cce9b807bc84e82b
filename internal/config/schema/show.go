package schema

import (
	"fmt"
	"net/netip"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Show returns the effective configuration as KDL, with the origin of each value as a
// comment.
func Show(c *Config) []byte {
	var b strings.Builder
	showBlock(&b, table()[""], c, 0)
	return []byte(b.String())
}

func showBlock(b *strings.Builder, s *spec, block any, depth int) {
	for _, k := range s.rows {
		switch {
		case k.Pending:
		case k.Kind == Opens:
			showBlocks(b, k, block, depth)
		case !k.ArgOnly:
			showValue(b, k, block, depth)
		}
	}
}

func showBlocks(b *strings.Builder, k *Key, block any, depth int) {
	into := table()[k.Opens]
	var all []any
	if k.slot.each != nil {
		all = k.slot.each(block)
	} else if c := k.slot.at(block); c != nil {
		all = []any{c}
	}
	for _, c := range all {
		if c == block && k.Name == "targets" {
			continue // its targets are shown in the upstream itself
		}
		var inner strings.Builder
		showBlock(&inner, into, c, depth+1)
		if inner.Len() == 0 {
			continue
		}
		indent(b, depth)
		b.WriteString(k.Name)
		if len(into.args) > 0 {
			if a, _ := into.row(into.args[0]); a.ArgOnly {
				b.WriteString(" " + lines(a.slot.at(c))[0].text)
			}
		}
		b.WriteString(" {\n" + inner.String())
		indent(b, depth)
		b.WriteString("}\n")
	}
}

func showValue(b *strings.Builder, k *Key, block any, depth int) {
	for _, l := range lines(k.slot.at(block)) {
		indent(b, depth)
		fmt.Fprintf(b, "%s %s // %s\n", k.Name, l.text, l.from)
	}
}

func indent(b *strings.Builder, depth int) { b.WriteString(strings.Repeat("    ", depth)) }

// line is one value as KDL and its origin.
type line struct {
	text string
	from Origin
}

// lines returns the values of a key.
func lines(at any) []line {
	var all []line
	add := func(from Origin, values ...any) {
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = formatValue(v)
		}
		all = append(all, line{strings.Join(texts, " "), from})
	}
	switch v := at.(type) {
	case *[]Value[string]:
		for _, x := range *v {
			add(x.From, x.V)
		}
	case *[]Value[int64]:
		for _, x := range *v {
			add(x.From, x.V)
		}
	case *[]Value[netip.Prefix]:
		for _, x := range *v {
			add(x.From, x.V)
		}
	case *[]Edit:
		for _, x := range *v {
			add(x.From, x.Name, x.Value)
		}
	case *[]Rename:
		for _, x := range *v {
			add(x.From, x.Old, x.New)
		}
	case *Value[Pair]:
		if v.IsSet() {
			add(v.From, v.V.From, v.V.To)
		}
	case *Value[string]:
		addSet(add, v)
	case *Value[int64]:
		addSet(add, v)
	case *Value[bool]:
		addSet(add, v)
	case *Value[time.Duration]:
		addSet(add, v)
	case *Value[Pattern]:
		addSet(add, v)
	}
	return all
}

func addSet[T any](add func(Origin, ...any), v *Value[T]) {
	if v.IsSet() {
		add(v.From, v.V)
	}
}

// formatValue writes a value as KDL 2.
func formatValue(v any) string {
	switch v := v.(type) {
	case bool:
		if v {
			return "#true"
		}
		return "#false"
	case int64:
		return strconv.FormatInt(v, 10)
	case time.Duration:
		return strconv.FormatFloat(v.Seconds(), 'f', -1, 64)
	case netip.Prefix:
		return quote(v.String())
	case Pattern:
		return quote(v.Text)
	case string:
		return quote(v)
	}
	return fmt.Sprint(v)
}

func quote(s string) string {
	r := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`)
	return `"` + r.Replace(s) + `"`
}

// Diff says in words what the change from a to b means for traffic; nothing when it means
// nothing.
func Diff(a, b *Config) []string {
	before, after := facts(a), facts(b)
	var out []string
	for key, was := range before {
		if now, ok := after[key]; !ok {
			out = append(out, key.describe("", was, "removed"))
		} else if now != was {
			out = append(out, key.describe(now, was, "changed"))
		}
	}
	for key, now := range after {
		if _, ok := before[key]; !ok {
			out = append(out, key.describe(now, "", "added"))
		}
	}
	sort.Strings(out)
	return out
}

// fact is one value of a configuration by the path that leads to it.
type fact struct{ where, key string }

func (f fact) describe(now, was, what string) string {
	switch what {
	case "removed":
		return fmt.Sprintf("%s: %s %s is removed", f.where, f.key, was)
	case "added":
		return fmt.Sprintf("%s: %s %s is added", f.where, f.key, now)
	}
	return fmt.Sprintf("%s: %s %s -> %s", f.where, f.key, was, now)
}

func facts(c *Config) map[fact]string {
	all := make(map[fact]string)
	gather(all, "the proxy", table()[""], c)
	return all
}

func gather(all map[fact]string, where string, s *spec, block any) {
	for _, k := range s.rows {
		if k.Pending || k.ArgOnly {
			continue
		}
		if k.Kind != Opens {
			ls := lines(k.slot.at(block))
			texts := make([]string, len(ls))
			for i, l := range ls {
				texts[i] = l.text
			}
			if len(texts) > 0 {
				all[fact{where, k.Name}] = strings.Join(texts, ", ")
			}
			continue
		}
		gatherBlocks(all, where, k, block)
	}
}

func gatherBlocks(all map[fact]string, where string, k *Key, block any) {
	into := table()[k.Opens]
	if k.slot.each == nil {
		if c := k.slot.at(block); c != nil {
			inner := where
			if c != block {
				inner = strings.TrimPrefix(where+", "+k.Name, "the proxy, ")
			}
			if !(c == block && k.Name == "targets") {
				gather(all, inner, into, c)
			}
		}
		return
	}
	for i, c := range k.slot.each(block) {
		name := strconv.Itoa(i + 1)
		if len(into.args) > 0 {
			if a, _ := into.row(into.args[0]); a != nil {
				if ls := lines(a.slot.at(c)); len(ls) > 0 {
					name = ls[0].text
				}
			}
		}
		gather(all, strings.TrimPrefix(where+", "+k.Name+" "+name, "the proxy, "), into, c)
	}
}
