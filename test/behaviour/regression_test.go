package behaviour

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// watched is a configuration of one route that compares reloads.
func watched(o *origin.Origin, settings string) string {
	return fmt.Sprintf(`system { $FILES; reload { %s } }
routes { route "r" { upstream "u" } }
upstreams { upstream "u" { target %q } }
`, settings, o.Addr())
}

// busy sends requests, a few at a time, until the test ends.
func (p *proxy) busy() {
	p.t.Helper()
	done := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(5 * time.Millisecond): // the rate of the traffic
					rawclient.Do(p.addr, "GET", "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
				}
			}
		})
	}
	p.t.Cleanup(func() { close(done); clients.Wait() })
}

// slowly answers 200 after a while.
func slowly(d time.Duration) origin.Script {
	return origin.Answer(func(req origin.Request) string {
		time.Sleep(d)
		return origin.Response(req, http.StatusOK, "late")
	})
}

// awaitRequests waits until the route has answered n requests more.
func (p *proxy) awaitRequests(n uint64) {
	p.t.Helper()
	count := func() uint64 { return p.Status().Routes[0].Requests }
	before := count()
	eventually(p.t, fmt.Sprintf("%d requests", n), func() bool { return count() >= before+n })
}

// startWatched starts a proxy, generation 2, under traffic and waits until enough is known of before.
func startWatched(t *testing.T, settings string) (p *proxy, good *origin.Origin) {
	good = origin.Start(t, origin.OK(2))
	p = start(t, "", watched(good, settings))
	if o := p.Reload(p.listening(watched(good, settings))); !o.OK { // the address stays from now on
		t.Fatalf("reload = %+v", o)
	}
	p.busy()
	p.awaitRequests(1)
	began := time.Now()
	eventually(t, "nine steps of half a second", func() bool { return time.Since(began) > 4700*time.Millisecond })
	return p, good
}

func (p *proxy) awaitStatus(what string, yes func(admin.Status) bool) {
	p.t.Helper()
	eventually(p.t, what, func() bool { return yes(p.Status()) })
}

// A reload after which requests fail is taken back, once; what was taken back stays out.
func TestRegressionIsRolledBack(t *testing.T) {
	const settings = `on-regression "rollback"; window-secs 6; min-requests 20`
	p, _ := startWatched(t, settings)
	bad := origin.Start(t, origin.Status(500))
	text := p.listening(watched(bad, settings))
	if o := p.Reload(text); !o.OK || o.Generation != 3 {
		t.Fatalf("reload = %+v", o)
	}
	if until := p.Status().ComparedUntil; until == nil || time.Until(*until) > 8*time.Second || time.Until(*until) < 4*time.Second {
		t.Errorf("compared until %v, want in about 6.5 s", until)
	}
	p.awaitStatus("what served before serves again", func(s admin.Status) bool { return s.Generation == 4 && s.Deviation != nil })
	s := p.Status()
	if d := s.Deviation; d.Cause != admin.DeviationRegression || d.Instead != 3 || !strings.Contains(d.Why, `route "r": 0% of its requests failed before, 100% since`) {
		t.Errorf("deviation = %+v, want a regression of route r", d)
	}
	if len(s.FilesDiffer) == 0 || s.ComparedUntil != nil || s.LastReload.Cause != "revert: regression" {
		t.Errorf("status = %+v, want that files differ and nothing is compared", s.ConfigState)
	}
	if r := p.do("GET", "/"); r.Status != 200 {
		t.Errorf("GET / after the revert = %d, want 200", r.Status)
	}
	if o := p.Reload(text); o.OK || o.Error != "configuration was taken back" {
		t.Errorf("reload of what was taken back = %+v, want it refused", o)
	}
	eventually(t, "the metrics count it", func() bool {
		return strings.Contains(p.Metrics(), `sentinel_config_rollbacks_total{cause="regression"} 1`)
	})
	// Who asks for it by name gets it, and it isn't taken back again.
	out := p.sentinel("reload", "--again")
	if !strings.Contains(out, "generation 5 serves") {
		t.Errorf("sentinel reload --again: %s", out)
	}
	p.awaitStatus("it is told, and not taken back", func(s admin.Status) bool { return s.Generation == 5 && len(s.Regression) > 0 })
	log := p.Logs()
	for _, want := range []string{
		`WARN configuration reverted, to="reverted", cause="since it serves requests fare worse: route`,
		`Configuration reload succeeded, cause="revert: regression", generation=4`,
		`WARN configuration worse, to="worse", cause="since it serves requests fare worse: `,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

// A slower upstream is told where that is asked for; the configuration stays.
func TestRegressionIsReported(t *testing.T) {
	const settings = `on-regression "report"; window-secs 6; min-requests 20; latency-increase-percent 50`
	p, _ := startWatched(t, settings)
	slow := origin.Start(t, slowly(40*time.Millisecond))
	if o := p.Reload(p.listening(watched(slow, settings))); !o.OK {
		t.Fatalf("reload = %+v", o)
	}
	p.awaitStatus("the status tells it", func(s admin.Status) bool { return len(s.Regression) > 0 })
	s := p.Status()
	if text := strings.Join(s.Regression, "\n"); s.Generation != 3 || s.Deviation != nil || !strings.Contains(text, `route "r": half of its requests took at most`) {
		t.Errorf("generation %d, regression %q, want 3 and a slower route", s.Generation, text)
	}
}

// What is below the settings doesn't count: too few requests, too small an increase, or
// nothing asked for.
func TestWhatIsNoRegression(t *testing.T) {
	for name, c := range map[string]struct {
		settings string
		script   origin.Script
	}{
		"too few requests":         {`on-regression "rollback"; window-secs 6; min-requests 1000000`, origin.Status(500)},
		"not enough more failures": {`on-regression "rollback"; window-secs 6; min-requests 20; error-increase-percent 60`, failing(2)},
		"not slow enough":          {`on-regression "rollback"; window-secs 6; min-requests 20; latency-increase-percent 10000`, slowly(20 * time.Millisecond)},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := startWatched(t, c.settings)
			worse := origin.Start(t, c.script)
			if o := p.Reload(p.listening(watched(worse, c.settings))); !o.OK {
				t.Fatalf("reload = %+v", o)
			}
			p.awaitStatus("nothing is compared any more", func(s admin.Status) bool { return s.ComparedUntil == nil })
			if s := p.Status(); s.Generation != 3 || len(s.Regression) > 0 {
				t.Errorf("generation %d, regression %q, want 3 and none", s.Generation, s.Regression)
			}
			if out := p.sentinel("events", "--kind", "config"); !strings.Contains(out, "INFO configuration accepted") {
				t.Errorf("events: %s", out)
			}
		})
	}
	p := start(t, "", watched(origin.Start(t, origin.OK(2)), ""))
	if o := p.Reload(p.listening(watched(origin.Start(t, origin.Status(500)), ""))); !o.OK || p.Status().ComparedUntil != nil {
		t.Errorf("reload without on-regression = %+v, compared until %v, want nothing compared", o, p.Status().ComparedUntil)
	}
}

// failing answers every n-th request with 500.
func failing(n int) origin.Script {
	var mu sync.Mutex
	count := 0
	return origin.Answer(func(req origin.Request) string {
		mu.Lock()
		defer mu.Unlock()
		count++
		if count%n == 0 {
			return origin.Response(req, http.StatusInternalServerError, "no")
		}
		return origin.Response(req, http.StatusOK, "ok")
	})
}
