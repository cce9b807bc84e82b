package regress

import (
	"math"
	"strings"
	"testing"
	"time"

	"sentinel/internal/observe/metric"
)

// Fisher's test against values that are worked out by hand.
func TestTail(t *testing.T) {
	for _, c := range []struct{ x1, n1, x2, n2, want float64 }{
		{1, 10, 9, 10, 101.0 / 184756}, // the lady, with ten cups: (C(10,9)·C(10,1) + 1) / C(20,10)
		{0, 4, 4, 4, 1.0 / 70},
		{3, 4, 1, 4, 69.0 / 70},
		{0, 100, 0, 100, 1},
		{0, 10, 3, 10, 120.0 / 1140}, // C(10,3) / C(20,3)
		{50, 100000, 50, 100000, 0.5398},
	} {
		if got := tail(c.x1, c.n1, c.x2, c.n2); math.Abs(got-c.want) > c.want*1e-3 {
			t.Errorf("tail(%v of %v, %v of %v) = %v, want %v", c.x1, c.n1, c.x2, c.n2, got, c.want)
		}
	}
	if got := tail(100, 1e6, 1e5, 1e6); got > 1e-300 {
		t.Errorf("tail of an outage = %v, want nothing", got)
	}
}

// Student's distribution against tables.
func TestStudent(t *testing.T) {
	for _, c := range []struct{ t, freedom, want float64 }{
		{6.314, 1, 0.05}, {2.201, 11, 0.025}, {4.437, 11, 0.0005}, {1.96, 1e6, 0.025}, {0.5, 11, 0.3135}, {7.003, 11, 1.13e-5},
	} {
		if got := student(c.t, c.freedom); math.Abs(got-c.want) > c.want*1e-2 {
			t.Errorf("student(%v, %v) = %v, want %v", c.t, c.freedom, got, c.want)
		}
	}
}

func TestDispersion(t *testing.T) {
	even := series{of: []float64{5, 5, 5, 5, 5, 5}, all: []float64{100, 100, 100, 100, 100, 100}}
	bursty := series{of: []float64{0, 0, 30, 0, 0, 0}, all: []float64{100, 100, 100, 100, 100, 100}}
	none := series{of: []float64{0, 0, 0, 0, 0, 0}, all: []float64{100, 100, 100, 100, 100, 100}}
	for _, c := range []struct {
		name          string
		before, after series
		low, high     float64
	}{
		{"even", even, even, 1, 1},
		{"bursts after", even, bursty, 10, 30},
		{"bursts before", bursty, even, 25, 50},
		{"bursts after, nothing before", none, bursty, 25, 50},
		{"nothing", none, none, 1, 1},
	} {
		if got := dispersion(c.before, c.after); got < c.low || got > c.high {
			t.Errorf("%s: dispersion = %v, want %v to %v", c.name, got, c.low, c.high)
		}
	}
}

func TestRoutesThatComeAndGo(t *testing.T) {
	good := fake{perStep: 200, median: 3 * time.Millisecond, spread: 0.3}
	bad := good
	bad.errors = 0.9
	// A route that is new can't be compared, but all together can.
	found, _ := change(1, usual, map[string]fake{"old": good}, map[string]fake{"new": bad})
	if len(found) == 0 || found[0].Route != "" || !strings.Contains(found[0].String(), "all routes together: 0% of its requests failed before, ") {
		t.Errorf("a new route that fails: %v, want all routes together", found)
	}
	// One that is gone, or new and good, is nothing bad.
	if found, looks := change(2, usual, map[string]fake{"a": good, "gone": bad}, map[string]fake{"a": good, "new": good}); len(found) != 0 || looks != Steps+1 {
		t.Errorf("a bad route that is gone: %v after %d looks, want nothing after all", found, looks)
	}
}

// What is quiet isn't compared, and before nothing there is nothing to compare with.
func TestTooLittleIsKnown(t *testing.T) {
	quiet := fake{perStep: 3, median: 3 * time.Millisecond, spread: 0.3}
	bad := quiet
	bad.errors = 1
	if found, _ := change(1, usual, map[string]fake{"a": quiet}, map[string]fake{"a": bad}); len(found) != 0 {
		t.Errorf("36 requests in a window: %v, want nothing", found)
	}
	if _, looks := change(1, usual, nil, map[string]fake{"a": bad}); looks != 0 {
		t.Errorf("watched for %d looks without a before, want none", looks)
	}
}

// A change for the better, or for the worse by less than matters, isn't one.
func TestWhatDoesNotMatter(t *testing.T) {
	base := fake{perStep: 3000, errors: 0.01, median: 3 * time.Millisecond, spread: 0.3}
	for name, f := range map[string]func(*fake){
		"fewer errors":        func(f *fake) { f.errors = 0 },
		"one percent more":    func(f *fake) { f.errors = 0.02 },
		"faster":              func(f *fake) { f.median /= 3 },
		"twice, within 5 ms":  func(f *fake) { f.median = 6 * time.Millisecond },
		"a third more slowly": func(f *fake) { f.median = 4 * time.Millisecond },
	} {
		after := base
		f(&after)
		if found, _ := change(3, usual, map[string]fake{"a": base}, map[string]fake{"a": after}); len(found) != 0 {
			t.Errorf("%s: %v, want nothing", name, found)
		}
	}
}

// A second change while the first is watched is compared with what was before the first.
func TestWatchOfAChain(t *testing.T) {
	good := fake{perStep: 200, median: 3 * time.Millisecond, spread: 0.3}
	bad := good
	bad.errors = 0.3
	tr := newTraffic(5)
	var r Recorder
	pass := func(f fake) { tr.step(map[string]fake{"a": f}); r.Add(tr.reading()) }
	r.Add(tr.reading())
	for range Steps {
		pass(good)
	}
	first := r.Watch(usual, nil)
	for range 2 {
		pass(bad)
		first.Look(&r)
	}
	second := r.Watch(usual, first)
	var found []Finding
	for range 3 {
		pass(bad)
		found, _ = second.Look(&r)
	}
	if len(found) == 0 {
		t.Error("the second change isn't found to be worse than what was before the first")
	}
	if second.Compared() != 1 || second.Left() != (Steps-2)*usual.Step() {
		t.Errorf("compared %d routes, %v left, want 1 and %v", second.Compared(), second.Left(), (Steps-2)*usual.Step())
	}
	// After a revert the recorder knows what was before the change.
	r.Forget(second)
	if w := r.Watch(usual, nil); seriesOf(w.before, "a", func(c counts) uint64 { return c.errors }).of[Steps-1] != 0 {
		t.Error("what was counted while the change served is taken for what was before the next one")
	}
}

// Series may begin anew: a route that was away for long counts from zero.
func TestCountersThatBeginAnew(t *testing.T) {
	var r Recorder
	read := func(n uint64) []metric.RouteReading {
		c := metric.RouteReading{Name: "a"}
		c.Durations.Counts[3], c.Classes[2] = n, n
		return []metric.RouteReading{c}
	}
	for _, n := range []uint64{10, 30, 5} {
		r.Add(read(n))
	}
	if got := r.steps; len(got) != 2 || got[0]["a"].requests != 20 || got[1]["a"].requests != 5 {
		t.Errorf("steps = %+v, want 20 and 5 requests", got)
	}
}
