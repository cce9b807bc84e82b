package metric

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sentinel/internal/dataplane/fault"
)

func TestBucketOf(t *testing.T) {
	slow := func(d time.Duration) int {
		i := 0
		for i < len(bounds) && d > bounds[i] {
			i++
		}
		return i
	}
	durations := []time.Duration{-1, 0, 1, time.Hour, math.MaxInt64}
	for _, b := range bounds {
		durations = append(durations, b-1, b, b+1)
	}
	for range 10_000 {
		durations = append(durations, time.Duration(rand.Int64()>>rand.IntN(63)))
	}
	for _, d := range durations {
		if got, want := bucketOf(d), slow(d); got != want {
			t.Errorf("bucketOf(%d) = %d, want %d", d, got, want)
		}
	}
	if !slices.IsSorted(bounds[:]) {
		t.Errorf("bounds aren't sorted: %v", bounds)
	}
}

func TestObserve(t *testing.T) {
	r := New(Options{Cells: 3}) // four cells
	if got := r.Cells(); got != 4 {
		t.Errorf("Cells() = %d, want 4", got)
	}
	route := r.Route("api")
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for code := -5; code < 700; code++ {
				route.Observe(worker, code, time.Millisecond)
			}
			route.Fault(fault.NoTarget)
			route.Fault(fault.None)
			route.Fault(fault.Kind(255))
		})
	}
	all.Wait()
	durations, codes := route.counts()
	if got, want := durations.count(), uint64(8*705); got != want {
		t.Errorf("durations.count() = %d, want %d", got, want)
	}
	if got, want := durations.seconds(), 8*0.705; math.Abs(got-want) > 1e-9 {
		t.Errorf("durations.seconds() = %v, want %v", got, want)
	}
	for i, n := range codes[:codeLast-codeFirst+1] {
		if n != 8 {
			t.Errorf("code %d counted %d times, want 8", i+codeFirst, n)
		}
	}
	if got, want := codes[len(codes)-1], uint64(8*205); got != want {
		t.Errorf("other codes counted %d times, want %d", got, want)
	}
	if got := route.faultCount(fault.NoTarget); got != 8 {
		t.Errorf("faultCount(no_target) = %d, want 8", got)
	}
	if got := route.faultCount(fault.Internal); got != 8 {
		t.Errorf("faultCount(internal) = %d, want 8: an unknown kind is a bug", got)
	}
}

func TestAllocations(t *testing.T) {
	r := New(Options{Cells: 2})
	route, upstream, listener := r.Route("api"), r.Upstream("a"), r.Listener("http")
	got := testing.AllocsPerRun(100, func() {
		listener.Opened(0)
		route.Observe(1, 200, time.Millisecond)
		route.Observe(1, 418, time.Millisecond)
		route.Fault(fault.QueueFull)
		upstream.Pending(1)
		upstream.Reused(1)
		upstream.Observe(1, time.Millisecond)
		upstream.Pending(-1)
		listener.Closed(1)
	})
	if got != 0 {
		t.Errorf("counting one request: %v allocations, want 0", got)
	}
}

// TestStepError checks the error that the help text of the summary states.
func TestStepError(t *testing.T) {
	worst := 0.0
	for v := int64(1); v < windowMicros; v += 1 + v/1000 {
		p, s := stepOf(v)
		e := math.Abs(middleOf(p, s)*1e6-float64(v)) / float64(v)
		worst = max(worst, e)
	}
	if worst > 0.016 {
		t.Errorf("worst relative error = %v, want at most 0.016", worst)
	}
	if p, s := stepOf(math.MaxInt64); p != windowPages-1 || s != steps-1 {
		t.Errorf("stepOf(max) = %d, %d, want the last step", p, s)
	}
	if p, s := stepOf(-1); p != 0 || s != 0 {
		t.Errorf("stepOf(-1) = %d, %d, want the first step", p, s)
	}
}

func TestQuantiles(t *testing.T) {
	r := New(Options{Cells: 1})
	u := r.Upstream("a")
	for q, v := range u.latencyQuantiles(0) {
		if v != 0 {
			t.Errorf("quantile %v of nothing = %v, want 0", q, v)
		}
	}
	for i := range 10_000 {
		u.Observe(0, time.Duration(i+1)*100*time.Microsecond)
	}
	for q, v := range u.latencyQuantiles(0) {
		if want := q; math.Abs(v-want)/want > 0.017 {
			t.Errorf("quantile %v = %v, want %v to within 1.7 %%", q, v, want)
		}
	}
}

