package behaviour

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// firstly deals with the first request by bad, with all others by well, whichever member
// they come to.
func firstly(bad, well origin.Act, members ...*member) {
	var n atomic.Int64
	for _, m := range members {
		m.Set(func(c *origin.Conn, r origin.Request) bool {
			if n.Add(1) == 1 {
				return bad(c, r)
			}
			return well(c, r)
		})
	}
}

// echo answers with the content of the request.
func echo(c *origin.Conn, r origin.Request) bool {
	return origin.Reply(200, "got "+string(r.Content.Data))(c, r)
}

func hits(members ...*member) (n int64) {
	for _, m := range members {
		n += m.hits.Load()
	}
	return n
}

// post is a request with content of n bytes.
func post(method string, n int) string {
	return fmt.Sprintf("%s / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", method, n, strings.Repeat("x", n))
}

// pieces is the same in chunks.
func pieces(method string, n int) string {
	return fmt.Sprintf("%s / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", method, n, strings.Repeat("x", n))
}

// TestRetryPolicy has a first try that fails in each way, and a second that would succeed.
func TestRetryPolicy(t *testing.T) {
	silently := func(*origin.Conn, origin.Request) bool { return false }
	reply := func(code int) origin.Act { return origin.Reply(code, "no") }
	const big = 300_000 // more than is read ahead
	for _, c := range []struct {
		words   string
		bad     origin.Act
		request string
		want    int   // the client's status
		hits    int64 // requests that the targets get
	}{
		{``, origin.Reset, ask, 502, 1},
		{``, reply(503), ask, 503, 1},
		{`retry-policy { retry-on "reset" }`, origin.Reset, ask, 200, 2},
		{`retry-policy { retry-on "reset" }`, silently, ask, 200, 2},
		{`retry-policy { retry-on "reset" }`, origin.Garbage, ask, 502, 1},
		{`retry-policy { retry-on "timeout" "gateway_error" "server_error" }`, origin.Reset, ask, 502, 1},
		{`retry-policy { retry-on "reset"; max-attempts 1 }`, origin.Reset, ask, 502, 1},
		{`retry-policy { retry-on "timeout"; per-try-timeout-secs 0.3 }`, origin.Hang, ask, 200, 2},
		{`retry-policy { retry-on "reset"; per-try-timeout-secs 0.3 }`, origin.Hang, ask, 504, 1},
		{`retry-policy { retry-on "reset"; per-try-timeout-secs 0.3 }`, origin.Hang, post("PUT", big), 504, 1},
		{`retry-policy { retry-on "gateway_error" }`, reply(502), ask, 200, 2},
		{`retry-policy { retry-on "gateway_error" }`, reply(504), ask, 200, 2},
		{`retry-policy { retry-on "gateway_error" }`, reply(500), ask, 500, 1},
		{`retry-policy { retry-on "server_error" }`, reply(500), ask, 200, 2},
		{`retry-policy { retry-on "server_error" }`, reply(404), ask, 404, 1},
		{`retry-policy { retryable-status-codes 404 500 }`, reply(404), ask, 200, 2},
		{`retry-policy { retryable-status-codes 404 500 }`, reply(500), ask, 200, 2},
		{`retry-policy { retryable-status-codes 404 500 }`, reply(503), ask, 503, 1},

		{`retry-policy { retry-on "reset" }`, origin.Reset, post("POST", 10), 502, 1},
		{`retry-policy { retry-on "server_error" }`, reply(500), post("POST", 10), 500, 1},
		{`retry-policy { retry-on "reset"; non-idempotent #true }`, origin.Reset, post("POST", 10), 200, 2},
		{`retry-policy { retry-on "server_error"; non-idempotent #true }`, reply(500), post("POST", 60_000), 200, 2},
		{`retry-policy { retry-on "reset" }`, origin.Reset, post("PUT", 64_000), 200, 2},
		{`retry-policy { retry-on "server_error" }`, reply(500), pieces("PUT", 10), 200, 2},
		{`retry-policy { retry-on "server_error" }`, reply(500), post("PUT", 64_001), 500, 1},
		{`retry-policy { retry-on "server_error"; max-body-size "1MB" }`, reply(500), post("PUT", big), 200, 2},
		{`retry-policy { retry-on "server_error"; max-body-size 100 }`, reply(500), post("PUT", 100), 200, 2},
		{`retry-policy { retry-on "server_error"; max-body-size 100 }`, reply(500), post("PUT", 101), 500, 1},
		{`retry-policy { retry-on "server_error"; max-body-size 100 }`, reply(500), pieces("PUT", 101), 500, 1},
	} {
		a, b := newMember(t, "a"), newMember(t, "b")
		firstly(c.bad, echo, a, b)
		p := start(t, "", group(c.words, "", a, b))
		begun := time.Now()
		method, _, _ := strings.Cut(c.request, " ")
		r := p.raw(method, c.request)
		if r.Status != c.want || hits(a, b) != c.hits {
			t.Errorf("%s: %.8q = %d after %d tries, want %d after %d", c.words, c.request, r.Status, hits(a, b), c.want, c.hits)
		}
		if c.hits == 2 && (a.hits.Load() != 1 || r.Text() != "got "+strings.Repeat("x", strings.Count(c.request, "x"))) {
			t.Errorf("%s: %.8q: a got %d of two tries, the second had %d bytes of content", c.words, c.request, a.hits.Load(), len(r.Text())-len("got "))
		}
		if took := time.Since(begun); took > 8*time.Second {
			t.Errorf("%s: %.8q took %v", c.words, c.request, took)
		}
		if got, want := value(p.Metrics(), `sentinel_upstream_retries_total{upstream="u"}`), fmt.Sprint(c.hits-1); got != want {
			t.Errorf("%s: sentinel_upstream_retries_total = %s, want %s", c.words, got, want)
		}
		p.Stop()
	}
}

