package behaviour

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sentinel/internal/config/kdl"
	"sentinel/internal/config/schema"
	"sentinel/internal/control/lifecycle"
	"sentinel/internal/testkit/mmdb"
	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/pki"
	testproxy "sentinel/internal/testkit/proxy"
	"sentinel/internal/testkit/rawclient"
)

const repository = "../.."

// promise is one thing that the comments of an example say will happen.
type promise struct {
	listener string // "http" when empty
	begin    string // what the connection begins with
	request  string // method and target, then fields, each line without its end
	content  string
	status   int
	// has and lacks are parts of the response, lines ending in CRLF. An origin answers
	// with its port and the request head it got, so they tell of that, too.
	has, lacks []string
}

var examples = map[string][]promise{
	"demo.kdl":    {{request: "GET /x", status: 200, has: []string{"origin 9000\nGET /x "}}},
	"minimal.kdl": {{request: "GET /any?q", status: 200, has: []string{"origin 9000\nGET /any?q "}}},
	"full.kdl": {
		{request: "GET /hello", status: 200, has: []string{"\r\n\r\nhello, world\n"}},
		{request: "GET /files/a", status: 200, has: []string{"origin 9002\nGET /a "}, lacks: []string{"Server: "}},
		{request: "GET /f/7", status: 200, has: []string{"origin 9002\nGET /files/7 "}},
		{request: "GET /old/a", status: 301, has: []string{"\r\nLocation: https://www.example.com/old/a\r\n"}},
		{request: "GET /rest\nX-Internal-User: root", status: 200, has: []string{"\nGET /rest "}, lacks: []string{"root"}},
		{
			request: "GET /v1/a?key=1\nHost: eu.api.example.com\nX-Tenant: acme\nX-Token: t\nCookie: c", status: 200,
			has:   []string{"\nGET /v2/a?key=1 ", "X-Api-Token: t\r\n", "X-Client: 127.0.0.1\r\n", "X-Route: api\r\n", "X-Served-By: app\r\n", "Cache-Control: no-store\r\n"},
			lacks: []string{"Cookie", "X-Token", "Server: "},
		},
		{request: "GET /v1/a?key=1\nHost: api.example.com\nX-Tenant: 7", status: 200, has: []string{"\nGET /v1/a?key=1 "}},
		{request: "POST /v2?key=1\nHost: api.example.com\nX-Tenant: acme\nContent-Length: 1000001", status: 413},
	},
	"emergency.kdl": {
		{request: "GET /api/x", status: 200, has: []string{"origin 9001\n"}},
		{request: "GET /reports/x", status: 503, has: []string{"\r\nRetry-After: 600\r\n", "code S61"}},
		{request: "GET /x", status: 200, has: []string{"origin 9000\n"}},
	},
	"fleet.kdl": {
		{request: "GET /x", status: 200, has: []string{"origin 9000\n"}},
		{request: "GET /login", status: 200},
		{request: "GET /login", status: 200},
		{request: "GET /login", status: 429, has: []string{"\r\nRetry-After: "}},
	},
	"resilience.kdl": {{request: "GET /x", status: 200, has: []string{"origin 900", "\nGET /x "}}},
	"edge.kdl": {
		{request: "GET /login", status: 200},
		{request: "GET /login", status: 200},
		{request: "GET /login", status: 429, has: []string{"\r\nRetry-After: ", "\r\nRateLimit: \"per-client\";"}},
		{request: "GET /trial/a", status: 200},
		{request: "GET /trial/a", status: 200},
		{request: "GET /" + strings.Repeat("a", 2048), status: 414},
	},
	"virtual-hosts.kdl": {
		{request: "GET /\nHost: WWW.Example.com:8080", status: 200, has: []string{"origin 9000\n"}},
		{request: "GET /v1/users\nHost: api.example.com", status: 200, has: []string{"origin 9001\n"}},
		{request: "GET /v2/users\nHost: api.example.com", status: 200, has: []string{"origin 9002\n"}},
		{request: "GET /\nHost: a.b.shops.example.com", status: 200, has: []string{"origin 9003\n"}},
		{request: "GET /\nHost: shops.example.com", status: 404, has: []string{"There is no site"}},
	},
	"headers-and-rewrites.kdl": {
		{
			request: "GET /api/users?page=2\nX-Api-Token: t\nX-Internal-User: root\nX-Client: forged\nX-Passed: before", status: 200,
			has: []string{
				"\nGET /users?page=2 ", "X-Token: t\r\n", "X-Client: 127.0.0.1\r\n", "X-Asked-For: GET http://example.com/users\r\n",
				"X-Passed: before\r\n", "X-Passed: http/api\r\n", "X-Frame-Options: SAMEORIGIN\r\n", "X-Content-Type-Options: nosniff\r\n", "X-Request-Id: ",
			},
			lacks: []string{"X-Api-Token", "X-Internal-User", "forged", "Server: ", "DENY"},
		},
		{request: "GET /api", status: 200, has: []string{"\nGET / "}},
		{request: "GET /v1/users", status: 200, has: []string{"\nGET /v2/users ", "X-Frame-Options: DENY\r\n"}},
		{request: "GET /u/42", status: 200, has: []string{"\nGET /users/42/profile "}},
	},
	"redirects-and-responses.kdl": {
		{request: "GET /a?b=c\nHost: example.com", status: 301, has: []string{"Location: https://www.example.com/a?b=c\r\n"}},
		{request: "GET /blog/first\nHost: www.example.com", status: 308, has: []string{"Location: https://blog.example.com/blog/first\r\n"}},
		{request: "GET /docs\nHost: h", status: 302, has: []string{"Location: /documentation/\r\n"}},
		{request: "GET /robots.txt\nHost: h", status: 200, has: []string{"\r\n\r\nUser-agent: *\nDisallow: /shop\n"}},
		{request: "GET /shop/cart\nHost: h", status: 503, has: []string{"Retry-After: 600\r\n", "Content-Type: text/html; charset=utf-8\r\n", "opens again"}},
		{request: "GET /wp/login.php\nHost: h", status: 410, has: []string{"Content-Length: 0\r\n"}},
		{request: "GET /else\nHost: h", status: 404, has: []string{"Nothing here.\n"}},
	},
	"weighted-split.kdl": {
		{request: "GET /\nX-Version: next", status: 200, has: []string{"origin 9001\n"}},
		{request: "GET /\nCookie: session=alice", status: 200, has: []string{"origin 900"}},
	},
	"limits-and-timeouts.kdl": {
		{request: "POST /\nContent-Length: 1000001", status: 413},
		{request: "POST /upload\nContent-Length: 1000001", content: strings.Repeat("x", 1000001), status: 200, has: []string{"\nPOST /upload "}},
		{request: "GET /" + strings.Repeat("\nA: b", 60), status: 431},
		{request: "GET /\nA: " + strings.Repeat("x", 16<<10), status: 431},
		{request: "GET /search?stall", status: 504},
	},
	"several-listeners.kdl": {
		{listener: "public", request: "GET /", status: 200, has: []string{"X-Listener: public\r\n"}},
		{listener: "public", request: "POST /\nContent-Length: 1000001", status: 413},
		{listener: "public", request: "GET /files/a%2Fb", status: 400},
		{listener: "internal", request: "POST /\nContent-Length: 1000001", content: strings.Repeat("x", 1000001), status: 200, has: []string{"X-Listener: internal\r\n"}},
		{listener: "legacy", request: "GET /files//a%2Fb", status: 200, has: []string{"\nGET /files//a%2Fb "}},
	},
	"behind-load-balancer.kdl": {
		{request: "GET /direct", status: 200, has: []string{"\nGET /direct ", "X-Forwarded-For: 127.0.0.1\r\n"}},
		{begin: "PROXY TCP4 192.0.2.7 198.51.100.1 1 80\r\n", request: "GET /", status: 200, has: []string{"X-Forwarded-For: 192.0.2.7\r\n"}},
	},
	// The servers of this test don't speak HTTP/2, and nothing is sent to them in its place.
	"grpc.kdl": {{request: "POST /helloworld.Greeter/SayHello\nContent-Length: 0", status: 502, lacks: []string{"origin 900"}}},
	// The servers of this test don't speak TLS, and nothing is sent to them without.
	"acme.kdl":         {{request: "GET /hello", status: 200, has: []string{"hello"}}},
	"upstream-tls.kdl": {{request: "GET /", status: 502, has: []string{"code U05"}}},
	"tls.kdl": {
		{request: "GET /", status: 200, has: []string{"origin 9000\n", "X-Forwarded-Proto: http\r\n"}},
		{request: "GET /\nHost: partners.example.com\nX-Client-Verified: yes\nX_Client-Subject: root", status: 200, has: []string{"origin 9001\n"}, lacks: []string{"yes", "root"}},
		{listener: "https", request: "GET /", status: 400, has: []string{"tls port"}},
	},
	"geoip.kdl": {
		{request: "GET /", status: 200, has: []string{"origin 9000\n"}},
		{request: "GET /admin/", status: 403},
		{request: "GET /office/", status: 200},
	},
	"tcp.kdl": {
		{request: "GET /x", status: 200, has: []string{"origin 9000\n"}},
		{listener: "tls", request: "GET /raw", status: 200, has: []string{"origin 9000\nGET /raw "}, lacks: []string{"X-Forwarded-For"}},
	},
	"admin.kdl":      {{request: "GET /", status: 200, has: []string{"hello\n"}}},
	"access-log.kdl": {{request: "GET /logged", status: 200, has: []string{"hello\n"}}},
	"access-control.kdl": {
		{request: "GET /staging/x", status: 401, has: []string{`WWW-Authenticate: Basic realm="staging"`, "X-Frame-Options: SAMEORIGIN\r\n"}},
		{request: "GET /staging/x\nX-User: root\nAuthorization: Basic YW5uOnNlc2FtZQ==", status: 200, has: []string{"X-User: ann\r\n"}, lacks: []string{"root", "Authorization"}},
		{request: "OPTIONS /api/x\nOrigin: https://app.example.com\nAccess-Control-Request-Method: PUT", status: 204, has: []string{"Access-Control-Allow-Origin: https://app.example.com\r\n"}},
		{request: "GET /api/x\nOrigin: https://evil.example", status: 200, has: []string{"Content-Security-Policy: default-src 'none'"}, lacks: []string{"Access-Control-Allow-Origin"}},
		{request: "GET /orders/1\nX-User: root", status: 401, has: []string{"WWW-Authenticate: Bearer realm=\"restricted\"\r\n"}},
		{request: "GET /orders/1\nX-User: root\nAuthorization: Bearer " + exampleToken, status: 200, has: []string{"X-User: ann\r\n"}, lacks: []string{"root", "Authorization"}},
		{request: "GET /orders/1\nAuthorization: Bearer " + exampleToken + "A", status: 401, has: []string{"invalid_token"}},
		{request: "GET /pages/1\nX-User: root", status: 200, has: []string{"origin 9000\nGET /pages/1 "}, lacks: []string{"root"}},
		{request: "GET /trial/1", status: 200, has: []string{"origin 9000\n"}},
		{request: "GET /x", status: 200, has: []string{"X-Content-Type-Options: nosniff\r\n"}},
	},
}

