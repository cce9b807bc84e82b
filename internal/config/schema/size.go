package schema

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// sizeMax bounds every size: 1 PiB.
const sizeMax = 1 << 50

// parseSize reads "64KiB", "10MB", "1g" or "512". KB, MB and GB are powers of 1000; KiB,
// MiB, GiB and a bare k, m, g powers of 1024.
func parseSize(text string) (int64, bool) {
	number, unit := text, ""
	if i := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' }); i >= 0 {
		number, unit = text[:i], strings.ToLower(strings.TrimSpace(text[i:]))
	}
	f, err := strconv.ParseFloat(number, 64)
	factor := sizeUnit(unit)
	if err != nil || factor == 0 || f*factor > sizeMax || f*factor != math.Trunc(f*factor) {
		return 0, false
	}
	return int64(f * factor), true
}

// sizeUnit returns the bytes of a unit in lower case, 0 for what is none.
func sizeUnit(unit string) float64 {
	switch unit {
	case "", "b":
		return 1
	case "k", "kib":
		return 1 << 10
	case "kb":
		return 1e3
	case "m", "mib":
		return 1 << 20
	case "mb":
		return 1e6
	case "g", "gib":
		return 1 << 30
	case "gb":
		return 1e9
	case "t", "tib":
		return 1 << 40
	case "tb":
		return 1e12
	}
	return 0
}

// mustPreset converts the default of a key; the table is wrong where it can't.
func mustPreset(k *Key) any {
	v, err := preset(k)
	if err != nil {
		panic(fmt.Sprintf("schema: default of %s: %v", k.ID(), err))
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
		return secondsOf(f), err
	case Texts:
		return strings.Fields(k.Default), nil
	case Ranges:
		var list []Range
		for _, word := range strings.Fields(k.Default) {
			r, ok := parseRange(word)
			if !ok {
				return nil, fmt.Errorf("%q is no range", word)
			}
			list = append(list, r)
		}
		return list, nil
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
