// Package mmdb writes small databases in the format of MaxMind, for tests: a search tree of
// 24-bit records over IPv6, in which IPv4 lies at ::/96, and a data section of maps, strings
// and numbers (MaxMind DB File Format 2.0).
package mmdb

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
)

// Country is a record that names a country.
func Country(code string) map[string]any {
	return map[string]any{"country": map[string]any{"iso_code": code, "names": map[string]any{"en": "Country " + code}}}
}

// System is a record that names an autonomous system.
func System(number uint32) map[string]any {
	return map[string]any{"autonomous_system_number": number, "autonomous_system_organization": "a network"}
}

// node has two children; a leaf holds the place of a record, from 1 on.
type node struct {
	children [2]*node
	record   int
	number   int
}

// Database returns a database of the type, such as "GeoLite2-Country", with one record for
// each prefix. Prefixes must not overlap.
func Database(kind string, records map[string]map[string]any) []byte {
	root := &node{}
	var data []byte
	for _, text := range slices.Sorted(maps.Keys(records)) {
		p := netip.MustParsePrefix(text)
		bits, address := p.Bits(), p.Addr().As16()
		if p.Addr().Is4() {
			bits += 96
			address = [16]byte{}
			four := p.Addr().As4()
			copy(address[12:], four[:])
		}
		n := root
		for i := range bits {
			b := address[i/8] >> (7 - i%8) & 1
			if n.children[b] == nil {
				n.children[b] = &node{}
			}
			n = n.children[b]
		}
		n.record = len(data) + 1
		data = appendValue(data, records[text])
	}
	var inner []*node
	number(root, &inner)
	var out []byte
	for _, n := range inner {
		for _, c := range n.children {
			value := len(inner) // nothing is known
			switch {
			case c == nil:
			case c.record > 0:
				value = len(inner) + 16 + c.record - 1
			default:
				value = c.number
			}
			out = append(out, byte(value>>16), byte(value>>8), byte(value))
		}
	}
	out = append(append(out, make([]byte, 16)...), data...)
	out = append(out, "\xab\xcd\xefMaxMind.com"...)
	return appendValue(out, map[string]any{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0), "build_epoch": uint64(1700000000),
		"database_type": kind, "description": map[string]any{"en": "for tests"}, "ip_version": uint16(6),
		"languages": []string{"en"}, "node_count": uint32(len(inner)), "record_size": uint16(24),
	})
}

// number numbers the nodes that aren't leaves.
func number(n *node, all *[]*node) {
	if n == nil || n.record > 0 {
		return
	}
	n.number = len(*all)
	*all = append(*all, n)
	number(n.children[0], all)
	number(n.children[1], all)
}

// The types of values.
const (
	typeString = 2
	typeUint16 = 5
	typeUint32 = 6
	typeMap    = 7
	typeUint64 = 9
	typeArray  = 11
)

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(appendControl(b, typeString, len(v)), v...)
	case uint16:
		return binary.BigEndian.AppendUint16(appendControl(b, typeUint16, 2), v)
	case uint32:
		return binary.BigEndian.AppendUint32(appendControl(b, typeUint32, 4), v)
	case uint64:
		return binary.BigEndian.AppendUint64(appendControl(b, typeUint64, 8), v)
	case []string:
		b = appendControl(b, typeArray, len(v))
		for _, s := range v {
			b = appendValue(b, s)
		}
		return b
	case map[string]any:
		b = appendControl(b, typeMap, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b = appendValue(appendValue(b, key), v[key])
		}
		return b
	}
	panic("a value of a type that isn't written")
}

// appendControl appends what comes before a value of less than 285 bytes or entries.
func appendControl(b []byte, kind, size int) []byte {
	first := byte(min(size, 29))
	if kind <= typeMap {
		b = append(b, byte(kind)<<5|first)
	} else {
		b = append(b, first, byte(kind-typeMap))
	}
	if size >= 29 {
		b = append(b, byte(size-29))
	}
	return b
}