// exampleToken is ann's, with the scope "orders" and until 2100, by the key in access-control.jwks.
const exampleToken = "eyJhbGciOiJFZERTQSIsImtpZCI6ImV4YW1wbGUiLCJ0eXAiOiJKV1QifQ.eyJhdWQiOiJzaG9wIiwiZXhwIjo0MTAyNDQ0ODAwLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwic2NvcGUiOiJvcmRlcnMiLCJzdWIiOiJhbm4ifQ." +
	"e1wcoOYSk3sNj-LBQP3JoHmk093Na98FGOro-3svkOqBlnulLHaAHpU5S18IGjo6gU2cpZrcE9UStdOBGYJQBg"

// furtherPromises are those that aren't about one response.
var furtherPromises = map[string]func(running){
	"tls.kdl": func(p running) {
		for name, works := range map[string]bool{"localhost": true, "partners.example.com": false} {
			nc, err := tls.Dial("tcp", p.Addr("https"), &tls.Config{ServerName: name, InsecureSkipVerify: true})
			if err != nil {
				p.t.Fatal(err)
			}
			c := rawclient.New(nc)
			c.Send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
			r, err := c.ReadFinalResponse("GET")
			if ok := err == nil && r.Status == 200 && strings.Contains(r.Text(), "X-Forwarded-Proto: https\r\n"); ok != works {
				p.t.Errorf("over TLS for %s = %d %q, %v, want success %v", name, r.Status, r.Text(), err, works)
			}
			c.Close()
		}
	},
	"access-log.kdl": func(p running) {
		if log := p.File("access.log"); !strings.HasPrefix(log, "{") || !strings.Contains(log, `"path":"/logged"`) {
			p.t.Errorf("access log = %q, want the request as JSON", log)
		}
		if log := p.File("events.log"); !strings.Contains(log, "INFO started") || strings.Contains(log, "/logged") {
			p.t.Errorf("events = %q, want no requests", log)
		}
	},
	"weighted-split.kdl": func(p running) {
		next, addr := 0, p.Addr("http")
		for i := range 200 {
			request := fmt.Sprintf("GET / HTTP/1.1\r\nHost: h\r\nCookie: session=visitor-%d\r\n\r\n", i)
			var versions [2]bool
			for j := range versions {
				r, err := rawclient.Do(addr, "GET", request)
				if err != nil {
					p.t.Fatal(err)
				}
				versions[j] = strings.HasPrefix(r.Text(), "origin 9001\n")
			}
			if versions[0] != versions[1] {
				p.t.Errorf("visitor %d gets both versions", i)
			}
			if versions[0] {
				next++
			}
		}
		if next == 0 || next > 40 {
			p.t.Errorf("%d of 200 visitors get the next version, want about 10", next)
		}
	},
}

