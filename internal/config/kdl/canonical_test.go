package kdl

import (
	"math/big"
	"slices"
	"strings"
)

// canonical prints the tree of a document in one fixed form, so that texts
// can be compared by what they mean: arguments first, then the properties
// that count in the order of their names, numbers decimal, text quoted only
// where it must be.
func canonical(d *Document) string {
	var b strings.Builder
	writeCanonical(&b, d.Nodes, d.Version, "")
	return b.String()
}

func writeCanonical(b *strings.Builder, nodes []*Node, v Version, indent string) {
	for _, n := range nodes {
		b.WriteString(indent + canonicalType(n.Type, v) + canonicalText(n.Name.Text, v))
		for _, e := range n.Args() {
			b.WriteString(" " + canonicalValue(e, v))
		}
		var names []string
		for _, e := range n.Entries {
			if e.Name != nil {
				names = append(names, e.Name.Text)
			}
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			b.WriteString(" " + canonicalText(name, v) + "=" + canonicalValue(n.Prop(name), v))
		}
		if len(n.Children) > 0 {
			b.WriteString(" {\n")
			writeCanonical(b, n.Children, v, indent+"    ")
			b.WriteString(indent + "}")
		}
		b.WriteString("\n")
	}
}

func canonicalType(t *Ident, v Version) string {
	if t == nil {
		return ""
	}
	return "(" + canonicalText(t.Text, v) + ")"
}

func canonicalText(text string, v Version) string {
	if isBareWord(text, v) {
		return text
	}
	return quote(text, v)
}

func canonicalValue(e *Entry, v Version) string {
	prefix, value := canonicalType(e.Type, v), e.Value
	sign := "#"
	if v == V1 {
		sign = ""
	}
	switch {
	case value.Kind == Null:
		return prefix + sign + "null"
	case value.Kind == Bool && value.Bool:
		return prefix + sign + "true"
	case value.Kind == Bool:
		return prefix + sign + "false"
	case value.Kind == Number:
		return prefix + canonicalNumber(value.Raw)
	case v == V2:
		return prefix + canonicalText(value.Text, v)
	}
	return prefix + quote(value.Text, v)
}

func canonicalNumber(raw string) string {
	if strings.HasPrefix(raw, "#") {
		return raw
	}
	digits, base := numberDigits(raw)
	if base != 10 || !strings.ContainsAny(digits, ".eE") {
		n, ok := new(big.Int).SetString(digits, base)
		if !ok {
			return "not a number: " + raw
		}
		return n.String()
	}
	mantissa, exponent, ok := strings.Cut(strings.ToUpper(digits), "E")
	if ok && exponent[0] != '-' && exponent[0] != '+' {
		exponent = "+" + exponent
	}
	if ok {
		return mantissa + "E" + exponent
	}
	return mantissa
}
