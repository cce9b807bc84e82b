package proxyproto

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"
)

// binary2 builds a header of version 2.
func binary2(command, family byte, payload string) string {
	b := append([]byte(signature), versionTwo|command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	return string(b) + payload
}

func tlv(kind byte, value string) string {
	return string(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value)))) + value
}

// summed sets the checksum that the header h ends with.
func summed(h string) string {
	b := []byte(h)
	sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(b[len(b)-4:], sum)
	return string(b)
}

const four = "\xc0\x00\x02\x07\xc6\x33\x64\x01\x30\x39\x01\xbb" // 192.0.2.7:12345 to 198.51.100.1:443

var six = "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x07" + "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01" + "\x30\x39\x01\xbb"

func TestParse(t *testing.T) {
	const says4, says6 = "192.0.2.7:12345>198.51.100.1:443", "[2001:db8::7]:12345>[2001:db8::1]:443"
	sum := tlv(typeCRC, "\x00\x00\x00\x00")
	for _, c := range []struct {
		name, header, want string
		tlvs               string
	}{
		{"four", "PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n", says4, ""},
		{"six", "PROXY TCP6 2001:db8::7 2001:db8::1 12345 443\r\n", says6, ""},
		{"mapped", "PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 12345 443\r\n", says4, ""},
		{"unknown", "PROXY UNKNOWN\r\n", "local", ""},
		{"unknown with more", "PROXY UNKNOWN ff:: 1 x\r\n", "local", ""},
		{"longest unknown", "PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", "local", ""},
		{"too long", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", "malformed", ""},
		{"family for address", "PROXY TCP4 2001:db8::7 198.51.100.1 12345 443\r\n", "malformed", ""},
		{"four as six", "PROXY TCP6 192.0.2.7 198.51.100.1 12345 443\r\n", "malformed", ""},
		{"zone", "PROXY TCP6 fe80::1%eth0 2001:db8::1 12345 443\r\n", "malformed", ""},
		{"port", "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n", "malformed", ""},
		{"port with zero", "PROXY TCP4 192.0.2.7 198.51.100.1 0443 443\r\n", "malformed", ""},
		{"port with sign", "PROXY TCP4 192.0.2.7 198.51.100.1 +443 443\r\n", "malformed", ""},
		{"no port", "PROXY TCP4 192.0.2.7 198.51.100.1 443\r\n", "malformed", ""},
		{"five fields", "PROXY TCP4 192.0.2.7 198.51.100.1 12345 443 1\r\n", "malformed", ""},
		{"two spaces", "PROXY TCP4  192.0.2.7 198.51.100.1 12345 443\r\n", "malformed", ""},
		{"octet with zero", "PROXY TCP4 192.0.2.07 198.51.100.1 12345 443\r\n", "malformed", ""},
		{"bare line feed", "PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\n", "malformed", ""},
		{"lower case", "PROXY tcp4 192.0.2.7 198.51.100.1 12345 443\r\n", "malformed", ""},
		{"request", "POST / HTTP/1.1\r\n", "absent", ""},
		{"empty line", "\r\n\r\nGET", "absent", ""},
		{"binary four", binary2(1, 0x11, four), says4, ""},
		{"binary six", binary2(1, 0x21, six), says6, ""},
		{"binary local", binary2(0, 0x11, "whatever"), "local", ""},
		{"binary local, empty", binary2(0, 0, ""), "local", ""},
		{"unspecified", binary2(1, 0x00, "\x00"), "local", ""},
		{"unix", binary2(1, 0x31, strings.Repeat("a", 216)), "local", ""},
		{"unix, short", binary2(1, 0x31, strings.Repeat("a", 215)), "malformed", ""},
		{"datagrams", binary2(1, 0x12, four), "malformed", ""},
		{"family 4", binary2(1, 0x41, four), "malformed", ""},
		{"transport 3", binary2(1, 0x03, ""), "malformed", ""},
		{"command 2", binary2(2, 0x11, four), "malformed", ""},
		{"version 3", strings.Replace(binary2(1, 0x11, four), "\n\x21", "\n\x31", 1), "malformed", ""},
		{"short addresses", binary2(1, 0x11, four[:11]), "malformed", ""},
		{"six in four", binary2(1, 0x21, four), "malformed", ""},
		{"too much", binary2(1, 0x11, four+tlv(4, strings.Repeat("n", PayloadBytesMax-14))), "malformed", ""},
		{"kept", binary2(1, 0x11, four+tlv(1, "h2")+tlv(4, "noop")+tlv(5, "id")+tlv(0xea, "vpce")+tlv(0x99, "?")), says4, tlv(1, "h2") + tlv(5, "id") + tlv(0xea, "vpce")},
		{"tlv beyond the end", binary2(1, 0x11, four+"\x05\x00\x03id"), "malformed", ""},
		{"half a tlv", binary2(1, 0x11, four+"\x05\x00"), "malformed", ""},
		{"long id", binary2(1, 0x11, four+tlv(5, strings.Repeat("i", 129))), "malformed", ""},
		{"tls", binary2(1, 0x11, four+tlv(0x20, "\x01\x00\x00\x00\x00"+tlv(0x21, "TLSv1.3"))), says4, ""},
		{"tls, short", binary2(1, 0x11, four+tlv(0x20, "\x01\x00\x00\x00")), "malformed", ""},
		{"tls, inner length", binary2(1, 0x11, four+tlv(0x20, "\x01\x00\x00\x00\x00\x21\x00\x09x")), "malformed", ""},
		{"checksum", summed(binary2(1, 0x11, four+sum)), says4, ""},
		{"wrong checksum", strings.Replace(summed(binary2(1, 0x11, four+sum)), "\xc0\x00\x02\x07", "\xc0\x00\x02\x08", 1), "malformed", ""},
		{"zero checksum", binary2(1, 0x11, four+sum), "malformed", ""},
		{"short checksum", binary2(1, 0x11, four+tlv(typeCRC, "abc")), "malformed", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			const behind = "GET / HTTP/1.1\r\n"
			h, n, _, err := Parse([]byte(c.header + behind))
			if got := spell(h, err); got != c.want || string(h.TLVs) != c.tlvs {
				t.Errorf("Parse(%q) = %s, TLVs %q, want %s, %q", c.header, got, h.TLVs, c.want, c.tlvs)
			}
			if err == nil && n != len(c.header) {
				t.Errorf("Parse(%q) takes %d bytes, want %d", c.header, n, len(c.header))
			}
			if err == nil { // it is found however it comes, and never before its end
				for i := range len(c.header) {
					if _, n, need, err := Parse([]byte(c.header[:i])); n != 0 || err != nil || need <= i || need > len(c.header) {
						t.Fatalf("Parse(%q) = %d, need %d, %v, want to need more", c.header[:i], n, need, err)
					}
				}
			}
		})
	}
}