// TestExamples starts each file of examples/ and holds it to what its comments promise.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(repository, "examples", "*.kdl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("examples = %v, %v", files, err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			p := startExample(t, file)
			if len(examples[name]) == 0 {
				t.Error("nothing is known of what it does")
			}
			for i := range examples[name] {
				p.keeps(&examples[name][i])
			}
			if more := furtherPromises[name]; more != nil {
				more(p)
			}
		})
	}
	for name := range examples {
		if _, err := os.Stat(filepath.Join(repository, "examples", name)); err != nil {
			t.Error(err)
		}
	}
}

// running is an example that runs.
type running struct {
	*testproxy.Proxy
	t *testing.T
}

var (
	addressPattern  = regexp.MustCompile(`(?:127\.0\.0\.1|0\.0\.0\.0|\[::1\]):(\d+)`)
	certPattern     = regexp.MustCompile(`"/etc/sentinel/certs/[^"]*\.(crt|key)"`)
	databasePattern = regexp.MustCompile(`"[^"]*\.mmdb"`)
	pathPattern     = regexp.MustCompile(`"[^"]*/(sentinel\.pid|sentinel|state|admin\.sock|events\.log|access\.log|audit\.log)"`)
	besidePattern   = regexp.MustCompile(`"(access-control\.[a-z]+)"`)
)

