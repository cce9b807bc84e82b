package schema

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Show returns the effective configuration as KDL, with the origin of each value as a
// comment. The text loads again and means the same: what is inherited, and defaults that
// would win over a farther block if they were written, are commented out by /-.
func Show(c *Config) []byte {
	p := printer{unbuilt: c.unbuilt}
	p.block(table()[""], c, "", 0)
	return []byte(p.b.String())
}

// printer writes blocks as KDL.
type printer struct {
	b       strings.Builder
	unbuilt bool // that of Options
}

func (p *printer) block(s *spec, block any, owner string, depth int) {
	for _, k := range s.rows {
		switch {
		case k.Pending && !p.unbuilt, k.In != nil && !slices.Contains(k.In, owner):
		case k.Kind == Opens:
			p.blocks(k, block, depth)
		case !k.ArgOnly:
			p.value(k, block, owner, depth)
		}
	}
}

func (p *printer) blocks(k *Key, block any, depth int) {
	into := table()[k.Opens]
	for _, c := range blocksAt(k, block) {
		if c == block && k.Name == "targets" {
			continue // its targets are shown in the upstream itself
		}
		inner := printer{unbuilt: p.unbuilt}
		inner.block(into, c, k.Block, depth+1)
		if inner.b.Len() == 0 {
			continue
		}
		p.indent(depth)
		if isInherited(c) || !holdsLive(inner.b.String()) || isOfRequests(k, block) {
			p.b.WriteString("/- ")
		}
		p.b.WriteString(k.Name)
		if len(into.args) > 0 {
			if a, _ := into.row(into.args[0]); a.ArgOnly {
				p.b.WriteString(" " + lines(a.slot.at(c))[0].text)
			}
		}
		p.b.WriteString(" {\n" + inner.b.String())
		p.indent(depth)
		p.b.WriteString("}\n")
	}
}

// blocksAt returns the blocks of a key that are there; limits in shadow mode are one more.
func blocksAt(k *Key, block any) []any {
	if k.slot.each != nil {
		return k.slot.each(block)
	}
	switch c := k.slot.at(block).(type) {
	case nil:
		return nil
	case *Limits:
		if c.Shadow != nil {
			return []any{c, c.Shadow}
		}
		return []any{c}
	default:
		return []any{c}
	}
}

// isInherited reports whether a block stands at top level only.
func isInherited(block any) bool {
	b, ok := block.(placed)
	return ok && b.block().From.Kind == Inherited
}

// holdsLive reports whether one of the lines is a value that isn't commented out.
func holdsLive(shown string) bool {
	for line := range strings.Lines(shown) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "/-") && !strings.HasSuffix(line, "{") && line != "}" {
			return true
		}
	}
	return false
}

func (p *printer) value(k *Key, block any, owner string, depth int) {
	for _, l := range lines(k.slot.at(block)) {
		p.indent(depth)
		if l.from.Kind == Inherited || l.from.Kind == Default && (yields(k, owner) || idle(k)) {
			p.b.WriteString("/- ")
		}
		fmt.Fprintf(&p.b, "%s %s // %s\n", k.Name, l.text, l.from)
	}
}

// idle reports whether k has no effect in some blocks, where writing its default is refused.
func idle(k *Key) bool {
	switch k.ID() {
	case "respond.content-type", "jwt-auth.refresh-secs", "jwt-auth.timeout-secs", "route.allow-trailers", "route.queue-priority", "upstream.hash-key", "upstream.hash-load-percent",
		"circuit-breaker.window-secs", "circuit-breaker.min-requests", "rate-limit.shared", "connection-pool.max-streams",
		"connection-pool.ping-interval-secs":
		return true
	}
	return k.Block == "retry-policy" || k.Block == "health-check type" && k.Name != "kind"
}

// yields reports whether a default of k in a block of owner gives way to what a farther
// block says.
func yields(k *Key, owner string) bool {
	return owner != "" && (k.Block == "timeouts" || k.Block == "limits")
}

func (p *printer) indent(depth int) { p.b.WriteString(strings.Repeat("    ", depth)) }

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
	case *[]Value[Range]:
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
	case Range:
		if v.First == v.Last {
			return formatValue(v.First)
		}
		return quote(formatValue(v.First) + "-" + formatValue(v.Last))
	case time.Duration:
		return strconv.FormatFloat(v.Seconds(), 'f', -1, 64)
	case netip.Prefix:
		return quote(v.String())
	case Pattern:
		return quoteRaw(v.Text)
	case string:
		return quote(v)
	}
	return fmt.Sprint(v)
}

// quote writes a text so that no part of it is taken for an environment variable.
func quote(s string) string { return quoteRaw(strings.ReplaceAll(s, "${", "$${")) }

// quoteRaw writes a KDL 2 string.
func quoteRaw(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r) || r == ' ':
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
