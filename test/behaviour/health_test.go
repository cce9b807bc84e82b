package behaviour

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/probe"
	"sentinel/internal/observe/event"
	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// patience bounds a wait for an answer of the admin socket.
const patience = 20 * time.Second

// member is a target whose ways can be changed: Switch says how it deals with requests,
// health how it deals with those for /health, which answers 200 at first.
type member struct {
	*origin.Origin
	origin.Switch
	health origin.Switch
	name   string
	hits   atomic.Int64 // requests that aren't for /health
	probes atomic.Int64 // requests that are
}

// newMember starts a target that answers its name.
func newMember(t *testing.T, name string) *member {
	t.Helper()
	m := &member{name: name}
	m.well()
	m.Origin = origin.Start(t, origin.Acts(func(r origin.Request) origin.Act {
		if r.Target == "/health" {
			m.probes.Add(1)
			return m.health.Choose(r)
		}
		m.hits.Add(1)
		return m.Choose(r)
	}))
	return m
}

// well makes the target answer its name again.
func (m *member) well() { m.Set(origin.Reply(200, m.name)) }

// group is a configuration of a route "r" to an upstream "u" of members.
func group(route, up string, members ...*member) string {
	return "routes { route \"r\" { upstream \"u\"; " + route + " } }\nupstreams { " + groupOf("u", up, members...) + " }\n"
}

func groupOf(name, words string, members ...*member) string {
	text := fmt.Sprintf("upstream %q { load-balancing \"round_robin\"; %s\n", name, words)
	for _, m := range members {
		text += fmt.Sprintf("target %q\n", m.Addr())
	}
	return text + "}\n"
}

func (p *proxy) client() *admin.Client { return admin.NewClient(p.AdminSocket(), patience) }

// target returns how a target of an upstream stands.
func (p *proxy) target(upstream, address string) admin.TargetStatus {
	p.t.Helper()
	list, err := p.client().Upstreams(context.Background(), upstream)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, target := range list[0].Targets {
		if target.Address == address {
			return target
		}
	}
	p.t.Fatalf("upstream %s has no target %s: %+v", upstream, address, list[0])
	return admin.TargetStatus{}
}

func (p *proxy) awaitState(upstream, address, state string) {
	p.t.Helper()
	eventually(p.t, upstream+"/"+address+" is "+state, func() bool { return p.target(upstream, address).State == state })
}

// events returns the events of a kind.
func (p *proxy) events(kind string) []event.Event {
	p.t.Helper()
	list, err := p.client().Events(context.Background(), 0)
	if err != nil {
		p.t.Fatal(err)
	}
	return slices.DeleteFunc(list, func(e event.Event) bool { return e.Kind != kind })
}

// series returns the value of a series of upstream "u" and a target.
func (p *proxy) series(name, target string) string {
	p.t.Helper()
	return value(p.Metrics(), fmt.Sprintf("%s{target=%q,upstream=\"u\"}", name, target))
}

func value(scrape, series string) string {
	for line := range strings.Lines(scrape) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), series+" "); ok {
			return v
		}
	}
	return "none"
}

// visit asks for / without being able to end the test, for goroutines.
func (p *proxy) visit() (rawclient.Response, error) {
	return rawclient.Do(p.addr, "GET", ask)
}

// grpcHealth serves the health service of gRPC: what is called "good" is well when it is
// asked for by the host "h.example", over TLS where secure isn't nil.
func grpcHealth(t *testing.T, secure *tls.Config) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		status := byte(2) // NOT_SERVING
		if strings.HasSuffix(string(b), "good") && r.Host == "h.example" && r.URL.Path == "/grpc.health.v1.Health/Check" {
			status = 1
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Write([]byte{0, 0, 0, 0, 2, 8, status})
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	})}
	s.Protocols.SetUnencryptedHTTP2(secure == nil)
	s.Protocols.SetHTTP2(secure != nil)
	s.TLSConfig = secure
	done := make(chan struct{})
	go func() {
		defer close(done)
		if secure != nil {
			s.ServeTLS(l, "", "")
		} else {
			s.Serve(l)
		}
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return l.Addr().String()
}

// answersIf is the address of an origin that answers 200 where ok says so, else 404.
func answersIf(t *testing.T, ok func(r origin.Request) bool) string {
	return origin.Start(t, origin.Answer(func(r origin.Request) string {
		if ok(r) {
			return origin.Response(r, 200, "")
		}
		return origin.Response(r, 404, "")
	})).Addr()
}

func answers(t *testing.T, status int, content string) string {
	return origin.Start(t, origin.Answer(func(r origin.Request) string { return origin.Response(r, status, content) })).Addr()
}

