package upstream

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"sentinel/internal/dataplane/balance"
	"sentinel/internal/dataplane/breaker"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/outlier"
	"sentinel/internal/observe/metric"
)

// fixture is an upstream of targets a, b, c... and what it has told.
type fixture struct {
	*Upstream
	targets []*Target
	changes []Change
}

func newFixture(t *testing.T, s Settings, weights ...int) *fixture {
	t.Helper()
	f := &fixture{}
	m := metric.New(metric.Options{Cells: 1}).Upstream("u")
	f.Upstream = New("u", s, NewShared(nil), func(c Change) { f.changes = append(f.changes, c) })
	for i, w := range weights {
		name := string(rune('a' + i))
		f.targets = append(f.targets, &Target{Endpoint: NewEndpoint(name, name, nil, m.Target(name)), Weight: w})
	}
	f.SetTargets(f.targets, 0)
	return f
}

// served counts where n requests go.
func (f *fixture) served(t *testing.T, n int) map[string]int {
	t.Helper()
	count := map[string]int{}
	for range n {
		var c Choice
		if err := f.Pick(&c, 0); err != nil {
			count[err.Error()]++
			continue
		}
		count[c.Target.Address]++
		c.Done(0, 0, OK)
	}
	return count
}

func (f *fixture) expect(t *testing.T, n int, want map[string]int) {
	t.Helper()
	if got := f.served(t, n); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%d requests went to %v, want %v", n, got, want)
	}
}

func TestPickByWeight(t *testing.T) {
	newFixture(t, Settings{}, 3, 1, 0).expect(t, 400, map[string]int{"a": 300, "b": 100})
}

func TestVerdictsAndDrains(t *testing.T) {
	f := newFixture(t, Settings{}, 1, 1)
	a, b := f.targets[0], f.targets[1]
	noTarget := fault.NoTarget.Error()
	for _, step := range []struct {
		name string
		do   func()
		want map[string]int
	}{
		{"a fails its checks", func() { a.SetVerdict(Unhealthy, 0) }, map[string]int{"b": 10}},
		{"b is drained, too", func() { b.SetDrained(true, 0) }, map[string]int{noTarget: 10}},
		{"a is healthy again", func() { a.SetVerdict(Healthy, 0) }, map[string]int{"a": 10}},
		{"b is back", func() { b.SetDrained(false, 0) }, map[string]int{"a": 5, "b": 5}},
	} {
		step.do()
		f.Refresh(0)
		t.Run(step.name, func(t *testing.T) { f.expect(t, 10, step.want) })
	}
}

// A view that is older than a verdict doesn't lead to the target.
func TestPickSeesVerdictBeforeRefresh(t *testing.T) {
	f := newFixture(t, Settings{}, 1, 1)
	f.targets[0].SetVerdict(Unhealthy, 0)
	f.expect(t, 10, map[string]int{"b": 10})
}

func TestPanic(t *testing.T) {
	f := newFixture(t, Settings{PanicPercent: 50}, 1, 1, 1)
	fail := func(i int) {
		f.targets[i].SetVerdict(Unhealthy, 0)
		f.Refresh(0)
	}
	fail(0)
	if f.Panics() {
		t.Error("two of three are usable, and all are used")
	}
	fail(1)
	f.expect(t, 30, map[string]int{"a": 10, "b": 10, "c": 10})
	fail(2)
	f.expect(t, 5, map[string]int{fault.NoTarget.Error(): 5})
	f.targets[0].SetVerdict(Healthy, 0)
	f.targets[1].SetVerdict(Healthy, 0)
	f.Refresh(0)
	f.expect(t, 10, map[string]int{"a": 5, "b": 5})
	var kinds []string
	for _, c := range f.changes {
		kinds = append(kinds, c.Kind+" "+c.To)
	}
	if want := []string{"panic panic", "upstream down", "upstream normal"}; !slices.Equal(kinds, want) {
		t.Errorf("told %q, want %q", kinds, want)
	}
}