// TestConnectFailures has a target that is dead: whatever the request, it can go to another.
func TestConnectFailures(t *testing.T) {
	dead, a := newMember(t, "dead"), newMember(t, "a")
	dead.Close()
	a.Set(echo)
	for _, c := range []struct {
		words string
		want  int // answered 200, of each two
	}{
		{``, 2},
		{`retry-policy { retry-on "connect_failure" }`, 2},
		{`retry-policy { retry-on "reset" }`, 1},
		{`retry-policy { max-attempts 1 }`, 1},
	} {
		p := start(t, "", group(c.words, "", dead, a))
		for _, request := range []string{ask, post("POST", 10), post("POST", 60_000), post("POST", 1_000_000), pieces("POST", 300_000)} {
			method, _, _ := strings.Cut(request, " ")
			ok := 0
			for range 4 {
				r := p.raw(method, request)
				if r.Status == 200 {
					ok++
				} else if r.Status != 502 || !strings.Contains(r.Text(), "U01") {
					t.Errorf("%s: %.8q to a dead target = %d %s", c.words, request, r.Status, r.Text())
				}
				if want := len("got ") + strings.Count(request, "x"); r.Status == 200 && len(r.Text()) != want {
					t.Errorf("%s: %.8q was answered with %d bytes, want %d", c.words, request, len(r.Text()), want)
				}
			}
			if ok != 2*c.want {
				t.Errorf("%s: %d of 4 %.8q of %d bytes succeed beside a dead target, want %d", c.words, ok, request, len(request), 2*c.want)
			}
		}
		p.Stop()
	}
}

