package breaker

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is the breaker written as plainly as its documentation: it remembers every call.
type model struct {
	cfg        Config
	state      State
	generation int
	since      time.Duration
	run        int
	successes  int
	trials     []*modelPass
	calls      []modelCall // of this closed stretch
	changes    []Change
}

type modelPass struct {
	generation int
	trial      bool
	taken      time.Duration
}

type modelCall struct {
	at           time.Duration
	failed, slow bool
}

func (m *model) change(to State, now time.Duration) {
	c := Change{From: m.state, To: to, At: now}
	if to == Open {
		c.Until = now + m.cfg.Timeout
	}
	m.changes = append(m.changes, c)
	m.state, m.since = to, now
	m.generation++
	m.run, m.successes, m.trials, m.calls = 0, 0, nil, nil
}

// at brings the model to now.
func (m *model) at(now time.Duration) {
	if m.state != Closed && m.cfg.FailureThreshold == 0 && m.cfg.ErrorPercent == 0 && m.cfg.SlowPercent == 0 {
		m.change(Closed, now)
	}
	if m.state == Open && now >= m.since+m.cfg.Timeout {
		m.change(HalfOpen, now)
	}
}

func (m *model) ready(now time.Duration) bool {
	m.at(now)
	m.trials = slices.DeleteFunc(m.trials, func(p *modelPass) bool { return now >= p.taken+m.cfg.Timeout })
	return m.state == Closed || m.state == HalfOpen && len(m.trials) < m.cfg.HalfOpenMax
}

func (m *model) allow(now time.Duration) *modelPass {
	if !m.ready(now) {
		return nil
	}
	p := &modelPass{generation: m.generation, trial: m.state == HalfOpen, taken: now}
	if p.trial {
		m.trials = append(m.trials, p)
	}
	return p
}

func (m *model) done(p *modelPass, now, took time.Duration, o Outcome) {
	if p.generation != m.generation {
		return
	}
	m.trials = slices.DeleteFunc(m.trials, func(other *modelPass) bool { return other == p })
	off := m.cfg.FailureThreshold == 0 && m.cfg.ErrorPercent == 0 && m.cfg.SlowPercent == 0
	slow := m.cfg.SlowPercent > 0 && took >= m.cfg.SlowCall
	switch {
	case o == Ignored:
	case p.trial && off:
	case p.trial && (o == Failure || slow):
		m.change(Open, now)
	case p.trial:
		if m.successes++; m.successes >= m.cfg.SuccessThreshold {
			m.change(Closed, now)
		}
	default:
		m.doneClosed(now, o == Failure, slow)
	}
}

