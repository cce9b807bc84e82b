package behaviour

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sentinel/internal/dataplane/challenge"
	"sentinel/internal/testkit/origin"
	testproxy "sentinel/internal/testkit/proxy"
	"sentinel/internal/testkit/rawclient"
)

// browser are the fields by which a request is one of a browser for a page.
var browser = []string{"Host: shop.example", "Accept: text/html,*/*;q=0.8", "Sec-Fetch-Mode: navigate"}

// browse asks for a page as a browser does.
func (p *proxy) browse(target string, more ...string) rawclient.Response {
	p.t.Helper()
	return p.do("GET", target, append(append([]string{}, browser...), more...)...)
}

func field(r rawclient.Response, name string) string { return r.Fields.Get(name) }

// between returns what stands between two marks of a page.
func between(t *testing.T, page, before, after string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, before)
	value, _, ok2 := strings.Cut(rest, after)
	if !ok || !ok2 {
		t.Fatalf("no %q .. %q in %q", before, after, page)
	}
	return value
}

// form is what a browser sends for a page, once it has found the answer.
func form(t *testing.T, page rawclient.Response, to string) string {
	t.Helper()
	seed := between(t, page.Text(), `name="seed" value="`, `"`)
	n, ok := challenge.Solve([]byte(seed))
	if !ok {
		t.Fatalf("%q is no seed", seed)
	}
	return "seed=" + seed + "&answer=" + strconv.FormatUint(n, 10) + "&to=" + url.QueryEscape(to)
}

// post brings a form to the reserved path.
func (p *proxy) post(form string, more ...string) rawclient.Response {
	p.t.Helper()
	head := "POST " + challenge.ReservedPath + " HTTP/1.1\r\n" + strings.Join(append(append([]string{}, browser...), more...), "\r\n")
	return p.raw("POST", fmt.Sprintf("%s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", head, len(form), form))
}

// token solves a page and returns the field that hands the token in.
func (p *proxy) token(page rawclient.Response, to string) string {
	p.t.Helper()
	r := p.post(form(p.t, page, to))
	pair, _, _ := strings.Cut(field(r, "Set-Cookie"), ";")
	if r.Status != 303 || pair == "" {
		p.t.Fatalf("an answer gets %d, cookie %q: %s", r.Status, pair, r.Raw)
	}
	return "Cookie: " + pair
}

// expectMetrics checks that lines come to stand in the metrics: a request is counted once its
// answer is out.
func (p *proxy) expectMetrics(lines ...string) {
	p.t.Helper()
	for _, want := range lines {
		eventually(p.t, "the metrics say "+want, func() bool { return strings.Contains(p.Metrics(), want+"\n") })
	}
}

// quick are challenges that a test has soon solved.
const quick = "difficulty 8; max-difficulty 8; "

