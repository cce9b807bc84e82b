package behaviour

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sentinel/internal/observe/flight"
	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// A request with a token that is good is kept whatever becomes of it, and its answer tells the
// id; one with any other token is served as without. No upstream sees the field.
func TestLiveExplain(t *testing.T) {
	o := origin.Start(t, origin.Answer(func(r origin.Request) string {
		return "HTTP/1.1 200 OK\r\nX-Request-Id: the-origins-own\r\nContent-Length: 2\r\n\r\nok"
	}))
	p := start(t, "http2 { h2c #true }", fmt.Sprintf(`routes {
	route "marked" { priority 9; matches { path-prefix "/ok"; header "Sentinel-Explain" }; respond 418 "seen" }
	route "fine" { matches { path-prefix "/ok" }; upstream "u" }
	route "fixed" { matches { path-prefix "/fixed" }; respond 200 "x" }
}
upstreams { %s }
`, upstream("u", o, "")))
	for range 30 { // so that no request is among the slowest by being the first
		p.do("GET", "/ok")
		p.do("GET", "/fixed")
		p.do("GET", "/none")
	}
	line := strings.TrimSpace(p.sentinel("explain", "--live"))
	for _, target := range []string{"/ok", "/fixed", "/none", "/health"} {
		r := p.do("GET", target, line)
		id := r.Fields.Get("X-Request-Id")
		if n := len(r.Fields.Values("X-Request-Id")); n != 1 || len(id) != 32 || r.Status == 418 {
			t.Errorf("GET %s with a token answers with %d ids, %q, want its own one", target, n, id)
		}
		eventually(t, "the request is kept", func() bool {
			list := p.flights(&flight.Query{Classes: []flight.Class{flight.Asked}, ID: id})
			return len(list) == 1 && list[0].Path == target && list[0].Status == r.Status
		})
		want(t, "explain", p.sentinel("explain", id), "kept because it was asked for", target)
	}
	name, token, _ := strings.Cut(line, ": ")
	p.refusesToken(name+": "+token[:len(token)-1], line+"\r\n"+line, name+": x", name+": v1.00000000ffffffff."+strings.Repeat("A", 43))
	if kept := len(p.flights(&flight.Query{Classes: []flight.Class{flight.Asked}, Max: 1000})); kept != 4 {
		t.Errorf("%d requests are kept as asked for, want the 4 with a good token", kept)
	}
	if sent := string(o.Received()); strings.Contains(strings.ToLower(sent), flight.FieldLower) {
		t.Errorf("the upstream has seen the field: %q", sent)
	}
	p.liveOverHTTP2(name, token)
	if _, err := p.client().Live(t.Context(), 2*time.Hour); err == nil {
		t.Error("a token for two hours is made, want at most one")
	}
}

// refusesToken checks that requests with these lines are served as without.
func (p *proxy) refusesToken(lines ...string) {
	p.t.Helper()
	for _, line := range lines {
		var r rawclient.Response
		if r = p.do("GET", "/ok", line); r.Status != 200 || r.Fields.Get("X-Request-Id") != "the-origins-own" {
			p.t.Errorf("GET with %q = %d with id %q, want the answer of the origin as it is", line, r.Status, r.Fields.Get("X-Request-Id"))
		}
	}
}

// liveOverHTTP2 checks the field in a request of HTTP/2.
func (p *proxy) liveOverHTTP2(name, token string) {
	p.t.Helper()
	q, err := http.NewRequest("GET", "http://"+p.addr+"/fixed", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	q.Header.Set(name, token)
	r, err := h2Client(p.t).Do(q)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Body.Close()
	if id := r.Header.Get("X-Request-Id"); r.ProtoMajor != 2 || len(id) != 32 {
		p.t.Errorf("over HTTP/%d the id is %q, want one over HTTP/2", r.ProtoMajor, id)
	}
}
