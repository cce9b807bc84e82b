package chaos

import (
	"fmt"
	"strings"
	"time"
)

// stage is a phase that is under way, with what was read before it.
type stage struct {
	*phase
	retries float64
	event   uint64
	log     int
}

const retriesSeries = `sentinel_upstream_retries_total{upstream="origins"}`

// begin makes new requests belong to a new phase. It returns when those of the calm before it
// are over: what happens next is none of theirs.
func (c *run) begin(name string) *stage {
	s := &stage{retries: c.proxy.series(retriesSeries), log: c.proxy.log.mark()}
	if all := c.proxy.changes(0); len(all) > 0 {
		s.event = all[len(all)-1].Seq
	}
	s.phase = newPhase(name)
	c.load.phase.Store(s.phase)
	if c.calm != nil {
		time.Sleep(5 * time.Millisecond) // one may be between its phase and its count
		c.awaitAnswers(c.calm)
	}
	return s
}

// finish ends a phase: what is sent from now on belongs to the calm between the phases, in
// which nothing may fail.
func (c *run) finish(s *stage) {
	c.load.phase.Store(c.calm.phase)
	c.awaitAnswers(s)
}

// awaitAnswers returns when the last request of a phase is over.
func (c *run) awaitAnswers(s *stage) {
	for end := time.Now().Add(requestPatience + patience); int64(s.requests()) < s.sent.Load(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("%s: a request has no end", s.name)
		}
	}
}

func (c *run) tryHealthy() {
	s := c.begin("healthy")
	time.Sleep(c.share)
	c.finish(s)
	c.healthy = s.phase
	c.printHeader()
	c.print(s, s.p99())
	c.wantAllGood(s)
}

// holdMin is how long an injury lasts at least: at a low rate it takes a check or two until
// anything is known of it.
const holdMin = 4 * time.Second

// try does one thing to one origin.
func (c *run) try(in *injury, o *originProcess) {
	s := c.begin(in.name)
	hold := time.Now().Add(max(c.share*6/10, holdMin))
	in.hurt(o)
	for in.every > 0 && time.Until(hold) > in.every {
		time.Sleep(in.every)
		in.hurt(o)
	}
	time.Sleep(time.Until(hold))
	in.heal(o)
	c.awaitWell(in.name)
	time.Sleep(c.share / 10)
	c.finish(s)

	limit := c.healthy.p99() + perTry + backoffMax + clockTick + 2*quantile(s.late, 0.99)
	c.print(s, limit)
	if in.cuts {
		c.wantOnlyBroken(s)
	} else {
		c.wantAllGood(s)
	}
	if got := s.p99(); got > limit {
		c.t.Errorf("%s: p99 = %v, want at most %v", s.name, got, limit)
	}
	if !in.quiet && !c.told(s, o) {
		c.t.Errorf("%s: no event says that %s is in trouble", s.name, o.address)
	}
}

// awaitWell waits until every target is healthy and its breaker closed.
func (c *run) awaitWell(what string) {
	var ills []string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if ills = c.proxy.ailing(); len(ills) == 0 {
			return
		}
	}
	c.t.Errorf("%s: %v behind it %s", what, patience, strings.Join(ills, "; "))
}

// told reports whether an event of a phase is a change for the worse of o.
func (c *run) told(s *stage, o *originProcess) bool {
	for _, e := range c.proxy.changes(s.event) {
		if e.Worse && e.Target == o.address {
			return true
		}
	}
	return false
}

// tryAllDead kills all origins at once and has them come back.
func (c *run) tryAllDead() {
	dead := c.begin("all killed")
	for _, o := range c.origins {
		o.signal(9)
	}
	killed := time.Now()
	for _, o := range c.origins {
		o.reap()
	}
	time.Sleep(max(c.share, 5*time.Second))
	back := c.begin("all back")
	c.awaitAnswers(dead)
	limit := 5*time.Millisecond + 2*quantile(dead.late, 0.99)
	c.print(dead, limit)
	c.wantRefused(dead, killed)
	if got := dead.p99(); got > limit {
		c.t.Errorf("%s: p99 = %v, want at most %v", dead.name, got, limit)
	}
	c.tryAllBack(back)
}

// tryAllBack starts all origins.
func (c *run) tryAllBack(back *stage) {
	for _, o := range c.origins {
		o.start()
	}
	listening := time.Now()
	time.Sleep(c.share / 2)
	c.awaitWell(back.name)
	c.finish(back)
	c.print(back, back.p99())
	// The next probe of a target that is down comes within an interval and its jitter of a
	// tenth; what is due then may be late.
	if back.counts[verdictBroken]+back.counts[verdictWrong] > 0 {
		c.t.Errorf("%s: %d broken, %d wrong answers, want none", back.name, back.counts[verdictBroken], back.counts[verdictWrong])
		c.explain(back)
	}
	service, within := back.lastBad.Sub(listening), downInterval*11/10+100*time.Millisecond+2*quantile(back.late, 0.99)
	c.t.Logf("full service %v after the last origin listened (limit %v)", max(service, 0).Round(time.Millisecond), within.Round(time.Millisecond))
	if service > within {
		c.t.Errorf("%s: the last failed request was due %v after the origins listened, want at most %v", back.name, service, within)
		c.explain(back)
	}
}