func TestChallenge(t *testing.T) {
	o := named(t, "the page")
	p := start(t, "", `security { challenge-mode "enabled"; challenge-threshold 3 }`+"\n"+forward(o, "", ""))
	for range 3 {
		if r := p.browse("/"); r.Text() != "the page" {
			t.Fatalf("a request below the threshold gets %s", r.Raw)
		}
	}
	page := p.browse("/cart?id=1&x=%20")
	policy := field(page, "Content-Security-Policy")
	nonce := between(t, policy, "script-src 'nonce-", "'")
	if page.Status != 503 || field(page, "Retry-After") != "5" || field(page, "Cache-Control") != "no-store" || field(page, "Content-Type") != "text/html; charset=utf-8" ||
		!strings.Contains(page.Text(), `nonce="`+nonce+`"`) || field(page, "X-Request-Id") == "" {
		t.Errorf("the page is %s", page.Raw)
	}
	r := p.post(form(t, page, "/cart?id=1&x=%20"))
	check := field(r, "Location")
	pair, attributes, _ := strings.Cut(field(r, "Set-Cookie"), ";")
	if r.Status != 303 || !strings.HasPrefix(check, challenge.ReservedPath+"?check=") || attributes != " Path=/; Max-Age=86400; HttpOnly; SameSite=Lax" {
		t.Fatalf("an answer gets %s", r.Raw)
	}
	if r := p.browse(check, "Cookie: "+pair); r.Status != 303 || field(r, "Location") != "/cart?id=1&x=%20" {
		t.Errorf("the check gets %s", r.Raw)
	}
	if r := p.browse("/cart?id=1&x=%20", "Cookie: a=b; "+pair); r.Status != 200 || r.Text() != "the page" {
		t.Errorf("with a token the page is %s", r.Raw)
	}
	if r := p.browse(check); r.Status != 403 || !strings.Contains(r.Text(), "Cookies are off") {
		t.Errorf("the check without the cookie gets %s", r.Raw)
	}
	forged := []byte(pair)
	forged[len(forged)-3] ^= 1
	if r := p.browse("/", "Cookie: "+string(forged)); r.Status != 503 {
		t.Errorf("with a forged token the page is %d", r.Status)
	}
	if r := p.post("seed=x&answer=1"); r.Status != 403 {
		t.Errorf("a wrong answer gets %d", r.Status)
	}
	if n := o.Requests(); n != 4 {
		t.Errorf("the upstream got %d requests, want 4", n)
	}
	p.expectMetrics(`sentinel_challenges_total{outcome="issued"} 2`, `sentinel_challenges_total{outcome="solved"} 1`, `sentinel_challenges_total{outcome="passed"} 1`,
		`sentinel_challenges_total{outcome="looped"} 1`, `sentinel_challenges_total{outcome="failed"} 1`,
		`sentinel_faults_total{fault="challenge_failed",route="r",side="client"} 2`, `sentinel_faults_total{fault="challenge_failed",route="-",side="client"} 2`)
	if log := p.Logs(); !strings.Contains(log, "challenge_failed") {
		t.Errorf("the log names no challenge:\n%s", log)
	}
}

