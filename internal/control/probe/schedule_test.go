package probe

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const refused = syscall.ECONNREFUSED

// rig is a Prober over a fakeNet that notes the verdicts.
type rig struct {
	*Prober
	net *fakeNet

	mu       sync.Mutex
	verdicts []Verdict
	probes   int
}

func newRig() *rig {
	r := &rig{net: newFakeNet()}
	r.Prober = New(Options{Dialer: r.net, Verdict: func(v Verdict) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.verdicts = append(r.verdicts, v)
	}, Probed: func(Target, *Transcript) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.probes++
	}})
	return r
}

// told returns the verdicts since the last call as text: "a:1 healthy first".
func (r *rig) told() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, v := range r.verdicts {
		s := fmt.Sprintf("%s healthy=%v streak=%d", v.Address, v.Healthy, v.Streak)
		if v.First {
			s += " first"
		}
		out = append(out, s)
	}
	r.verdicts = nil
	return out
}

func (r *rig) wantTold(t *testing.T, want ...string) {
	t.Helper()
	if got := r.told(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

const (
	one = "10.0.0.1:80"
	two = "10.0.0.2:80"
)

func target(address string, c *Check) Target {
	return Target{Upstream: "a", Address: address, Check: c}
}

func TestFirstProbeDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		r.net.set(one, well)
		r.net.set(two, ill)
		c := &Check{Healthy: 5, Unhealthy: 5}
		r.Set([]Target{target(one, c), target(two, c), {Upstream: "b", Address: one}})
		if got := len(r.Pending()); got != 2 {
			t.Errorf("%d targets pending at the start, want 2: one has no check", got)
		}
		time.Sleep(firstSpread)
		got := r.told()
		slices.Sort(got)
		if want := []string{one + " healthy=true streak=1 first", two + " healthy=false streak=1 first"}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		if got := r.Pending(); len(got) != 0 {
			t.Errorf("Pending() = %v, want none", got)
		}
	})
}

func TestThresholdsRuleAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		r.net.set(one, well)
		r.Set([]Target{target(one, &Check{Interval: 10 * time.Second, IntervalDown: 2 * time.Second, Healthy: 2, Unhealthy: 3})})
		time.Sleep(firstSpread)
		r.wantTold(t, one+" healthy=true streak=1 first")

		at := r.Results()[0].Next
		r.net.set(one, ill)
		time.Sleep(time.Until(at) + 10*time.Second) // the second failure
		r.wantTold(t)
		if got := r.Results()[0]; got.State != Healthy || got.Streak != 2 || got.Last.OK {
			t.Errorf("after two failures %v, streak %d, last ok %v, want healthy, 2, false", got.State, got.Streak, got.Last.OK)
		}
		time.Sleep(10 * time.Second)
		r.wantTold(t, one+" healthy=false streak=3")

		r.net.set(one, well)
		time.Sleep(2 * time.Second)
		r.wantTold(t)
		time.Sleep(2 * time.Second)
		r.wantTold(t, one+" healthy=true streak=2")
		if got := r.Results()[0]; got.LastFailure == nil || got.LastFailure.Status != 503 || got.Since != time.Now() {
			t.Errorf("Results() = %+v, want the last failure's 503, healthy since now", got)
		}
	})
}

func TestCount(t *testing.T) {
	for _, c := range []struct{ results, want string }{
		{"o", "H"},
		{"x", "U"},
		{"oxx", "H--"},
		{"oxxx", "H--U"},
		{"oxxoxx", "H-----"},
		{"oxxoxxx", "H-----U"},
		{"xo", "U-"},
		{"xoo", "U-H"},
		{"xoxo", "U---"},
		{"xoxoo", "U---H"},
		{"?x", "-U"},
		{"oxx?x", "H---U"},
	} {
		e := newEntry(Target{Check: &Check{Healthy: 2, Unhealthy: 3}})
		got := ""
		for _, r := range c.results {
			switch {
			case !e.count(&Transcript{OK: r == 'o', Own: r == '?'}):
				got += "-"
			case e.state == Healthy:
				got += "H"
			default:
				got += "U"
			}
		}
		if got != c.want {
			t.Errorf("results %q: verdicts %q, want %q", c.results, got, c.want)
		}
	}
}

