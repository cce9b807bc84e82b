package schema

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sentinel/internal/config/kdl"
)

// Pattern is a text with ${variables} of the request; what came from the environment has
// been put in already.
type Pattern struct{ Text string }

// value decodes the entries into key k of block b.
func (d *decoder) value(b any, k *Key, at kdl.Span, entries []*kdl.Entry) {
	many := k.Kind == Texts || k.Kind == Ints || k.Kind == Prefixes || k.Kind == Regexes || k.Many
	want := 1
	if k.Kind == TwoTexts {
		want = 2
	}
	if len(entries) == 0 || !many && len(entries) != want {
		d.errorSpan(at, "%s takes %s, not %d values", k.Name, wanted(k, want), len(entries)).hint("%s: %s", k.Name, k.Doc)
		return
	}
	if k.Kind == TwoTexts {
		d.pairValue(b, k, entries)
		return
	}
	for _, e := range entries {
		d.one(b, k, e)
	}
}

func wanted(k *Key, n int) string {
	if n == 2 {
		return "two strings"
	}
	return "one " + k.Kind.String()
}

// one decodes one entry.
func (d *decoder) one(b any, k *Key, e *kdl.Entry) {
	from := d.from(e.Value.Span)
	at := k.slot.at(b)
	switch k.Kind {
	case Bool:
		if e.Value.Kind != kdl.Bool {
			d.wrongKind(k, e)
			return
		}
		set(at, e.Value.Bool, from)
	case Int, Ints, Size, Rate:
		if n, ok := d.number(k, e); ok {
			setInt(at, n, from)
		}
	case Seconds:
		if v, ok := d.seconds(k, e); ok {
			set(at, v, from)
		}
	default:
		if text, ok := d.text(k, e, &from); ok {
			d.setText(at, k, text, from)
		}
	}
}

func set[T any](at any, v T, from Origin) {
	*at.(*Value[T]) = Value[T]{V: v, From: from}
}

func setInt(at any, n int64, from Origin) {
	v := Value[int64]{V: n, From: from}
	if list, ok := at.(*[]Value[int64]); ok {
		*list = append(*list, v)
		return
	}
	*at.(*Value[int64]) = v
}

// setText stores a text in the form that its key holds.
func (d *decoder) setText(at any, k *Key, text string, from Origin) {
	switch to := at.(type) {
	case *Value[string]:
		*to = Value[string]{V: text, From: from}
	case *[]Value[string]:
		*to = append(*to, Value[string]{V: text, From: from})
	case *Value[Pattern]:
		*to = Value[Pattern]{V: Pattern{text}, From: from}
	case *[]Value[netip.Prefix]:
		p, err := parsePrefix(text)
		if err != nil {
			d.errorAt(from, "%q is neither an IP address nor a CIDR prefix", text).hint(`write an address such as "192.0.2.7" or a prefix such as "10.0.0.0/8"`)
			return
		}
		*to = append(*to, Value[netip.Prefix]{V: p, From: from})
	}
}

func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

func (d *decoder) wrongKind(k *Key, e *kdl.Entry) {
	p := d.errorSpan(e.Value.Span, "%s takes a %s, not the %s %s", k.Name, k.Kind, e.Value.Kind, e.Value.Raw)
	switch {
	case k.Kind == Bool:
		p.hint("write #true or #false")
	case e.Value.Kind == kdl.String && (k.Kind == Int || k.Kind == Seconds):
		p.hint("write the number without quotes")
	case e.Value.Kind == kdl.Number:
		p.hint("write %q", e.Value.Raw)
	}
}

// number decodes a whole number, a word for one, or a size.
func (d *decoder) number(k *Key, e *kdl.Entry) (int64, bool) {
	n, ok := int64(0), false
	switch {
	case e.Value.Kind == kdl.Number:
		if n, ok = e.Value.Int64(); !ok {
			d.errorSpan(e.Value.Span, "%s takes a whole number, not %s", k.Name, e.Value.Raw).hint("write it without a fraction")
			return 0, false
		}
	case e.Value.Kind == kdl.String && len(k.Words) > 0:
		if n, ok = wordValue(k, e.Value.Text); !ok {
			d.errorSpan(e.Value.Span, "%s doesn't know the word %q", k.Name, e.Value.Text).hint("write a number or one of %s", strings.Join(k.Words, ", "))
			return 0, false
		}
	case e.Value.Kind == kdl.String && (k.Kind == Size || k.Kind == Rate):
		if n, ok = parseSize(e.Value.Text); !ok {
			d.errorSpan(e.Value.Span, "%q is no size", e.Value.Text).hint(`write bytes as a number, or a text such as "64KiB", "10MB" or "1GiB"`)
			return 0, false
		}
	default:
		d.wrongKind(k, e)
		return 0, false
	}
	return n, d.inRange(k, e, n)
}