// What no browser asks for is refused, and some requests go on whatever their rate.
func TestChallengeOthers(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", `system { $FILES; trusted-proxies "127.0.0.1" }
security { challenge-mode "always"; allow "192.0.2.0/24" "2001:db8::/32" }
`+forward(o, `allow-upgrade "websocket"`, ""))
	for _, c := range []struct {
		name, method, target string
		fields               []string
		want                 int
		counted              string
	}{
		{"a tool", "GET", "/", nil, 429, `total{outcome="refused"} 1`},
		{"a form", "POST", "/", []string{"Sec-Fetch-Mode: navigate", "Content-Length: 0"}, 429, `total{outcome="refused"} 2`},
		{"a script's request", "GET", "/", []string{"Sec-Fetch-Mode: cors", "Accept: text/html"}, 429, `total{outcome="refused"} 3`},
		{"an old browser", "GET", "/", []string{"Accept: text/html"}, 503, `total{outcome="issued"} 1`},
		{"a preflight", "OPTIONS", "/", nil, 200, `bypassed_total{reason="method"} 1`},
		{"ACME", "GET", "/.well-known/acme-challenge/x", nil, 200, `bypassed_total{reason="acme"} 1`},
		{"robots", "GET", "/robots.txt", nil, 200, `bypassed_total{reason="robots"} 1`},
		{"gRPC", "POST", "/", []string{"Content-Type: application/grpc+proto", "Content-Length: 0"}, 200, `bypassed_total{reason="grpc"} 1`},
		{"an upgrade", "GET", "/", []string{"Connection: upgrade", "Upgrade: websocket"}, 200, `bypassed_total{reason="upgrade"} 1`},
		{"an upgrade that isn't allowed", "GET", "/", []string{"Connection: upgrade", "Upgrade: other"}, 429, `total{outcome="refused"} 4`},
		{"an API client", "GET", "/", []string{"Authorization: Bearer x"}, 200, `bypassed_total{reason="api"} 1`},
		{"an allowed client", "GET", "/", []string{"X-Forwarded-For: 192.0.2.7"}, 200, `bypassed_total{reason="allowed"} 1`},
		{"another allowed client", "GET", "/", []string{"X-Forwarded-For: 2001:db8::1"}, 200, `bypassed_total{reason="allowed"} 2`},
		{"health", "GET", "/health", nil, 200, `bypassed_total{reason="health"} 0`},
	} {
		r := p.do(c.method, c.target, c.fields...)
		if r.Status != c.want {
			t.Errorf("%s gets %d, want %d", c.name, r.Status, c.want)
		}
		if c.want == 429 && (field(r, "Retry-After") != "60" || field(r, "Content-Type") != "application/problem+json" || !strings.Contains(r.Text(), `"status":429`)) {
			t.Errorf("%s gets %s", c.name, r.Raw)
		}
		p.expectMetrics("sentinel_challenges_" + c.counted)
	}
}

// The reserved path is the proxy's own in every mode, and takes little.
func TestChallengeReservedPath(t *testing.T) {
	o := named(t, "origin")
	p := start(t, "", "security { }\n"+forward(o, "", ""))
	const path = challenge.ReservedPath
	for _, c := range []struct {
		raw, method string
		want        int
	}{
		{"GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n", "GET", 400},
		{"GET /.sentinel//%63hallenge HTTP/1.1\r\nHost: h\r\n\r\n", "GET", 400},
		{"HEAD " + path + " HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD", 405},
		{"POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 16385\r\n\r\n", "POST", 413},
		{"POST " + path + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4001\r\n" + strings.Repeat("a", 16385) + "\r\n0\r\n\r\n", "POST", 413},
		{"POST " + path + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\n" + strings.Repeat("a", 16384) + "\r\n0\r\n\r\n", "POST", 400},
		{"POST " + path + " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", "POST", 400},
		{"GET " + path + "x HTTP/1.1\r\nHost: h\r\n\r\n", "GET", 200},
	} {
		if r := p.raw(c.method, c.raw); r.Status != c.want {
			t.Errorf("%.90q gets %d, want %d", c.raw, r.Status, c.want)
		}
	}
	c := p.dial()
	if err := c.Send("POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na"); err != nil {
		t.Fatal(err)
	}
	if err := c.Send("=b"); err != nil {
		t.Fatal(err)
	}
	if r, err := c.ReadFinalResponse("POST"); err != nil || r.Status != 400 {
		t.Errorf("a form in two pieces gets %d, %v", r.Status, err)
	}
	if n := o.Requests(); n != 1 {
		t.Errorf("the upstream got %d requests, want 1", n)
	}
}

// The nearest block wins, key by key, and each place counts by itself.
func TestChallengePlaces(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	text := `security { challenge-mode "enabled"; challenge-threshold 2; status 403; ` + quick + `}
listeners {
    listener "l" { address "127.0.0.1:0" }
    listener "open" { address "127.0.0.1:0"; security { challenge-mode "disabled" } }
    listener "shut" { address "127.0.0.1:0"; security { challenge-mode "always"; wait-secs 9 } }
}
routes {
    route "r" { upstream "u" }
    route "own" { matches { path "/own" }; upstream "u"; security { challenge-threshold 4; wait-secs 7 } }
    route "never" { matches { path "/never" }; upstream "u"; security { challenge-mode "disabled" } }
}
upstreams { ` + upstream("u", o, "") + `}
`
	p := startText(t, text)
	for _, c := range []struct {
		listener, target string
		passing          int    // requests that pass before the page comes; -1: all
		wait             string // of the page
	}{
		{"l", "/", 2, "5"},
		{"l", "/own", 4, "7"},
		{"l", "/never", -1, ""},
		{"open", "/", -1, ""},
		{"open", "/own", -1, ""},
		{"shut", "/", 0, "9"},
		{"shut", "/own", 0, "7"},
		{"shut", "/never", -1, ""},
	} {
		p.addr = p.Addr(c.listener)
		passed, last := 0, rawclient.Response{}
		for range 6 {
			if last = p.browse(c.target); last.Status != 200 {
				break
			}
			passed++
		}
		if c.passing < 0 && passed != 6 || c.passing >= 0 && (passed != c.passing || last.Status != 403 || field(last, "Retry-After") != c.wait) {
			t.Errorf("%s on listener %s: %d pass, then %d with Retry-After %q, want %d, 403, %q", c.target, c.listener, passed, last.Status, field(last, "Retry-After"), c.passing, c.wait)
		}
	}
}

// startText is start for a text that has its listeners.
func startText(t *testing.T, text string) *proxy {
	t.Helper()
	p := testproxy.Start(t, text)
	return &proxy{p, t, p.Addr("l")}
}

// The more a client sends, the more work it is given, up to a bound.
func TestChallengeDifficulty(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", `security { challenge-mode "enabled"; challenge-threshold 1; difficulty 9; max-difficulty 11; wait-secs 2 }
`+forward(o, "", ""))
	var waits []string
	for range 9 {
		waits = append(waits, field(p.browse("/"), "Retry-After"))
	}
	// The rates are 1 (no page), 2, 3 and so on: one bit, and three seconds, for each doubling.
	if got := strings.Join(waits, ","); got != ",5,5,8,8,8,8,8,8" {
		t.Errorf("waits are %s", got)
	}
}

// A token lives through reloads and restarts as long as its key does, and a broken key refuses
// the configuration.
func TestChallengeKeys(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	text := func(keys string) string {
		return `listeners { listener "l" { address "127.0.0.1:0" } }
security { challenge-mode "always"; ` + quick + keys + ` }
` + forward(o, "", "")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "keys")
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one, two := challenge.GenerateKeys(), challenge.GenerateKeys()
	write(one)
	named := `key-file "` + file + `"; `
	p := startText(t, text(named))
	token := p.token(p.browse("/"), "/")
	expect := func(when string, p *proxy, want int) {
		t.Helper()
		if r := p.browse("/", token); r.Status != want {
			t.Errorf("%s a token gets %d, want %d", when, r.Status, want)
		}
	}
	expect("at first", p, 200)
	if out := p.Reload(text(named + "challenge-threshold 7; ")); !out.OK {
		t.Fatalf("reload = %+v", out)
	}
	expect("after a reload", p, 200)
	expect("after a restart", startText(t, text(named)), 200)
	write(append(two, one...))
	p.Reload(text(named))
	expect("with another key before its own", p, 200)
	write([]byte("# none\n"))
	if out := p.Reload(text(named)); out.OK || !strings.Contains(fmt.Sprint(out), "the keys of challenges in "+file+" are wrong: no key") || !strings.Contains(fmt.Sprint(out), "config.kdl:2:") {
		t.Errorf("reload with a broken key file = %+v", out)
	}
	expect("after a reload that was refused", p, 200)
	write(two)
	p.Reload(text(named))
	expect("with another key", p, 503)
	os.Remove(file)
	if out := p.Reload(text(named)); out.OK || !strings.Contains(fmt.Sprint(out), "the keys of challenges can't be read") {
		t.Errorf("reload without the key file = %+v", out)
	}
}

// Without a key file a key is made and kept in the state folder.
func TestChallengeOwnKey(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	state := filepath.Join(t.TempDir(), "state")
	text := `system { pid-file "$DIR/pid"; admin-socket "$DIR/admin.sock"; state-dir "` + state + `" }
listeners { listener "l" { address "127.0.0.1:0" } }
security { challenge-mode "always"; ` + quick + ` }
` + forward(o, "", "")
	p := startText(t, text)
	token := p.token(p.browse("/"), "/")
	info, err := os.Stat(filepath.Join(state, "challenge.key"))
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("the key file is %v, %v", info, err)
	}
	if r := startText(t, text).browse("/", token); r.Status != 200 {
		t.Errorf("after a restart a token gets %d", r.Status)
	}
	// What shows only when it is about to serve refuses the reload, too.
	dangling := state + "-dangling"
	if err := os.Symlink(state+"-none", dangling); err != nil {
		t.Fatal(err)
	}
	if out := p.Reload(strings.Replace(text, state, dangling, 1)); out.OK || !strings.Contains(fmt.Sprint(out), "can't be kept in state-dir") {
		t.Errorf("reload with a state folder that can't be made = %+v", out)
	}
	if r := p.browse("/", token); r.Status != 200 {
		t.Errorf("after a reload that was refused a token gets %d", r.Status)
	}
	// Without any block those at work are led on, and nobody is asked any more.
	page := p.browse("/")
	if out := p.Reload(strings.Replace(text, "security {", "/-security {", 1)); !out.OK {
		t.Fatalf("reload = %+v", out)
	}
	if r := p.browse("/"); r.Status != 200 {
		t.Errorf("without the block a page is %d", r.Status)
	}
	if r := p.post(form(t, page, "/")); r.Status != 303 {
		t.Errorf("an answer after the end of challenges gets %d", r.Status)
	}
	if err := os.WriteFile(filepath.Join(state, "challenge.key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := p.Reload(text); out.OK || !strings.Contains(fmt.Sprint(out), "config.kdl:3:1: error: the keys of challenges in ") {
		t.Errorf("reload with an empty key = %+v", out)
	}
}

// What is bound to the client holds for its prefix; who is one client is counted together.
func TestChallengePrefixes(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", `system { $FILES; trusted-proxies "127.0.0.1" }
security { challenge-mode "always"; ipv4-prefix-bits 16; ipv6-prefix-bits 48; token-lifetime-secs 3600; `+quick+`}
`+forward(o, "", ""))
	from := func(client string) string { return "X-Forwarded-For: " + client }
	for _, c := range []struct {
		first, second string
		want          int
	}{
		{"198.51.100.1", "198.51.7.9", 200},
		{"198.51.100.1", "198.52.100.1", 503},
		{"2001:db8:1:2::1", "2001:db8:1:ffff::1", 200},
		{"2001:db8:1:2::1", "2001:db8:2:2::1", 503},
	} {
		r := p.post(form(t, p.browse("/", from(c.first)), "/"), from(c.first))
		pair, rest, _ := strings.Cut(field(r, "Set-Cookie"), ";")
		if !strings.Contains(rest, "Max-Age=3600;") {
			t.Errorf("the cookie's attributes are %q", rest)
		}
		if got := p.browse("/", from(c.second), "Cookie: "+pair).Status; got != c.want {
			t.Errorf("a token of %s gets %d from %s, want %d", c.first, got, c.second, c.want)
		}
	}
	o2 := origin.Start(t, origin.OK(2))
	q := start(t, "", `system { $FILES; trusted-proxies "127.0.0.1" }
security { challenge-mode "enabled"; challenge-threshold 1; ipv6-prefix-bits 48 }
`+forward(o2, "", ""))
	for _, c := range []struct {
		client string
		want   int
	}{{"198.51.100.1", 200}, {"198.51.100.2", 200}, {"198.51.100.1", 503}, {"2001:db8:1:2::1", 200}, {"2001:db8:1:3::1", 503}, {"2001:db8:2::1", 200}} {
		if got := q.browse("/", from(c.client)).Status; got != c.want {
			t.Errorf("a request of %s gets %d, want %d", c.client, got, c.want)
		}
	}
}

// A request that is challenged counts for rate limits, and the limit has the last word.
func TestChallengeCountsForRateLimits(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", `security { challenge-mode "always"; `+quick+`}
`+forward(o, "rate-limit { "+slow+"burst 3 }", ""))
	token := p.token(p.browse("/"), "/") // 1
	p.browse("/")                        // 2
	if first, second := p.browse("/", token).Status, p.browse("/", token).Status; first != 200 || second != 429 {
		t.Errorf("after two challenges requests get %d and %d, want 200 and 429", first, second)
	}
	if r := p.browse("/"); r.Status != 503 {
		t.Errorf("a challenged request beyond the limit gets %d, want the page", r.Status)
	}
}

// Bans and the bound of requests in progress hold on the reserved path, too.
func TestChallengeReservedPathIsBounded(t *testing.T) {
	release := make(chan struct{})
	o := origin.Start(t, func(c *origin.Conn) {
		c.ReadRequest()
		<-release
		c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	p := start(t, "limits { max-concurrent-requests 1 }", `system { $FILES; trusted-proxies "127.0.0.1" }
security { }
`+forward(o, "", ""))
	p.ban("192.0.2.0/24")
	if r := p.do("GET", challenge.ReservedPath, "X-Forwarded-For: 192.0.2.7"); r.Status != 403 || !strings.Contains(r.Text(), "C30") {
		t.Errorf("a banned client gets %s", r.Raw)
	}
	c := p.dial()
	c.Send(ask)
	eventually(t, "a request is under way", func() bool { return strings.Contains(string(o.Received()), "GET /") })
	if r := p.do("GET", challenge.ReservedPath); r.Status != 503 {
		t.Errorf("beyond max-concurrent-requests the answer is %d", r.Status)
	}
	close(release)
	if r, err := c.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
		t.Errorf("the request in progress gets %d, %v", r.Status, err)
	}
}

// In shadow mode those over the threshold are counted and go on.
func TestChallengeShadow(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", forward(o, `security { challenge-mode "shadow"; challenge-threshold 3 }`, ""))
	p.expectStatuses(map[int]int{200: 8}, 8, "/")
	p.expectMetrics(`sentinel_challenges_total{outcome="shadowed"} 5`, `sentinel_challenges_total{outcome="refused"} 0`)
}
