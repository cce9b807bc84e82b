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