// TestRetriesGoElsewhere counts the tries of one request at each target.
func TestRetriesGoElsewhere(t *testing.T) {
	for _, c := range []struct {
		attempts, members int
		least, most       int64 // tries at each
	}{{2, 3, 0, 1}, {3, 3, 1, 1}, {5, 3, 1, 3}} {
		var members []*member
		for i := range c.members {
			m := newMember(t, fmt.Sprint(i))
			m.Set(origin.Reply(500, ""))
			members = append(members, m)
		}
		p := start(t, "", group(fmt.Sprintf(`retry-policy { max-attempts %d; retry-on "server_error"; backoff-secs 0 }`, c.attempts), "", members...))
		if r := p.do("GET", "/"); r.Status != 500 {
			t.Errorf("with all targets failing = %d", r.Status)
		}
		for i, m := range members {
			if got := m.hits.Load(); got < c.least || got > c.most {
				t.Errorf("max-attempts %d: target %d of %d got %d tries, want %d to %d", c.attempts, i, c.members, got, c.least, c.most)
			}
		}
		if got := hits(members...); got != int64(c.attempts) {
			t.Errorf("max-attempts %d: %d tries", c.attempts, got)
		}
		p.Stop()
	}
}

func TestRetryBackoff(t *testing.T) {
	a := newMember(t, "a")
	a.Set(origin.Reply(500, ""))
	took := func(words string) time.Duration {
		p := start(t, "", group(`retry-policy { retry-on "server_error"; `+words+` }`, "", a))
		defer p.Stop()
		begun := time.Now()
		p.do("GET", "/")
		return time.Since(begun)
	}
	if got := took("max-attempts 5; backoff-secs 1; max-backoff-secs 1"); got < 250*time.Millisecond {
		t.Errorf("backoff-secs 1: four pauses last %v", got)
	}
	if got := took("max-attempts 10; backoff-secs 0.05; max-backoff-secs 0.05"); got > 3*time.Second {
		t.Errorf("max-backoff-secs 0.05: nine pauses last %v", got)
	}
	if got := took("max-attempts 10; backoff-secs 0"); got > 3*time.Second {
		t.Errorf("backoff-secs 0: nine pauses last %v", got)
	}
}

// TestRetryBudget has targets that all fail: what reaches them isn't multiplied.
func TestRetryBudget(t *testing.T) {
	const requests = 100
	for _, c := range []struct {
		words       string
		least, most int64 // retries
	}{
		{"", 20, 60},
		{"retry-budget { percent 0; min-per-second 0 }", 0, 0},
		{"retry-budget { percent 30; min-per-second 0 }", 25, 30},
		{"retry-budget { percent 0; min-per-second 2 }", 20, 40},
		{"retry-budget { percent 100; min-per-second 1000 }", 2 * requests, 2 * requests},
	} {
		a, b := newMember(t, "a"), newMember(t, "b")
		a.Set(origin.Reply(500, ""))
		b.Set(origin.Reply(500, ""))
		p := start(t, "", group(`retry-policy { retry-on "server_error"; backoff-secs 0 }`, c.words, a, b))
		for range requests {
			if r := p.do("GET", "/"); r.Status != 500 {
				t.Errorf("%s: %d %s", c.words, r.Status, r.Text())
			}
		}
		if got := hits(a, b) - requests; got < c.least || got > c.most {
			t.Errorf("%s: %d retries of %d requests, want %d to %d", c.words, got, requests, c.least, c.most)
		}
		if got := value(p.Metrics(), `sentinel_upstream_retries_total{upstream="u"}`); got != strconv.FormatInt(hits(a, b)-requests, 10) {
			t.Errorf("%s: sentinel_upstream_retries_total = %s, want %d", c.words, got, hits(a, b)-requests)
		}
		p.Stop()
	}
}

// deadlines returns how often the request deadline has passed.
func (p *proxy) deadlines() string {
	p.t.Helper()
	return value(p.Metrics(), `sentinel_faults_total{fault="request_deadline",route="r",side="upstream"}`)
}

