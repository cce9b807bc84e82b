package behaviour

import (
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// A request whose client has gone is given up wherever it waits: its target is left alone,
// its place is free, and the log and the metrics say why.
func TestClientGone(t *testing.T) {
	left := make(chan string, 4) // what the origin is rid of
	o := origin.Start(t, func(c *origin.Conn) {
		r, err := c.ReadHead()
		if err != nil {
			return
		}
		path, _, _ := strings.Cut(r.Target, "?")
		if path == "/stream" {
			c.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
		}
		c.ReadUntilClose()
		left <- path
	})
	p := start(t, "timeouts { read-secs 60; request-secs 60 }", `routes {
    route "r" { upstream "u" }
    route "queued" { matches { path "/queued" }; upstream "few" }
    route "held" {
        matches { path "/held" }
        upstream "u"
        rate-limit { requests-per-minute 1; action "delay"; max-delay-secs 60 }
    }
}
upstreams { `+upstream("u", o, "")+upstream("few", o, "connection-pool { max-connections 1 }; queue { timeout-secs 60 }")+"}\n")
	leave := func(raw string) {
		c := p.dial()
		c.Send(raw)
		if strings.Contains(raw, "/stream") {
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}
		c.Close()
	}
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }
	for _, c := range []struct{ path, raw, fault string }{
		{"/waits", get("/waits"), "client_closed"},
		{"/posts", "POST /posts HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "client_closed"},
		{"/stream", get("/stream"), "client_aborted"},
	} {
		leave(c.raw)
		select {
		case got := <-left:
			if got != c.path {
				t.Errorf("the origin is rid of %s, want %s", got, c.path)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the origin keeps a request whose client has gone", c.path)
		}
	}

	holder := p.dial()
	holder.Send(get("/queued"))
	eventually(t, "the only place is taken", func() bool { return strings.Contains(string(o.Received()), "/queued") })
	leave(get("/queued?second"))
	eventually(t, "nobody waits in the queue", func() bool {
		return strings.Contains(p.Metrics(), `sentinel_faults_total{fault="client_closed",route="queued",side="client"} 1`) &&
			strings.Contains(p.Metrics(), `sentinel_pending_requests{upstream="few"} 0`)
	})
	holder.Close()

	first := p.dial()
	first.Send(get("/held?first"))
	eventually(t, "the limit is used up", func() bool { return strings.Contains(string(o.Received()), "/held?first") })
	leave(get("/held?second"))
	eventually(t, "the request that was held back is given up", func() bool {
		return strings.Contains(p.Metrics(), `sentinel_faults_total{fault="client_closed",route="held",side="client"} 1`)
	})
	first.Close()
	if n := strings.Count(string(o.Received()), "second"); n != 0 {
		t.Errorf("%d requests without clients reached the origin", n)
	}
	if log := p.Logs(); !strings.Contains(log, `status=499, path="/waits"`) || !strings.Contains(log, `fault="client_closed"`) {
		t.Errorf("the log doesn't tell: %.2000s", log)
	}
}

// A client that closes only its own direction gets an answer that comes soon.
func TestHalfClosedClientIsAnswered(t *testing.T) {
	o := named(t, "ok")
	p := start(t, "", forward(o, "", ""))
	c, err := rawclient.Dial(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Send(ask)
	c.CloseWrite()
	if r, err := c.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
		t.Errorf("the answer = %d %v, want 200", r.Status, err)
	}
}

// The machine itself learns how the proxy is whatever limit is reached.
func TestHealthAtEveryLimit(t *testing.T) {
	o := named(t, "ok")
	for _, limit := range []string{
		"limits { max-connections 1 }",
		"limits { max-connections-per-client 1 }",
		"rate-limit { requests-per-minute 1 }",
		`security { challenge-mode "always" }`,
		`access { deny "127.0.0.0/8" }`,
		`limits { max-memory "1MiB" }`,
	} {
		p := start(t, "", limit+"\n"+forward(o, "", ""))
		held := p.dial() // takes what there is
		held.Send(ask)
		held.ReadFinalResponse("GET")
		eventually(t, "/ is refused with "+limit, func() bool {
			r, err := rawclient.Do(p.addr, "GET", ask)
			return err != nil || r.Status != 200
		})
		for range 3 {
			for _, path := range []string{"/health", "/ready"} {
				if got := p.do("GET", path).Status; got != 200 {
					t.Errorf("%s with %s = %d, want 200", path, limit, got)
				}
			}
		}
		held.Close()
		p.Stop()
	}
}
