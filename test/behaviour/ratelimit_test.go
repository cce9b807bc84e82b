package behaviour

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/origin"
)

// statuses sends n requests and counts the statuses of their answers.
func (p *proxy) statuses(n int, target string, fields ...string) map[int]int {
	p.t.Helper()
	count := map[int]int{}
	for range n {
		count[p.do("GET", target, fields...).Status]++
	}
	return count
}

// expectStatuses checks what statuses counts.
func (p *proxy) expectStatuses(want map[int]int, n int, target string, fields ...string) {
	p.t.Helper()
	if got := p.statuses(n, target, fields...); fmt.Sprint(got) != fmt.Sprint(want) {
		p.t.Errorf("%d requests for %s %q are answered %v, want %v", n, target, fields, got, want)
	}
}

// slow is a rate that gives nothing back while a test runs.
const slow = "requests-per-minute 1; "

func TestRateLimitRefuses(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", forward(o, "rate-limit { "+slow+"burst 3 }", ""))
	p.expectStatuses(map[int]int{200: 3, 429: 2}, 5, "/")
	r := p.do("GET", "/")
	head := string(r.Raw)
	for _, want := range []string{"HTTP/1.1 429 ", "\r\nRetry-After: ", "\r\nRateLimit-Policy: \"default\";q=3;w=", "\r\nRateLimit: \"default\";r=0"} {
		if !strings.Contains(head, want) {
			t.Errorf("the refusal is %q, want %q in it", head, want)
		}
	}
	if n := o.Requests(); n != 3 {
		t.Errorf("the upstream got %d requests, want 3", n)
	}
	m := p.Metrics()
	for _, want := range []string{`sentinel_rate_limited_total{limit="default",outcome="blocked",scope="route \"r\""} 3`, `sentinel_faults_total{fault="rate_limited",route="r",side="client"} 3`} {
		if !strings.Contains(m, want) {
			t.Errorf("the metrics lack %s in %s", want, linesWith(m, "limited"))
		}
	}
	if code := p.do("GET", "/health").Status; code != 200 {
		t.Errorf("/health of a client over its limit = %d", code)
	}
}

// The rate comes back, as fast as it says.
func TestRateLimitRate(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	for _, rate := range []string{"requests-per-second 20", "requests-per-minute 1200"} {
		p := start(t, "", forward(o, "rate-limit { "+rate+"; burst 1 }", ""))
		began, passed := time.Now(), 0
		for time.Since(began) < time.Second {
			if p.do("GET", "/").Status == 200 {
				passed++
			}
		}
		if limit := int(time.Since(began).Seconds()*20) + 2; passed > limit || passed < 5 {
			t.Errorf("%s: %d requests passed in %v, want about 20 a second", rate, passed, time.Since(began))
		}
	}
	p := start(t, "", forward(o, "rate-limit { requests-per-second 5 }", ""))
	if got := p.statuses(8, "/")[200]; got < 5 || got > 7 {
		t.Errorf("without burst %d of 8 requests pass at once, want as many as the rate: 5", got)
	}
}

func TestRateLimitKeys(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	for _, c := range []struct {
		key       string
		a, b      []string // a target and fields: two requests that count apart
		alsoAsOne []string // one that counts with a
	}{
		{`"header:X-Key"`, []string{"/", "X-Key: a"}, []string{"/", "X-Key: b"}, []string{"/other", "x-key: a"}},
		{`"cookie:id"`, []string{"/", "Cookie: id=a"}, []string{"/", "Cookie: id=b"}, []string{"/", "Cookie: x=y; id=a"}},
		{`"path"`, []string{"/a"}, []string{"/b"}, []string{"/x/../a"}},
		{`"host"`, []string{"/", "Host: a.example"}, []string{"/", "Host: b.example"}, []string{"/", "Host: A.example"}},
		{`"client_ip" "path"`, []string{"/a"}, []string{"/b"}, []string{"/a"}},
	} {
		t.Run(c.key, func(t *testing.T) {
			p := start(t, "", forward(o, "rate-limit { "+slow+"burst 2; key "+c.key+" }", ""))
			p.expectStatuses(map[int]int{200: 2, 429: 1}, 3, c.a[0], c.a[1:]...)
			p.expectStatuses(map[int]int{200: 2, 429: 1}, 3, c.b[0], c.b[1:]...)
			p.expectStatuses(map[int]int{429: 1}, 1, c.alsoAsOne[0], c.alsoAsOne[1:]...)
		})
	}
	t.Run("method, route and listener", func(t *testing.T) {
		p := start(t, "", forward(o, "rate-limit { "+slow+`burst 1; key "method" "route" "listener" }`, ""))
		for _, method := range []string{"GET", "POST"} {
			if first, second := p.do(method, "/").Status, p.do(method, "/").Status; first != 200 || second != 429 {
				t.Errorf("%s twice = %d, %d, want 200, 429", method, first, second)
			}
		}
	})
}

// Behind a trusted proxy the client counts that it names, and of IPv6 the prefix.
func TestRateLimitClients(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	const trust = "system { $FILES; trusted-proxies \"127.0.0.1\" }\n"
	p := start(t, "", trust+forward(o, "rate-limit { "+slow+"burst 1; ipv6-prefix-bits 48 }", ""))
	for _, c := range []struct {
		client string
		want   int
	}{
		{"192.0.2.1", 200},
		{"192.0.2.1", 429},
		{"192.0.2.2", 200},
		{"2001:db8:1:1::1", 200},
		{"2001:db8:1:2::1", 429}, // the same /48
		{"2001:db8:2:1::1", 200},
	} {
		if got := p.do("GET", "/", "X-Forwarded-For: "+c.client).Status; got != c.want {
			t.Errorf("a request of %s is answered %d, want %d", c.client, got, c.want)
		}
	}
	if log := p.Logs(); !strings.Contains(log, `client_ip="192.0.2.2"`) {
		t.Error("the log doesn't name the client behind the trusted proxy")
	}
}

