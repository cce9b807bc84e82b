package hello

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// captured is the ClientHello that crypto/tls sends.
func captured(t testing.TB, c *tls.Config) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	c.InsecureSkipVerify = true
	go tls.Client(client, c).Handshake()
	var b []byte
	buf := make([]byte, 32<<10)
	server.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		n, err := server.Read(buf)
		b = append(b, buf[:n]...)
		if _, need, _ := ServerName(bytes.Clone(b)); need == 0 || err != nil {
			return b
		}
	}
}

// split spreads the message of one record over several.
func split(hello []byte, size int) []byte {
	var out []byte
	for p := hello[recordHeadBytes:]; len(p) > 0; {
		n := min(size, len(p))
		out = append(append(out, 0x16, 3, 1, byte(n>>8), byte(n)), p[:n]...)
		p = p[n:]
	}
	return out
}

// twice repeats the extension server_name of hello, whose name begins at that byte.
func twice(hello []byte, name, nameBytes int) []byte {
	const before = 9 // type and length of the extension, length of the list, type and length of the name
	extension := bytes.Clone(hello[name-before : name+nameBytes])
	out := slices.Insert(bytes.Clone(hello), name-before, extension...)
	extensions := recordHeadBytes + messageHead + 34
	extensions += 1 + int(out[extensions])                           // session id
	extensions += 2 + int(binary.BigEndian.Uint16(out[extensions:])) // cipher suites
	extensions += 1 + int(out[extensions])                           // compression methods
	for _, length := range []int{3, recordHeadBytes + 2, extensions} {
		binary.BigEndian.PutUint16(out[length:], binary.BigEndian.Uint16(out[length:])+uint16(len(extension)))
	}
	return out
}

func TestServerName(t *testing.T) {
	plain := captured(t, &tls.Config{ServerName: "A.example.com"})
	without := captured(t, &tls.Config{ServerName: "192.0.2.7"})
	old := captured(t, &tls.Config{ServerName: "old.example", MaxVersion: tls.VersionTLS12})
	at := bytes.Index(plain, []byte("A.example.com"))
	with := func(name string) []byte { return bytes.Replace(plain, []byte("A.example.com"), []byte(name), 1) }
	changed := func(at int, c byte) []byte {
		b := bytes.Clone(plain)
		b[at] = c
		return b
	}
	for _, c := range []struct {
		name  string
		hello []byte
		want  string
	}{
		{"a name", plain, "A.example.com"},
		{"no name", without, ""},
		{"TLS 1.2", old, "old.example"},
		{"in records of 100", split(plain, 100), "A.example.com"},
		{"in records of 1", split(plain, 1)[:6*70], "malformed"}, // too many
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), "not TLS"},
		{"SSH", []byte("SSH-2.0-OpenSSH\r\n"), "not TLS"},
		{"an alert", []byte{0x15, 3, 1, 0, 2, 1, 0}, "not TLS"},
		{"another version", changed(1, 2), "not TLS"},
		{"empty record", []byte{0x16, 3, 1, 0, 0}, "malformed"},
		{"a long record", []byte{0x16, 3, 1, 0x40, 1}, "malformed"},
		{"another message", changed(5, 2), "malformed"},
		{"a long message", changed(6, 1), "malformed"},
		{"more behind it", changed(8, plain[8]-1), "malformed"},
		{"another record in between", append(bytes.Clone(split(plain, 100)[:105]), 0x17, 3, 3, 0, 1, 0), "malformed"},
		{"NUL in the name", with("A.exa\x00ple.com"), "malformed"},
		{"dot at the end", with("A.example.co."), "malformed"},
		{"empty label", with("A..xample.com"), "malformed"},
		{"dot at the beginning", with(".Aexample.com"), "malformed"},
		{"a colon", with("A.exampl.c:80"), "malformed"},
		{"another type of name", changed(at-3, 1), "malformed"},
		{"a short name", changed(at-1, 12), "malformed"},
		{"two names in two extensions", twice(plain, at, len("A.example.com")), "malformed"},
		{"session id too long", changed(5+4+34, 33), "malformed"},
		{"odd cipher suites", changed(5+4+34+1+32+1, plain[5+4+34+1+32+1]^1), "malformed"},
	} {
		name, need, err := ServerName(bytes.Clone(c.hello))
		got := string(name)
		switch {
		case err == ErrNotTLS:
			got = "not TLS"
		case err != nil:
			got = "malformed"
		case need > 0:
			got = "more"
		}
		if got != c.want {
			t.Errorf("%s: ServerName = %q, want %q", c.name, got, c.want)
		}
	}
	for _, b := range [][]byte{plain, split(plain, 33)} {
		for i := range b {
			if name, need, err := ServerName(bytes.Clone(b[:i])); err != nil || name != nil || need <= i || need > len(b) {
				t.Fatalf("of %d bytes: %q, need %d, %v, want to need more", i, name, need, err)
			}
		}
	}
	long := strings.Repeat("a.", 126) + "ab"
	if name, _, err := ServerName(captured(t, &tls.Config{ServerName: long})); err == nil {
		t.Errorf("a name of %d bytes is taken: %q", len(long), name)
	}
}

func FuzzServerName(f *testing.F) {
	plain := captured(f, &tls.Config{ServerName: "a.example.com"})
	f.Add(plain)
	f.Add(split(plain, 50))
	f.Add([]byte("GET / HTTP/1.1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		name, need, err := ServerName(bytes.Clone(b))
		switch {
		case err != nil && (need > 0 || name != nil):
			t.Fatalf("ServerName(%x) = %q, %d, %v", b, name, need, err)
		case need > 0 && (need <= len(b) || need > BytesMax):
			t.Fatalf("ServerName(%x) needs %d of %d bytes", b, need, len(b))
		case len(name) > nameBytesMax || bytes.ContainsAny(name, "\x00 :/"):
			t.Fatalf("ServerName(%x) = %q", b, name)
		}
		if err == nil && need == 0 {
			if again, _, err := ServerName(append(bytes.Clone(b), 0x16)); err != nil || !bytes.Equal(again, name) {
				t.Fatalf("what is behind changes %q to %q, %v", name, again, err)
			}
		}
	})
}
