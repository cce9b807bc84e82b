package behaviour

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/lifecycle"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/testkit/origin"
)

// explain asks the proxy what a request would meet.
func (p *proxy) explain(q admin.ExplainRequest) admin.Explanation {
	p.t.Helper()
	e, err := p.client().Explain(p.t.Context(), q)
	if err != nil {
		p.t.Fatalf("explain %+v: %v", q, err)
	}
	return e
}

// verdictOf returns what a policy answers in an explanation.
func verdictOf(e *admin.Explanation, policy string) string {
	for _, p := range e.Policies {
		if p.Policy == policy {
			return strings.TrimSpace(p.Answer + " " + p.Fault)
		}
	}
	return ""
}

// routesMade is how many routes manyRoutes makes.
const routesMade = 40

// manyRoutes are routes that answer with their names, with conditions of every kind that often
// match the same requests.
func manyRoutes(random *rand.Rand) string {
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	var b strings.Builder
	b.WriteString("routes {\n")
	seen := map[string]bool{}
	for i := 0; i < routesMade; {
		var conditions []string
		maybe := func(n int, text string) {
			if random.IntN(n) == 0 {
				conditions = append(conditions, text)
			}
		}
		maybe(2, fmt.Sprintf("host %q", pick("a.example", "b.a.example", "*.example", "*.a.example", "c.example")))
		switch random.IntN(4) {
		case 0:
			conditions = append(conditions, fmt.Sprintf("path-prefix %q", pick("/", "/a", "/a/b", "/b")))
		case 1:
			conditions = append(conditions, fmt.Sprintf("path %q", pick("/a", "/a/b", "/b/", "/")))
		case 2:
			conditions = append(conditions, fmt.Sprintf("path-regex %q", pick("^/a", "b$", "c")))
		}
		maybe(3, fmt.Sprintf("method %q", pick("GET", "POST", "PUT")))
		maybe(4, fmt.Sprintf("header %q %q", "X-Part", pick("1", "2")))
		maybe(4, fmt.Sprintf("query %q %q", "q", pick("1", "2")))
		matches := ""
		if len(conditions) > 0 {
			matches = "matches { " + strings.Join(conditions, "; ") + " }; "
		}
		if seen[matches] { // it could never be reached
			continue
		}
		seen[matches] = true
		fmt.Fprintf(&b, "route \"r%d\" { priority %d; %srespond 200 \"r%d\" }\n", i, random.IntN(3), matches, i)
		i++
	}
	b.WriteString("}\n")
	return b.String()
}

// For any request an explanation names the route that answers it, or the fault that refuses it,
// and of each other route says truly whether it matches; by the file alone it says the same.
func TestExplainSaysWhatHappens(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	routes := manyRoutes(random)
	p := start(t, "", routes)
	file := filepath.Join(t.TempDir(), "c.kdl")
	text := p.Expand("system { $FILES }\nlisteners { listener \"l\" { address \"127.0.0.1:8080\" } }\n" + routes)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	c := p.dial()
	for i := range 400 {
		method, host := pick("GET", "POST", "PUT"), pick("a.example", "A.example.:80", "b.a.example", "x.example", "c.example", "other")
		target := pick("/", "/a", "/a/b", "/a/b/c", "/b/", "/%61", "/a/../b", "/a%2fb", "/a//b", "/c", "/health", "/../x") + pick("", "?q=1", "?q=2&q=1")
		fields := []string{"Host: " + host}
		if part := pick("", "1", "2"); part != "" {
			fields = append(fields, "X-Part: "+part)
		}
		q := admin.ExplainRequest{Method: method, URL: "http://" + p.addr + target, Fields: fields, Everyone: true}
		e := p.explain(q)
		raw := fmt.Sprintf("%s %s HTTP/1.1\r\n%s\r\nContent-Length: 0\r\n\r\n", method, target, strings.Join(fields, "\r\n"))
		if err := c.Send(raw); err != nil {
			t.Fatal(err)
		}
		r, err := c.ReadResponse(method)
		if err != nil {
			t.Fatal(err)
		}
		if r.Fields.Get("Connection") == "close" {
			c = p.dial()
		}
		got := fmt.Sprint(200, e.Route)
		if k, ok := fault.Parse(e.Fault); ok {
			got = fmt.Sprint(k.Status())
		}
		happened := fmt.Sprint(r.Status)
		if r.Status == 200 {
			happened = fmt.Sprint(200, r.Text())
		}
		if strings.HasSuffix(e.Outcome, ": /health") && strings.HasPrefix(r.Text(), `{"status":"healthy"`) {
			got = happened
		}
		if got != happened {
			t.Fatalf("request %d: %s %s %q: explained as %s (%s), and what happened is %s", i, method, target, fields, got, e.Outcome, happened)
		}
		q.Listener = "l"
		offline, err := lifecycle.ExplainFile(file, q)
		if err != nil || offline.Route != e.Route || offline.Fault != e.Fault || fmt.Sprint(offline.Others) != fmt.Sprint(e.Others) {
			t.Fatalf("request %d: %s %s %q: by the file it is %+v, %v, and by the proxy %+v", i, method, target, fields, offline, err, e)
		}
		checkOthers(t, &e)
	}
}