// gaps returns the times between the starts of probes.
func gaps(times []time.Time) (out []time.Duration) {
	for i := 1; i < len(times); i++ {
		out = append(out, times[i].Sub(times[i-1]))
	}
	return out
}

func TestJitterStaysInItsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		r.net.set(one, well)
		r.Set([]Target{target(one, &Check{Interval: 10 * time.Second, JitterPercent: 20}), target(two, &Check{Interval: 10 * time.Second, JitterPercent: 20})})
		time.Sleep(time.Hour)
		up, down := gaps(r.net.dialled(one)), gaps(r.net.dialled(two))
		if first := up[0]; first < 5*time.Second || first > 10*time.Second {
			t.Errorf("first gap %v, want 5s to 10s", first)
		}
		for _, c := range []struct {
			name      string
			gaps      []time.Duration
			low, high time.Duration
		}{{"up", up[1:], 8 * time.Second, 12 * time.Second}, {"down", down, 1600 * time.Millisecond, 2400 * time.Millisecond}} {
			least, most := slices.Min(c.gaps), slices.Max(c.gaps)
			if least < c.low || most > c.high || most-least < (c.high-c.low)/2 {
				t.Errorf("%s: %d gaps from %v to %v, want most of %v to %v", c.name, len(c.gaps), least, most, c.low, c.high)
			}
		}
	})
}

func TestThousandsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		r.net.connectTime = 5 * time.Millisecond
		var all []Target
		for i := range 2000 {
			address := fmt.Sprintf("10.1.%d.%d:80", i/250, i%250)
			r.net.set(address, well)
			all = append(all, target(address, &Check{Interval: 10 * time.Second}))
		}
		start := time.Now()
		r.Set(all)
		time.Sleep(time.Second)
		if got := len(r.told()); got != 2000 {
			t.Errorf("%d verdicts after 1s, want 2000", got)
		}
		if _, peak := r.net.connections(); peak != probesAtOnceMax {
			t.Errorf("%d connections at once, want %d", peak, probesAtOnceMax)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		perSecond := map[time.Duration]int{}
		for _, x := range all {
			perSecond[r.net.dialled(x.Address)[1].Sub(start)/time.Second]++
		}
		for second, n := range perSecond {
			if n > 600 {
				t.Errorf("%d second probes in second %v, want about 400", n, second)
			}
		}
	})
}

// TestHangingTargetsDontStarve fails when those that are down can take every worker.
func TestHangingTargetsDontStarve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		c := &Check{Interval: 10 * time.Second, IntervalDown: time.Second, Timeout: 5 * time.Second}
		r.net.set(one, well)
		all := []Target{target(one, c)}
		for i := range 300 {
			address := fmt.Sprintf("10.2.%d.%d:80", i/250, i%250)
			r.net.set(address, hang)
			all = append(all, target(address, c))
		}
		r.Set(all)
		time.Sleep(time.Minute) // all have had their first verdict
		from := len(r.net.dialled(one))
		time.Sleep(10 * time.Minute)
		for _, gap := range gaps(r.net.dialled(one)[from:]) {
			if gap != 10*time.Second {
				t.Errorf("the healthy target waited %v for a probe, want 10s", gap)
			}
		}
		if got := len(r.net.dialled(one)) - from; got < 59 {
			t.Errorf("%d probes of the healthy target, want 60", got)
		}
	})
}