func TestRateLimitActions(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	t.Run("delay", func(t *testing.T) {
		p := start(t, "", forward(o, `rate-limit { requests-per-second 10; burst 1; action "delay"; max-delay-secs 30 }`, ""))
		began := time.Now()
		p.expectStatuses(map[int]int{200: 4}, 4, "/")
		if took := time.Since(began); took < 250*time.Millisecond {
			t.Errorf("four requests at 10 a second took %v, want at least 0.3 s", took)
		}
		if m := p.Metrics(); !strings.Contains(m, `outcome="delayed",scope="route \"r\""} 3`) {
			t.Errorf("delays aren't counted: %s", linesWith(m, "rate_limited_total"))
		}
	})
	t.Run("a delay that is too long", func(t *testing.T) {
		p := start(t, "", forward(o, "rate-limit { "+slow+`burst 1; action "delay"; max-delay-secs 0.5 }`, ""))
		p.expectStatuses(map[int]int{200: 1, 429: 1}, 2, "/")
	})
	t.Run("log", func(t *testing.T) {
		p := start(t, "", forward(o, "rate-limit \"notes\" { "+slow+`burst 1; action "log" }`, ""))
		p.expectStatuses(map[int]int{200: 3}, 3, "/")
		eventually(t, "the note is in the log", func() bool { return strings.Count(p.Logs(), `rate_limit="notes"`) == 2 })
	})
	t.Run("shadow", func(t *testing.T) {
		p := start(t, "", forward(o, "rate-limit { "+slow+`burst 1; mode "shadow" }`, ""))
		p.expectStatuses(map[int]int{200: 3}, 3, "/")
		if m := p.Metrics(); !strings.Contains(m, `outcome="shadowed",scope="route \"r\""} 2`) {
			t.Errorf("what shadow mode would have done isn't counted: %s", linesWith(m, "rate_limited_total"))
		}
	})
}

// The nearest place that has a limit decides; a limit of the same name takes over the rest.
func TestRateLimitPlaces(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	for _, c := range []struct {
		name, top, listener, route, policies string
		want                                 int // requests that pass
	}{
		{"top level", slow + "burst 2", "", "", "", 2},
		{"listener before top level", slow + "burst 2", slow + "burst 3", "", "", 3},
		{"route before both", slow + "burst 2", slow + "burst 3", slow + "burst 4", "", 4},
		{"policies of the route", slow + "burst 2", "", "", slow + "burst 5", 5},
		{"the rate is the top level's", slow + "burst 2", "", "burst 4", "", 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			block := func(s string) string {
				if s == "" {
					return ""
				}
				return "rate-limit { " + s + " }"
			}
			route := block(c.route)
			if c.policies != "" {
				route += " policies { " + block(c.policies) + " }"
			}
			p := start(t, block(c.listener), block(c.top)+"\n"+forward(o, route, ""))
			p.expectStatuses(map[int]int{200: c.want, 429: 2}, c.want+2, "/")
		})
	}
	t.Run("several at once", func(t *testing.T) {
		p := start(t, "", forward(o, `rate-limit "each" { `+slow+`burst 3; key "path" }; rate-limit "all" { `+slow+`burst 5 }`, ""))
		p.expectStatuses(map[int]int{200: 3, 429: 1}, 4, "/a")
		p.expectStatuses(map[int]int{200: 2, 429: 1}, 3, "/b")
		if got := string(p.do("GET", "/c").Raw); !strings.Contains(got, `RateLimit: "all";`) {
			t.Errorf("the refusal doesn't name the limit: %q", got)
		}
	})
}

// Counts outlive a reload, and a rate that was changed takes effect on them.
func TestRateLimitOverReload(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	config := func(limit string) string {
		return `listeners { listener "l" { address "127.0.0.1:0" } }` + "\n" + forward(o, "rate-limit { "+limit+" }", "")
	}
	p := start(t, "", forward(o, "rate-limit { "+slow+"burst 2 }", ""))
	p.expectStatuses(map[int]int{200: 2, 429: 1}, 3, "/")
	p.Reload(config(slow + "burst 2"))
	p.addr = p.Addr("l")
	p.expectStatuses(map[int]int{429: 2}, 2, "/")
	p.Reload(config("requests-per-second 1000; burst 1000"))
	p.addr = p.Addr("l")
	eventually(t, "the higher rate lets requests through", func() bool { return p.do("GET", "/").Status == 200 })
}

// A table that is full forgets those who are nearest to their full credit.
func TestRateLimitMaxKeys(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", forward(o, "rate-limit { "+slow+`burst 1; key "header:X-Key"; max-keys 128 }`, ""))
	const clients = 2000
	for i := range clients {
		p.do("GET", "/", "X-Key: "+strconv.Itoa(i))
	}
	remembered := 0
	for i := range clients {
		if p.do("GET", "/", "X-Key: "+strconv.Itoa(i)).Status == 429 {
			remembered++
		}
	}
	if remembered > clients/2 {
		t.Errorf("%d of %d clients are remembered with max-keys 128", remembered, clients)
	}
}
