package behaviour

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// header7 says that the connection is that of 192.0.2.7.
const header7 = "PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n"

// via sends a request behind what the connection begins with, from a peer, and returns the
// status, or -1 for a reset.
func (p *proxy) via(peer, begin, path string) int {
	p.t.Helper()
	c, err := p.from(peer)
	if err == nil {
		var r rawclient.Response
		sent := c.Send(begin + "GET " + path + " HTTP/1.1\r\nHost: example.com\r\n\r\n")
		if r, err = c.ReadFinalResponse("GET"); err == nil {
			c.Close()
			return r.Status
		}
		err = errors.Join(sent, err)
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		p.t.Errorf("a request from %s behind %q ends with %v, want an answer or a reset", peer, begin, err)
	}
	return -1
}

// expectVia checks what via returns.
func (p *proxy) expectVia(peer, begin string, want int) {
	p.t.Helper()
	if got := p.via(peer, begin, "/"); got != want {
		p.t.Errorf("from %s behind %q: %d, want %d", peer, begin, got, want)
	}
}

const fromBalancer = `proxy-protocol { from "127.0.0.2"; `

// The client is whom the header names: upstreams, logs, limits, bans and lists see it.
func TestProxyProtocolNamesTheClient(t *testing.T) {
	o := origin.Start(t, origin.Answer(func(r origin.Request) string { return origin.Response(r, 200, string(r.Head)) }))
	p := start(t, fromBalancer+`}; access { deny "192.0.2.66" }; limits { max-connections-per-client 1 }`, forward(o, "", ""))
	c, err := p.from("127.0.0.2")
	if err != nil {
		t.Fatal(err)
	}
	c.Send("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\x30\x39\x01\xbb" + getRoot)
	r, err := c.ReadFinalResponse("GET")
	if err != nil || !strings.Contains(r.Text(), "X-Forwarded-For: 192.0.2.7\r\n") {
		t.Errorf("the upstream gets %q, %v, want the client of the header", r.Text(), err)
	}
	p.expectVia("127.0.0.2", header7, 429) // c is open
	p.expectVia("127.0.0.2", strings.Replace(header7, "2.7", "2.8", 1), 200)
	p.expectVia("127.0.0.2", strings.Replace(header7, "2.7", "2.66", 1), -1)
	p.ban("192.0.2.7")
	if _, err := c.ReadFinalResponse("GET"); err == nil {
		t.Error("the connection of a client that was banned goes on")
	}
	p.expectVia("127.0.0.2", header7, -1)
	p.expectMetrics(`sentinel_refused_connections_total{reason="client_banned"} 1`, `sentinel_refused_connections_total{reason="access_denied"} 1`)
	if log := p.Logs(); !strings.Contains(log, `status=200, path="/", client_ip="192.0.2.7"`) {
		t.Errorf("no line of the client in %s", log)
	}
}

// Who isn't listed is refused unless others are plain; who is listed must send a header
// unless it is optional; the machine itself always gets an answer.
func TestProxyProtocolSenders(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	for _, c := range []struct {
		words                            string
		listed, listedWithout, other, me int
	}{
		{"", 200, -1, -1, 200},
		{`header "required"; others "refuse"`, 200, -1, -1, 200},
		{`header "optional"`, 200, 200, -1, 200},
		{`others "plain"`, 200, -1, 200, 200},
	} {
		p := start(t, fromBalancer+c.words+"}", forward(o, "", ""))
		p.expectVia("127.0.0.2", header7, c.listed)
		p.expectVia("127.0.0.2", "", c.listedWithout)
		p.expectVia("127.0.0.3", "", c.other)
		p.expectVia("127.0.0.1", "", c.me)
		if got := p.via("127.0.0.1", "", "/health"); got != 200 {
			t.Errorf("/health = %d, want 200", got)
		}
		if c.other == 200 { // a header of somebody else is no header
			p.expectVia("127.0.0.3", header7, 400)
		} else {
			p.expectMetrics(`sentinel_refused_connections_total{reason="proxy_sender_unknown"} 1`)
		}
	}
}

// A header that doesn't come ends the connection in time, and a reload changes the time.
func TestProxyProtocolTimeout(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, fromBalancer+"timeout-secs 0.1 }", forward(o, "", ""))
	began := time.Now()
	c, err := p.from("127.0.0.2")
	if err != nil {
		t.Fatal(err)
	}
	c.Send(header7[:20])
	if _, err := c.ReadFinalResponse("GET"); !errors.Is(err, syscall.ECONNRESET) || time.Since(began) > 3*time.Second {
		t.Errorf("half a header ends with %v after %v, want a reset at once", err, time.Since(began))
	}
	p.expectMetrics(`sentinel_faults_total{fault="proxy_header_timeout",route="-",side="client"} 1`)
	p.reload(forward(o, "", "")) // without the block nobody may send one
	p.expectVia("127.0.0.2", header7, 400)
	p.expectVia("127.0.0.2", "", 200)
}