func TestSetReconciles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		r.net.set(one, well)
		r.net.set(two, well)
		check := func() *Check { return &Check{Interval: 10 * time.Second, Path: "/a", Unhealthy: 3} }
		r.Set([]Target{target(one, check()), target(two, check())})
		time.Sleep(firstSpread)
		r.told()
		time.Sleep(25 * time.Second)
		synctest.Wait()
		before := r.Results()

		changed := check()
		changed.Path = "/b"
		r.Set([]Target{target(two, changed), target(one, check())})
		after := r.Results()
		if after[1].Streak != before[0].Streak || after[1].Next != before[0].Next || after[1].State != Healthy {
			t.Errorf("unchanged target: %+v, want streak and schedule of %+v", after[1], before[0])
		}
		if after[0].Streak != 0 || after[0].State != Healthy || after[0].Next.After(time.Now().Add(firstSpread)) {
			t.Errorf("changed check: %+v, want streak 0, healthy, a probe soon", after[0])
		}

		r.net.set(two, ill)
		time.Sleep(firstSpread)
		r.wantTold(t) // one failure is no verdict: it isn't the first
		r.Set([]Target{target(two, changed)})
		n := len(r.net.dialled(one))
		time.Sleep(time.Minute)
		if got := len(r.net.dialled(one)); got != n {
			t.Errorf("%d probes of a removed target", got-n)
		}
		r.wantTold(t, two+" healthy=false streak=3")
	})
}

func TestRemovedInMidProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		c := &Check{Interval: 10 * time.Second, Timeout: 5 * time.Second}
		r.net.set(one, hang)
		r.Set([]Target{target(one, c)})
		time.Sleep(time.Second)
		synctest.Wait()
		r.Set(nil)
		synctest.Wait()
		if open, _ := r.net.connections(); open != 0 {
			t.Errorf("%d connections open after the target was removed, want 0", open)
		}
		time.Sleep(time.Minute)
		r.wantTold(t)

		r.Set([]Target{target(one, c)})
		time.Sleep(time.Second)
		r.Set(nil)
		r.net.set(one, well)
		r.Set([]Target{target(one, c)}) // back before the probe has ended
		if got := r.Results(); len(got) != 1 || got[0].State != Unknown {
			t.Errorf("Results() = %+v, want the target, unknown", got)
		}
		time.Sleep(time.Second)
		r.wantTold(t, one+" healthy=true streak=1 first")
		time.Sleep(time.Minute)
		if got := len(r.Prober.mu.entries); got != 1 {
			t.Errorf("%d entries, want 1", got)
		}
	})
}

func TestChangedInMidProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		r.net.set(one, hang)
		r.Set([]Target{target(one, &Check{Timeout: time.Minute})})
		time.Sleep(time.Second)
		r.net.set(one, well)
		r.Set([]Target{target(one, &Check{Timeout: 2 * time.Second})})
		time.Sleep(time.Second)
		r.wantTold(t, one+" healthy=true streak=1 first")
		if r.probes != 1 {
			t.Errorf("%d probes reported, want 1: nobody waits for the one that was cut off", r.probes)
		}
	})
}

func TestProbeNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		r.net.set(one, ill)
		dialledAt := target("name.test:80", &Check{Interval: time.Hour, IntervalDown: time.Hour, Healthy: 1})
		dialledAt.Dial = one
		r.Set([]Target{dialledAt})
		time.Sleep(time.Second)
		r.wantTold(t, "name.test:80 healthy=false streak=1 first")
		r.net.set(one, well)
		for _, address := range []string{"name.test:80", one} {
			n := len(r.net.dialled(one))
			if err := r.ProbeNow("a", address); err != nil {
				t.Errorf("ProbeNow(%q) = %v", address, err)
			}
			synctest.Wait()
			if got := len(r.net.dialled(one)); got != n+1 {
				t.Errorf("ProbeNow(%q): %d probes, want 1", address, got-n)
			}
		}
		r.wantTold(t, "name.test:80 healthy=true streak=1")
		if err := r.ProbeNow("b", one); err != ErrUnknownTarget {
			t.Errorf("ProbeNow of another upstream = %v, want ErrUnknownTarget", err)
		}
		r.net.set(one, hang)
		r.ProbeNow("a", one)
		synctest.Wait()
		r.net.set(one, well)
		r.ProbeNow("a", one) // while it hangs
		n := len(r.net.dialled(one))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := len(r.net.dialled(one)); got != n+1 {
			t.Errorf("ProbeNow during a probe: %d probes afterwards, want 1", got-n)
		}
		r.Close()
		if err := r.ProbeNow("a", one); err != ErrClosed {
			t.Errorf("ProbeNow after Close = %v, want ErrClosed", err)
		}
	})
}