func spell(h Header, err error) string {
	switch {
	case err == ErrAbsent:
		return "absent"
	case err != nil:
		return "malformed"
	case h.Local:
		return "local"
	}
	return h.Source.String() + ">" + h.Destination.String()
}

func TestAppend(t *testing.T) {
	for _, c := range []struct{ source, destination string }{
		{"192.0.2.7:12345", "198.51.100.1:443"},
		{"[2001:db8::7]:1", "[2001:db8::1]:65535"},
		{"192.0.2.7:0", "[2001:db8::1]:443"},
	} {
		source, destination := netip.MustParseAddrPort(c.source), netip.MustParseAddrPort(c.destination)
		tlvs := tlv(2, "a.example")
		for version := 1; version <= 2; version++ {
			b := Append(nil, version, source, destination, []byte(tlvs))
			h, n, _, err := Parse(b)
			if err != nil || n != len(b) || h.Version != version || h.Source != source || h.Destination != destination {
				t.Errorf("Parse(Append(%d, %v, %v)) = %+v, %d, %v", version, source, destination, h, n, err)
			}
			if want := tlvs; version == 2 && string(h.TLVs) != want {
				t.Errorf("TLVs = %q, want %q", h.TLVs, want)
			}
		}
	}
	for version := 1; version <= 2; version++ {
		for _, b := range [][]byte{AppendLocal(nil, version), Append(nil, version, netip.AddrPort{}, netip.AddrPort{}, nil)} {
			if h, n, _, err := Parse(b); err != nil || n != len(b) || !h.Local {
				t.Errorf("Parse(AppendLocal(%d)) = %+v, %d, %v, want a local one", version, h, n, err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\nGET"))
	f.Add([]byte(binary2(1, 0x21, six+tlv(5, "id")+tlv(0x20, "\x01\x00\x00\x00\x00"+tlv(0x21, "TLSv1.3")))))
	f.Add([]byte(summed(binary2(1, 0x11, four+tlv(typeCRC, "\x00\x00\x00\x00")))))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, need, err := Parse(b)
		switch {
		case err != nil:
			return
		case n == 0:
			if need <= len(b) || need > BytesMax {
				t.Fatalf("Parse(%q) needs %d of %d bytes", b, need, len(b))
			}
			return
		case n > len(b) || !h.Local && (!h.Source.IsValid() || !h.Destination.IsValid()):
			t.Fatalf("Parse(%q) = %+v, %d", b, h, n)
		}
		again := Append(nil, 2, h.Source, h.Destination, h.TLVs)
		if g, m, _, err := Parse(again); err != nil || m != len(again) || g.Source != h.Source || !bytes.Equal(g.TLVs, h.TLVs) {
			t.Fatalf("what was read of %q doesn't survive: %+v, %v", b, g, err)
		}
		if _, m, _, _ := Parse(b[:n]); m != n {
			t.Fatalf("Parse(%q) depends on what is behind", b)
		}
	})
}