// TestRequestDeadline has a deadline pass in each stretch of an exchange that it covers.
func TestRequestDeadline(t *testing.T) {
	a := newMember(t, "a")
	check := func(t *testing.T, p *proxy, r rawclient.Response, err error, begun time.Time) {
		t.Helper()
		if took := time.Since(begun); err != nil || r.Status != 504 || took < 400*time.Millisecond || took > 8*time.Second {
			t.Errorf("request-secs 0.5: %d %s, %v after %v, want 504", r.Status, r.Text(), err, took)
		}
		eventually(t, "the deadline is counted", func() bool { return p.deadlines() == "1" })
	}
	t.Run("tries", func(t *testing.T) {
		a.Set(origin.Hang)
		p := start(t, "", group(`timeouts { request-secs 0.5 }; retry-policy { max-attempts 10; retry-on "timeout"; per-try-timeout-secs 0.1; backoff-secs 0 }`, "", a))
		begun := time.Now()
		r, err := p.visit()
		check(t, p, r, err, begun)
		if got := a.hits.Load(); got < 2 {
			t.Errorf("the deadline covers %d tries, want several", got)
		}
	})
	t.Run("pauses", func(t *testing.T) {
		a.Set(origin.Reply(500, "own"))
		p := start(t, "", group(`timeouts { request-secs 2 }; retry-policy { max-attempts 10; retry-on "server_error"; backoff-secs 60; max-backoff-secs 60 }`, "", a))
		begun := time.Now()
		r, err := p.visit()
		if took := time.Since(begun); err != nil || r.Text() != "own" || took > 8*time.Second {
			t.Errorf("a pause beyond the deadline: %d %s, %v after %v, want the answer that is there", r.Status, r.Text(), err, took)
		}
	})
	t.Run("connect", func(t *testing.T) {
		p := start(t, "", `routes { route "r" { upstream "u"; timeouts { request-secs 0.5 } } }
upstreams { upstream "u" { target "`+deafAddress(t)+`" } }
`)
		begun := time.Now()
		r, err := p.visit()
		check(t, p, r, err, begun)
	})
	t.Run("queue", func(t *testing.T) {
		release := make(chan struct{})
		entered := make(chan origin.Request, 2)
		a.Set(origin.Held(entered, release, origin.Reply(200, "")))
		p := start(t, "", `routes { route "r" { upstream "u"; timeouts { request-secs 0.5 } }; route "s" { matches { path "/held" }; upstream "u"; timeouts { request-secs 60 } } }
upstreams { `+groupOf("u", "max-connections 1; queue { max-pending 10; timeout-secs 60 }", a)+" }\n")
		first := p.send("/held")
		<-entered
		begun := time.Now()
		r, err := p.visit()
		check(t, p, r, err, begun)
		close(release)
		answered(t, first, 200)
	})
	t.Run("upload", func(t *testing.T) {
		a.well()
		p := start(t, "", group(`timeouts { request-secs 0.5 }`, "", a))
		c := p.dial()
		begun := time.Now()
		c.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nx")
		r, err := c.ReadFinalResponse("POST")
		check(t, p, r, err, begun)
	})
	for _, c := range []struct {
		name, route, up string
		size            int // from some size on content moves inside the kernel
	}{
		{"route", "timeouts { request-secs 0.5 }", "", 1000},
		{"upstream", "", "timeouts { request-secs 0.5 }", 1000},
		{"large", "timeouts { request-secs 0.5 }", "", 1_000_000},
	} {
		t.Run("download, "+c.name, func(t *testing.T) {
			step := make(chan struct{})
			a.Set(origin.Trickle(c.size, step))
			p := start(t, "", group(c.route, c.up, a))
			begun := time.Now()
			client := p.send("/")
			done := feed(step, 10*time.Millisecond)
			defer done()
			r, err := client.ReadFinalResponse("GET")
			if took := time.Since(begun); err == nil || r.Status != 200 || took < 400*time.Millisecond || took > 8*time.Second {
				t.Errorf("request-secs 0.5: a download of 10 s and more ends with %d, %v after %v, want it cut", r.Status, err, took)
			}
			eventually(t, "the deadline is counted", func() bool { return p.deadlines() == "1" })
			if log := p.Logs(); !strings.Contains(log, `error="request deadline passed"`) {
				t.Errorf("the log doesn't tell of the deadline:\n%s", log)
			}
		})
	}
}

