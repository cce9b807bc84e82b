package behaviour

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"sentinel/internal/testkit/h2raw"
	"sentinel/internal/testkit/origin"
)

// judged is a configuration whose route asks the service auth.
func judged(auth, app *origin.Origin, keys, up string) string {
	return fmt.Sprintf(`routes {
  route "r" { upstream "u"; policies { forward-auth { upstream "auth"; %s } } }
  route "open" { matches { path "/open" }; upstream "u" }
}
upstreams { %s %s }
`, keys, upstream("auth", auth, up), upstream("u", app, ""))
}

// says answers with a status, fields and content.
func says(status int, content string, fields ...string) origin.Act {
	return func(c *origin.Conn, req origin.Request) bool {
		head := fmt.Sprintf("HTTP/1.1 %d X\r\n", status)
		for _, f := range fields {
			head += f + "\r\n"
		}
		if req.Method == "HEAD" {
			content = ""
		}
		return c.WriteString(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(content), content)) == nil
	}
}

func TestForwardAuth(t *testing.T) {
	var act origin.Switch
	auth, app := origin.Start(t, origin.Acts(act.Choose)), origin.Start(t, origin.Echo())
	p := start(t, "", judged(auth, app, `path "/verify?from=edge"; response-headers "X-User" "X-Groups"; max-response 100; timeout-secs 0.3`, ""))
	for _, c := range []struct {
		name   string
		act    origin.Act
		status int
		has    []string // of the response; the application answers with the head it got
		lacks  []string
	}{
		{"yes", says(200, "ignored", "X-User: ann", "X-Groups: a", "x-groups: b", "X-Other: o", "Set-Cookie: s=1"), 200, []string{"X-User: ann\r\n", "X-Groups: a\r\n", "X-Groups: b\r\n"}, []string{"root", "X-Other", "Set-Cookie", "ignored"}},
		{"yes, without a word", says(204, ""), 200, nil, []string{"root", "X-User"}},
		{"401", says(401, "log in", `WWW-Authenticate: Basic realm="x"`, "WWW-Authenticate: Bearer", "Content-Type: text/x", "X-Secret: s", "X-User: ann"), 401, []string{"WWW-Authenticate: Basic realm=\"x\"\r\n", "WWW-Authenticate: Bearer\r\n", "Content-Type: text/x\r\n", "Cache-Control: no-store\r\n", "log in"}, []string{"X-Secret", "X-User", "GET /"}},
		{"403", says(403, "no"), 403, []string{"no"}, []string{"GET /"}},
		{"to the login", says(302, "", "Location: https://login.example/?x", "Set-Cookie: a=1", "Set-Cookie: b=2", "Cache-Control: max-age=1"), 302, []string{"Location: https://login.example/?x\r\n", "Set-Cookie: a=1\r\n", "Set-Cookie: b=2\r\n", "Cache-Control: max-age=1\r\n"}, []string{"GET /"}},
		{"not found", says(404, "?"), 503, []string{"code U60", "Retry-After: 1\r\n"}, []string{"GET /", "?"}},
		{"not modified", says(304, ""), 503, nil, []string{"GET /"}},
		{"a failure", says(500, "?"), 503, nil, []string{"GET /"}},
		{"switching", says(101, "", "Connection: Upgrade", "Upgrade: x"), 503, nil, []string{"GET /"}},
		{"too much", says(200, strings.Repeat("x", 101), "X-User: ann"), 503, nil, []string{"GET /"}},
		{"too much of a refusal", says(401, strings.Repeat("x", 101)), 503, nil, []string{"GET /", "xxx"}},
		{"just as much as may be", says(401, strings.Repeat("x", 100)), 401, []string{"xxx"}, nil},
		{"silence", origin.Hang, 503, nil, []string{"GET /"}},
		{"half an answer", origin.Die(50, 10), 503, nil, []string{"GET /"}},
		{"no HTTP", origin.Garbage, 503, nil, []string{"GET /"}},
	} {
		act.Set(c.act)
		r := p.do("GET", "/a/../b?q=1", "X-User: root", "x_groups: root", "Cookie: c=1", "Authorization: Bearer t", "X-Mine: m")
		if r.Status != c.status {
			t.Errorf("%s: %d, want %d", c.name, r.Status, c.status)
		}
		for _, want := range c.has {
			if !strings.Contains(string(r.Raw), want) {
				t.Errorf("%s: %q, want %q in it", c.name, r.Raw, want)
			}
		}
		for _, no := range c.lacks {
			if strings.Contains(string(r.Raw), no) {
				t.Errorf("%s: %q, want no %q in it", c.name, r.Raw, no)
			}
		}
	}
	asked := string(auth.Received())
	asked = asked[:strings.Index(asked, "\r\n\r\n")+4]
	for _, want := range []string{
		"GET /verify?from=edge HTTP/1.1\r\n", "Host: " + auth.Addr() + "\r\n", "X-Forwarded-Method: GET\r\n", "X-Forwarded-Proto: http\r\n", "X-Forwarded-Host: example.com\r\n",
		"X-Forwarded-Uri: /b?q=1\r\n", "X-Forwarded-For: 127.0.0.1\r\n", "X-Request-Id: ", "Cookie: c=1\r\n", "Authorization: Bearer t\r\n",
	} {
		if !strings.Contains(asked, want) {
			t.Errorf("the service is asked %q, want %q in it", asked, want)
		}
	}
	if strings.Contains(asked, "X-Mine") || strings.Contains(asked, "root") {
		t.Errorf("the service is asked %q", asked)
	}
	if r := p.do("GET", "/open", "X-User: root", "X_Groups: root"); r.Status != 200 || strings.Contains(r.Text(), "root") {
		t.Errorf("on a route that asks nobody the upstream got %q", r.Text())
	}
	p.expectMetrics(`sentinel_policy_decisions_total{outcome="allowed",policy="forward_auth",route="r"} 2`, `sentinel_policy_decisions_total{outcome="denied",policy="forward_auth",route="r"} 4`,
		`sentinel_policy_decisions_total{outcome="error",policy="forward_auth",route="r"} 9`, `sentinel_faults_total{fault="auth_unavailable",route="r",side="upstream"} 9`)
}

