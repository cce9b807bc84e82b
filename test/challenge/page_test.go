// Package challenge_test shows the challenge page to a real browser: the package's decisions
// and answers behind a server of the standard library, Chromium before it.
package challenge_test

import (
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strconv"
	"testing"
	"time"

	"sentinel/internal/dataplane/challenge"
)

// site is a server whose pages stand behind challenges.
type site struct {
	*httptest.Server
	state      challenge.State
	challenger *challenge.Challenger
	policy     challenge.Policy
	elsewhere  string // where /login leads
}

const welcome = "Welcome"

func newSite(t *testing.T) *site {
	t.Helper()
	keys, err := challenge.ParseKeys(challenge.GenerateKeys())
	if err != nil {
		t.Fatal(err)
	}
	s := &site{policy: challenge.Policy{Mode: challenge.Always, Wait: 1}}
	s.challenger = challenge.New(challenge.Options{}, keys, &s.state)
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func facts(r *http.Request) *challenge.Facts {
	f := &challenge.Facts{
		Method: []byte(r.Method), Host: []byte(r.Host), Path: []byte(r.URL.Path), Target: []byte(r.RequestURI),
		Accept: []byte(r.Header.Get("Accept")), FetchMode: []byte(r.Header.Get("Sec-Fetch-Mode")),
		ContentType: []byte(r.Header.Get("Content-Type")), RequestID: []byte("r-1"),
		Client: netip.MustParseAddrPort(r.RemoteAddr).Addr(),
	}
	for _, line := range r.Header["Cookie"] {
		f.Cookies = append(f.Cookies, []byte(line))
	}
	return f
}

// ServeHTTP does what the proxy does.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, now := facts(r), time.Now().Unix()
	d := s.challenger.Decide(&s.policy, f, now)
	switch d.Action {
	case challenge.Pass:
		s.serve(w, r)
	case challenge.Reply:
		content := []byte(r.URL.RawQuery)
		if r.Method == "POST" {
			content, _ = io.ReadAll(io.LimitReader(r.Body, challenge.FormMax))
		}
		answer, _ := s.challenger.Answer(nil, f, content, now)
		write(w, answer)
	default:
		answer, _ := s.challenger.Respond(nil, f, d, now)
		write(w, answer)
	}
}

func write(w http.ResponseWriter, r challenge.Response) {
	set := func(name, value string) {
		if value != "" {
			w.Header().Set(name, value)
		}
	}
	set("Content-Type", r.ContentType)
	set("Content-Security-Policy", string(r.Policy))
	set("Location", string(r.Location))
	set("Set-Cookie", string(r.SetCookie))
	set("Allow", r.Allow)
	set("Cache-Control", challenge.CacheControl)
	if r.RetryAfter > 0 {
		set("Retry-After", strconv.Itoa(r.RetryAfter))
	}
	w.WriteHeader(r.Status)
	w.Write(r.Body)
}

// serve is the site behind.
func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/login" {
		http.Redirect(w, r, s.elsewhere, http.StatusFound)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	io.WriteString(w, "<!doctype html><title>"+welcome+"</title><link rel=icon href=data:,>")
}

// counted checks counters.
func (s *site) counted(t *testing.T, issued, solved, waited, looped uint64) {
	t.Helper()
	n := &s.state.Counters
	got := [...]uint64{n.Issued.Load(), n.Solved.Load(), n.Waited.Load(), n.Looped.Load(), n.Failed.Load()}
	if want := [...]uint64{issued, solved, waited, looped, 0}; got != want {
		t.Errorf("issued, solved, waited, looped, failed = %d, want %d", got, want)
	}
}

func TestSolvesAndContinues(t *testing.T) {
	s, b := newSite(t), start(t, "")
	p := b.newTab()
	want := s.URL + "/shop?x=1&y=%20&to=//z#part"
	p.open(want)
	p.until(welcome, want)
	if got, err := p.eval("document.cookie"); got != "" || err != nil {
		t.Errorf("scripts see the cookie %q, %v", got, err)
	}
	p.open(s.URL + "/next")
	p.until(welcome, s.URL+"/next")
	s.counted(t, 1, 1, 0, 0)
	b.noTrouble()
}

func TestTwoTabs(t *testing.T) {
	s, b := newSite(t), start(t, "")
	one, two := b.newTab(), b.newTab()
	one.open(s.URL + "/1")
	two.open(s.URL + "/2")
	one.until(welcome, s.URL+"/1")
	two.until(welcome, s.URL+"/2")
	issued := s.state.Counters.Issued.Load()
	for _, p := range []*tab{one, two, b.newTab()} {
		p.open(s.URL + "/3")
		p.until(welcome, s.URL+"/3")
	}
	if got := s.state.Counters.Issued.Load(); got != issued || s.state.Counters.Failed.Load() != 0 {
		t.Errorf("%d pages issued after both tabs were through, want none", got-issued)
	}
	b.noTrouble()
}