// feed gives step a value from time to time until it is told to stop.
func feed(step chan<- struct{}, every time.Duration) (stop func()) {
	end := make(chan struct{})
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			select {
			case <-end:
				return
			case step <- struct{}{}:
			}
		}
	}()
	return func() { close(end) }
}

// TestTopLevelDeadline has a download outlast the deadline that stands at top level, and an
// upload that doesn't end.
func TestTopLevelDeadline(t *testing.T) {
	a := newMember(t, "a")
	step := make(chan struct{})
	a.Set(origin.Trickle(60, step))
	p := start(t, "", "timeouts { request-secs 0.5 }\n"+group("", "", a))
	client := p.send("/")
	done := feed(step, 20*time.Millisecond)
	defer done()
	if r, err := client.ReadFinalResponse("GET"); err == nil {
		t.Errorf("a download of more than a second came whole: %d bytes", len(r.Text()))
	}
	a.Set(origin.Hang)
	if r := p.do("GET", "/"); r.Status != 504 {
		t.Errorf("no head within the deadline = %d, want 504", r.Status)
	}
	upload := p.dial()
	upload.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc")
	if r, err := upload.ReadFinalResponse("POST"); err != nil || r.Status != 504 {
		t.Errorf("an upload that stops = %d %v, want 504 at the deadline", r.Status, err)
	}
}

// TestInterimDuringUpload has a target that hints before it has read the content.
func TestInterimDuringUpload(t *testing.T) {
	const size = 1_000_000
	o := origin.Start(t, func(c *origin.Conn) {
		for {
			r, err := c.ReadHead()
			if err != nil {
				return
			}
			c.WriteString("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
			if c.ReadContent(&r) != nil {
				return
			}
			c.WriteString(origin.Response(r, 200, fmt.Sprint(len(r.Content.Data))))
		}
	})
	p := start(t, "", forward(o, "", ""))
	for _, framing := range []string{"length", "chunked"} {
		c := p.dial()
		begin, rest := fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", size), strings.Repeat("x", size)
		if framing == "chunked" {
			begin, rest = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size, rest)
		}
		c.Send(begin)
		if r, err := c.ReadResponse("POST"); err != nil || r.Status != 103 || r.Fields.Get("Link") != "</a.css>" {
			t.Fatalf("%s: while the upload waits = %s, %v, want the hint", framing, r.Raw, err)
		}
		c.Send(rest)
		if r, err := c.ReadFinalResponse("POST"); err != nil || r.Text() != fmt.Sprint(size) {
			t.Errorf("%s: after the upload = %d %q, %v, want all of it", framing, r.Status, r.Text(), err)
		}
	}
}

// TestTargetFailsDuringUpload has a target fail while the client, which is well, pauses.
func TestTargetFailsDuringUpload(t *testing.T) {
	for name, script := range map[string]origin.Script{
		"U07": func(c *origin.Conn) { c.ReadHead(); c.Reset() },
		"U08": func(c *origin.Conn) { c.ReadHead(); c.Read(make([]byte, 1)); c.CloseWrite(); c.ReadUntilClose() },
	} {
		o := origin.Start(t, script)
		p := start(t, "", forward(o, "", "circuit-breaker { failure-threshold 1 }"))
		c := p.dial()
		c.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nx")
		if r, err := c.ReadFinalResponse("POST"); err != nil || r.Status != 502 || !strings.Contains(r.Text(), name) {
			t.Errorf("the target fails during an upload = %d %s, %v, want 502 by %s", r.Status, r.Text(), err, name)
		}
		eventually(t, "the breaker opens", func() bool { return p.target("u", o.Addr()).Breaker.State == "open" })
		p.Stop()
	}
}