func wordValue(k *Key, word string) (int64, bool) {
	i := slices.Index(k.Words, word)
	if i < 0 || i >= len(k.values) {
		return 0, false
	}
	return k.values[i], true
}

func (d *decoder) inRange(k *Key, e *kdl.Entry, n int64) bool {
	if k.Min == 0 && k.Max == 0 || n >= k.Min && n <= k.Max {
		if k.check == nil || k.Kind != Int {
			return true
		}
		return d.checked(k, strconv.FormatInt(n, 10), d.from(e.Value.Span))
	}
	unit := k.Unit
	if unit != "" {
		unit = " " + unit
	}
	d.errorSpan(e.Value.Span, "%s must be from %d to %d%s, not %s", k.Name, k.Min, k.Max, unit, e.Value.Raw).hint("%s", k.Doc)
	return false
}

// seconds decodes a number of seconds.
func (d *decoder) seconds(k *Key, e *kdl.Entry) (time.Duration, bool) {
	if e.Value.Kind != kdl.Number {
		p := d.errorSpan(e.Value.Span, "%s takes a number of seconds, not %s", k.Name, e.Value.Raw)
		if n := strings.TrimRight(e.Value.Text, "smh"); n != "" && n != e.Value.Text {
			p.hint("write %s; the unit is in the name", n)
		}
		return 0, false
	}
	f, ok := e.Value.Float64()
	least := float64(k.Min)
	if !ok || math.IsNaN(f) || f < least || f > float64(k.Max) || f == 0 && !k.ZeroOff {
		d.errorSpan(e.Value.Span, "%s must be above 0 and at most %d seconds, not %s", k.Name, k.Max, e.Value.Raw).hint("%s", k.Doc)
		return 0, false
	}
	return time.Duration(f * float64(time.Second)), true
}

// text decodes a string: environment variables put in, words and forms checked.
func (d *decoder) text(k *Key, e *kdl.Entry, from *Origin) (string, bool) {
	if e.Value.Kind != kdl.String {
		d.wrongKind(k, e)
		return "", false
	}
	text, ok := d.expand(e.Value.Text, k.Kind == Template || k.Kind == Edits, from)
	if !ok {
		return "", false
	}
	if !k.anyRaw && strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 127 }) {
		d.errorAt(*from, "%s holds a control character", k.Name).hint("remove it")
		return "", false
	}
	if text == "" && k.Kind != Template && !k.anyRaw {
		d.errorAt(*from, "%s is empty", k.Name).hint("%s", k.Doc)
		return "", false
	}
	if len(k.Words) > 0 {
		if text, ok = d.word(k, text, *from); !ok {
			return "", false
		}
	}
	if k.Kind == Regex || k.Kind == Regexes {
		return text, d.checkRegex(text, *from, k.Name)
	}
	return text, d.checked(k, text, *from)
}

// word checks a text against the closed list of its key; hyphen and underscore are one.
func (d *decoder) word(k *Key, text string, from Origin) (string, bool) {
	folded := strings.ReplaceAll(strings.ToLower(text), "-", "_")
	for _, w := range k.Words {
		if strings.ReplaceAll(w, "-", "_") != folded {
			continue
		}
		if slices.Contains(k.PendingWords, w) {
			d.errorAt(from, "%s %q is not built yet in this version", k.Name, text).hint("use one of: %s", strings.Join(without(k.Words, k.PendingWords), ", "))
			return "", false
		}
		return w, true
	}
	d.errorAt(from, "%s doesn't know %q", k.Name, text).hint("use one of: %s", strings.Join(without(k.Words, k.PendingWords), ", "))
	return "", false
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(w string) bool { return slices.Contains(some, w) })
}

func (d *decoder) checked(k *Key, text string, from Origin) bool {
	if k.check == nil {
		return true
	}
	problem, hint := k.check(text)
	if problem == "" {
		return true
	}
	d.errorAt(from, "%s %q %s", k.Name, text, problem).hint("%s", hint)
	return false
}