func TestTriedTargetsComeLast(t *testing.T) {
	f := newFixture(t, Settings{}, 5, 1, 1)
	var c Choice
	seen := map[string]bool{}
	for try := range 3 {
		if err := f.Pick(&c, 0); err != nil {
			t.Fatal(err)
		}
		if seen[c.Target.Address] {
			t.Fatalf("try %d went to %s again while another target was left", try, c.Target.Address)
		}
		seen[c.Target.Address] = true
		c.Done(0, 0, Failed)
	}
	if c.Untried() {
		t.Error("Untried after all three were tried")
	}
	if err := f.Pick(&c, 0); err != nil {
		t.Errorf("the fourth try = %v, want any target", err)
	}
}

// A further try takes no turn: else every first try of an upstream of two would go to the
// same one.
func TestFurtherTriesTakeNoTurns(t *testing.T) {
	f := newFixture(t, Settings{}, 1, 1)
	first := map[string]int{}
	for range 10 {
		var c Choice
		for try := range 2 {
			if err := f.Pick(&c, 0); err != nil {
				t.Fatal(err)
			}
			if try == 0 {
				first[c.Target.Address]++
			}
			c.Done(0, 0, Failed)
		}
	}
	if first["a"] != 5 || first["b"] != 5 {
		t.Errorf("first tries went to %v, want each 5 times", first)
	}
}