// TestWindowSlides checks that an observation is shown for at least 4.5 and at
// most 5 minutes, whether anybody scrapes in between or not.
func TestWindowSlides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Options{Cells: 1})
		u := r.Upstream("a")
		median := func() float64 {
			r.advance()
			return u.latencyQuantiles(r.epoch.Load())[0.5]
		}
		time.Sleep(29 * time.Second)
		r.advance()
		u.Observe(0, time.Second)
		time.Sleep(4*time.Minute + 30*time.Second)
		if got := median(); math.Abs(got-1) > 0.02 {
			t.Errorf("median after 4.5 minutes = %v, want 1", got)
		}
		time.Sleep(30 * time.Second)
		if got := median(); got != 0 {
			t.Errorf("median after 5 minutes = %v, want 0", got)
		}
		u.Observe(0, 2*time.Second)
		time.Sleep(24 * time.Hour)
		if got := median(); got != 0 {
			t.Errorf("median after a day without a scrape = %v, want 0", got)
		}
		for range 100 {
			u.Observe(0, 3*time.Second)
			time.Sleep(windowSlice)
			if got := median(); math.Abs(got-3) > 0.06 {
				t.Fatalf("median of a steady 3 s = %v", got)
			}
		}
		var counts merged
		if got := u.window.Load().merge(r.epoch.Load(), &counts); got != windowShown-1 {
			t.Errorf("the window shows %d observations, want %d", got, windowShown-1)
		}
	})
}