func (m *model) doneClosed(now time.Duration, failed, slow bool) {
	if m.run++; !failed {
		m.run = 0
	}
	m.calls = append(m.calls, modelCall{now, failed, slow})
	tenth := m.cfg.Window / 10
	var all, failures, slows int
	for _, c := range m.calls {
		if c.at/tenth+10 > now/tenth {
			all++
			failures += btoi(c.failed)
			slows += btoi(c.slow)
		}
	}
	inRow := m.cfg.FailureThreshold > 0 && m.run >= m.cfg.FailureThreshold
	enough := all >= m.cfg.MinRequests && (failed || slow)
	errors := m.cfg.ErrorPercent > 0 && failures*100 >= all*m.cfg.ErrorPercent
	slowness := m.cfg.SlowPercent > 0 && slows*100 >= all*m.cfg.SlowPercent
	if inRow || enough && (errors || slowness) {
		m.change(Open, now)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func drawConfig(t *rapid.T, window time.Duration) Config {
	return Config{
		FailureThreshold: rapid.IntRange(0, 4).Draw(t, "failures"),
		SuccessThreshold: rapid.IntRange(1, 3).Draw(t, "successes"),
		Timeout:          time.Duration(rapid.IntRange(1, 20).Draw(t, "timeout")) * time.Second,
		HalfOpenMax:      rapid.IntRange(1, 3).Draw(t, "trials"),
		ErrorPercent:     rapid.SampledFrom([]int{0, 30, 100}).Draw(t, "errors"),
		SlowCall:         time.Second,
		SlowPercent:      rapid.SampledFrom([]int{0, 50}).Draw(t, "slow"),
		Window:           window,
		MinRequests:      rapid.IntRange(1, 8).Draw(t, "min"),
	}
}

// pair is the breaker and its model, driven alike.
type pair struct {
	b       *Breaker
	m       *model
	now     time.Duration
	changes []Change
	passes  []bothPasses
}

type bothPasses struct {
	pass  Pass
	model *modelPass
}

const modelWindow = 5 * time.Second

func (p *pair) allow(t *rapid.T) {
	pass, ok := p.b.Allow(p.now)
	mp := p.m.allow(p.now)
	if ok != (mp != nil) {
		t.Fatalf("Allow(%v) = %v, want %v", p.now, ok, mp != nil)
	}
	if ok {
		p.passes = append(p.passes, bothPasses{pass, mp})
	}
}

func (p *pair) done(t *rapid.T, i int) {
	took := time.Duration(rapid.IntRange(0, 1).Draw(t, "took")) * time.Second
	o := rapid.SampledFrom([]Outcome{Success, Failure, Ignored, Success, Failure}).Draw(t, "outcome")
	p.b.Done(p.passes[i].pass, p.now, took, o)
	p.m.done(p.passes[i].model, p.now, took, o)
	p.passes = slices.Delete(p.passes, i, i+1)
}

func (p *pair) configure(t *rapid.T) {
	cfg := drawConfig(t, modelWindow)
	if p.m.cfg.ErrorPercent+p.m.cfg.SlowPercent == 0 || cfg.ErrorPercent+cfg.SlowPercent == 0 {
		p.m.calls = nil // no window goes on
	}
	p.b.Configure(cfg)
	p.m.cfg = cfg
}

func (p *pair) step(t *rapid.T) {
	switch action := rapid.IntRange(0, 40).Draw(t, "action"); {
	case action < 16:
		p.allow(t)
	case action < 32 && len(p.passes) > 0:
		p.done(t, rapid.IntRange(0, len(p.passes)-1).Draw(t, "pass"))
	case action < 36:
		p.now += time.Duration(rapid.IntRange(1, 1500).Draw(t, "ms")) * time.Millisecond
	case action < 39: // a while, so that an open breaker is tried again
		p.now += p.m.cfg.Timeout
	case action == 40:
		p.configure(t)
	}
}

// check asks only at some steps, since asking moves the breaker on.
func (p *pair) check(t *rapid.T) {
	switch rapid.IntRange(0, 9).Draw(t, "check") {
	case 0:
		if got, want := p.b.Ready(p.now), p.m.ready(p.now); got != want {
			t.Fatalf("Ready(%v) = %v, want %v", p.now, got, want)
		}
	case 1:
		p.m.at(p.now)
		if got := p.b.State(p.now); got != p.m.state {
			t.Fatalf("State(%v) = %v, want %v", p.now, got, p.m.state)
		}
	case 2:
		p.m.at(p.now)
		if s := p.b.Snapshot(p.now); s.State != p.m.state || s.Since != p.m.since || s.Failures != p.m.run {
			t.Fatalf("Snapshot(%v) = %v, want %v since %v, %d failures", p.now, s, p.m.state, p.m.since, p.m.run)
		}
	}
	if !slices.Equal(p.changes, p.m.changes) {
		t.Fatalf("changes %v, want %v", p.changes, p.m.changes)
	}
}

func TestModel(t *testing.T) {
	seen := make(map[[2]State]int)
	rapid.Check(t, func(t *rapid.T) {
		cfg := drawConfig(t, modelWindow)
		p := &pair{m: &model{cfg: cfg}}
		p.b = New(cfg, func(c Change) {
			c.Cause = ""
			p.changes = append(p.changes, c)
			seen[[2]State{c.From, c.To}]++
		})
		for range 1000 {
			p.step(t)
			p.check(t)
		}
	})
	for _, change := range [][2]State{{Closed, Open}, {Open, HalfOpen}, {HalfOpen, Open}, {HalfOpen, Closed}, {Open, Closed}} {
		if seen[change] == 0 && !t.Failed() {
			t.Errorf("no change from %v to %v was tried", change[0], change[1])
		}
	}
}
