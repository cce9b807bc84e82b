package behaviour

import (
	"fmt"
	"strings"
	"testing"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

const ask = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

func TestRequestLimits(t *testing.T) {
	o := named(t, "ok")
	p := start(t, "limits { max-header-size 1024; max-header-count 5; max-requests-per-connection 2; max-body-size 10 }",
		`routes {
    route "r" { upstream "u" }
    route "own" { matches { path "/own" }; upstream "u"; limits { max-body-size 3 } }
}
upstreams { `+upstream("u", o, "")+"}\n")
	for _, c := range []struct {
		name, raw string
		want      int
	}{
		{"max-body-size", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789", 200},
		{"max-body-size", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n01234567890", 413},
		{"max-body-size of a route", "POST /own HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n0123", 413},
		{"max-header-size", "GET / HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("x", 1024) + "\r\n\r\n", 431},
		{"max-header-count", "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: b\r\n", 5) + "\r\n", 431},
	} {
		if got := p.raw("POST", c.raw); got.Status != c.want {
			t.Errorf("%s: %q = %d, want %d", c.name, c.raw, got.Status, c.want)
		}
	}
	c := p.dial()
	c.Send(ask + ask)
	answers, err := c.ReadResponses("GET", "GET")
	if err != nil || answers[1].Fields.Get("Connection") != "close" {
		t.Errorf("second of two requests = %v, %v; want Connection: close", answers, err)
	}
	if err := c.AwaitClose(); err != nil {
		t.Errorf("after max-requests-per-connection: %v", err)
	}
}

func TestConnectionLimits(t *testing.T) {
	for _, limits := range []string{"max-connections 1", "max-connections-per-client 1"} {
		t.Run(limits, func(t *testing.T) {
			o := named(t, "ok")
			p := start(t, "limits { "+limits+" }", forward(o, "", ""))
			first := p.dial()
			first.Send(ask)
			if r, err := first.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
				t.Fatalf("first connection = %v %v", r, err)
			}
			second := p.dial()
			second.Send(ask)
			if r, err := second.ReadFinalResponse("GET"); err == nil && r.Status != 503 {
				t.Errorf("second connection = %s, want 503 or an end", r.Raw)
			}
			first.Send(ask)
			if r, err := first.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
				t.Errorf("first connection = %v %v", r, err)
			}
		})
	}
}

// A limit that a reload lowers holds at once: idle connections above it end, the longest
// idle first, and a request in hand is finished as the last one of its connection.
func TestLimitsLowered(t *testing.T) {
	for _, limit := range []string{"max-connections 2", "max-connections-per-client 2"} {
		t.Run(limit, func(t *testing.T) {
			release := make(chan struct{})
			o := origin.Start(t, func(c *origin.Conn) {
				for {
					r, err := c.ReadRequest()
					if err != nil {
						return
					}
					if strings.HasPrefix(r.Target, "/slow") {
						<-release
					}
					c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			})
			config := func(limits string) string {
				return `listeners { listener "l" { address "127.0.0.1:0"; limits { ` + limits + " } } }\n" + forward(o, "", "")
			}
			p := start(t, "", forward(o, "", ""))
			busy := p.dial()
			busy.Send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
			var idle []*rawclient.Client
			for range 4 {
				c := p.dial()
				c.Send(ask)
				if _, err := c.ReadFinalResponse("GET"); err != nil {
					t.Fatal(err)
				}
				idle = append(idle, c)
			}
			eventually(t, "the slow request is under way", func() bool { return strings.Contains(string(o.Received()), "/slow") })
			if o := p.Reload(config(limit)); !o.OK {
				t.Fatal(o)
			}
			eventually(t, "2 connections are left", func() bool { return p.Status().Connections == 2 })
			alive := 0
			for _, c := range idle {
				c.Send(ask)
				if r, err := c.ReadFinalResponse("GET"); err == nil && r.Status == 200 {
					alive++
				}
			}
			if alive != 1 {
				t.Errorf("%d idle connections live on beside the busy one with %s", alive, limit)
			}
			close(release)
			if r, err := busy.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
				t.Errorf("the request in hand = %d %v, want 200", r.Status, err)
			}
		})
	}
}

func TestClientTimeouts(t *testing.T) {
	o := named(t, "ok")
	p := start(t, "timeouts { header-secs 0.2; idle-secs 0.3; read-secs 0.2 }", forward(o, "", ""))
	for _, c := range []struct{ key, raw string }{
		{"header-secs", "GET / HT"}, {"read-secs", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"},
	} {
		client := p.dial()
		client.Send(c.raw)
		if r, err := client.ReadFinalResponse("GET"); err != nil || r.Status != 408 {
			t.Errorf("%s = %d %v, want 408", c.key, r.Status, err)
		}
	}
	idle := p.dial()
	idle.Send(ask)
	if _, err := idle.ReadFinalResponse("GET"); err != nil {
		t.Fatal(err)
	}
	if err := idle.AwaitClose(); err != nil {
		t.Errorf("idle-secs: %v", err)
	}
}

func TestUpstreamTimeouts(t *testing.T) {
	silent := origin.Start(t, func(c *origin.Conn) { c.ReadHead(); c.Stall(nil) })
	half := origin.Start(t, func(c *origin.Conn) {
		c.ReadHead()
		c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
		c.Stall(nil)
	})
	p := start(t, "", `routes {
    route "request" { upstream "silent"; timeouts { request-secs 0.2 } }
    route "read" { matches { path "/read" }; upstream "half"; timeouts { read-secs 0.2 } }
}
upstreams { `+upstream("silent", silent, "")+upstream("half", half, "")+"}\n")
	if r := p.do("GET", "/"); r.Status != 504 {
		t.Errorf("request-secs = %d, want 504", r.Status)
	}
	c := p.dial()
	c.Send("GET /read HTTP/1.1\r\nHost: h\r\n\r\n")
	if r, err := c.ReadFinalResponse("GET"); err == nil || r.Status != 200 {
		t.Errorf("read-secs = %d %v, want a response cut off", r.Status, err)
	}
}

func TestConnectionPool(t *testing.T) {
	for _, c := range []struct {
		pool string
		want int
	}{{"max-idle 0", 3}, {"max-idle 1", 1}, {"max-lifetime-secs 0.001", 0}} {
		t.Run(c.pool, func(t *testing.T) {
			o := named(t, "ok")
			p := start(t, "", forward(o, "", "connection-pool { "+c.pool+" }"))
			for range 3 {
				p.do("GET", "/")
			}
			if got := o.Connections(); c.want != 0 && got != c.want {
				t.Errorf("%s: 3 requests by %d connections, want %d", c.pool, got, c.want)
			}
		})
	}
}

func TestPoolMaxConnections(t *testing.T) {
	entered, release := make(chan struct{}, 2), make(chan struct{})
	o := origin.Start(t, func(c *origin.Conn) {
		r, err := c.ReadRequest()
		if err != nil {
			return
		}
		entered <- struct{}{}
		c.Stall(release)
		c.WriteString(origin.Response(r, 200, "ok"))
	})
	p := start(t, "", forward(o, "", "connection-pool { max-connections 1 }"))
	first := p.dial()
	first.Send(ask)
	<-entered
	if r := p.do("GET", "/"); r.Status != 503 {
		t.Errorf("a request without a free connection = %d, want 503", r.Status)
	}
	close(release)
	if r, err := first.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
		t.Errorf("the first request = %d %v", r.Status, err)
	}
}

func TestSystemKeys(t *testing.T) {
	o := origin.Start(t, origin.Echo())
	const config = `system { $FILES; trusted-proxies %s; request-id { header "X-Id"; accept "%s" }; forwarded-headers { x-forwarded %s; forwarded %s } }
`
	for _, c := range []struct {
		args      []any
		has, lack []string
	}{
		{[]any{`"127.0.0.1"`, "trusted", "#true", "#true"}, []string{"X-Id: mine", "X-Forwarded-For: 192.0.2.1, 127.0.0.1", "\r\nForwarded: "}, nil},
		{[]any{`"127.0.0.1"`, "never", "#true", "#false"}, []string{"X-Id: ", "X-Forwarded-For: "}, []string{"mine", "\r\nForwarded: "}},
		{[]any{`"192.0.2.0/24"`, "trusted", "#false", "#true"}, []string{"X-Id: ", "\r\nForwarded: "}, []string{"mine", "192.0.2.1", "X-Forwarded-For: "}},
	} {
		t.Run(fmt.Sprint(c.args...), func(t *testing.T) {
			p := start(t, "", forward(o, "", "")+fmt.Sprintf(config, c.args...))
			head := p.do("GET", "/", "X-Id: mine", "X-Forwarded-For: 192.0.2.1").Text()
			for _, want := range c.has {
				if !strings.Contains(strings.ToLower(head), strings.ToLower(want)) {
					t.Errorf("the upstream gets %q, want %q", head, want)
				}
			}
			for _, no := range c.lack {
				if strings.Contains(strings.ToLower(head), strings.ToLower(no)) {
					t.Errorf("the upstream gets %q, want no %q", head, no)
				}
			}
			if r := p.do("CONNECT", "example.com:443"); !strings.Contains(string(r.Raw), "\r\nX-Id: ") {
				t.Errorf("an answer of the proxy's own has no X-Id: %q", r.Raw)
			}
		})
	}
}

func TestObservability(t *testing.T) {
	o := named(t, "ok")
	p := start(t, "", forward(o, "", "")+`observability {
    metrics { address "127.0.0.1:0"; path "/m" }
    logging { level "warn"; format "json"; file "$DIR/events"; access-log { file "$DIR/access"; format "text" } }
}`)
	p.do("GET", "/seen")
	metrics := "http://" + p.MetricsAddr()
	if code, text := get(t, metrics+"/m"); code != 200 || !strings.Contains(text, `sentinel_requests_total{code="200",route="r",status="2xx"} 1`) {
		t.Errorf("metrics = %d %s", code, text)
	}
	if code, _ := get(t, metrics+"/metrics"); code != 404 {
		t.Errorf("metrics elsewhere = %d, want 404", code)
	}
	if log := p.File("access"); !strings.Contains(log, `path="/seen"`) {
		t.Errorf("access log = %q", log)
	}
	if log := p.File("events"); strings.Contains(strings.ToLower(log), `"info"`) {
		t.Errorf("events at level warn = %q", log)
	}
}

func TestLogFormats(t *testing.T) {
	o := named(t, "ok")
	p := start(t, "", forward(o, "", "")+`observability {
    metrics { address "127.0.0.1:0" }
    logging { format "json"; file "$DIR/events"; access-log { enabled #false } }
}`)
	p.do("GET", "/seen")
	log := p.File("events")
	if !strings.HasPrefix(log, "{") || strings.Contains(log, "/seen") {
		t.Errorf("events = %q, want JSON and no requests", log)
	}
}

func TestMaxConcurrentRequests(t *testing.T) {
	for _, place := range []string{"top", "listener"} {
		t.Run(place, func(t *testing.T) {
			release := make(chan struct{})
			o := origin.Start(t, func(c *origin.Conn) {
				c.ReadRequest()
				<-release
				c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			})
			top, listener := "limits { max-concurrent-requests 2 }\n", ""
			if place == "listener" {
				top, listener = "", "limits { max-concurrent-requests 2 }"
			}
			p := start(t, listener, top+forward(o, "", ""))
			var busy []*rawclient.Client
			for range 2 {
				c := p.dial()
				c.Send(ask)
				busy = append(busy, c)
			}
			eventually(t, "two requests are under way", func() bool { return strings.Count(string(o.Received()), "GET /") == 2 })
			r := p.do("GET", "/")
			if r.Status != 503 || !strings.Contains(string(r.Raw), "\r\nRetry-After: ") {
				t.Errorf("the third request at once = %q, want 503 with Retry-After", r.Raw)
			}
			if code := p.do("GET", "/health").Status; code != 200 {
				t.Errorf("/health at the limit = %d", code)
			}
			close(release)
			for _, c := range busy {
				if r, err := c.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
					t.Errorf("a request in progress = %d %v", r.Status, err)
				}
			}
			if code := p.do("GET", "/").Status; code != 200 {
				t.Errorf("after the others ended = %d, want 200", code)
			}
		})
	}
}

func TestMaxURILength(t *testing.T) {
	o := named(t, "ok")
	p := start(t, "limits { max-uri-length 20 }", forward(o, "", ""))
	if got := p.do("GET", "/"+strings.Repeat("a", 19)).Status; got != 200 {
		t.Errorf("a target of 20 bytes = %d, want 200", got)
	}
	if got := p.do("GET", "/"+strings.Repeat("a", 20)).Status; got != 414 {
		t.Errorf("a target of 21 bytes = %d, want 414", got)
	}
}