func (p *phase) p99() time.Duration { return quantile(p.took, 0.99) }

func (c *run) wantAllGood(s *stage) {
	if bad := s.requests() - s.counts[verdictGood]; bad > 0 {
		c.t.Errorf("%s: %d of %d idempotent requests failed, want none", s.name, bad, s.requests())
		c.explain(s)
	}
}

// wantOnlyBroken allows what HTTP allows where an origin dies behind the head of its
// answer: the message is broken and the client can tell.
func (c *run) wantOnlyBroken(s *stage) {
	if s.counts[verdictRefused]+s.counts[verdictWrong] > 0 || s.counts[verdictBroken] == 0 {
		c.t.Errorf("%s: %d refused, %d taken for whole, %d broken, want broken ones alone", s.name,
			s.counts[verdictRefused], s.counts[verdictWrong], s.counts[verdictBroken])
		c.explain(s)
	}
}

// Until breakers and checks have noticed that all origins are dead, which they do by five
// failures of each, a request is answered 502 where the last target it came to refused.
const (
	detection = 3 * time.Second
	earlyMax  = 40
)

// wantRefused wants 503 for every request, 502 for a few at most while the death of the
// origins isn't known yet.
func (c *run) wantRefused(s *stage, killed time.Time) {
	early, other := 0, 0
	for _, r := range s.bad {
		switch {
		case r.status == 503:
		case r.status == 502 && r.due.Before(killed.Add(detection)):
			early++
		default:
			other++
		}
	}
	c.t.Logf("answered while all were dead: %v; 502 before that was known: %d", s.statuses, early)
	if other > 0 || early > earlyMax || s.counts[verdictBroken]+s.counts[verdictWrong] > 0 {
		c.t.Errorf("%s: statuses %v, %d broken, want 503 at once", s.name, s.statuses, s.counts[verdictBroken])
		c.explain(s)
	}
}

const rowFormat = "%-18s %9v %7v %8v %9v %9v %9v %9v  %s"

func (c *run) printHeader() {
	c.t.Logf(rowFormat, "phase", "requests", "failed", "retries", "p50", "p99", "limit", "late p99", "events")
}

// print prints the row of a phase.
func (c *run) print(s *stage, limit time.Duration) {
	c.t.Logf(rowFormat, s.name, s.requests(), s.requests()-s.counts[verdictGood], c.proxy.series(retriesSeries)-s.retries,
		short(quantile(s.took, 0.5)), short(s.p99()), short(limit), short(quantile(s.late, 0.99)), c.summary(s))
}

func short(d time.Duration) string { return fmt.Sprintf("%.2fms", float64(d.Microseconds())/1000) }

// summary says what changed in a phase, target by target.
func (c *run) summary(s *stage) string {
	type line struct {
		what  []string
		count map[string]int
	}
	lines := make(map[string]*line)
	var order []string
	for _, e := range c.proxy.changes(s.event) {
		if e.Kind == "reload" { // one a second all along
			continue
		}
		name := "upstream"
		for _, o := range c.origins {
			if o.address == e.Target {
				name = "origin " + o.name
			}
		}
		if lines[name] == nil {
			lines[name] = &line{count: make(map[string]int)}
			order = append(order, name)
		}
		l, what := lines[name], e.Kind+" "+e.To
		if l.count[what]++; l.count[what] == 1 {
			l.what = append(l.what, what)
		}
	}
	var b strings.Builder
	for _, name := range order {
		fmt.Fprintf(&b, "[%s:", name)
		for _, what := range lines[name].what {
			fmt.Fprintf(&b, " %s×%d", what, lines[name].count[what])
		}
		b.WriteString("] ")
	}
	return b.String()
}

// What of a failed phase is printed.
const (
	explainRequests = 10
	explainLines    = 40
)

// explain prints the first failed requests of a phase and the proxy's log of it.
func (c *run) explain(s *stage) {
	for _, r := range s.bad[:min(len(s.bad), explainRequests)] {
		c.t.Logf("request %d %s, due %v into the phase, after %v: %s", r.n, r.method, r.due.Sub(s.began).Round(time.Millisecond), r.took.Round(time.Microsecond), r.what)
	}
	n := 0
	for line := range strings.Lines(c.proxy.log.since(s.log)) {
		if strings.Contains(line, "eload") && !strings.Contains(line, "failed") {
			continue
		}
		if n++; n > explainLines {
			break
		}
		c.t.Log(strings.TrimSuffix(line, "\n"))
	}
}
