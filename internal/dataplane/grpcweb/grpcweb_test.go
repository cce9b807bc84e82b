package grpcweb

import (
	"bytes"
	"encoding/base64"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in     string
		want   Type
		format string
	}{
		{"application/grpc-web", Binary, ""},
		{"application/grpc-web+proto", Binary, "+proto"},
		{"application/grpc-web-text", Text, ""},
		{"application/grpc-web-text+proto; charset=utf-8", Text, "+proto"},
		{"application/grpc", None, ""},
		{"application/grpc+proto", None, ""},
		{"application/grpc-website", None, ""},
		{"", None, ""},
	} {
		if got, format := Parse([]byte(c.in)); got != c.want || string(format) != c.format {
			t.Errorf("Parse(%q) = %v, %q, want %v, %q", c.in, got, format, c.want, c.format)
		}
	}
}

func TestAppendTrailers(t *testing.T) {
	got := AppendTrailers(nil, []byte("Grpc-Status: 0\r\ngrpc-message: a:b\r\n"))
	if want := "\x80\x00\x00\x00\x23grpc-status: 0\r\ngrpc-message: a:b\r\n"; string(got) != want {
		t.Errorf("AppendTrailers = %q, want %q", got, want)
	}
}

func TestDecoder(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"YWJj", "abc"},
		{"YQ==YmM=", "abc"},
		{"", ""},
		{"YWI=", "ab"},
		{"YWJ", "error"},
		{"Y===", "error"},
		{"YW J", "error"},
		{"YR==", "error"},
		{"=YWJ", "error"},
	} {
		for cut := range len(c.in) + 1 {
			var d Decoder
			got, err := d.Append(nil, []byte(c.in[:cut]))
			if err == nil {
				got, err = d.Append(got, []byte(c.in[cut:]))
			}
			if err == nil {
				err = d.End()
			}
			if c.want == "error" {
				if err == nil {
					t.Errorf("decoding %q | %q = %q, want an error", c.in[:cut], c.in[cut:], got)
				}
			} else if err != nil || string(got) != c.want {
				t.Errorf("decoding %q | %q = %q, %v, want %q", c.in[:cut], c.in[cut:], got, err, c.want)
			}
		}
	}
}

// FuzzDecoder holds pieces against the whole, and round trips against what went in.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte("YQ==YmM="), 3)
	f.Add([]byte("abc"), 1)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		cut = min(max(cut, 0), len(text))
		var whole, parts Decoder
		a, errA := whole.Append(nil, text)
		b, errB := parts.Append(nil, text[:cut])
		if errB == nil {
			b, errB = parts.Append(b, text[cut:])
		}
		if (errA == nil) != (errB == nil) || errA == nil && !bytes.Equal(a, b) {
			t.Errorf("in one piece %q, %v; in two %q, %v", a, errA, b, errB)
		}
		var again Decoder
		encoded := Text.AppendContent(nil, text)
		if got, err := again.Append(nil, encoded); err != nil || !bytes.Equal(got, text) || again.End() != nil {
			t.Errorf("round trip of %q by %q = %q, %v", text, encoded, got, err)
		}
		if n := base64.StdEncoding.EncodedLen(len(text)); len(encoded) != n {
			t.Errorf("%d bytes became %d, want %d", len(text), len(encoded), n)
		}
	})
}
