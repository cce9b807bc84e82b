package behaviour

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"sentinel/internal/control/admin"
	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

func shadowed(fault string, n int) string {
	return fmt.Sprintf("sentinel_shadowed_total{fault=%q} %d", fault, n)
}

// Bounds in shadow mode let everything in and count what they would have refused. The bounds of
// other blocks hold beside them, whichever comes first.
func TestLimitsInShadowMode(t *testing.T) {
	for _, c := range []struct {
		bounds, raw string
		fault       string
	}{
		{"max-body-size 3", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n0123", "content_too_large"},
		{"max-body-size 3", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n0\r\n\r\n", "content_too_large"},
		{"max-header-size 1024", "GET / HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("x", 1024) + "\r\n\r\n", "head_too_large"},
		{"max-header-count 2", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\nA: b\r\n\r\n", "too_many_fields"},
		{"max-uri-length 3", "GET /abc HTTP/1.1\r\nHost: h\r\n\r\n", "target_too_long"},
	} {
		for _, enforced := range []string{"", "max-body-size 100; max-header-count 3; max-uri-length 100; "} {
			o := named(t, "ok")
			p := start(t, "limits { "+enforced+" }; limits { mode \"shadow\"; "+c.bounds+" }", forward(o, "", ""))
			if r := p.raw("GET", c.raw); r.Status != 200 {
				t.Errorf("%s: %q = %d, want 200", c.bounds, c.raw, r.Status)
			}
			if r := p.do("GET", "/a"); r.Status != 200 {
				t.Errorf("%s: a small request = %d, want 200", c.bounds, r.Status)
			}
			p.expectMetrics(shadowed(c.fault, 1))
			if got := strings.Count(p.Metrics(), "sentinel_shadowed_total{"); got != 9 {
				t.Errorf("%d series of sentinel_shadowed_total, want 9", got)
			}
			if enforced != "" {
				if r := p.raw("GET", "GET / HTTP/1.1\r\nHost: h\r\n"+strings.Repeat("A: b\r\n", 4)+"\r\n"); r.Status != 431 {
					t.Errorf("beside %s what holds answers %d, want 431", c.bounds, r.Status)
				}
			}
			if log := p.Logs(); strings.Count(log, `would_refuse="`+c.fault+`"`) != 1 {
				t.Errorf("%s: the log doesn't mark one request with %s:\n%s", c.bounds, c.fault, log)
			}
		}
	}
}

// A route's own bound of content in shadow mode holds in place of the listener's.
func TestRouteLimitsInShadowMode(t *testing.T) {
	o := named(t, "ok")
	p := start(t, "limits { mode \"shadow\"; max-body-size 2 }", `routes {
    route "own" { matches { path "/own" }; upstream "u"; limits { mode "shadow"; max-body-size 5 } }
    route "r" { upstream "u" }
}
upstreams { `+upstream("u", o, "")+"}\n")
	for path, length := range map[string]int{"/own": 5, "/": 3} {
		if r := p.raw("POST", fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", path, length, strings.Repeat("x", length))); r.Status != 200 {
			t.Errorf("POST %s of %d bytes = %d, want 200", path, length, r.Status)
		}
	}
	p.expectMetrics(shadowed("content_too_large", 1))
}

// Connections above a bound in shadow mode are let in and counted, those of one client and all.
func TestConnectionLimitsInShadowMode(t *testing.T) {
	for _, place := range []string{"top", "listener"} {
		for bound, fault := range map[string]string{"max-connections": "connection_limit", "max-connections-per-client": "client_connection_limit"} {
			block := "limits { mode \"shadow\"; " + bound + " 1 }"
			top, listener := block+"\n", ""
			if place == "listener" {
				top, listener = "", block
			}
			p := start(t, listener, top+forward(named(t, "ok"), "", ""))
			for n := range 3 {
				c, err := p.from("127.0.0.7")
				if err != nil {
					t.Fatal(err)
				}
				c.Send(ask)
				if r, err := c.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
					t.Errorf("%s of %s: connection %d = %d, %v, want 200", bound, place, n+1, r.Status, err)
				}
			}
			p.expectMetrics(shadowed(fault, 2), `sentinel_refused_connections_total{reason="`+fault+`"} 0`)
		}
	}
}

// Requests in progress above a bound in shadow mode go on; the bound that holds refuses those
// above it.
func TestMaxConcurrentRequestsInShadowMode(t *testing.T) {
	release := make(chan struct{})
	o := origin.Start(t, func(c *origin.Conn) {
		c.ReadRequest()
		<-release
		c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	p := start(t, "", "limits { max-concurrent-requests 3 }\nlimits { mode \"shadow\"; max-concurrent-requests 2 }\n"+forward(o, "", ""))
	var busy []*rawclient.Client
	for n := range 3 {
		c := p.dial()
		c.Send(ask)
		busy = append(busy, c)
		eventually(t, "the request is under way", func() bool { return strings.Count(string(o.Received()), "GET /") == n+1 })
	}
	if r := p.do("GET", "/"); r.Status != 503 {
		t.Errorf("the fourth request at once = %d, want 503", r.Status)
	}
	close(release)
	for _, c := range busy {
		if r, err := c.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
			t.Errorf("a request in progress = %d %v, want 200", r.Status, err)
		}
	}
	p.expectMetrics(shadowed("request_limit", 1))
}

// A ban in shadow mode lets connections and requests through and counts them.
func TestBanInShadowMode(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", forward(o, "", ""))
	q := admin.BanRequest{Prefixes: []string{"127.0.0.7"}, Seconds: 300, Shadow: true}
	if _, err := p.client().Ban(context.Background(), q); err != nil {
		t.Fatal(err)
	}
	p.expectFrom("/", "127.0.0.7 200", "127.0.0.9 200")
	if got, want := p.hits(), "127.0.0.7/32=2"; got != want { // the connection and its request
		t.Errorf("hits %s, want %s", got, want)
	}
	p.expectMetrics(shadowed("client_banned", 2), `sentinel_refused_connections_total{reason="client_banned"} 0`)
	p.ban("127.0.0.7")
	p.expectFrom("/", "127.0.0.7 -1")
	p.expectMetrics(shadowed("client_banned", 2))
	if log := p.Logs(); strings.Count(log, `would_refuse="client_banned"`) != 1 || !strings.Contains(log, "client shadow-banned") {
		t.Errorf("the log doesn't mark the one request:\n%s", log)
	}
}
