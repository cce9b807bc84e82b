package conformance

import (
	"testing"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

const line, host = "GET / HTTP/1.1\r\n", "Host: a.example\r\n"

func get(fields string) string  { return line + host + fields + "\r\n" }
func post(fields string) string { return "POST / HTTP/1.1\r\n" + host + fields }

func chunked(content string) string { return post("Transfer-Encoding: chunked\r\n\r\n" + content) }

// refused are requests that a recipient must or may refuse, by section of the RFC.
var refused = []struct {
	section, raw string
	want         int
}{
	{"9112 3", "GET  / HTTP/1.1\r\n" + host + "\r\n", 400},
	{"9112 3", "GET\t/ HTTP/1.1\r\n" + host + "\r\n", 400},
	{"9112 3", "GET /a b HTTP/1.1\r\n" + host + "\r\n", 400},
	{"9112 3", "GET / HTTP/1.1 \r\n" + host + "\r\n", 400},
	{"9112 3", " GET / HTTP/1.1\r\n" + host + "\r\n", 400},
	{"9112 3", "GET /\r\n" + host + "\r\n", 400},
	{"9112 3.1", "G@T / HTTP/1.1\r\n" + host + "\r\n", 400},
	{"9112 2.3", "GET / http/1.1\r\n" + host + "\r\n", 400},
	{"9112 2.3", "GET / HTTP/1.11\r\n" + host + "\r\n", 400},
	{"9112 2.3", "GET / HTTP/x.1\r\n" + host + "\r\n", 400},
	{"9110 15.6.6", "GET / HTTP/2.0\r\n" + host + "\r\n", 505},
	{"9112 2.2", "GET / HTTP/1.1\n" + host + "\r\n", 400},
	{"9112 3.2", "GET a HTTP/1.1\r\n" + host + "\r\n", 400},
	{"9112 3.2.4", "GET * HTTP/1.1\r\n" + host + "\r\n", 400},
	{"9112 3.2.2", "GET http:///x HTTP/1.1\r\n" + host + "\r\n", 400},
	{"9112 3.2.2", "GET http://b.example/ HTTP/1.1\r\n" + host + "\r\n", 400},
	{"9112 3.2", line + "\r\n", 400},
	{"9112 3.2", line + host + host + "\r\n", 400},
	{"9112 3.2", line + "Host: a b\r\n\r\n", 400},
	{"9112 3.2", line + "Host: a/b\r\n\r\n", 400},
	{"9112 3.2", line + "Host: a@b\r\n\r\n", 400},
	{"9112 3.2", line + "Host: a:99999\r\n\r\n", 400},
	{"9112 3.2", line + "Host: [::1\r\n\r\n", 400},
	{"9112 3.2", line + "Host: a:x\r\n\r\n", 400},
	{"9112 6.3", post("Content-Length: +1\r\n\r\na"), 400},
	{"9112 6.3", post("Content-Length: -1\r\n\r\na"), 400},
	{"9112 6.3", post("Content-Length:\r\n\r\na"), 400},
	{"9112 6.3", post("Content-Length: 0x1\r\n\r\na"), 400},
	{"9112 6.3", post("Content-Length: 1 1\r\n\r\na"), 400},
	{"9112 6.3", post("Content-Length: 1, 2\r\n\r\na"), 400},
	{"9112 6.3", post("Content-Length: 1\r\nContent-Length: 2\r\n\r\na"), 400},
	{"9112 6.3", post("Content-Length: 99999999999999999999\r\n\r\na"), 400},
	{"9112 6.1", post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
	{"9112 6.1", post("Transfer-Encoding: identity\r\n\r\n"), 501},
	{"9112 6.1", post("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), 501},
	{"9112 6.1", post("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 501},
	{"9112 6.1", "POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"9112 7.1", chunked("x\r\n\r\n"), 400},
	{"9112 7.1", chunked("\r\n\r\n"), 400},
	{"9112 7.1", chunked("-1\r\n\r\n"), 400},
	{"9112 7.1", chunked("0x1\r\na\r\n0\r\n\r\n"), 400},
	{"9112 7.1", chunked("fffffffffffffffff\r\na"), 400},
	{"9112 7.1", chunked("1\na\r\n0\r\n\r\n"), 400},
	{"9112 7.1", chunked("1\r\nab\r\n0\r\n\r\n"), 400},
	{"9112 5.1", get("A : b\r\n"), 400},
	{"9112 5.1", get(": b\r\n"), 400},
	{"9112 5.1", get("A\r\n"), 400},
	{"9112 5.2", get("A: b\r\n c\r\n"), 400},
	{"9110 5.5", get("A: b\x00c\r\n"), 400},
	{"9110 5.5", get("A: b\rc\r\n"), 400},
	{"9110 5.5", get("A: b\x01c\r\n"), 400},
	{"9110 5.5", get("A: b\x7fc\r\n"), 400},
	{"9112 2.2", get("A: b\nB: c\r\n"), 400},
	{"9110 10.1.1", get("Expect: x\r\n"), 417},
}

func TestRefused(t *testing.T) {
	o := origin.Start(t, origin.Answer(func(r origin.Request) string { return origin.Response(r, 200, "ok") }))
	p := start(t, "", forward(o))
	for _, c := range refused {
		r, err := rawclient.Do(p.addr, "GET", c.raw)
		if err != nil || r.Status != c.want {
			t.Errorf("RFC %s: Do(%q) = %v, %v, want %v", c.section, c.raw, r.Status, err, c.want)
		}
	}
}
