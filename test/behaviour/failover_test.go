package behaviour

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sentinel/internal/observe/event"
	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// pair is a configuration of a route "r" from upstream "u" to a fallback "f".
func pair(route, up string, own, fallback *member) string {
	return "routes { route \"r\" { upstream \"u\"; fallback-upstream \"f\"; " + route + " } }\nupstreams { " +
		groupOf("u", up, own) + groupOf("f", "", fallback) + "}\n"
}

// TestFallback has the route's own upstream fail in each way that the fallback is for.
func TestFallback(t *testing.T) {
	dead := func(m *member) { m.Close() }
	does := func(a origin.Act) func(*member) { return func(m *member) { m.Set(a) } }
	ill := func(m *member) { m.health.Set(origin.Reply(500, "")) }
	for _, c := range []struct {
		name, route, up string
		make            func(own *member)
		request         string
		want            string // the answer
		hits            int64  // requests that the route's own upstream gets
	}{
		{"nothing is wrong", "", "", func(*member) {}, ask, "own", 1},
		{"dead", "", "", dead, ask, "got ", 0},
		{"dead, one try", "retry-policy { max-attempts 1 }", "", dead, ask, "got ", 0},
		{"dead, other conditions", `retry-policy { retry-on "reset" }`, "", dead, ask, "got ", 0},
		{"dead, POST", "", "", dead, post("POST", 10), "got xxxxxxxxxx", 0},
		{"dead, large upload", "", "", dead, post("POST", 300_000), "got " + strings.Repeat("x", 300_000), 0},
		{"dead, chunked upload", "", "", dead, pieces("POST", 300_000), "got " + strings.Repeat("x", 300_000), 0},
		{"unhealthy", "", `health-check { type "http" { path "/health" } }`, ill, ask, "got ", 0},
		{"status", "retry-policy { retryable-status-codes 503; max-attempts 1 }", "", does(origin.Reply(503, "no")), ask, "got ", 1},
		{"status after a retry", "retry-policy { retryable-status-codes 503; max-attempts 2 }", "", does(origin.Reply(503, "no")), ask, "got ", 2},
		{"another status", "retry-policy { retryable-status-codes 502 }", "", does(origin.Reply(503, "no")), ask, "no", 1},
		{"status, POST", "retry-policy { retryable-status-codes 503 }", "", does(origin.Reply(503, "no")), post("POST", 10), "no", 1},
		{"status, PUT", "retry-policy { retryable-status-codes 503; max-attempts 1 }", "", does(origin.Reply(503, "no")), post("PUT", 10), "got xxxxxxxxxx", 1},
		{"reset", `retry-policy { retry-on "reset"; max-attempts 1 }`, "", does(origin.Reset), ask, "got ", 1},
	} {
		own, fallback := newMember(t, "own"), newMember(t, "fallback")
		fallback.Set(echo)
		c.make(own)
		p := start(t, "", pair(c.route, c.up, own, fallback))
		if strings.Contains(c.up, "health-check") {
			p.awaitState("u", own.Addr(), "unhealthy")
		}
		method, _, _ := strings.Cut(c.request, " ")
		r := p.raw(method, c.request)
		failovers := 0
		if fallback.hits.Load() > 0 {
			failovers = 1
		}
		if line := fmt.Sprintf("\nsentinel_failovers_total{route=\"r\"} %d\n", failovers); !strings.Contains(p.Metrics(), line) {
			t.Errorf("%s: the metrics lack %s", c.name, line)
		}
		if r.Text() != c.want || own.hits.Load() != c.hits {
			t.Errorf("%s: %d %.20q after %d requests to the own upstream, want %.20q after %d", c.name, r.Status, r.Text(), own.hits.Load(), c.want, c.hits)
		}
		used, told := strings.HasPrefix(c.want, "got"), false
		if used {
			eventually(t, c.name+": the failover is told", func() bool { return len(p.events(event.KindFailover)) > 0 })
		}
		for _, e := range p.events(event.KindFailover) {
			told = e.Route == "r" && e.From == "u" && e.To == "f" && e.Worse && e.Cause != ""
		}
		if told != used {
			t.Errorf("%s: the failover's events are %+v", c.name, p.events(event.KindFailover))
		}
		p.Stop()
	}
}

// TestFallbackOnOpenBreaker has the breaker of the only target open.
func TestFallbackOnOpenBreaker(t *testing.T) {
	own, fallback := newMember(t, "own"), newMember(t, "fallback")
	own.Set(origin.Reply(500, "no"))
	p := start(t, "", pair("", "circuit-breaker { failure-threshold 2; timeout-secs 60 }", own, fallback))
	eventually(t, "the breaker opens", func() bool { p.do("GET", "/"); return p.breaker(own) == "open" })
	before := own.hits.Load()
	for range 5 {
		if r := p.do("GET", "/"); r.Text() != "fallback" {
			t.Errorf("with the breaker open = %d %s, want the fallback", r.Status, r.Text())
		}
	}
	if own.hits.Load() != before {
		t.Errorf("requests went past the open breaker")
	}
}