// checkOthers checks that each route is there once and has a reason.
func checkOthers(t *testing.T, e *admin.Explanation) {
	t.Helper()
	if e.Path == "" || e.Fault != "" && e.Fault != "no_route" {
		return
	}
	seen := map[string]bool{e.Route: true}
	for _, o := range e.Others {
		if seen[o.Route] || len(o.Why) == 0 {
			t.Fatalf("%s: route %s comes twice or without a reason: %+v", e.Request, o.Route, e.Others)
		}
		seen[o.Route] = true
	}
	if delete(seen, ""); len(seen) != routesMade {
		t.Fatalf("%s: %d routes are explained, want %d", e.Request, len(seen), routesMade)
	}
}

// What policies say comes true, and asking changes nothing.
func TestExplainPolicies(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", fmt.Sprintf(`routes {
	route "limited" { matches { path-prefix "/limited" }; rate-limit { requests-per-minute 1; burst 3 }; upstream "u"; rewrite { strip-prefix "/limited" } }
	route "kept" { matches { path-prefix "/kept" }; access { allow "192.0.2.0/24" }; upstream "u" }
	route "named" { matches { path-prefix "/named" }; policies { basic-auth { users-file %q } }; upstream "u" }
}
upstreams { %s }
`, usersFile(t, 4, "ann", "secret"), upstream("u", o, "")))
	ask := func(path, client string) admin.Explanation {
		return p.explain(admin.ExplainRequest{Method: "GET", URL: "http://" + p.addr + path, Client: client})
	}
	before := p.counters()
	for range 20 {
		ask("/limited/x", "")
	}
	if after := p.counters(); after != before {
		t.Errorf("explaining has counted:\n%s\nwant\n%s", after, before)
	}
	for i := range 6 {
		e := ask("/limited/x", "")
		want := map[bool]string{true: "pass", false: "refuse rate_limited"}[i < 3]
		if got := verdictOf(&e, "rate limit"); got != want {
			t.Errorf("before request %d the rate limit says %q, want %q", i+1, got, want)
		}
		if r := p.do("GET", "/limited/x"); (r.Status == 429) != (e.Fault == "rate_limited") {
			t.Errorf("request %d = %d, and was explained as %q", i+1, r.Status, e.Outcome)
		}
	}
	e := ask("/limited/x", "")
	if e.Sent != "/x" || e.Onward == nil || e.Onward.Target != o.Addr() || len(e.Onward.Targets) != 1 || e.Onward.Upstream != "u" {
		t.Errorf("onward is %+v with path %q, want %s and /x", e.Onward, e.Sent, o.Addr())
	}
	for _, c := range []struct{ path, client, policy, want string }{
		{"/kept", "127.0.0.1", "access list", "refuse access_denied"},
		{"/kept", "192.0.2.9", "access list", "pass"},
		{"/named", "", "basic-auth", "refuse unauthorized"},
	} {
		if e := ask(c.path, c.client); verdictOf(&e, c.policy) != c.want {
			t.Errorf("of %s from %q %s says %q, want %q", c.path, c.client, c.policy, verdictOf(&e, c.policy), c.want)
		}
	}
	p.ban("198.51.100.0/24")
	if e := ask("/named", "198.51.100.7"); verdictOf(&e, "ban") != "refuse client_banned" || e.Fault != "client_banned" {
		t.Errorf("of a banned client it says %+v", e)
	}
	if strings.Contains(p.hits(), "=1") {
		t.Errorf("explaining counts as a hit of the ban: %s", p.hits())
	}
}

// counters returns the counters of the proxy but those of its own process.
func (p *proxy) counters() string {
	var lines []string
	for line := range strings.SplitSeq(p.Metrics(), "\n") {
		if strings.HasPrefix(line, "sentinel_") && !strings.Contains(line, " 0") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// The command says it in words, to a running proxy and by a file alone.
func TestExplainCommand(t *testing.T) {
	p := start(t, "", `routes {
	route "shop" { matches { host "shop.example"; path-prefix "/cart"; method "GET" }; upstream "u" }
	route "rest" { respond 404 "no" }
}
upstreams { upstream "u" { target "127.0.0.1:9" } }
`)
	want(t, "explain", p.sentinel("explain", "http://shop.example/cart/1", "--client", "192.0.2.7"),
		"sent to upstream u", "shop: host shop.example, path /cart/..., method GET", "its host is more specific", "192.0.2.7", "-> ", "up to 3 tries")
	want(t, "explain POST", p.sentinel("explain", "POST", "http://shop.example/cart"), "responds 404", "method isn't GET")
	want(t, "explain --json", p.sentinel("explain", "--json", "http://shop.example/a%2fx"), `"fault": "path_refused"`)
	file := filepath.Join(t.TempDir(), "c.kdl")
	if err := os.WriteFile(file, []byte("listeners { listener \"l\" { address \"127.0.0.1:1\" } }\nroutes { route \"all\" { respond 200 \"x\" } }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, "explain --offline", p.sentinel("explain", "--offline", "--config", file, "http://h/"), "by the configuration alone", "all: it takes everything")
}

// Challenges and preflights come out as explained, in every mode.
func TestExplainChallenges(t *testing.T) {
	o := named(t, "page")
	p := start(t, "", fmt.Sprintf(`security { challenge-mode "enabled"; challenge-threshold 3 }