// closedPort is the address of a port where nobody listens.
func closedPort(t *testing.T) string {
	o := origin.Start(t, origin.OK(0))
	o.Close()
	return o.Addr()
}

func portOf(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// TestHealthChecks has a target for each key of a check that is well only by that key, and
// one that fails by it.
func TestHealthChecks(t *testing.T) {
	hung := origin.Start(t, origin.Acts(func(origin.Request) origin.Act { return origin.Hang })).Addr()
	mute := origin.Start(t, func(c *origin.Conn) { c.ReadUntilClose() }).Addr()
	deep := answersIf(t, func(r origin.Request) bool { return r.Target == "/deep" && r.Method == "GET" })
	named := answersIf(t, func(r origin.Request) bool { return r.Fields.Get("Host") == "h.example" })
	head := answersIf(t, func(r origin.Request) bool { return r.Method == "HEAD" })
	good, bad, part := answers(t, 200, "all is fine"), answers(t, 500, "fine"), answers(t, 206, "")
	calls := grpcHealth(t, nil)
	checks := []struct{ target, words, want string }{
		{good, ``, "healthy"},
		{bad, ``, "unhealthy"},
		{deep, `type "http" { path "/deep" }`, "healthy"},
		{deep, `type "http"`, "unhealthy"},
		{named, `type "http" { host "h.example" }`, "healthy"},
		{named, `type "http"`, "unhealthy"},
		{head, `type "http" { method "HEAD" }`, "healthy"},
		{head, `type "http"`, "unhealthy"},
		{part, `type "http" { expected-status 200 }`, "unhealthy"},
		{part, `type "http" { expected-status 200 206 }`, "healthy"},
		{part, `type "http" { expected-status "200-299" }`, "healthy"},
		{good, `type "http" { expected-status "300-399" 500 }`, "unhealthy"},
		{good, `type "http" { body-contains "fine" }`, "healthy"},
		{good, `type "http" { body-contains "Fine" }`, "unhealthy"},
		{good, `type "http" { body-regex "f.ne$" }`, "healthy"},
		{good, `type "http" { body-regex "^f.ne$" }`, "unhealthy"},
		{mute, `type "tcp"`, "healthy"},
		{closedPort(t), `type "tcp"`, "unhealthy"},
		{calls, `type "grpc" { service "good"; host "h.example" }`, "healthy"},
		{calls, `type "grpc" { service "good" }`, "unhealthy"},
		{calls, `type "grpc" { service "other"; host "h.example" }`, "unhealthy"},
		{good, "port " + portOf(bad), "unhealthy"},
		{bad, "port " + portOf(good), "healthy"},
		{hung, `timeout-secs 0.3`, "unhealthy"},
	}
	text := "routes { route \"r\" { upstream \"u0\" } }\nupstreams {\n"
	for i, c := range checks {
		text += fmt.Sprintf("upstream \"u%d\" { target %q; health-check { %s } }\n", i, c.target, c.words)
	}
	p := start(t, "", text+"}\n")
	for i, c := range checks {
		name, state := fmt.Sprintf("u%d", i), ""
		eventually(t, "there is a verdict on "+name, func() bool {
			state = p.target(name, c.target).State
			return state != "unknown"
		})
		if state != c.want {
			t.Errorf("health-check { %s } finds the target %s, want %s", c.words, state, c.want)
		}
	}
	var last probe.Transcript
	status := p.target(fmt.Sprintf("u%d", len(checks)-1), hung)
	if err := json.Unmarshal(status.Probe, &last); err != nil || !strings.Contains(last.Cause, "timed out") || time.Duration(last.Total) > 4*time.Second {
		t.Errorf("timeout-secs 0.3: the probe of a target that hangs ends after %v with %q (%v)", last.Total, last.Cause, err)
	}
}

// TestHealthDefaults has a check at top level, which each upstream takes over where it
// doesn't say otherwise itself, key by key.
func TestHealthDefaults(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]string{}
	listen := func(name string, status int) string {
		return origin.Start(t, origin.Answer(func(r origin.Request) string {
			mu.Lock()
			defer mu.Unlock()
			asked[name] = r.Method + " " + r.Target
			return origin.Response(r, status, "")
		})).Addr()
	}
	a, b, c, mute := listen("a", 206), listen("b", 206), listen("c", 204), origin.Start(t, func(c *origin.Conn) { c.ReadUntilClose() }).Addr()
	p := start(t, "", fmt.Sprintf(`health-check { type "http" { path "/top"; expected-status 206 } }
routes { route "r" { upstream "a" } }
upstreams {
    upstream "a" { target %q }
    upstream "b" { target %q; health-check { type "http" { path "/own" } } }
    upstream "c" { target %q; health-check { type "http" { expected-status 204 } } }
    upstream "d" { target %q; health-check { type "tcp" } }
}
`, a, b, c, mute))
	for name, address := range map[string]string{"a": a, "b": b, "c": c, "d": mute} {
		p.awaitState(name, address, "healthy")
	}
	mu.Lock()
	defer mu.Unlock()
	for name, want := range map[string]string{"a": "GET /top", "b": "GET /own", "c": "GET /top"} {
		if asked[name] != want {
			t.Errorf("the check of %s asks for %q, want %q", name, asked[name], want)
		}
	}
}

