package wire

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

func TestReadHead(t *testing.T) {
	r := bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: a\r\nx-two:1\r\nX-Two: \t2 \r\n\r\nrest"))
	h, err := ReadHead(r)
	if err != nil || h.StartLine != "GET / HTTP/1.1" || len(h.Fields) != 3 {
		t.Fatalf("ReadHead = %+v, %v", h, err)
	}
	if got := h.Fields.Values("X-TWO"); len(got) != 2 || got[0] != "1" || got[1] != "2" {
		t.Errorf("Values = %q", got)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "rest" {
		t.Errorf("after the head stands %q", rest)
	}
	for _, bad := range []string{"GET / HTTP/1.1\nHost: a\r\n\r\n", "\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\n", "GE"} {
		if _, err := ReadHead(bufio.NewReader(strings.NewReader(bad))); err == nil || err == io.EOF {
			t.Errorf("ReadHead(%q) = %v, want an error that isn't io.EOF", bad, err)
		}
	}
	if _, err := ReadHead(bufio.NewReader(strings.NewReader(""))); err != io.EOF {
		t.Errorf("ReadHead of nothing = %v, want io.EOF", err)
	}
}

func TestFraming(t *testing.T) {
	field := func(lines ...string) (f Fields) {
		for _, l := range lines {
			name, value, _ := strings.Cut(l, ": ")
			f = append(f, Field{name, value})
		}
		return f
	}
	tests := []struct {
		fields Fields
		status int
		method string
		want   Framing
		bad    bool
	}{
		{field(), 200, "GET", Framing{Length: -1, UntilClose: true}, false},
		{field("content-length: 3"), 200, "GET", Framing{Length: 3}, false},
		{field("content-length: 3"), 200, "HEAD", Framing{}, false},
		{field("content-length: 3"), 304, "GET", Framing{}, false},
		{field(), 101, "GET", Framing{}, false},
		{field("Transfer-Encoding: Chunked"), 200, "GET", Framing{Chunked: true}, false},
		{field("Transfer-Encoding: gzip, chunked"), 200, "GET", Framing{}, true},
		{field("Transfer-Encoding: chunked", "Content-Length: 3"), 200, "GET", Framing{}, true},
		{field("Content-Length: 3", "Content-Length: 3"), 200, "GET", Framing{}, true},
		{field("Content-Length: +3"), 200, "GET", Framing{}, true},
	}
	for _, tt := range tests {
		got, err := ResponseFraming(tt.fields, tt.status, tt.method)
		if got != tt.want || (err != nil) != tt.bad {
			t.Errorf("ResponseFraming(%v, %d, %s) = %+v, %v, want %+v, error %v", tt.fields, tt.status, tt.method, got, err, tt.want, tt.bad)
		}
	}
	if got, err := RequestFraming(nil); err != nil || got != (Framing{}) {
		t.Errorf("RequestFraming of nothing = %+v, %v, want no content", got, err)
	}
}

func TestReadContent(t *testing.T) {
	chunked, sized := Framing{Chunked: true}, Framing{Length: 5}
	tests := []struct {
		framing Framing
		bytes   string
		want    string
		raw     int
		bad     bool
	}{
		{sized, "helloX", "hello", 5, false},
		{sized, "hel", "hel", 3, true},
		{Framing{UntilClose: true}, "all of it", "all of it", 9, false},
		{chunked, "5;a=b\r\nhello\r\n1 \r\n!\r\n0\r\nT: v\r\n\r\nX", "hello!", 32, false},
		{chunked, "5\r\nhello\r\n", "hello", 10, true},
		{chunked, "5\r\nhelloX\r\n0\r\n\r\n", "hello", 11, true},
		{chunked, "5\nhello\r\n0\r\n\r\n", "", 2, true},
		{chunked, "g\r\n", "", 3, true},
		{chunked, "", "", 0, true},
	}
	for _, tt := range tests {
		c, err := ReadContent(bufio.NewReader(strings.NewReader(tt.bytes)), tt.framing)
		if string(c.Data) != tt.want || len(c.Raw) != tt.raw || (err != nil) != tt.bad {
			t.Errorf("ReadContent(%q) = %q, %d raw bytes, %v, want %q, %d, error %v", tt.bytes, c.Data, len(c.Raw), err, tt.want, tt.raw, tt.bad)
		}
	}
}
