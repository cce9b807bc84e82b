package kdl

import (
	"math"
	"strconv"
	"strings"
)

// Int64 returns the value of a whole number and whether it is one that fits.
// Decimal, hexadecimal, octal and binary forms count, fractions and exponents
// don't, even when they come to a whole number.
func (v Value) Int64() (int64, bool) {
	if v.Kind != Number || strings.HasPrefix(v.Raw, "#") {
		return 0, false
	}
	digits, base := numberDigits(v.Raw)
	n, err := strconv.ParseInt(digits, base, 64)
	return n, err == nil
}

// Float64 returns the value of a number and whether it is one that fits. A
// number between two float64 values is rounded to the nearer.
func (v Value) Float64() (float64, bool) {
	if v.Kind != Number {
		return 0, false
	}
	switch v.Raw {
	case "#inf":
		return math.Inf(1), true
	case "#-inf":
		return math.Inf(-1), true
	case "#nan":
		return math.NaN(), true
	}
	digits, base := numberDigits(v.Raw)
	if base != 10 {
		n, err := strconv.ParseInt(digits, base, 64)
		return float64(n), err == nil
	}
	f, err := strconv.ParseFloat(digits, 64)
	return f, err == nil
}

// numberDigits splits a number literal into its digits, with the sign but
// without underscores and prefix, and its base.
func numberDigits(raw string) (digits string, base int) {
	sign := ""
	if raw != "" && (raw[0] == '-' || raw[0] == '+') {
		sign, raw = raw[:1], raw[1:]
	}
	base = 10
	if len(raw) > 2 && raw[0] == '0' {
		switch raw[1] {
		case 'x':
			base = 16
		case 'o':
			base = 8
		case 'b':
			base = 2
		}
		if base != 10 {
			raw = raw[2:]
		}
	}
	if strings.IndexByte(raw, '_') >= 0 {
		raw = strings.ReplaceAll(raw, "_", "")
	}
	if sign == "-" {
		raw = sign + raw
	}
	return raw, base
}

// scanNumber reads a word that looks like a number.
func (l *lexer) scanNumber(word string) tokenKind {
	start := l.Pos
	l.skip(len(word))
	n := numberLen(word)
	l.tok.text = word
	if n == len(word) {
		return tokenNumber
	}
	d := Errorf(l.file, Span{start, l.Pos}, "%s is not a number", excerptOf(word))
	kind := tokenInvalid
	number, unit := word[:n], word[n:]
	unsigned := strings.TrimLeft(word, "+-")
	switch {
	case n > 0 && isUnit(unit):
		d = d.WithHint("write %s; the unit is part of the key's name", number)
		l.tok.text = number
		kind = tokenNumber
	case unsigned[0] == '.':
		d = d.WithHint("write a digit before the point: %s", strings.Replace(word, ".", "0.", 1))
	case n > 0 && unit == ".":
		d = d.WithHint("write %s or %s.0", number, number)
	case len(unsigned) > 1 && unsigned[0] == '0' && strings.IndexByte("xobXOB", unsigned[1]) >= 0:
		d = d.WithHint("hexadecimal digits follow 0x, octal ones 0o, binary ones 0b; text stands in quotes")
	default:
		d = d.WithHint("if it is text, write %s", quote(excerptOf(word), l.version))
	}
	l.add(d)
	return kind
}

// isUnit reports whether a suffix is a unit of the kind that belongs in the
// name of a key: a time or a share.
func isUnit(suffix string) bool {
	switch strings.ToLower(suffix) {
	case "ns", "us", "µs", "ms", "s", "sec", "secs", "second", "seconds", "m", "min", "mins", "minute", "minutes",
		"h", "hour", "hours", "d", "day", "days", "%":
		return true
	}
	return false
}

// numberLen returns the length of the longest number that word starts with.
func numberLen(word string) int {
	i := 0
	if word[0] == '-' || word[0] == '+' {
		i++
	}
	if len(word) > i+2 && word[i] == '0' {
		switch word[i+1] {
		case 'x', 'o', 'b':
			if n := digitsLen(word[i+2:], word[i+1]); n > 0 {
				return i + 2 + n
			}
		}
	}
	n := digitsLen(word[i:], 'd')
	if n == 0 {
		return 0
	}
	i += n
	if i < len(word) && word[i] == '.' {
		if n := digitsLen(word[i+1:], 'd'); n > 0 {
			i += 1 + n
		}
	}
	if i < len(word) && (word[i] == 'e' || word[i] == 'E') {
		e := i + 1
		if e < len(word) && (word[e] == '-' || word[e] == '+') {
			e++
		}
		if n := digitsLen(word[e:], 'd'); n > 0 {
			i = e + n
		}
	}
	return i
}

// digitsLen returns the length of a digit of that base ('x', 'o', 'b' or
// 'd') and the digits and underscores after it.
func digitsLen(s string, base byte) int {
	n := 0
	for n < len(s) {
		c := s[n]
		ok := c == '_' && n > 0
		switch base {
		case 'x':
			ok = ok || isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f'
		case 'o':
			ok = ok || '0' <= c && c <= '7'
		case 'b':
			ok = ok || c == '0' || c == '1'
		default:
			ok = ok || isDigit(c)
		}
		if !ok {
			break
		}
		n++
	}
	return n
}