// times records when requests come.
type times struct {
	sync.Mutex
	list []time.Time
}

func (s *times) note(act origin.Act) origin.Act {
	return func(c *origin.Conn, r origin.Request) bool {
		s.Lock()
		s.list = append(s.list, time.Now())
		s.Unlock()
		return act(c, r)
	}
}

// gaps returns the times between two requests, after the first two: the first pause is
// spread over the interval.
func (s *times) gaps() (list []time.Duration) {
	s.Lock()
	defer s.Unlock()
	for i := 2; i < len(s.list); i++ {
		list = append(list, s.list[i].Sub(s.list[i-1]))
	}
	return list
}

func TestHealthPace(t *testing.T) {
	const interval = 200 * time.Millisecond
	steady, spread, down := newMember(t, "steady"), newMember(t, "spread"), newMember(t, "down")
	var steadily, widely, downTimes times
	steady.health.Set(steadily.note(origin.Reply(200, "")))
	spread.health.Set(widely.note(origin.Reply(200, "")))
	down.health.Set(downTimes.note(origin.Reply(500, "")))
	check := func(words string) string { return `health-check { type "http" { path "/health" }; ` + words + ` }` }
	start(t, "", "routes { route \"r\" { upstream \"a\" } }\nupstreams {\n"+
		groupOf("a", check("interval-secs 0.2; jitter-percent 0"), steady)+
		groupOf("b", check("interval-secs 0.2; jitter-percent 50"), spread)+
		groupOf("c", check("interval-secs 60; down-interval-secs 0.2"), down)+"}\n")
	for name, seen := range map[string]*times{"interval-secs": &steadily, "down-interval-secs": &downTimes} {
		eventually(t, name+" has ten checks made", func() bool { return len(seen.gaps()) >= 10 })
		var sum time.Duration
		for _, gap := range seen.gaps()[:10] {
			sum += gap
		}
		if sum < 10*interval/2 {
			t.Errorf("%s 0.2: ten checks within %v", name, sum)
		}
	}
	eventually(t, "jitter-percent 50 shortens a gap", func() bool {
		gaps := widely.gaps()
		return len(gaps) > 0 && slices.Min(gaps) < interval*3/4
	})
}

// TestHealthThresholds has targets that fail or succeed in shorter rows than the thresholds.
func TestHealthThresholds(t *testing.T) {
	well, ill := origin.Reply(200, ""), origin.Reply(500, "")
	flapping, sick := newMember(t, "flapping"), newMember(t, "sick")
	var first atomic.Bool
	mostlyIll := origin.Rate(2, 3, ill, well)
	flapping.health.Set(func(c *origin.Conn, r origin.Request) bool {
		if !first.Swap(true) { // it alone decides what a target begins with
			return well(c, r)
		}
		return mostlyIll(c, r)
	})
	sick.health.Set(origin.Rate(1, 3, ill, well))
	check := `health-check { type "http" { path "/health" }; interval-secs 0.05; down-interval-secs 0.05; healthy-threshold 3; unhealthy-threshold 3 }`
	p := start(t, "", "routes { route \"r\" { upstream \"a\" } }\nupstreams {\n"+groupOf("a", check, flapping)+groupOf("b", check, sick)+"}\n")
	eventually(t, "many checks are made", func() bool { return flapping.probes.Load() > 12 && sick.probes.Load() > 12 })
	for _, e := range p.events(event.KindHealth) {
		if e.Target == flapping.Addr() || e.To == "healthy" {
			t.Errorf("two of a kind in a row, threshold 3: %+v", e)
		}
	}
	flapping.health.Set(ill)
	sick.health.Set(well)
	p.awaitState("a", flapping.Addr(), "unhealthy")
	p.awaitState("b", sick.Addr(), "healthy")
}