func TestCookiesOff(t *testing.T) {
	s := newSite(t)
	b := start(t, `{"profile":{"default_content_setting_values":{"cookies":2}}}`)
	p := b.newTab()
	p.open(s.URL + "/shop")
	p.until("Cookies are off", "")
	// Whatever would go on by itself has the time to.
	if _, err := p.eval("new Promise(function (f) { setTimeout(f, 1500) })"); err != nil {
		t.Error(err)
	}
	p.until("Cookies are off", "")
	s.counted(t, 1, 1, 0, 1)
	if got, err := p.eval("document.querySelector('a').href"); got != s.URL+"/shop" || err != nil {
		t.Errorf("the notice links to %s, %v", got, err)
	}
	b.noTrouble()
}

func TestScriptOff(t *testing.T) {
	s, b := newSite(t), start(t, "")
	p := b.newTab()
	p.run("Emulation.setScriptExecutionDisabled", map[string]any{"value": true})
	p.open(s.URL + "/shop?a=1&b=2")
	p.until(welcome, s.URL+"/shop?a=1&b=2")
	s.counted(t, 1, 0, 1, 0)
}

// TestScriptOffLink follows the link by hand, too early.
func TestScriptOffLink(t *testing.T) {
	s, b := newSite(t), start(t, "")
	s.policy.Wait = 3
	p := b.newTab()
	p.run("Emulation.setScriptExecutionDisabled", map[string]any{"value": true})
	p.open(s.URL + "/shop?a=1&b=2")
	p.until("One moment, please", "")
	link := p.link()
	p.open(s.URL + html.UnescapeString(link[1]))
	p.until("A little longer, please", "")
	p.until(welcome, s.URL+"/shop?a=1&b=2")
	s.counted(t, 1, 0, 1, 0)
}

// link waits until the page, which may still be loading, shows a link, and returns where it
// leads to.
func (p *tab) link() []string {
	p.t.Helper()
	anchor := regexp.MustCompile(`<a href="([^"]*)"`)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		shown, err := p.eval("document.documentElement.outerHTML")
		if link := anchor.FindStringSubmatch(shown); link != nil {
			return link
		}
		if time.Now().After(end) {
			p.t.Fatalf("no link in %s, %v", shown, err)
		}
	}
}

// TestWithoutWorker solves on the page's own thread.
func TestWithoutWorker(t *testing.T) {
	for name, script := range map[string]string{
		"none":   "delete window.Worker",
		"broken": "window.Worker = function () { var w = this; this.terminate = this.postMessage = function () {}; setTimeout(function () { w.onerror({}) }, 10) }",
		"silent": "window.Worker = function () { this.terminate = this.postMessage = function () {} }",
	} {
		t.Run(name, func(t *testing.T) {
			s, b := newSite(t), start(t, "")
			p := b.newTab()
			p.before(script)
			p.open(s.URL + "/shop#x")
			p.until(welcome, s.URL+"/shop#x")
			s.counted(t, 1, 1, 0, 0)
			b.noTrouble()
		})
	}
}

// TestLeadsElsewhere asks for a page that leads to another origin: the policy of the challenge
// page must not stop that.
func TestLeadsElsewhere(t *testing.T) {
	s, b := newSite(t), start(t, "")
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: http.HandlerFunc(s.serve)}
	go other.Serve(l)
	t.Cleanup(func() { other.Close() })
	s.elsewhere = "http://" + l.Addr().String() + "/in"
	p := b.newTab()
	p.open(s.URL + "/login")
	p.until(welcome, s.elsewhere)
	b.noTrouble()
}

// TestAccessible looks at the page while a worker that says nothing holds it up.
func TestAccessible(t *testing.T) {
	s, b := newSite(t), start(t, "")
	p := b.newTab()
	p.before("window.Worker = function () { this.terminate = this.postMessage = function () {} }; window.setTimeout = function () {}")
	motion := func(value string) {
		p.run("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-reduced-motion", "value": value}}})
	}
	p.open(s.URL + "/shop")
	p.until("One moment, please", "")
	for _, test := range []struct{ motion, expression, want string }{
		{"reduce", "document.documentElement.lang", "en"},
		{"reduce", "document.querySelectorAll('h1').length", "1"},
		{"reduce", "document.querySelector('[role=status]').textContent", "Calculating. This takes a second or two."},
		{"reduce", "getComputedStyle(document.getElementById('spin')).animationName", "none"},
		{"no-preference", "getComputedStyle(document.getElementById('spin')).animationName", "r"},
		{"reduce", "document.body.innerText.includes('request r-1')", "true"},
		{"reduce", "document.querySelectorAll('noscript a').length", "0"},
	} {
		motion(test.motion)
		if got, err := p.eval(test.expression); got != test.want || err != nil {
			t.Errorf("%s = %q, %v, want %q", test.expression, got, err, test.want)
		}
	}
	b.noTrouble()
}