func TestTargetLimit(t *testing.T) {
	f := newFixture(t, Settings{TargetRequestsMax: 2}, 1, 1)
	var open []*Choice
	for range 4 {
		c := new(Choice)
		if err := f.Pick(c, 0); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	var c Choice
	if err := f.Pick(&c, 0); !errors.Is(err, fault.UpstreamConnectionLimit) {
		t.Errorf("Pick with every target at its limit = %v, want %v", err, fault.UpstreamConnectionLimit)
	}
	if got := f.Gate.Limits().Concurrent; got != 4 {
		t.Errorf("the gate lets %d in, want 2 for each of 2 targets", got)
	}
	open[0].Done(0, 0, OK)
	if err := f.Pick(&c, 0); err != nil {
		t.Errorf("Pick after a place got free = %v", err)
	}
}

func TestBreakerTakesTargetOut(t *testing.T) {
	f := newFixture(t, Settings{}, 1, 1)
	f.targets[0].Breaker = breaker.New(breaker.Config{FailureThreshold: 3, SuccessThreshold: 1, Timeout: time.Second, HalfOpenMax: 1},
		func(breaker.Change) { f.Learned() })
	for range 10 {
		var c Choice
		if err := f.Pick(&c, 0); err != nil {
			t.Fatal(err)
		}
		outcome := OK
		if c.Target == f.targets[0] {
			outcome = ServerError
		}
		c.Done(0, 0, outcome)
	}
	f.expect(t, 10, map[string]int{"b": 10})
	f.targets[1].SetDrained(true, 0)
	f.Refresh(0)
	f.expect(t, 5, map[string]int{fault.BreakerOpen.Error(): 5})
	var c Choice
	if err := f.Pick(&c, 2*time.Second); err != nil {
		t.Fatalf("Pick after the breaker's timeout = %v", err)
	}
	c.Done(2*time.Second, 0, OK)
	if got := f.targets[0].Breaker.State(2 * time.Second); got != breaker.Closed {
		t.Errorf("after a success the breaker is %v, want closed", got)
	}
}

func TestEjection(t *testing.T) {
	f := newFixture(t, Settings{}, 1, 1)
	a := f.targets[0]
	a.Outlier = outlier.New(outlier.Config{ConsecutiveFailures: 2, Ejection: 10 * time.Second, EjectionMax: time.Minute, MaxEjectedPercent: 50},
		&f.Group, func(outlier.Change) { f.Learned() })
	for !a.Outlier.Ejected(0) {
		var c Choice
		if err := f.Pick(&c, 0); err != nil {
			t.Fatal(err)
		}
		outcome := OK
		if c.Target == a {
			outcome = Failed
		}
		c.Done(0, 0, outcome)
	}
	f.expect(t, 10, map[string]int{"b": 10})
	f.Tick(11 * time.Second)
	f.expect(t, 10, map[string]int{"a": 5, "b": 5})
}

func TestSlowStart(t *testing.T) {
	f := newFixture(t, Settings{SlowStart: 10 * time.Second}, 1, 1)
	a := f.targets[0]
	a.SetVerdict(Unhealthy, time.Second)
	a.SetVerdict(Healthy, 2*time.Second)
	share := func(now time.Duration) int {
		f.Tick(now)
		f.Refresh(now)
		return f.served(t, 1000)["a"]
	}
	early, middle, late := share(2*time.Second), share(7*time.Second), share(13*time.Second)
	if early > 150 || middle <= early || middle >= 450 || late != 500 {
		t.Errorf("of 1000 requests a target that came back gets %d, %d, %d; want few, more, half", early, middle, late)
	}
}

func TestStickyTarget(t *testing.T) {
	f := newFixture(t, Settings{}, 1, 1, 1)
	for range 20 {
		c := Choice{Sticky: f.targets[2].ID}
		if err := f.Pick(&c, 0); err != nil || c.Target != f.targets[2] {
			t.Fatalf("a sticky request went to %v, %v", c.Target, err)
		}
		c.Done(0, 0, OK)
	}
	f.targets[2].SetVerdict(Unhealthy, 0)
	c := Choice{Sticky: f.targets[2].ID}
	if err := f.Pick(&c, 0); err != nil || c.Target == f.targets[2] {
		t.Errorf("a sticky request whose target is unhealthy went to %v, %v", c.Target, err)
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	for _, kind := range []balance.Kind{balance.RoundRobin, balance.LeastConnections, balance.PeakEWMA} {
		f := newFixture(t, Settings{Balance: kind, TargetRequestsMax: 10}, 3, 1)
		c := new(Choice)
		n := testing.AllocsPerRun(1000, func() {
			*c = Choice{}
			if f.Pick(c, 0) == nil {
				c.Done(0, 0, OK)
			}
		})
		if n != 0 {
			t.Errorf("%v: a choice allocates %v times", kind, n)
		}
	}
}

func BenchmarkChoice(b *testing.B) {
	weights := make([]int, 100)
	for i := range weights {
		weights[i] = 1
	}
	for _, kind := range []balance.Kind{balance.RoundRobin, balance.LeastConnections} {
		b.Run(kind.String(), func(b *testing.B) {
			m := metric.New(metric.Options{Cells: 1}).Upstream("u")
			u := New("u", Settings{Balance: kind}, NewShared(nil), nil)
			var targets []*Target
			for i := range 100 {
				name := fmt.Sprint("t", i)
				targets = append(targets, &Target{
					Endpoint: NewEndpoint(name, name, nil, m.Target(name)), Weight: 1,
					Breaker: breaker.New(breaker.Config{FailureThreshold: 5, SuccessThreshold: 2, Timeout: time.Second, HalfOpenMax: 1}, nil),
				})
			}
			u.SetTargets(targets, 0)
			c := new(Choice)
			for b.Loop() {
				*c = Choice{}
				if u.Pick(c, 0) == nil {
					c.Done(0, 0, OK)
				}
			}
		})
	}
}

// Begin and end of a time in which the queue refuses are told once each.
func TestRefusalsAreToldOnce(t *testing.T) {
	f := newFixture(t, Settings{}, 1)
	for now := range time.Duration(5) {
		f.Refused(now * time.Second)
		f.Tick(now * time.Second)
	}
	f.Tick(13 * time.Second)
	if len(f.changes) != 1 || f.changes[0].Kind != "queue" || !f.changes[0].Worse {
		t.Errorf("while requests are refused: told %v, want one change for the worse", f.changes)
	}
	f.Tick(14 * time.Second)
	if len(f.changes) != 2 || f.changes[1].To != "room" {
		t.Errorf("ten seconds after the last refusal: told %v", f.changes)
	}
}
