package conformance

import (
	"testing"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// broken are responses that a proxy must not pass on, by section of the RFC.
var broken = []struct{ section, raw string }{
	{"9112 4", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"},
	{"9112 4", "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"},
	{"9112 4", "nonsense\r\n\r\n"},
	{"9112 6.3", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"},
	{"9112 6.3", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"},
	{"9112 5.1", "HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n"},
	{"9110 5.5", "HTTP/1.1 200 OK\r\nA: b\x00c\r\nContent-Length: 0\r\n\r\n"},
	{"9110 15.2.2", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"},
}

func TestBrokenResponse(t *testing.T) {
	o := origin.Start(t, origin.Raw(""))
	p := start(t, "", forward(o))
	for _, c := range broken {
		o.SetScript(origin.Raw(c.raw))
		r, err := rawclient.Do(p.addr, "GET", get(""))
		if err != nil || r.Status != 502 {
			t.Errorf("RFC %s: response %q = %v, %v, want 502", c.section, c.raw, r.Status, err)
		}
	}
}