func (d *decoder) checkRegex(text string, from Origin, name string) bool {
	if _, err := regexp.Compile(text); err != nil {
		d.errorAt(from, "%s is no regular expression: %s", name, strings.TrimPrefix(err.Error(), "error parsing regexp: ")).
			hint("the syntax is that of RE2; it has no look-around and no back references")
		return false
	}
	return true
}

// pairValue decodes a key with two strings.
func (d *decoder) pairValue(b any, k *Key, entries []*kdl.Entry) {
	from := d.from(entries[0].Value.Span)
	first, ok1 := d.text(k, entries[0], &from)
	loose := *k
	loose.check, loose.anyRaw = nil, true
	second, ok2 := d.text(&loose, entries[1], &from)
	if ok1 && ok2 {
		set(k.slot.at(b), Pair{first, second}, from)
	}
}

// pairs decodes `set "NAME" "VALUE"` and `set { "NAME" "VALUE" }`.
func (d *decoder) pairs(b any, k *Key, n *kdl.Node) {
	if args := n.Args(); len(args) > 0 {
		if len(args) != 2 {
			d.errorSpan(n.Name.Span, "%s takes a name and a value, not %d values", k.Name, len(args)).hint(`write %s "NAME" "VALUE"`, k.Name)
			return
		}
		d.pair(b, k, args[0].Value.Text, args[0].Value.Span, args[1])
	}
	for _, c := range n.Children {
		if len(c.Entries) != 1 || c.Entries[0].Name != nil {
			d.errorSpan(c.Name.Span, "%s %q takes one value, not %d", k.Name, c.Name.Text, len(c.Entries)).hint(`write "NAME" "VALUE"`)
			continue
		}
		d.pair(b, k, c.Name.Text, c.Name.Span, c.Entries[0])
	}
	if len(n.Entries) == 0 && len(n.Children) == 0 {
		d.errorSpan(n.Name.Span, "%s is empty", k.Name).hint(`write %s { "NAME" "VALUE" }`, k.Name)
	}
}

func (d *decoder) pair(b any, k *Key, name string, at kdl.Span, e *kdl.Entry) {
	from := d.from(at)
	if !d.checked(k, name, from) {
		return
	}
	loose := *k
	loose.check, loose.anyRaw = nil, k.Kind == Edits && false
	if k.Kind == Edits {
		loose.Kind = Template
	}
	value, ok := d.text(&loose, e, &from)
	if !ok {
		return
	}
	if k.Kind == Renames {
		if d.checked(k, value, from) {
			list := k.slot.at(b).(*[]Rename)
			*list = append(*list, Rename{name, value, from})
		}
		return
	}
	list := k.slot.at(b).(*[]Edit)
	*list = append(*list, Edit{name, Pattern{value}, from})
}

// parseSize reads "64KiB", "10MB", "1g" or "512".
func parseSize(text string) (int64, bool) {
	i := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	number, unit := text, ""
	if i >= 0 {
		number, unit = text[:i], strings.ToLower(strings.TrimSpace(text[i:]))
	}
	f, err := strconv.ParseFloat(number, 64)
	factor, ok := map[string]float64{"": 1, "b": 1, "k": 1 << 10, "kb": 1000, "kib": 1 << 10, "m": 1 << 20, "mb": 1e6, "mib": 1 << 20,
		"g": 1 << 30, "gb": 1e9, "gib": 1 << 30, "t": 1 << 40, "tb": 1e12, "tib": 1 << 40}[unit]
	if err != nil || !ok || f*factor > 1<<50 {
		return 0, false
	}
	return int64(f * factor), true
}

// mustPreset converts the default of a key; the table is wrong where it can't.
func mustPreset(k *Key) any {
	v, err := preset(k)
	if err != nil {
		panic(fmt.Sprintf("schema: default of %s.%s: %v", k.Block, k.Name, err))
	}
	return v
}

func preset(k *Key) (any, error) {
	switch k.Kind {
	case Bool:
		return k.Default == "#true", nil
	case Int:
		return strconv.ParseInt(k.Default, 10, 64)
	case Size, Rate:
		n, ok := parseSize(k.Default)
		if !ok {
			return nil, fmt.Errorf("%q is no size", k.Default)
		}
		return n, nil
	case Seconds:
		f, err := strconv.ParseFloat(k.Default, 64)
		return time.Duration(f * float64(time.Second)), err
	case Ints:
		var list []int64
		for _, word := range strings.Fields(k.Default) {
			n, err := strconv.ParseInt(word, 10, 64)
			if err != nil {
				return nil, err
			}
			list = append(list, n)
		}
		return list, nil
	}
	return k.Default, nil
}