// TestFallbackFails has neither upstream serve.
func TestFallbackFails(t *testing.T) {
	own, fallback := newMember(t, "own"), newMember(t, "fallback")
	own.Close()
	fallback.Close()
	p := start(t, "", pair("", "", own, fallback))
	if r := p.do("GET", "/"); r.Status != 502 || !strings.Contains(r.Text(), "U01") {
		t.Errorf("with both upstreams dead = %d %s", r.Status, r.Text())
	}
}

// TestReturnFromFallback follows a failover to its end: the route's own upstream is tried by
// each request, and after ten calm seconds the failover is over.
func TestReturnFromFallback(t *testing.T) {
	own, fallback := newMember(t, "own"), newMember(t, "fallback")
	addr := own.Addr()
	own.Close()
	p := start(t, "", pair("", "", own, fallback))
	for range 5 {
		if r := p.do("GET", "/"); r.Text() != "fallback" {
			t.Fatalf("with the own upstream dead = %d %s", r.Status, r.Text())
		}
	}
	last := time.Now()
	back, err := origin.Listen(addr, origin.Answer(func(r origin.Request) string { return origin.Response(r, 200, "back") }))
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	for range 5 {
		if r := p.do("GET", "/"); r.Text() != "back" {
			t.Errorf("with the own upstream back = %d %s", r.Status, r.Text())
		}
	}
	var events []event.Event
	eventually(t, "the failover is over", func() bool {
		p.do("GET", "/")
		events = p.events(event.KindFailover)
		return len(events) == 2
	})
	if calm := time.Since(last); calm < 9*time.Second {
		t.Errorf("the failover is over after %v, want ten calm seconds", calm)
	}
	if e := events[1]; e.From != "f" || e.To != "u" || e.Worse || e.Cause == "" {
		t.Errorf("the end of the failover = %+v", e)
	}
	log := p.Logs()
	if !strings.Contains(log, "WARN failover began") || !strings.Contains(log, "INFO failover ended") {
		t.Errorf("the log says:\n%s", log)
	}
}

// TestFallbackOfSplit has several upstreams share one fallback.
func TestFallbackOfSplit(t *testing.T) {
	a, b, f := newMember(t, "a"), newMember(t, "b"), newMember(t, "f")
	p := start(t, "", "routes { route \"r\" { split { upstream \"a\"; upstream \"b\" }; fallback-upstream \"f\" } }\nupstreams { "+
		groupOf("a", "", a)+groupOf("b", "", b)+groupOf("f", "", f)+"}\n")
	seen := func() map[string]bool {
		names := map[string]bool{}
		for range 20 {
			names[p.do("GET", "/").Text()] = true
		}
		return names
	}
	if got := seen(); !got["a"] || !got["b"] || got["f"] {
		t.Errorf("with all well, %v answer", got)
	}
	b.Close()
	if got := seen(); !got["a"] || !got["f"] || len(got) != 2 {
		t.Errorf("with b dead, %v answer", got)
	}
	a.Close()
	if got := seen(); !got["f"] || len(got) != 1 {
		t.Errorf("with both dead, %v answer", got)
	}
}

// TestTargetsDieUnderLoad kills one target after the other while requests come; with a
// fallback none of them fails.
func TestTargetsDieUnderLoad(t *testing.T) {
	a, b, c, f := newMember(t, "a"), newMember(t, "b"), newMember(t, "c"), newMember(t, "f")
	p := start(t, "", `routes { route "r" { upstream "u"; fallback-upstream "f"; retry-policy { retry-on "connect_failure" "reset" } } }
upstreams { `+groupOf("u", "retry-budget { min-per-second 1000 }", a, b, c)+groupOf("f", "", f)+"}\n")
	end := make(chan struct{})
	var clients sync.WaitGroup
	var mu sync.Mutex
	var failed []string
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				if r, err := rawclient.Do(p.addr, "GET", ask); err != nil || r.Status != 200 {
					mu.Lock()
					failed = append(failed, fmt.Sprint(r.Status, " ", r.Text(), err))
					mu.Unlock()
				}
			}
		})
	}
	more := func(m *member) {
		before := m.hits.Load()
		eventually(t, "requests reach "+m.name, func() bool { return m.hits.Load() > before+20 })
	}
	for _, m := range []*member{a, b, c} {
		more(m)
		m.Close()
	}
	more(f)
	close(end)
	clients.Wait()
	slices.Sort(failed)
	if failed = slices.Compact(failed); len(failed) > 0 {
		t.Errorf("while targets died: %q", failed)
	}
}