// TestUnhealthyTarget follows a target that falls ill and recovers.
func TestUnhealthyTarget(t *testing.T) {
	a, b := newMember(t, "a"), newMember(t, "b")
	p := start(t, "", group("", `health-check { type "http" { path "/health" }; interval-secs 0.05; down-interval-secs 0.05; healthy-threshold 2; unhealthy-threshold 2 }`, a, b))
	p.awaitState("u", a.Addr(), "healthy")
	if got := p.series("sentinel_upstream_health", a.Addr()); got != "1" {
		t.Errorf("sentinel_upstream_health of a healthy target = %s", got)
	}
	a.health.Set(origin.Reply(503, "no database"))
	p.awaitState("u", a.Addr(), "unhealthy")
	if got := p.series("sentinel_upstream_health", a.Addr()); got != "0" {
		t.Errorf("sentinel_upstream_health of an unhealthy target = %s", got)
	}
	before := a.hits.Load()
	for range 20 {
		if r := p.do("GET", "/"); r.Text() != "b" {
			t.Errorf("with one target unhealthy = %d %q, want b", r.Status, r.Text())
		}
	}
	if got := a.hits.Load() - before; got > 0 {
		t.Errorf("%d requests went to an unhealthy target", got)
	}
	a.health.Set(origin.Reply(200, ""))
	eventually(t, "the target that has recovered gets requests", func() bool { return p.do("GET", "/").Text() == "a" })
	log, said := p.Logs(), false
	for line := range strings.Lines(log) {
		said = said || strings.Contains(line, "WARN target unhealthy") && strings.Contains(line, a.Addr()) &&
			strings.Contains(line, `cause="answered 503, expected 200"`) && strings.Contains(line, "detail=")
	}
	if !said {
		t.Errorf("the log doesn't say why the target is unhealthy:\n%s", log)
	}
	if strings.Contains(log, "WARN target unhealthy, upstream=\"u\", target=\""+b.Addr()) {
		t.Errorf("the log finds b unhealthy:\n%s", log)
	}
}

func TestReadyAwaitsFirstChecks(t *testing.T) {
	a := newMember(t, "a")
	release := make(chan struct{})
	a.health.Set(origin.Held(nil, release, origin.Reply(200, "")))
	p := start(t, "", group("", `health-check { type "http" { path "/health" }; timeout-secs 60 }`, a))
	if r := p.do("GET", "/ready"); r.Status != 503 || !strings.Contains(r.Text(), "the first health check of upstream u is still out") {
		t.Errorf("/ready before the first verdict = %d %s", r.Status, r.Text())
	}
	if r := p.do("GET", "/health"); r.Status != 200 {
		t.Errorf("/health before the first verdict = %d %s", r.Status, r.Text())
	}
	close(release)
	eventually(t, "/ready is 200 after the first verdict", func() bool { return p.do("GET", "/ready").Status == 200 })
	p.reload(group("", `health-check { type "http" { path "/ill" }; interval-secs 0.05; unhealthy-threshold 1 }`, a))
	a.Set(origin.Reply(500, ""))
	eventually(t, "/ready is 503 without a usable target", func() bool {
		r := p.do("GET", "/ready")
		return r.Status == 503 && strings.Contains(r.Text(), "no upstream has a usable target")
	})
}

// TestHealthAcrossReloads has reloads keep a verdict, drop the check, and bring new ones.
func TestHealthAcrossReloads(t *testing.T) {
	a, b, c := newMember(t, "a"), newMember(t, "b"), newMember(t, "c")
	a.health.Set(origin.Reply(500, ""))
	const check = `health-check { type "http" { path "/health" }; timeout-secs 60 }`
	p := start(t, "", group("", check, a, b))
	p.awaitState("u", a.Addr(), "unhealthy")
	p.reload(group("", check+"; slow-start-secs 1", a, b))
	for range 10 {
		if r := p.do("GET", "/"); r.Text() != "b" {
			t.Errorf("after a reload that keeps the check = %d %q, want b", r.Status, r.Text())
		}
	}
	p.reload(group("", "", a, b))
	eventually(t, "the target that isn't checked any more gets requests", func() bool { return p.do("GET", "/").Text() == "a" })
	if got := p.series("sentinel_upstream_health", a.Addr()); got != "1" {
		t.Errorf("sentinel_upstream_health of an unchecked target = %s", got)
	}
	eventually(t, "/ready without a check", func() bool { return p.do("GET", "/ready").Status == 200 })
	release := make(chan struct{})
	c.health.Set(origin.Held(nil, release, origin.Reply(200, "")))
	p.reload(group("", check, b, c))
	eventually(t, "the new target is being checked", func() bool { return c.probes.Load() == 1 })
	if r := p.do("GET", "/ready"); r.Status != 200 {
		t.Errorf("/ready while a target that a reload brought has no verdict = %d %s", r.Status, r.Text())
	}
	close(release)
}
