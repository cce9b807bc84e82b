package behaviour

import (
	"strings"
	"testing"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// Trailers pass both ways where the route allows them, and neither way elsewhere; lines
// that frame or route never pass.
func TestAllowTrailers(t *testing.T) {
	o := origin.Start(t, origin.Raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"))
	p := start(t, "", `routes {
    route "on" { matches { path "/on" }; allow-trailers #true; upstream "o" }
    route "off" { matches { path "/off" }; upstream "o" }
}
upstreams { upstream "o" { target "`+o.Addr()+`" } }`)
	for _, test := range []struct {
		path, trailer   string
		passed, answers bool
	}{
		{"/on", "X-T: 1", true, true},
		{"/off", "X-T: 1", false, false},
		{"/on", "Content-Length: 7", false, true},
	} {
		c, err := rawclient.Dial(p.addr)
		if err != nil {
			t.Fatal(err)
		}
		seen := len(o.Received())
		c.Send("POST " + test.path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" + test.trailer + "\r\n\r\n")
		answer, err := c.ReadUntilClose()
		c.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(o.Received()[seen:]), test.trailer); got != test.passed {
			t.Errorf("%s: trailer %q reached the origin: %v, want %v", test.path, test.trailer, got, test.passed)
		}
		if got := strings.Contains(string(answer), "X-Sum: 1"); got != test.answers {
			t.Errorf("%s: trailer reached the client: %v, want %v\n%s", test.path, got, test.answers, answer)
		}
	}
}