// startExample starts an example with its files in a folder of the test, its listeners on
// free ports, and an origin at each address with a port of 9000 to 9009.
func startExample(t *testing.T, file string) running {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("REDIS_PASSWORD", "example")
	origins := map[string]string{}
	moved := addressPattern.ReplaceAllStringFunc(string(text), func(address string) string {
		port := addressPattern.FindStringSubmatch(address)[1]
		if !strings.HasPrefix(port, "900") {
			return "127.0.0.1:0"
		}
		if origins[port] == "" {
			origins[port] = origin.Start(t, exampleOrigin(port)).Addr()
		}
		return origins[port]
	})
	moved = databasePattern.ReplaceAllStringFunc(moved, func(path string) string { return exampleDatabase(t, path) })
	moved = certPattern.ReplaceAllStringFunc(moved, examplePair(t))
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		t.Fatal(err)
	}
	moved = besidePattern.ReplaceAllString(moved, `"`+folder+`/$1"`)
	return running{testproxy.Start(t, pathPattern.ReplaceAllString(moved, `"$$DIR/$1"`)), t}
}

// examplePair returns what puts a certificate and its key in the place of the paths that an
// example shows; those of authorities end with "ca".
func examplePair(t *testing.T) func(quoted string) string {
	authority, dir := pki.New(t, "example"), t.TempDir()
	pair := authority.Issue(t, pki.Server("localhost", "*.example.com", "127.0.0.1"))
	cert, key := pair.Write(t, dir, "example")
	ca := authority.Write(t, dir, "example-ca")
	return func(quoted string) string {
		if strings.HasSuffix(quoted, `ca.crt"`) {
			return strconv.Quote(ca)
		}
		if strings.HasSuffix(quoted, `.key"`) {
			return strconv.Quote(key)
		}
		return strconv.Quote(cert)
	}
}

