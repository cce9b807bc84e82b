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

// secondsMin is the shortest duration that may be written.
const secondsMin = 0.001

// value decodes the entries into key k of block b.
func (d *decoder) value(b any, k *Key, at kdl.Span, entries []*kdl.Entry) {
	switch {
	case k.Kind == TwoTexts && len(entries) == 2:
		d.pairValue(b, k, entries)
	case k.Kind == TwoTexts:
		d.errorSpan(at, "%s takes two strings, not %s", k.Name, counted(len(entries), "value")).hint("%s: %s", k.Name, k.Doc)
	case len(entries) == 0:
		d.errorSpan(at, "%s lacks its value", k.Name).hint("%s: %s", k.Name, k.Doc)
	case len(entries) > 1 && !k.Many:
		d.errorSpan(at, "%s takes one value, not %d", k.Name, len(entries)).hint("%s: %s", k.Name, k.Doc)
	default:
		for _, e := range entries {
			d.one(b, k, e)
		}
	}
}

func counted(n int, what string) string {
	if n == 1 {
		return "one " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// one decodes one entry.
func (d *decoder) one(b any, k *Key, e *kdl.Entry) {
	from := d.from(e.Value.Span)
	at := k.slot.at(b)
	switch k.Kind {
	case Bool, Int, Ints, Ranges, Size, Rate, Seconds:
		e, ok := d.fromEnv(e, &from)
		if ok {
			d.scalar(at, k, e, from)
		}
	default:
		if text, ok := d.text(k, e, &from); ok {
			d.setText(at, k, text, from)
		}
	}
}

// scalar decodes what is no text.
func (d *decoder) scalar(at any, k *Key, e *kdl.Entry, from Origin) {
	switch k.Kind {
	case Bool:
		if e.Value.Kind != kdl.Bool {
			d.wrongKind(k, e)
			return
		}
		set(at, e.Value.Bool, from)
	case Seconds:
		if v, ok := d.seconds(k, e); ok {
			set(at, v, from)
		}
	case Ranges:
		if r, ok := d.numbers(k, e); ok {
			list := at.(*[]Value[Range])
			*list = append(*list, Value[Range]{V: r, From: from})
		}
	default:
		if n, ok := d.number(k, e); ok {
			setInt(at, n, from)
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
			d.errorAt(from, "%s %q is neither an IP address nor a CIDR prefix", k.Name, text).
				hint(`write an address such as "192.0.2.7" or a prefix such as "10.0.0.0/8"`)
			return
		}
		*to = append(*to, Value[netip.Prefix]{V: p, From: from})
	}
}

func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

func (d *decoder) wrongKind(k *Key, e *kdl.Entry) {
	p := d.errorSpan(e.Value.Span, "%s takes %s, not the %s %s", k.Name, k.Kind.one(), e.Value.Kind, e.Value.Raw)
	switch {
	case k.Kind == Bool:
		p.hint("write #true or #false (in KDL 1: true or false)")
	case e.Value.Kind == kdl.String && (k.Kind == Int || k.Kind == Ints):
		p.hint("write the number without quotes")
	case e.Value.Kind == kdl.Number:
		p.hint("write it in quotes: \"%s\"", e.Value.Raw)
	default:
		p.hint("%s: %s", k.Name, k.Doc)
	}
}

// number decodes a whole number, a word for one, or a size.
func (d *decoder) number(k *Key, e *kdl.Entry) (int64, bool) {
	n, ok := int64(0), false
	switch {
	case e.Value.Kind == kdl.Number:
		if n, ok = e.Value.Int64(); !ok {
			d.errorSpan(e.Value.Span, "%s takes a whole number, not %s", k.Name, e.Value.Raw).hint("write it without a fraction or exponent")
			return 0, false
		}
	case e.Value.Kind == kdl.String && len(k.Words) > 0:
		if n, ok = wordValue(k, e.Value.Text); !ok {
			d.errorSpan(e.Value.Span, "%s doesn't know the word %q", k.Name, e.Value.Text).hint("write a number or one of: %s", strings.Join(k.Words, ", "))
			return 0, false
		}
	case e.Value.Kind == kdl.String && (k.Kind == Size || k.Kind == Rate):
		text := e.Value.Text
		if k.Kind == Rate {
			text = strings.TrimSuffix(text, "/s")
		}
		if n, ok = parseSize(text); !ok {
			d.errorSpan(e.Value.Span, "%s %q is no size", k.Name, e.Value.Text).hint(`write bytes as a number, or a text such as "64KiB", "10MB" or "1GiB"`)
			return 0, false
		}
	default:
		d.wrongKind(k, e)
		return 0, false
	}
	return n, d.inRange(k, e, n)
}

// numbers decodes a whole number or a range of them.
func (d *decoder) numbers(k *Key, e *kdl.Entry) (Range, bool) {
	var r Range
	n, ok := e.Value.Int64()
	switch {
	case e.Value.Kind == kdl.Number && ok:
		r = Range{n, n}
	case e.Value.Kind == kdl.Number:
		d.errorSpan(e.Value.Span, "%s takes whole numbers, not %s", k.Name, e.Value.Raw).hint("write it without a fraction or exponent")
		return Range{}, false
	case e.Value.Kind != kdl.String:
		d.wrongKind(k, e)
		return Range{}, false
	default:
		if r, ok = parseRange(e.Value.Text); !ok {
			d.errorSpan(e.Value.Span, "%s %q is neither a whole number nor a range", k.Name, e.Value.Text).hint(`write a number such as 200, or a range such as "200-299"`)
			return Range{}, false
		}
	}
	if r.First > r.Last {
		d.errorSpan(e.Value.Span, "%s %q is a range that ends before it begins", k.Name, e.Value.Text).hint(`write "%d-%d"`, r.Last, r.First)
		return Range{}, false
	}
	return r, d.inRange(k, e, r.First) && d.inRange(k, e, r.Last)
}

func wordValue(k *Key, word string) (int64, bool) {
	i := slices.Index(k.Words, word)
	if i < 0 || i >= len(k.values) {
		return 0, false
	}
	return k.values[i], true
}

func (d *decoder) inRange(k *Key, e *kdl.Entry, n int64) bool {
	bounded := k.Min != 0 || k.Max != 0
	if bounded && (n < k.Min || n > k.Max) {
		unit := k.Unit
		if unit != "" {
			unit = " " + unit
		}
		d.errorSpan(e.Value.Span, "%s %s is out of range: %d to %d%s", k.Name, e.Value.Raw, k.Min, k.Max, unit).hint("%s: %s", k.Name, k.Doc)
		return false
	}
	return k.Kind != Int || d.checked(k, strconv.FormatInt(n, 10), d.from(e.Value.Span))
}

// seconds decodes a number of seconds.
func (d *decoder) seconds(k *Key, e *kdl.Entry) (time.Duration, bool) {
	if e.Value.Kind != kdl.Number {
		p := d.errorSpan(e.Value.Span, "%s takes a number of seconds, not the %s %s", k.Name, e.Value.Kind, e.Value.Raw)
		if n := strings.TrimRight(e.Value.Text, " cdehilmnos"); e.Value.Kind == kdl.String && isDecimal(n) {
			p.hint("the unit is in the name: write %s", n)
		} else {
			p.hint("%s: %s", k.Name, k.Doc)
		}
		return 0, false
	}
	f, ok := e.Value.Float64()
	if ok && f == 0 && k.ZeroOff {
		return 0, true
	}
	if !ok || !(f >= k.leastSeconds() && f <= float64(k.Max)) {
		least := fmt.Sprint(k.leastSeconds())
		if k.ZeroOff {
			least = "0, or " + least
		}
		d.errorSpan(e.Value.Span, "%s %s is out of range: %s to %d seconds", k.Name, e.Value.Raw, least, k.Max).hint("%s: %s", k.Name, k.Doc)
		return 0, false
	}
	return secondsOf(f), true
}

// leastSeconds is the shortest duration that a key takes, but for a 0 that switches it off.
func (k *Key) leastSeconds() float64 { return max(secondsMin, float64(k.Min)) }

func secondsOf(f float64) time.Duration { return time.Duration(math.Round(f * float64(time.Second))) }

func isDecimal(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// text decodes a string: environment variables put in, words and forms checked.
func (d *decoder) text(k *Key, e *kdl.Entry, from *Origin) (string, bool) {
	if e.Value.Kind != kdl.String {
		d.wrongKind(k, e)
		return "", false
	}
	text, ok := d.expand(e.Value.Text, k.expansion(), from)
	switch {
	case !ok:
		return "", false
	case !k.anyRaw && strings.ContainsFunc(text, isControl):
		d.errorAt(*from, "%s holds a control character", k.Name).hint("remove it")
		return "", false
	case text == "" && k.Kind != Template && !k.anyRaw && !k.mayBeEmpty:
		d.errorAt(*from, "%s is empty", k.Name).hint("%s: %s", k.Name, k.Doc)
		return "", false
	case len(k.Words) > 0:
		return d.word(k, text, *from)
	case k.Kind == Regex || k.Kind == Regexes:
		return text, d.checkRegex(text, *from, k.Name)
	}
	return text, d.checked(k, text, *from)
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 127 }

// word checks a text against the closed list of its key; hyphen and underscore are one.
func (d *decoder) word(k *Key, text string, from Origin) (string, bool) {
	folded := strings.ReplaceAll(strings.ToLower(text), "-", "_")
	if w, ok := k.synonyms[folded]; ok {
		folded = w
	}
	pending := func(w string) bool { return !d.unbuilt && slices.Contains(k.PendingWords, w) }
	built := slices.DeleteFunc(slices.Clone(k.Words), pending)
	for _, w := range k.Words {
		if strings.ReplaceAll(w, "-", "_") != folded {
			continue
		}
		if pending(w) {
			d.errorAt(from, "%s %q is not built yet in this version", k.Name, text).hint("use %s", orList(built))
			return "", false
		}
		return w, true
	}
	p := d.errorAt(from, "%s doesn't know %q", k.Name, text)
	if near := nearest(built, folded); near != "" {
		p.hint("did you mean %q?", near)
	} else {
		p.hint("use %s", orList(built))
	}
	return "", false
}

// orList writes words as "a", "b" or "c".
func orList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
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
			hint("the syntax is that of RE2, which has no look-around and no back references")
		return false
	}
	return true
}