func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		r.net.set(one, hang)
		r.Set([]Target{target(one, &Check{Timeout: time.Hour}), target(two, &Check{Timeout: time.Hour})})
		time.Sleep(time.Second)
		synctest.Wait()
		before := time.Now()
		r.Close()
		r.Close()
		if open, _ := r.net.connections(); open != 0 || time.Since(before) > 0 {
			t.Errorf("after Close %d connections open, %v passed; want none", open, time.Since(before))
		}
		n, m := len(r.net.dialled(one)), len(r.net.dialled(two))
		r.Set([]Target{target("10.0.0.3:80", &Check{})})
		time.Sleep(time.Hour)
		if len(r.net.dialled(one)) != n || len(r.net.dialled(two)) != m || len(r.net.dialled("10.0.0.3:80")) != 0 {
			t.Errorf("probes after Close")
		}
	})
}

// exhausted is a net on which this process can open nothing.
type exhausted struct{}

func (exhausted) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Err: syscall.EMFILE}
}

func TestOwnFaultDecidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := false
		p := New(Options{Dialer: exhausted{}, Verdict: func(Verdict) { told = true }})
		p.Set([]Target{target(one, &Check{})})
		time.Sleep(time.Minute)
		p.Close()
		if r := p.Results()[0]; told || r.State != Unknown || r.Last == nil || r.Last.Cause != "no file descriptor free" {
			t.Errorf("Results() = %+v, want unknown for want of file descriptors", r)
		}
		if len(p.Pending()) != 1 {
			t.Errorf("Pending() = %v, want the target", p.Pending())
		}
	})
}

// TestOwnersCallBack calls the Prober from its own reports.
func TestOwnersCallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		n.set(one, well)
		var p *Prober
		calls := 0
		p = New(Options{Dialer: n, Verdict: func(v Verdict) {
			calls++
			p.Set([]Target{v.Target})
			p.ProbeNow("a", one)
			if r := p.Results(); r[0].State != Healthy {
				t.Errorf("state in the report = %v, want healthy", r[0].State)
			}
		}})
		p.Set([]Target{target(one, &Check{})})
		time.Sleep(time.Minute)
		p.Close()
		if got := len(n.dialled(one)); calls != 1 || got < 7 {
			t.Errorf("%d verdicts, %d probes, want 1 and at least 7", calls, got)
		}
	})
}

func TestTimeoutCoversEverything(t *testing.T) {
	trickle := func(c net.Conn) {
		go hang(c)
		for _, b := range []byte("HTTP/1.1 200 OK\r\nX: 1111111111111111111111\r\nContent-Length: 0\r\n\r\n") {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
	body := func(c net.Conn) {
		answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab")(c)
		hang(c)
	}
	for _, c := range []struct {
		name    string
		connect time.Duration
		b       behaviour
		cause   string
	}{
		{"connect", time.Hour, well, "connect timed out"},
		{"silence", 0, hang, "answer timed out"},
		{"no reader", 0, func(net.Conn) { time.Sleep(time.Minute) }, "answer timed out"},
		{"trickle", time.Second, trickle, "answer timed out"},
		{"body", time.Second, body, "body timed out"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newFakeNet()
			n.connectTime = c.connect
			n.set(one, c.b)
			check := (&Check{Timeout: 3 * time.Second, BodyContains: "x"}).withDefaults()
			a := asker{dialer: n, target: target(one, &check), check: &check}
			got := a.ask(t.Context())
			time.Sleep(time.Minute) // the target ends
			if got.Cause != c.cause || time.Duration(got.Total) != 3*time.Second {
				t.Errorf("%s: %q after %v, want %q after 3s", c.name, got.Cause, got.Total, c.cause)
			}
		})
	}
}
