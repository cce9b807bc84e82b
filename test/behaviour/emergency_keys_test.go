package behaviour

import (
	"strings"
	"testing"

	"sentinel/internal/testkit/origin"
)

// TestRouteDisabled has a route refuse what it would take, and no other one take it.
func TestRouteDisabled(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	rest := func(disabled string) string {
		return `routes {
			route "off" { matches { path-prefix "/off/" }; upstream "u"; ` + disabled + ` }
			route "r" { upstream "u" }
		}
		upstreams { ` + upstream("u", o, "") + "}\n"
	}
	for _, c := range []struct {
		disabled, status, retry string
	}{
		{"disabled", " 503 ", "\r\nRetry-After: 30\r\n"},
		{"disabled 410 retry-after-secs=0", " 410 ", ""},
		{"disabled { status 429; retry-after-secs 5 }", " 429 ", "\r\nRetry-After: 5\r\n"},
	} {
		p := start(t, "", rest(c.disabled))
		before := o.Requests()
		r := p.do("GET", "/off/x", "Accept: application/json")
		head := string(r.Raw)
		if !strings.HasPrefix(head, "HTTP/1.1"+c.status) || !strings.Contains(head, c.retry) || (c.retry == "") == strings.Contains(head, "Retry-After") {
			t.Errorf("%s: the answer is %q, want%sand %q", c.disabled, head, c.status, c.retry)
		}
		if !strings.Contains(r.Text(), `"code":"S61"`) || o.Requests() != before {
			t.Errorf("%s: the content is %q and the upstream got %d requests", c.disabled, r.Text(), o.Requests()-before)
		}
		if got := p.do("GET", "/x").Status; got != 200 {
			t.Errorf("%s: another route answers %d", c.disabled, got)
		}
		if m := p.Metrics(); !strings.Contains(m, `sentinel_faults_total{fault="route_disabled",route="off",side="self"} 1`) {
			t.Errorf("the metrics lack the fault: %s", linesWith(m, "disabled"))
		}
		p.Stop()
	}
}

// TestUseFallback sends all requests to the fallback of a route whose upstream is well.
func TestUseFallback(t *testing.T) {
	own, spare := named(t, "own"), named(t, "spare")
	for _, c := range []struct{ route, want string }{
		{`upstream "u"; fallback-upstream "f"`, "own"},
		{`upstream "u"; fallback-upstream "f"; use-fallback #true`, "spare"},
		{`split { upstream "u" weight=3; upstream "v" }; fallback-upstream "f"; use-fallback #true`, "spare"},
	} {
		p := start(t, "", `routes { route "r" { `+c.route+` } }
upstreams { `+upstream("u", own, "")+upstream("v", own, "")+upstream("f", spare, "")+"}\n")
		if got := p.do("GET", "/").Text(); got != c.want {
			t.Errorf("%s: %q answers, want %q", c.route, got, c.want)
		}
		p.Stop()
	}
}

// TestAdditionalRateLimit has a limit of the top level hold where routes and listeners have
// limits of their own, with one count for all of them.
func TestAdditionalRateLimit(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	routes := func(a string) string {
		return `routes {
			route "a" { matches { path-prefix "/a" }; upstream "u"; ` + a + ` }
			route "r" { upstream "u" }
		}
		upstreams { ` + upstream("u", o, "") + "}\n"
	}
	const own, also = "rate-limit { requests-per-second 1000 }", `rate-limit "also" { ` + slow + `burst 3; additional #true }` + "\n"
	p := start(t, own, also+routes(own))
	p.expectStatuses(map[int]int{200: 2}, 2, "/a")
	p.expectStatuses(map[int]int{200: 1, 429: 1}, 2, "/")
	r := p.do("GET", "/a")
	if head := string(r.Raw); r.Status != 429 || !strings.Contains(head, "RateLimit: \"also\";") {
		t.Errorf("the refusal is %q", head)
	}
	p.Stop()
	// Without it, the nearest place has the only say.
	p = start(t, own, strings.Replace(also, "; additional #true", "", 1)+routes(own))
	p.expectStatuses(map[int]int{200: 8}, 8, "/a")
	p.Stop()
	// One of a route leaves the limits of the listener in force.
	p = start(t, "rate-limit { "+slow+"burst 2 }", routes(`rate-limit "also" { requests-per-second 1000; additional #true }`))
	p.expectStatuses(map[int]int{200: 2, 429: 1}, 3, "/a")
}