// exampleDatabase writes a database that knows where this machine is: in AQ and AS64500.
func exampleDatabase(t *testing.T, path string) string {
	name := filepath.Join(t.TempDir(), "places.mmdb")
	record := mmdb.Country("AQ")
	if strings.Contains(path, "ASN") {
		record = mmdb.System(64500)
	}
	if err := os.WriteFile(name, mmdb.Database("Example", map[string]map[string]any{"127.0.0.0/8": record}), 0o600); err != nil {
		t.Fatal(err)
	}
	return `"` + name + `"`
}

// exampleOrigin answers with its port and the head of the request, or not at all.
func exampleOrigin(port string) origin.Script {
	return func(c *origin.Conn) {
		for {
			r, err := c.ReadRequest()
			if err != nil {
				return
			}
			if strings.HasSuffix(r.Target, "?stall") {
				c.Stall(nil)
				return
			}
			answer := origin.Response(r, 200, "origin "+port+"\n"+string(r.Head))
			if err := c.WriteString(strings.Replace(answer, "\r\n", "\r\nServer: demo\r\n", 1)); err != nil {
				return
			}
		}
	}
}

// keeps checks one promise.
func (p running) keeps(c *promise) {
	p.t.Helper()
	listener := c.listener
	if listener == "" {
		listener = "http"
	}
	lines := strings.Split(c.request, "\n")
	raw := lines[0] + " HTTP/1.1\r\n" + strings.Join(append(lines[1:], ""), "\r\n")
	if !strings.Contains(raw, "\r\nHost: ") {
		raw += "Host: example.com\r\n"
	}
	method, _, _ := strings.Cut(c.request, " ")
	r, err := rawclient.Do(p.Addr(listener), method, c.begin+raw+"\r\n"+c.content)
	if err != nil || r.Status != c.status {
		p.t.Errorf("%.60q = %d %.200s, %v, want %d", c.request, r.Status, r.Raw, err, c.status)
		return
	}
	for _, part := range c.has {
		if !strings.Contains(string(r.Raw), part) {
			p.t.Errorf("%.60q = %.2000q, want %q in it", c.request, r.Raw, part)
		}
	}
	for _, part := range c.lacks {
		if strings.Contains(string(r.Raw), part) {
			p.t.Errorf("%.60q = %.2000q, want no %q in it", c.request, r.Raw, part)
		}
	}
}

// TestExamplesAreFormatted holds the examples to the formatter's taste.
func TestExamplesAreFormatted(t *testing.T) {
	for name := range examples {
		text, err := os.ReadFile(filepath.Join(repository, "examples", name))
		if err != nil {
			t.Fatal(err)
		}
		if tidy, diags := kdl.Format(name, text, kdl.FormatOptions{}); diags.HasErrors() || string(tidy) != string(text) {
			t.Errorf("sentinel fmt would change examples/%s: %v", name, diags)
		}
	}
}

