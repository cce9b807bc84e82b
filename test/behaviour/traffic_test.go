package behaviour

import (
	"fmt"
	"strings"
	"testing"

	"sentinel/internal/testkit/origin"
)

func TestMatches(t *testing.T) {
	conditions := []struct{ name, matches, hit, miss string }{
		{"host", `host "a.example" "*.b.example"`, "GET / HTTP/1.1\r\nHost: x.B.example:81\r\n\r\n", "GET / HTTP/1.1\r\nHost: c.example\r\n\r\n"},
		{"path", `path "/whole"`, "GET /whole?x HTTP/1.1\r\nHost: h\r\n\r\n", "GET /whole/ HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"path-prefix", `path-prefix "/pre"`, "GET /pre/x HTTP/1.1\r\nHost: h\r\n\r\n", "GET /prefix HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"path-regex", `path-regex "^/n\\d+$"`, "GET /n12 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /nx HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"method", `method "DELETE"`, "DELETE / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"header", `header "X-There"`, "GET / HTTP/1.1\r\nHost: h\r\nx-there: 1\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"header-value", `header "X-Value" "v"`, "GET / HTTP/1.1\r\nHost: h\r\nX-Value: v\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nX-Value: w\r\n\r\n"},
		{"header-regex", `header "X-Regex" regex="^a+$"`, "GET / HTTP/1.1\r\nHost: h\r\nX-Regex: aa\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nX-Regex: ab\r\n\r\n"},
		{"query", `query "there"`, "GET /?there HTTP/1.1\r\nHost: h\r\n\r\n", "GET /?here HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"query-value", `query "q" "1 2"`, "GET /?q=1+2 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /?q=12 HTTP/1.1\r\nHost: h\r\n\r\n"},
	}
	var b strings.Builder
	b.WriteString("routes {\n")
	for _, c := range conditions {
		fmt.Fprintf(&b, "route %q { matches { %s }; respond 200 %q; priority 1 }\n", c.name, c.matches, c.name)
	}
	b.WriteString("}\n")
	p := start(t, "", b.String())
	for _, c := range conditions {
		method, _, _ := strings.Cut(c.hit, " ")
		if got := p.raw(method, c.hit); got.Status != 200 || got.Text() != c.name {
			t.Errorf("%s: %q = %d %q, want its route", c.name, c.hit, got.Status, got.Text())
		}
		if got := p.raw("GET", c.miss); got.Status == 200 && got.Text() == c.name {
			t.Errorf("%s: %q is taken by its route", c.name, c.miss)
		}
	}
}

func TestPriority(t *testing.T) {
	p := start(t, "", `routes {
    route "low" { matches { path "/x" }; respond 200 "low" }
    route "high" { priority "high"; respond 200 "high" }
}`)
	if got := p.do("GET", "/x").Text(); got != "high" {
		t.Errorf("/x is answered by %q, want the route of the highest priority", got)
	}
}

func TestAnswers(t *testing.T) {
	p := start(t, "", `routes {
    route "respond" { matches { path "/respond" }; respond { status 418; body "tea"; content-type "text/tea" } }
    route "redirect" { matches { path "/redirect" }; redirect { to "https://${host}/x?${query}"; status 308 } }
}`)
	if r := p.do("GET", "/respond"); r.Status != 418 || r.Text() != "tea" || r.Fields.Get("Content-Type") != "text/tea" {
		t.Errorf("respond = %s", r.Raw)
	}
	if r := p.do("GET", "/redirect?a=b"); r.Status != 308 || r.Fields.Get("Location") != "https://example.com/x?a=b" {
		t.Errorf("redirect = %s", r.Raw)
	}
}

func TestRewrites(t *testing.T) {
	o := origin.Start(t, origin.Answer(func(r origin.Request) string { return origin.Response(r, 200, r.Target) }))
	route := func(name, rewrite string) string {
		return fmt.Sprintf("route %q { matches { path-prefix \"/%s\" }; upstream \"u\"; rewrite { %s } }\n", name, name, rewrite)
	}
	p := start(t, "", "routes {\n"+route("strip", `strip-prefix "/strip"`)+route("replace", `replace-prefix "/replace" "/new"`)+
		route("regex", `path-regex "^/regex/(\\d+)" "/id/$1"`)+"}\nupstreams { "+upstream("u", o, "")+"}\n")
	for in, want := range map[string]string{"/strip/a?b": "/a?b", "/replace/a": "/new/a", "/regex/12/x": "/id/12/x"} {
		if got := p.do("GET", in).Text(); got != want {
			t.Errorf("the upstream gets %q for %q, want %q", got, in, want)
		}
	}
}

func TestHeaderEdits(t *testing.T) {
	o := origin.Start(t, origin.Answer(func(r origin.Request) string {
		body := string(r.Head)
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nServer: o\r\nOld: v\r\nTwice: 1\r\n\r\n%s", len(body), body)
	}))
	p := start(t, "", forward(o, `policies {
    request-headers { rename "From-Old" "To-New"; remove "Gone"; set "Fixed" "${method}"; add "More" "2" }
    response-headers { rename "Old" "New"; remove "Server"; set "X-Set" "s"; add "Twice" "2" }
}`, ""))
	r := p.do("GET", "/", "From-Old: v", "Gone: x", "Fixed: theirs", "More: 1")
	head := "\r\n" + r.Text()
	for _, want := range []string{"\r\nTo-New: v\r\n", "\r\nFixed: GET\r\n", "\r\nMore: 1\r\n", "\r\nMore: 2\r\n"} {
		if !strings.Contains(head, want) {
			t.Errorf("the upstream gets %q, want %q in it", head, want)
		}
	}
	if strings.Contains(head, "Gone") || strings.Contains(head, "theirs") || strings.Contains(head, "From-Old") {
		t.Errorf("the upstream gets %q", head)
	}
	if r.Fields.Get("New") != "v" || r.Fields.Has("Server") || r.Fields.Get("X-Set") != "s" || len(r.Fields.Values("Twice")) != 2 || r.Fields.Has("Old") {
		t.Errorf("the client gets %s", r.Raw)
	}
}

func TestSplit(t *testing.T) {
	a, b := named(t, "a"), named(t, "b")
	ups := "upstreams { " + upstream("a", a, "") + upstream("b", b, "") + "}\n"
	split := func(name, sticky string) string {
		return fmt.Sprintf("route %q { matches { path %q }; split { upstream \"a\" weight=3; upstream \"b\" weight=1; %s } }\n", name, "/"+name, sticky)
	}
	p := start(t, "", "routes {\n"+split("each", "")+split("field", `sticky-key "header:X-User"`)+split("cookie", `sticky-key "cookie:s"`)+
		split("client", `sticky-key "client_ip"`)+`route "none" { matches { path "/none" }; split { upstream "a" weight=0; upstream "b" } }
}
`+ups)
	count := map[string]int{}
	for range 400 {
		count[p.do("GET", "/each").Text()]++
	}
	if count["a"] < 220 || count["b"] < 40 {
		t.Errorf("weights 3 and 1 give %v of 400", count)
	}
	if got := p.do("GET", "/none").Text(); got != "b" {
		t.Errorf("weight 0 is answered by %q", got)
	}
	for _, kind := range []struct{ path, field string }{{"/field", "X-User: u%d"}, {"/cookie", "Cookie: t=1; s=u%d"}} {
		seen := map[string]bool{}
		for i := range 20 {
			field := fmt.Sprintf(kind.field, i)
			first := p.do("GET", kind.path, field).Text()
			seen[first] = true
			if again := p.do("GET", kind.path, field).Text(); again != first {
				t.Errorf("%s: %q goes to %s, then to %s", kind.path, field, first, again)
			}
		}
		if len(seen) != 2 {
			t.Errorf("%s: 20 keys reach %v only", kind.path, seen)
		}
	}
	first := p.do("GET", "/client").Text()
	for range 10 {
		if again := p.do("GET", "/client").Text(); again != first {
			t.Errorf("one client goes to %s, then to %s", first, again)
		}
	}
}

func TestTargetWeights(t *testing.T) {
	a, b := named(t, "a"), named(t, "b")
	p := start(t, "", fmt.Sprintf("routes { route \"r\" { upstream \"u\" } }\nupstreams { upstream \"u\" { target %q weight=3; target %q; load-balancing \"round-robin\" } }\n", a.Addr(), b.Addr()))
	count := map[string]int{}
	for range 40 {
		count[p.do("GET", "/").Text()]++
	}
	if count["a"] != 30 || count["b"] != 10 {
		t.Errorf("weights 3 and 1 give %v of 40", count)
	}
}

func TestUpgrade(t *testing.T) {
	o := origin.Start(t, func(c *origin.Conn) {
		r, err := c.ReadHead()
		if err != nil {
			return
		}
		if !r.Fields.Has("Upgrade") {
			c.WriteString(origin.Response(r, 200, "plain"))
			return
		}
		c.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
		c.ReadUntilClose()
	})
	p := start(t, "", `routes {
    route "no" { upstream "u" }
    route "yes" { matches { path "/ws" }; upstream "u"; allow-upgrade "websocket" }
}
upstreams { `+upstream("u", o, "")+"}\n")
	const fields = " HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if r := p.raw("GET", "GET /ws"+fields); r.Status != 101 {
		t.Errorf("upgrade where it is allowed = %s", r.Raw)
	}
	if r := p.raw("GET", "GET /"+fields); r.Status == 101 {
		t.Errorf("upgrade where it isn't allowed = %s", r.Raw)
	}
}

func TestPathNormalization(t *testing.T) {
	o := origin.Start(t, origin.Answer(func(r origin.Request) string { return origin.Response(r, 200, r.Target) }))
	for _, c := range []struct{ words, in, want string }{
		{``, "/a/../b", "/b"},
		{``, "/a//b", "/a/b"},
		{``, "/a%2fb", "400"},
		{``, `/a\b`, "400"},
		{``, "/%61", "/a"},
		{`dot-segments "reject"`, "/a/../b", "400"},
		{`encoded-slash "keep"`, "/a%2fb", "/a%2Fb"},
		{`encoded-slash "decode"`, "/a%2fb", "/a/b"},
		{`double-slash "keep"`, "/a//b", "/a//b"},
		{`double-slash "reject"`, "/a//b", "400"},
		{`backslash "encode"`, `/a%5cb`, "/a%5Cb"},
		{`backslash "slash"`, `/a%5cb`, "/a/b"},
	} {
		t.Run(c.words+c.in, func(t *testing.T) {
			p := start(t, "path-normalization { "+c.words+" }", forward(o, "", ""))
			got := p.do("GET", c.in)
			if text := got.Text(); text != c.want && fmt.Sprint(got.Status) != c.want {
				t.Errorf("%s: %s = %d %q, want %s", c.words, c.in, got.Status, text, c.want)
			}
		})
	}
}