// The service gets what the keys say, and no content.
func TestForwardAuthQuestions(t *testing.T) {
	auth, app := origin.Start(t, origin.OK(2)), origin.Start(t, origin.Echo())
	for _, c := range []struct {
		keys, method string
		asks         string
		lacks        string
	}{
		{`method "HEAD"`, "GET", "HEAD / HTTP/1.1\r\n", ""},
		{`method "POST"; path "/p"`, "GET", "POST /p HTTP/1.1\r\n", ""},
		{`method "POST"`, "POST", "Content-Length: 0\r\n", "content"},
		{`request-headers "X-Token"`, "GET", "X-Token: t\r\n", "Cookie"},
		{"", "POST", "X-Forwarded-Method: POST\r\n", "content"},
	} {
		before := len(auth.Received())
		p := start(t, "", judged(auth, app, c.keys, ""))
		raw := c.method + " / HTTP/1.1\r\nHost: x\r\nX-Token: t\r\nCookie: c=1\r\nContent-Length: 7\r\n\r\ncontent"
		if c.method == "GET" {
			raw = "GET / HTTP/1.1\r\nHost: x\r\nX-Token: t\r\nCookie: c=1\r\n\r\n"
		}
		if r := p.raw(c.method, raw); r.Status != 200 {
			t.Errorf("%s: %d", c.keys, r.Status)
		}
		asked := string(auth.Received())[before:]
		if !strings.Contains(asked, c.asks) || c.lacks != "" && strings.Contains(asked, c.lacks) {
			t.Errorf("%s: the service is asked %q, want %q in it and no %q", c.keys, asked, c.asks, c.lacks)
		}
	}
}

// Connections to the service are kept, one that died meanwhile is no failure, and its breaker
// and health count.
func TestForwardAuthUsesItsUpstream(t *testing.T) {
	var act origin.Switch
	auth, app := origin.Start(t, origin.Acts(act.Choose)), origin.Start(t, origin.OK(2))
	act.Set(says(200, "yes"))
	p := start(t, "", judged(auth, app, "timeout-secs 2", "circuit-breaker { failure-threshold 3; timeout-secs 600 }"))
	p.expectStatuses(map[int]int{200: 5}, 5, "/")
	if n := auth.Connections(); n != 1 {
		t.Errorf("5 questions take %d connections, want 1", n)
	}
	auth.CloseConns()
	p.expectStatuses(map[int]int{200: 1}, 1, "/")
	act.Set(says(500, "no"))
	p.expectStatuses(map[int]int{503: 3}, 3, "/")
	before := auth.Requests()
	p.expectStatuses(map[int]int{503: 2}, 2, "/")
	if n := auth.Requests() - before; n != 0 {
		t.Errorf("behind an open breaker the service is asked %d times", n)
	}
	p.expectMetrics(`sentinel_circuit_breaker_state{target="` + auth.Addr() + `",upstream="auth"} 1`)
}

