package behaviour

import (
	"strings"
	"testing"

	testproxy "sentinel/internal/testkit/proxy"
	"sentinel/internal/testkit/rawclient"
)

// A listener speaks the protocol that it names: "http" answers HTTP and nothing else, any
// other word is refused and changes nothing.
func TestListenerProtocol(t *testing.T) {
	text := func(protocol string) string {
		return `listeners { listener "l" { address "127.0.0.1:0"; protocol ` + protocol + ` } }
routes { route "r" { respond 200 "plain" } }`
	}
	p := testproxy.Start(t, text(`"http"`))
	answers := func() {
		t.Helper()
		r, err := rawclient.Do(p.Addr("l"), "GET", ask)
		if err != nil || r.Text() != "plain" {
			t.Errorf("HTTP = %q, %v, want the route's answer", r.Raw, err)
		}
	}
	answers()
	// The first bytes of a TLS handshake (RFC 8446 section 4) are no request.
	r, err := rawclient.Do(p.Addr("l"), "GET", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n")
	if err != nil || r.Status != 400 {
		t.Errorf("a TLS handshake = %d, %v, want 400", r.Status, err)
	}
	for _, c := range []struct{ protocol, want string }{
		{`"gopher"`, "gopher"}, {`""`, "protocol"}, {`1`, "protocol"}, {`"https"`, "https"},
	} {
		o := p.Reload(text(c.protocol))
		if details := strings.Join(o.Details, "\n"); o.OK || !strings.Contains(details, "config.kdl:1:") || !strings.Contains(details, c.want) {
			t.Errorf("protocol %s: reload = %+v, want a refusal that says where and names %s", c.protocol, o, c.want)
		}
		answers()
	}
	if o := p.Reload(text(`"HTTP"`)); !o.OK {
		t.Errorf("protocol \"HTTP\": reload = %+v, want words to be read without case", o)
	}
	answers()
}