func TestSweep(t *testing.T) {
	r := New(Options{Cells: 1})
	now := time.Unix(1_800_000_000, 0)
	api, old := r.Route("api"), r.Route("old")
	r.Upstream("a").Target("10.0.0.1:80")
	r.Upstream("a").Target("10.0.0.2:80").SetHealthy(false)
	r.Upstream("b")
	draining := r.Listener("old")
	draining.Opened(0)
	api.Observe(0, 200, 0)
	r.Sweep(now, Live{
		Routes: []string{"api", "old"}, Listeners: []string{"old"},
		Upstreams: map[string][]string{"a": {"10.0.0.1:80", "10.0.0.2:80"}, "b": {}},
	})
	live := Live{Routes: []string{"api"}, Listeners: []string{"http"}, Upstreams: map[string][]string{"a": {"10.0.0.1:80"}}}
	r.Sweep(now, live)
	text := scrape(t, r)
	for _, want := range []string{`route="old"`, `upstream="b"`, `target="10.0.0.1:80"`, `sentinel_open_connections{listener="old"} 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("right after the sweep %s is missing", want)
		}
	}
	if strings.Contains(text, "10.0.0.2") {
		t.Errorf("a removed target is still shown")
	}
	if r.mu.routes["api"] != api || r.mu.routes["old"] != old {
		t.Errorf("handles changed within the grace")
	}
	draining.Closed(0)
	r.Sweep(now.Add(SweepGrace-time.Second), live)
	if r.mu.routes["old"] != old {
		t.Errorf("a route left before its grace ended")
	}
	r.Sweep(now.Add(SweepGrace), live)
	text = scrape(t, r)
	for _, gone := range []string{`route="old"`, `upstream="b"`, `listener="old"`} {
		if strings.Contains(text, gone) {
			t.Errorf("after the grace %s is still shown", gone)
		}
	}
	if r.Route("api") != api || r.Unrouted() != r.Route(RouteNone) {
		t.Errorf("live handles changed")
	}
}

// TestSweepReturns checks that a route that comes back within the grace goes on counting.
func TestSweepReturns(t *testing.T) {
	r := New(Options{Cells: 1})
	now := time.Unix(1_800_000_000, 0)
	route := r.Route("api")
	with, without := Live{Routes: []string{"api"}}, Live{}
	r.Sweep(now, without)
	r.Sweep(now.Add(SweepGrace/2), with)
	r.Sweep(now.Add(SweepGrace), without)
	r.Sweep(now.Add(SweepGrace*3/2), without)
	if r.Route("api") != route {
		t.Errorf("the grace didn't start anew")
	}
}

// TestSweepPrepared checks that sweeps with the names of the serving
// configuration leave alone what the next one has looked up.
func TestSweepPrepared(t *testing.T) {
	r := New(Options{Cells: 1})
	now := time.Unix(1_800_000_000, 0)
	l, target := r.Listener("new"), r.Upstream("a").Target("10.0.0.1:80")
	for range 3 {
		r.Sweep(now, Live{})
		now = now.Add(PrepareGrace/3 - time.Second)
	}
	served := Live{Listeners: []string{"new"}, Upstreams: map[string][]string{"a": {"10.0.0.1:80"}}}
	r.Sweep(now, served)
	if r.Listener("new") != l || r.Upstream("a").Target("10.0.0.1:80") != target {
		t.Errorf("handles changed before they served")
	}
	// Looking up again begins the time anew.
	again := r.Listener("again")
	againTarget := r.Upstream("a").Target("10.0.0.3:80")
	r.Sweep(now, served)
	if r.Listener("again") != again || r.Upstream("a").Target("10.0.0.3:80") != againTarget {
		t.Errorf("handles changed right after they were looked up")
	}
	r.Sweep(now.Add(PrepareGrace), served)
	if r.mu.listeners["again"] != again || r.mu.upstreams["a"].mu.targets["10.0.0.3:80"] != againTarget {
		t.Errorf("handles were dropped though they were looked up again")
	}
	now = now.Add(2 * PrepareGrace)
	// The lookups of served names above are those of a reload that fails.
	r.Listener("failed")
	r.Sweep(now, served)
	r.Sweep(now.Add(PrepareGrace), Live{})
	text := scrape(t, r)
	for _, gone := range []string{`target="10.0.0.1:80"`, `listener="new"`, `listener="failed"`} {
		if strings.Contains(text, gone) {
			t.Errorf("%s is still shown", gone)
		}
	}
}

// TestManyRoutes checks the bounds that hold with 10,000 routes.
func TestManyRoutes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	r := manyRoutes(10_000)
	if r.mu.faultSeries > faultSeriesMax {
		t.Errorf("%d seeded fault series, want at most %d", r.mu.faultSeries, faultSeriesMax)
	}
	text := scrape(t, r)
	if got := strings.Count(text, "\nsentinel_faults_total{"); got > faultSeriesMax+10_000 {
		t.Errorf("%d fault series, want at most %d", got, faultSeriesMax+10_000)
	}
	if got, want := strings.Count(text, "\nsentinel_requests_total{"), 10_000*(len(zeroCodes)+1)+len(zeroCodes); got != want {
		t.Errorf("%d request series, want %d", got, want)
	}
	if len(text) > 32<<20 {
		t.Errorf("the exposition takes %d bytes, want at most 32 MiB", len(text))
	}
}

// TestReference checks the table of families against what is emitted and the
// rules for names.
func TestReference(t *testing.T) {
	seen := map[string]bool{}
	for i, f := range Reference() {
		if seen[f.Name] {
			t.Errorf("%s stands twice", f.Name)
		}
		seen[f.Name] = true
		if strings.Contains(f.Name, "requests_total") != (i == 0) {
			t.Errorf("%s: only the first family's name may contain requests_total", f.Name)
		}
		if strings.HasSuffix(f.Name, "_total") != (f.Kind == Counter) {
			t.Errorf("%s is a %s", f.Name, f.Kind)
		}
		if !strings.HasPrefix(f.Name, "sentinel_") || !strings.HasSuffix(f.Help, ".") {
			t.Errorf("%s: name or help %q", f.Name, f.Help)
		}
		if !slices.IsSorted(f.Labels) {
			t.Errorf("%s: labels %v aren't in the order of the exposition", f.Name, f.Labels)
		}
	}
	r := configured()
	r.ShowExpiries(func() []Expiry {
		one := Expiry{File: "a.crt", Name: "l", Role: "server", Side: "listener", At: time.Unix(1800000000, 5)}
		return []Expiry{one, one}
	})
	text := scrape(t, r)
	if want := `sentinel_certificate_expiry_timestamp_seconds{file="a.crt",name="l",role="server",side="listener"} 1.8e+09`; !strings.Contains(text, want) {
		t.Errorf("the exposition lacks %s", want)
	}
	for _, f := range Reference() {
		if !strings.Contains(text, fmt.Sprintf("# TYPE %s %s\n", f.Name, f.Kind)) {
			t.Errorf("%s isn't in the exposition", f.Name)
		}
	}
}

// TestPedantic has client_golang check that what is collected fits what is described.
func TestPedantic(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(configured()); err != nil {
		t.Fatal(err)
	}
	if _, err := reg.Gather(); err != nil {
		t.Error(err)
	}
}

// TestConcurrent lets everything happen at once, for the race detector.
func TestConcurrent(t *testing.T) {
	r := New(Options{Cells: 2})
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 200 {
				name := fmt.Sprint(i % 7)
				r.Route(name).Observe(worker, 200+i, time.Millisecond)
				r.Route(name).Fault(fault.NoRoute)
				u := r.Upstream(name)
				u.Observe(worker, time.Millisecond)
				u.SetPool(func() PoolState { return PoolState{Idle: 1} })
				u.Target(name).SetBreaker(BreakerOpen)
				r.Listener(name).Opened(worker)
			}
		})
	}
	all.Go(func() {
		for range 20 {
			scrape(t, r)
			r.Sweep(time.Now(), Live{Routes: []string{"1"}})
			r.ReloadFailed()
		}
	})
	all.Wait()
}