func TestForwardAuthOnErrorAndShadow(t *testing.T) {
	var act origin.Switch
	auth, app := origin.Start(t, origin.Acts(act.Choose)), origin.Start(t, origin.Echo())
	allow := start(t, "", judged(auth, app, `on-error "allow"; response-headers "X-User"`, ""))
	act.Set(says(500, ""))
	if r := allow.do("GET", "/", "X-User: root"); r.Status != 200 || strings.Contains(r.Text(), "root") {
		t.Errorf("with on-error allow = %d, the upstream got %q", r.Status, r.Text())
	}
	act.Set(says(403, ""))
	allow.expectStatuses(map[int]int{403: 1}, 1, "/")
	allow.expectMetrics(`sentinel_policy_decisions_total{outcome="error",policy="forward_auth",route="r"} 1`)
	shadow := start(t, "", judged(auth, app, `mode "shadow"; response-headers "X-User"`, ""))
	for _, a := range []origin.Act{says(403, "no"), says(500, "?"), says(200, "", "X-User: ann")} {
		act.Set(a)
		if r := shadow.do("GET", "/", "X-User: root"); r.Status != 200 || !strings.Contains(r.Text(), "X-User: root\r\n") || strings.Contains(r.Text(), "ann") {
			t.Errorf("in shadow mode = %d, the upstream got %q", r.Status, r.Text())
		}
	}
	shadow.expectMetrics(`sentinel_policy_decisions_total{outcome="shadowed",policy="forward_auth",route="r"} 2`)
}

// Who is named by the service is in the log, and counted by.
func TestForwardAuthNamesTheUser(t *testing.T) {
	var act origin.Switch
	auth, app := origin.Start(t, origin.Acts(act.Choose)), origin.Start(t, origin.OK(2))
	act.Set(says(200, "", "X-Who: ann"))
	p := start(t, "", strings.Replace(judged(auth, app, `user-header "X-Who"`, ""), `policies {`, `policies { rate-limit { `+slow+`burst 2; key "user" };`, 1)+
		`observability { metrics { address "127.0.0.1:0" }; logging { file "$DIR/log"; access-log { enabled #true; file "$DIR/access" } } }`)
	p.expectStatuses(map[int]int{200: 2, 429: 1}, 3, "/")
	act.Set(says(200, "", "X-Who: bob"))
	p.expectStatuses(map[int]int{200: 1}, 1, "/")
	if log := p.File("access"); !strings.Contains(log, `user="ann"`) || !strings.Contains(log, `user="bob"`) {
		t.Errorf("the log doesn't name the users: %s", log)
	}
}

// A client that goes while the service is asked doesn't keep the place.
func TestForwardAuthGivesUpWithItsClient(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	entered := make(chan origin.Request, 4)
	auth, app := origin.Start(t, origin.Acts(func(origin.Request) origin.Act { return origin.Held(entered, release, says(200, "")) })), origin.Start(t, origin.OK(2))
	p := start(t, "", judged(auth, app, "timeout-secs 60", ""))
	c := p.dial()
	if err := c.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	began := time.Now()
	c.Close()
	eventually(t, "the request is given up", func() bool {
		return strings.Contains(p.Metrics(), `sentinel_faults_total{fault="client_closed",route="r",side="client"} 1`)
	})
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
	if n := app.Requests(); n != 0 {
		t.Errorf("the upstream got %d requests", n)
	}
}

// The same over HTTP/2, where the stream that is reset doesn't end its neighbours.
func TestForwardAuthGivesUpWithItsStream(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan origin.Request, 4)
	auth, app := origin.Start(t, origin.Acts(func(origin.Request) origin.Act { return origin.Held(entered, release, says(200, "")) })), origin.Start(t, origin.OK(2))
	p := start(t, h2c, judged(auth, app, "timeout-secs 60", ""))
	c := h2raw.Dial(t, p.addr)
	c.Must(c.Get(1, "/"))
	c.Must(c.Get(3, "/"))
	<-entered
	<-entered
	c.Must(c.WriteRSTStream(1, http2.ErrCodeCancel))
	eventually(t, "the request is given up", func() bool {
		return strings.Contains(p.Metrics(), `sentinel_faults_total{fault="client_closed",route="r",side="client"} 1`)
	})
	close(release)
	c.Want(3, "200")
	if n := app.Requests(); n != 1 {
		t.Errorf("the upstream got %d requests, want 1", n)
	}
	p.expectMetrics(`sentinel_policy_decisions_total{outcome="allowed",policy="forward_auth",route="r"} 1`)
}