routes {
	route "free" { matches { path-prefix "/free" }; security { challenge-mode "disabled" }; upstream "u" }
	route "shadow" { matches { path-prefix "/shadow" }; security { challenge-mode "shadow"; challenge-threshold 1 }; upstream "u" }
	route "always" { matches { path-prefix "/always" }; security { challenge-mode "always" }; upstream "u" }
	route "read" { matches { path-prefix "/read"; method "PUT" }; policies { cors { allow-origin "https://app.example"; allow-method "PUT" } }; upstream "u" }
	route "rest" { upstream "u" }
}
upstreams { %s }
`, upstream("u", o, "")))
	for i := range 6 {
		for _, target := range []string{"/", "/free", "/always", "/shadow"} {
			e := p.explain(admin.ExplainRequest{Method: "GET", URL: "http://" + p.addr + target, Fields: []string{"Accept: text/html", "Sec-Fetch-Mode: navigate"}})
			r := p.browse(target)
			if challenged := r.Text() != "page"; challenged != (e.Fault == "challenge_failed") {
				t.Errorf("request %d of %s: challenged: %v, and explained as %q with %+v", i+1, target, challenged, e.Outcome, e.Policies)
			}
		}
	}
	for _, origin := range []string{"https://app.example", "https://other.example"} {
		e := p.explain(admin.ExplainRequest{Method: "OPTIONS", URL: "http://" + p.addr + "/read", Fields: []string{"Origin: " + origin, "Access-Control-Request-Method: PUT"}})
		if r := p.preflight("/read", origin, "PUT"); e.Route != "read" || (r.Status == 204) != strings.HasSuffix(e.Outcome, ": a preflight") || e.Onward != nil {
			t.Errorf("the preflight from %s = %d, and was explained as route %q, %q", origin, r.Status, e.Route, e.Outcome)
		}
	}
}
