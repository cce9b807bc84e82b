package behaviour

import (
	"strings"
	"sync"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// breaker returns the state of the breaker of a target of "u".
func (p *proxy) breaker(m *member) string {
	p.t.Helper()
	return p.target("u", m.Addr()).Breaker.State
}

// TestCircuitBreaker walks a breaker through its states: closed, open, half-open and closed.
func TestCircuitBreaker(t *testing.T) {
	a := newMember(t, "a")
	text := func(timeout string) string {
		return group("", "circuit-breaker { failure-threshold 3; success-threshold 3; half-open-max-requests 2; timeout-secs "+timeout+" }", a)
	}
	p := start(t, "", text("60"))
	const series = "sentinel_circuit_breaker_state"
	if got := p.series(series, a.Addr()); got != "0" {
		t.Errorf("%s at the start = %s, want 0", series, got)
	}
	a.Set(origin.Reply(500, ""))
	for i := range 3 {
		if r := p.do("GET", "/"); r.Status != 500 {
			t.Fatalf("failure %d = %d %s, want the target's own answer", i, r.Status, r.Text())
		}
	}
	eventually(t, "all are counted", func() bool { return p.target("u", a.Addr()).Requests == 3 })
	for range 3 {
		r := p.do("GET", "/")
		if r.Status != 503 || r.Fields.Get("Retry-After") == "" || !strings.Contains(r.Text(), "U19") {
			t.Errorf("with the breaker open = %s, want 503 of the breaker with Retry-After", r.Raw)
		}
	}
	if got := a.hits.Load(); got != 3 {
		t.Errorf("failure-threshold 3: the target got %d requests", got)
	}
	if got := p.series(series, a.Addr()); got != "1" {
		t.Errorf("%s of an open breaker = %s, want 1", series, got)
	}

	entered, release := make(chan origin.Request, 16), make(chan struct{})
	a.Set(origin.Held(entered, release, origin.Reply(200, "a")))
	p.reload(text("0.2")) // the state stays, its time is over
	eventually(t, "the metric shows the breaker half-open", func() bool { return p.series(series, a.Addr()) == "2" })
	p.reload(text("60")) // so that a trial keeps its place
	var trials sync.WaitGroup
	trial := func() {
		trials.Go(func() {
			if r, err := p.visit(); err != nil || r.Text() != "a" {
				t.Errorf("a trial = %d, %v", r.Status, err)
			}
		})
		<-entered
	}
	trial()
	trial()
	for range 3 {
		if r := p.do("GET", "/"); r.Status != 503 || !strings.Contains(r.Text(), "U19") {
			t.Errorf("half-open-max-requests 2: a third request = %d %s", r.Status, r.Text())
		}
	}
	close(release)
	trials.Wait()
	eventually(t, "the trials are counted", func() bool { return p.target("u", a.Addr()).InProgress == 0 })
	if got := p.breaker(a); got != "half-open" {
		t.Errorf("success-threshold 3: after 2 successes the breaker is %s", got)
	}
	p.do("GET", "/")
	eventually(t, "the breaker closes", func() bool { return p.breaker(a) == "closed" })
	if got := p.series(series, a.Addr()); got != "0" {
		t.Errorf("%s of a closed breaker = %s, want 0", series, got)
	}
	a.Set(origin.Reply(500, ""))
	eventually(t, "the breaker opens again", func() bool { p.do("GET", "/"); return p.breaker(a) == admin.BreakerOpen })
	a.well()
	p.reload(group("", "", a))
	if r := p.do("GET", "/"); r.Text() != "a" {
		t.Errorf("with the breaker gone = %d %s", r.Status, r.Text())
	}
	if got := p.series(series, a.Addr()); got != "0" {
		t.Errorf("%s of a breaker that is gone = %s, want 0", series, got)
	}
	var seen []string
	eventually(t, "four events are told", func() bool {
		seen = nil
		for _, e := range p.events(event.KindBreaker) {
			seen = append(seen, e.To)
		}
		return len(seen) >= 4
	})
	if got := strings.Join(seen, " "); got != "open half-open closed open" {
		t.Errorf("the breaker's events are %s", got)
	}
}

// TestBreakerKeepsOthersServing has a target with an open breaker beside one that is well.
func TestBreakerKeepsOthersServing(t *testing.T) {
	a, b := newMember(t, "a"), newMember(t, "b")
	a.Set(origin.Reply(500, ""))
	p := start(t, "", group("", "circuit-breaker { failure-threshold 2; timeout-secs 60 }", a, b))
	eventually(t, "the breaker opens", func() bool { p.do("GET", "/"); return p.breaker(a) == admin.BreakerOpen })
	before := a.hits.Load()
	for range 20 {
		if r := p.do("GET", "/"); r.Text() != "b" {
			t.Errorf("with one breaker open = %d %q, want b", r.Status, r.Text())
		}
	}
	if got := a.hits.Load(); got != before {
		t.Errorf("%d requests went to the target with the open breaker", got-before)
	}
}

// TestHalfOpenBreakerIsNeverStuck has trials that end without a word about the target: the
// client leaves, or no answer ever comes.
func TestHalfOpenBreakerIsNeverStuck(t *testing.T) {
	a := newMember(t, "a")
	a.Set(origin.Reset)
	p := start(t, "", group("", "timeouts { read-secs 600; request-secs 600 }; circuit-breaker { failure-threshold 1; success-threshold 1; timeout-secs 0.2 }", a))
	for _, leave := range []func(*rawclient.Client) error{(*rawclient.Client).Close, (*rawclient.Client).Reset, func(*rawclient.Client) error { return nil }} {
		a.Set(origin.Reset)
		eventually(t, "the breaker opens", func() bool { p.do("GET", "/"); return p.breaker(a) != "closed" })
		entered, release := make(chan origin.Request, 16), make(chan struct{})
		a.Set(origin.Held(entered, release, origin.Reply(200, "late")))
		var c *rawclient.Client
		eventually(t, "a trial is sent", func() bool {
			c = p.dial()
			c.Send(ask)
			select {
			case <-entered:
				return true
			case <-time.After(100 * time.Millisecond):
				return false
			}
		})
		leave(c)
		a.well()
		eventually(t, "the breaker closes", func() bool { p.do("GET", "/"); return p.breaker(a) == "closed" })
		close(release)
	}
}

// TestBreakerShares has breakers that look at shares of the requests.
func TestBreakerShares(t *testing.T) {
	t.Run("error-rate-percent", func(t *testing.T) {
		a := newMember(t, "a")
		a.Set(origin.Rate(1, 2, origin.Reply(500, ""), origin.Reply(200, "")))
		p := start(t, "", group("", "circuit-breaker { failure-threshold 1000; error-rate-percent 50; min-requests 11; window-secs 600; timeout-secs 60 }", a))
		for range 10 {
			p.do("GET", "/")
		}
		eventually(t, "all are counted", func() bool { return p.target("u", a.Addr()).Requests == 10 })
		if got := p.breaker(a); got != "closed" {
			t.Errorf("min-requests 11: after 10 the breaker is %s", got)
		}
		p.do("GET", "/") // the sixth failure
		eventually(t, "the breaker opens", func() bool { return p.breaker(a) == admin.BreakerOpen })
	})
	t.Run("rate below", func(t *testing.T) {
		a := newMember(t, "a")
		a.Set(origin.Rate(1, 4, origin.Reply(500, ""), origin.Reply(200, "")))
		p := start(t, "", group("", "circuit-breaker { failure-threshold 1000; error-rate-percent 50; min-requests 12; window-secs 600; timeout-secs 60 }", a))
		for range 30 {
			p.do("GET", "/")
		}
		if got := p.breaker(a); got != "closed" {
			t.Errorf("error-rate-percent 50: with every fourth request failed the breaker is %s", got)
		}
	})
	t.Run("window-secs", func(t *testing.T) {
		a := newMember(t, "a")
		a.Set(origin.Reply(500, ""))
		p := start(t, "", group("", "circuit-breaker { failure-threshold 1000; error-rate-percent 50; min-requests 6; window-secs 0.5; timeout-secs 60 }", a))
		for range 3 {
			for range 3 {
				p.do("GET", "/")
			}
			time.Sleep(700 * time.Millisecond) // what was counted leaves the window
		}
		if got := p.breaker(a); got != "closed" {
			t.Errorf("window-secs 0.5, min-requests 6: with 3 failures in a window the breaker is %s", got)
		}
		eventually(t, "the breaker opens", func() bool { p.do("GET", "/"); return p.breaker(a) == admin.BreakerOpen })
	})
	t.Run("slow-call", func(t *testing.T) {
		a := newMember(t, "a")
		step := make(chan struct{})
		slow := func(c *origin.Conn, r origin.Request) bool {
			time.Sleep(1200 * time.Millisecond)
			return origin.Reply(200, "")(c, r)
		}
		a.Set(origin.Trickle(1, step))
		p := start(t, "", group("", "circuit-breaker { failure-threshold 1000; slow-call-secs 1; slow-call-percent 50; min-requests 4; window-secs 600; timeout-secs 60 }", a))
		// A head at once, content that takes its time: not slow.
		var downloads sync.WaitGroup
		visits := func() {
			for range 6 {
				downloads.Go(func() { p.visit() })
			}
		}
		visits()
		eventually(t, "all downloads begin", func() bool { return a.hits.Load() == 6 })
		time.Sleep(1200 * time.Millisecond)
		close(step)
		downloads.Wait()
		eventually(t, "all are counted", func() bool { return p.target("u", a.Addr()).Requests == 6 })
		if got := p.target("u", a.Addr()).Breaker; got.State != "closed" {
			t.Errorf("slow-call-secs 1: with slow downloads the breaker is %+v", got)
		}
		a.Set(slow)
		visits()
		downloads.Wait()
		eventually(t, "the breaker opens", func() bool { return p.breaker(a) == admin.BreakerOpen })
		if got := p.target("u", a.Addr()).Breaker.Cause; got != "50 % of 12 calls were slow" {
			t.Errorf("slow-call-percent 50: the breaker opens because %q", got)
		}
	})
}

// ejected returns which members are ejected.
func (p *proxy) ejected(members ...*member) (list []*member) {
	p.t.Helper()
	for _, m := range members {
		if p.target("u", m.Addr()).State == admin.TargetEjected {
			list = append(list, m)
		}
	}
	return list
}

func TestPassiveHealth(t *testing.T) {
	for _, c := range []struct {
		words string
		act   origin.Act
		hits  int64 // that eject; 0 for none
	}{
		{"consecutive-failures 3", origin.Reset, 3},
		{"consecutive-failures 3; consecutive-gateway-errors 0", origin.Garbage, 3},
		{"consecutive-failures 2", origin.Die(1000, 10), 2},
		{"consecutive-failures 0", origin.Reset, 0},
		{"consecutive-gateway-errors 3", origin.Reply(503, ""), 3},
		{"consecutive-gateway-errors 2", origin.Reply(502, ""), 2},
		{"consecutive-gateway-errors 0", origin.Reply(503, ""), 0},
		{"consecutive-failures 2; consecutive-gateway-errors 2", origin.Reply(500, ""), 0},
		{"consecutive-failures 2", origin.Rate(1, 2, origin.Reset, origin.Reply(200, "")), 0},
	} {
		t.Run(c.words, func(t *testing.T) {
			a, b := newMember(t, "a"), newMember(t, "b")
			a.Set(c.act)
			p := start(t, "", group("", "passive-health { "+c.words+" }", a, b))
			for range 20 { // one after the other, since a target is judged when its answer is out
				rawclient.Do(p.addr, "GET", ask)
				eventually(t, "all targets are idle", func() bool {
					return p.target("u", a.Addr()).InProgress+p.target("u", b.Addr()).InProgress == 0
				})
			}
			if c.hits == 0 {
				if got := p.ejected(a, b); len(got) > 0 || a.hits.Load() < 10 {
					t.Errorf("%s: %d targets are ejected after %d requests", c.words, len(got), a.hits.Load())
				}
				return
			}
			if got := a.hits.Load(); got != c.hits || len(p.ejected(a)) != 1 {
				t.Errorf("%s: the target got %d requests and is %s, want it ejected after %d", c.words, got, p.target("u", a.Addr()).State, c.hits)
			}
			if got := p.events(event.KindEjection); len(got) != 1 || got[0].To != "ejected" || got[0].Target != a.Addr() || got[0].Cause == "" {
				t.Errorf("%s: the events are %+v", c.words, got)
			}
		})
	}
}

// TestEjectionTimes has a target that is ejected again and again: each time for longer, up
// to the maximum.
func TestEjectionTimes(t *testing.T) {
	a, b := newMember(t, "a"), newMember(t, "b")
	a.Set(origin.Reset)
	p := start(t, "", group("", "passive-health { consecutive-failures 1; ejection-secs 1; max-ejection-secs 1.5 }", a, b))
	var lasts []time.Duration
	for n := 1; n <= 3; n++ {
		var began []event.Event
		eventually(t, "the target is ejected", func() bool {
			p.do("GET", "/")
			began = p.events(event.KindEjection)
			return len(began) == 2*n-1
		})
		eventually(t, "the ejection ends", func() bool { return len(p.events(event.KindEjection)) >= 2*n })
		all := p.events(event.KindEjection)
		lasts = append(lasts, all[2*n-1].Time.Sub(all[2*n-2].Time))
	}
	for i, most := range []time.Duration{1900 * time.Millisecond, 1900 * time.Millisecond, 2800 * time.Millisecond} {
		if least := []time.Duration{900, 1400, 1400}[i] * time.Millisecond; lasts[i] < least || lasts[i] > most {
			t.Errorf("ejection-secs 1, max-ejection-secs 1.5: the ejections last %v", lasts)
		}
	}
	a.well()
	eventually(t, "the target that has returned gets requests", func() bool { return p.do("GET", "/").Text() == "a" })
}

func TestMaxEjectedPercent(t *testing.T) {
	for _, c := range []struct {
		words string
		want  int
	}{{"34", 1}, {"67", 2}, {"100", 3}} {
		members := []*member{newMember(t, "a"), newMember(t, "b"), newMember(t, "c")}
		for _, m := range members {
			m.Set(origin.Reply(503, ""))
		}
		p := start(t, "", group("", "panic-threshold-percent 0; passive-health { consecutive-gateway-errors 2; max-ejected-percent "+c.words+" }", members...))
		for range 30 {
			if r := p.do("GET", "/"); r.Status != 503 || strings.Contains(r.Text(), "U18") {
				t.Errorf("with ejected targets = %d %s, want an answer of a target", r.Status, r.Text())
			}
		}
		if got := p.ejected(members...); len(got) != c.want {
			t.Errorf("max-ejected-percent %s: %d of 3 are ejected, want %d", c.words, len(got), c.want)
		}
		p.Stop()
	}
}