// beyondFull are keys, with all below them, that full.kdl says it leaves out.
var beyondFull = map[string]bool{
	"health-check": true, "system.resolver": true, "route.fallback-upstream": true,
	"route.queue-priority": true, "route.retry-policy": true, "target.srv": true,
	"upstream.targets-file": true, "upstream.hash-key": true, "upstream.hash-load-percent": true,
	"upstream.slow-start-secs": true, "upstream.panic-threshold-percent": true, "upstream.pass-deadline": true,
	"upstream.sticky-cookie": true, "upstream.health-check": true, "upstream.passive-health": true,
	"upstream.circuit-breaker": true, "upstream.queue": true, "upstream.adaptive-concurrency": true,
	"upstream.retry-budget": true,
	"system.admin":          true, // admin.kdl
	"limits.mode":           true, // limits-and-timeouts.kdl
	// edge.kdl shows these
	"rate-limit": true, "listener.rate-limit": true, "route.rate-limit": true, "policies.rate-limit": true,
	"security": true, "listener.security": true, "route.security": true,
	"listener.proxy-protocol":     true,                                             // behind-load-balancer.kdl
	"upstream.tls":                true,                                             // upstream-tls.kdl
	"connection-pool.max-streams": true, "connection-pool.ping-interval-secs": true, // grpc.kdl
	"upstream.proxy-protocol": true,                      // tcp.kdl
	"geoip":                   true,                      // geoip.kdl
	"rate-limit-store":        true,                      // fleet.kdl
	"acme":                    true,                      // acme.kdl
	"route.grpc-web":          true,                      // grpc.kdl
	"listener.tcp":            true, "matches.sni": true, // tcp.kdl
	"listener.tls":   true,                             // tls.kdl
	"route.disabled": true, "route.use-fallback": true, // emergency.kdl
	"access": true, "listener.access": true, "route.access": true,
	// access-control.kdl shows these
	"policies.basic-auth": true, "policies.jwt-auth": true, "policies.forward-auth": true, "policies.cors": true, "policies.security-headers": true,
	"limits.max-memory": true, "limits.max-concurrent-requests": true, "limits.max-uri-length": true,
}

// TestFullExampleIsFull checks that full.kdl shows each key that is acted on, apart from
// beyondFull.
func TestFullExampleIsFull(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "examples", "full.kdl"))
	if err != nil {
		t.Fatal(err)
	}
	doc, diags := kdl.Parse("full.kdl", text, kdl.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	shown := map[string]bool{}
	note(doc.Nodes, shown)
	byBlock := map[string][]schema.Key{}
	for _, k := range schema.Keys() {
		byBlock[k.Block] = append(byBlock[k.Block], k)
	}
	seen := map[string]bool{}
	var visit func(block string)
	visit = func(block string) {
		if seen[block] {
			return
		}
		seen[block] = true
		for _, k := range byBlock[block] {
			if k.Pending || beyondFull[k.ID()] {
				continue
			}
			// What is called name or value is written as an argument.
			if !shown[k.Name] && k.Name != "name" && k.Name != "value" {
				t.Errorf("examples/full.kdl doesn't show %s", k.ID())
			}
			if k.Kind == schema.Opens {
				visit(k.Opens)
			}
		}
	}
	visit("")
}

// note collects the names of nodes and properties.
func note(nodes []*kdl.Node, names map[string]bool) {
	for _, n := range nodes {
		names[n.Name.Text] = true
		for _, e := range n.Entries {
			if e.Name != nil {
				names[e.Name.Text] = true
			}
		}
		note(n.Children, names)
	}
}

// TestPagesHoldValidConfigurations loads what the pages show as KDL.
func TestPagesHoldValidConfigurations(t *testing.T) {
	block := regexp.MustCompile("(?s)```kdl\n(.*?)```")
	file := regexp.MustCompile(`-file "([a-z-]+\.txt)"`)
	pages, _ := filepath.Glob(filepath.Join(repository, "*.md"))
	more, _ := filepath.Glob(filepath.Join(repository, "docs", "*.md"))
	found := 0
	for _, page := range append(pages, more...) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllSubmatch(text, -1) {
			found++
			path := filepath.Join(t.TempDir(), "config.kdl")
			if err := os.WriteFile(path, m[1], 0o600); err != nil {
				t.Fatal(err)
			}
			for _, f := range file.FindAllSubmatch(m[1], -1) { // files beside the configuration
				if err := os.WriteFile(filepath.Join(filepath.Dir(path), string(f[1])), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			m[1] = databasePattern.ReplaceAllFunc(m[1], func(path []byte) []byte { return []byte(exampleDatabase(t, string(path))) })
			text := certPattern.ReplaceAllStringFunc(string(m[1]), examplePair(t))
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, _, err := lifecycle.Check(path); err != nil {
				t.Errorf("%s holds a configuration that isn't valid: %v\n%s", page, err, m[1])
			}
		}
	}
	if found == 0 {
		t.Error("no page holds a configuration")
	}
}
