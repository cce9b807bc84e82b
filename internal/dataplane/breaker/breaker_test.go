package breaker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const second = time.Second

var plain = Config{FailureThreshold: 3, SuccessThreshold: 2, Timeout: 30 * second, HalfOpenMax: 1}

// script runs steps, one a line, on a breaker and returns what they said. Each step is a time
// in seconds and a word:
//
//	allow NAME      asks for a pass and keeps it as NAME; says yes or no
//	done NAME OUTCOME [SECONDS]   gives it back after that long
//	ok, fail, slow, ignored       allow and done at once; says no where allow does
//	ready, state, snapshot        says what the method returns
//
// A change of state is said as "from>to cause".
func script(t *testing.T, cfg Config, steps string) []string {
	t.Helper()
	var said []string
	b := New(cfg, func(c Change) {
		said = append(said, fmt.Sprintf("%v>%v %s", c.From, c.To, c.Cause))
	})
	passes := make(map[string]Pass)
	for line := range strings.Lines(steps) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		now, err := time.ParseDuration(f[0] + "s")
		if err != nil {
			t.Fatal(err)
		}
		if say := step(b, passes, now, f[1:]); say != "" {
			said = append(said, say)
		}
	}
	return said
}

func step(b *Breaker, passes map[string]Pass, now time.Duration, f []string) string {
	outcomes := map[string]Outcome{"ok": Success, "slow": Success, "fail": Failure, "ignored": Ignored}
	switch f[0] {
	case "allow":
		p, ok := b.Allow(now)
		passes[f[1]] = p
		return yesNo(ok)
	case "done":
		took := time.Duration(0)
		if len(f) > 3 {
			took, _ = time.ParseDuration(f[3] + "s")
		}
		b.Done(passes[f[1]], now, took, outcomes[f[2]])
	case "ready":
		return yesNo(b.Ready(now))
	case "state":
		return b.State(now).String()
	case "snapshot":
		return fmt.Sprint(b.Snapshot(now))
	default:
		p, ok := b.Allow(now)
		if !ok {
			return "no"
		}
		took := time.Duration(0)
		if f[0] == "slow" {
			took = second
		}
		b.Done(p, now, took, outcomes[f[0]])
	}
	return ""
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func TestTransitions(t *testing.T) {
	opened := "1 fail\n1 fail\n1 fail\n"
	const trip = "closed>open 3 failures in a row"
	const half = "open>half-open its time was over"
	two := plain
	two.HalfOpenMax = 2
	for _, test := range []struct {
		name  string
		cfg   Config
		steps string
		want  []string
	}{
		{"closed lets through", plain, "0 allow a\n0 allow b\n0 ready\n0 state", []string{"yes", "yes", "yes", "closed"}},
		{"a success ends the run", plain, "0 fail\n0 fail\n0 ok\n0 fail\n0 fail\n0 state", []string{"closed"}},
		{"an ignored result ends nothing", plain, "0 fail\n0 fail\n0 ignored\n0 fail", []string{trip}},
		{"open refuses until the timeout", plain, opened + "30.9 ready\n30.9 allow a\n30.9 state", []string{trip, "no", "no", "open"}},
		{"Ready notices the time", plain, opened + "31 ready\n31 ready", []string{trip, half, "yes", "yes"}},
		{"Allow notices the time", plain, opened + "31 allow a", []string{trip, half, "yes"}},
		{"State notices the time", plain, opened + "31 state", []string{trip, half, "half-open"}},
		{
			"one trial at once", plain, opened + "31 allow a\n31 ready\n31 allow b\n32 done a ok\n32 ready\n32 allow b",
			[]string{trip, half, "yes", "no", "no", "yes", "yes"},
		},
		{
			"two trials at once", two, opened + "31 allow a\n31 allow b\n31 allow c\n31 done a ignored\n31 allow c\n31 allow d",
			[]string{trip, half, "yes", "yes", "no", "yes", "no"},
		},
		{
			"successes close", plain, opened + "31 ok\n32 state\n32 ok\n32 state\n32 fail\n32 fail\n32 state",
			[]string{trip, half, "half-open", "half-open>closed trials succeeded", "closed", "closed"},
		},
		{
			"a failed trial reopens", plain, opened + "31 ok\n32 fail\n61 ready\n62 ok\n62 ok",
			[]string{trip, half, "half-open>open a trial failed", "no", half, "half-open>closed trials succeeded"},
		},
		{
			"an ignored trial frees its slot only", plain, opened + "31 ignored\n31 ok\n31 ignored\n31 ok",
			[]string{trip, half, "half-open>closed trials succeeded"},
		},
		{
			"a lost trial frees its slot after the timeout", plain, opened + "31 allow a\n60.9 allow b\n61 ready\n61 allow b\n61 allow c",
			[]string{trip, half, "yes", "no", "yes", "yes", "no"},
		},
		{
			"a late trial frees no other's slot", plain, opened + "31 allow a\n61 allow b\n62 done a ok\n62 allow c\n63 done b ok",
			[]string{trip, half, "yes", "yes", "no", "half-open>closed trials succeeded"},
		},
		{
			"a late trial that failed reopens", plain, opened + "31 allow a\n61 allow b\n62 done a fail\n63 done b ok\n63 state",
			[]string{trip, half, "yes", "yes", "half-open>open a trial failed", "open"},
		},
		{
			"a closed result counts in its generation only", plain, "0 allow a\n0 allow b\n" + opened + "2 done a ok\n31 ok\n31 ok\n32 fail\n32 fail\n32 done b fail\n32 state",
			[]string{"yes", "yes", trip, half, "half-open>closed trials succeeded", "closed"},
		},
		{
			"a trial counts in its generation only", two, opened + "31 allow a\n31 allow b\n32 done a fail\n62 ready\n62 done b fail\n62 state",
			[]string{trip, half, "yes", "yes", "half-open>open a trial failed", half, "yes", "half-open"},
		},
		{"nobody's pass", plain, "0 done none fail\n0 done none fail\n0 done none fail\n0 state", []string{"closed"}},
		{
			"snapshots", plain, "0 snapshot\n1 fail\n1 snapshot\n1 fail\n1 fail\n2 snapshot\n31 snapshot",
			[]string{"{closed 0s  0 0s}", "{closed 0s  1 0s}", trip, "{open 1s 3 failures in a row 0 31s}", half, "{half-open 31s its time was over 0 0s}"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, script(t, test.cfg, test.steps)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.steps, diff)
			}
		})
	}
}

func TestShares(t *testing.T) {
	errors := Config{ErrorPercent: 50, MinRequests: 4, Window: 10 * second}
	slow := Config{SlowCall: second, SlowPercent: 50, MinRequests: 4, Timeout: 30 * second, SuccessThreshold: 1}
	brief := slow
	brief.Timeout = second
	for _, test := range []struct {
		name  string
		cfg   Config
		steps string
		want  []string
	}{
		{"too few calls", errors, "0 fail\n0 fail\n0 fail", nil},
		{"enough calls", errors, "0 fail\n0 ok\n0 ok\n0 fail", []string{"closed>open 50 % of 4 calls failed"}},
		{"a share too small", errors, "0 fail\n0 ok\n0 ok\n0 ok\n0 fail\n0 ok\n0 ok", nil},
		{"ignored calls don't count", errors, "0 fail\n0 ignored\n0 ignored\n0 fail\n0 ok\n0 ignored", nil},
		{"calls leave the window", errors, "0.9 fail\n0.9 fail\n0.9 fail\n9.9 ok\n10 fail\n10 fail", nil},
		{"calls stay in the window", errors, "1 fail\n1 fail\n9 ok\n10.9 fail", []string{"closed>open 75 % of 4 calls failed"}},
		{"slow calls", slow, "0 slow\n0 ok\n0 ok\n0 slow", []string{"closed>open 50 % of 4 calls were slow"}},
		{"slow is off", errors, "0 slow\n0 slow\n0 slow\n0 slow", nil},
		{"failures when only slow calls matter", slow, "0 fail\n0 fail\n0 fail\n0 fail\n0 fail", nil},
		{"a slow trial fails", slow, "0 slow\n0 slow\n0 slow\n0 slow\n30 slow\n60 ok", []string{
			"closed>open 100 % of 4 calls were slow", "open>half-open its time was over", "half-open>open a trial was slow",
			"open>half-open its time was over", "half-open>closed trials succeeded",
		}},
		{"closing forgets", brief, "0 slow\n0 slow\n0 slow\n0 slow\n1 ok\n1 slow\n1 slow\n1 slow\n1 state", []string{
			"closed>open 100 % of 4 calls were slow", "open>half-open its time was over", "half-open>closed trials succeeded", "closed",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, script(t, test.cfg, test.steps)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.steps, diff)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	r := newRules(Config{}, nil)
	got := []any{r.SuccessThreshold, r.Timeout, r.HalfOpenMax, r.Window, r.MinRequests, r.off}
	if diff := cmp.Diff([]any{2, 30 * second, 1, 10 * second, 20, true}, got); diff != "" {
		t.Errorf("newRules(Config{}) (-want +got):\n%s", diff)
	}
}

// send sends one request and reports whether it went through.
func send(b *Breaker, now time.Duration, o Outcome) bool {
	p, ok := b.Allow(now)
	if ok {
		b.Done(p, now, 0, o)
	}
	return ok
}

func TestConfigure(t *testing.T) {
	open := func(t *testing.T) *Breaker {
		b := New(plain, nil)
		for range 3 {
			send(b, 0, Failure)
		}
		return b
	}
	t.Run("a shorter timeout holds at once", func(t *testing.T) {
		b := open(t)
		cfg := plain
		cfg.Timeout = 5 * second
		b.Configure(cfg)
		if got := []bool{b.Ready(4 * second), b.Ready(5 * second)}; got[0] || !got[1] {
			t.Errorf("Ready(4s, 5s) = %v, want [false true]", got)
		}
	})
	t.Run("state and run stay", func(t *testing.T) {
		b := New(plain, nil)
		send(b, 0, Failure)
		send(b, 0, Failure)
		cfg := plain
		cfg.FailureThreshold = 4
		b.Configure(cfg)
		send(b, 0, Failure)
		if got := b.State(0); got != Closed {
			t.Errorf("State() after 3 of 4 = %v, want closed", got)
		}
		send(b, 0, Failure)
		if got := b.State(0); got != Open {
			t.Errorf("State() after 4 of 4 = %v, want open", got)
		}
		b.Configure(plain)
		if got := b.State(0); got != Open {
			t.Errorf("State() after Configure = %v, want open", got)
		}
	})
	t.Run("a form that is off", func(t *testing.T) {
		b := New(plain, nil)
		b.Configure(Config{ErrorPercent: 50})
		for range 19 {
			send(b, 0, Failure)
		}
		if got := b.State(0); got != Closed {
			t.Errorf("State() = %v, want closed", got)
		}
		send(b, 0, Failure)
		if got := b.State(0); got != Open {
			t.Errorf("State() after 20 failures = %v, want open", got)
		}
	})
	t.Run("no form on closes", func(t *testing.T) {
		b := open(t)
		b.Configure(Config{})
		if !send(b, second, Failure) {
			t.Error("Allow() = false, want true")
		}
		want := Snapshot{State: Closed, Since: second, Cause: "nothing opens it any more", Failures: 1}
		if got := b.Snapshot(second); got != want {
			t.Errorf("Snapshot() = %v, want %v", got, want)
		}
	})
	t.Run("fewer trials at once", func(t *testing.T) {
		cfg := plain
		cfg.HalfOpenMax = 3
		b := New(cfg, nil)
		for range 3 {
			send(b, 0, Failure)
		}
		first, _ := b.Allow(30 * second)
		second2, _ := b.Allow(30 * second)
		b.Configure(plain)
		if b.Ready(31 * second) {
			t.Error("Ready() with two of one trials = true")
		}
		b.Done(first, 31*second, 0, Ignored)
		if b.Ready(31 * second) {
			t.Error("Ready() with one of one trials = true")
		}
		b.Done(second2, 31*second, 0, Ignored)
		if !b.Ready(31 * second) {
			t.Error("Ready() with no trial = false")
		}
	})
	t.Run("the window stays", func(t *testing.T) {
		cfg := Config{ErrorPercent: 50, MinRequests: 4}
		b := New(cfg, nil)
		for range 3 {
			send(b, 0, Failure)
		}
		b.Configure(cfg)
		send(b, 0, Failure)
		if got := b.State(0); got != Open {
			t.Errorf("State() = %v, want open", got)
		}
	})
}

func TestOnChange(t *testing.T) {
	t.Run("may use the breaker", func(t *testing.T) {
		var b *Breaker
		var got []Change
		b = New(Config{FailureThreshold: 1, Timeout: second, SuccessThreshold: 1}, func(c Change) {
			switch c.To {
			case Open:
				b.Ready(c.Until) // half-open, told after this call
			case HalfOpen:
				send(b, c.At, Success)
			}
			got = append(got, c)
		})
		send(b, second, Failure)
		want := []Change{
			{From: Closed, To: Open, Cause: "a failure", At: second, Until: 2 * second},
			{From: Open, To: HalfOpen, Cause: "its time was over", At: 2 * second},
			{From: HalfOpen, To: Closed, Cause: "trials succeeded", At: 2 * second},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	})
	t.Run("may panic", func(t *testing.T) {
		told := 0
		b := New(Config{FailureThreshold: 1, Timeout: second}, func(Change) {
			told++
			panic("a bug elsewhere")
		})
		for _, now := range []time.Duration{0, second} {
			func() {
				defer func() { recover() }()
				send(b, now, Failure)
			}()
		}
		if got := b.State(second); got != HalfOpen || told != 2 {
			t.Errorf("State() = %v after %d changes, want half-open after 2", got, told)
		}
	})
}

// Whoever finds the target well needn't wait for the breaker's time.
func TestRecovered(t *testing.T) {
	b := New(Config{FailureThreshold: 1, SuccessThreshold: 1, Timeout: time.Hour, HalfOpenMax: 1}, nil)
	b.Recovered(0)
	if got := b.State(0); got != Closed {
		t.Fatalf("a closed breaker that recovers is %v", got)
	}
	p, _ := b.Allow(0)
	b.Done(p, 0, 0, Failure)
	if b.Ready(time.Second) {
		t.Fatal("an open breaker lets a request through")
	}
	b.Recovered(time.Second)
	p, ok := b.Allow(time.Second)
	if !ok || b.State(time.Second) != HalfOpen {
		t.Fatalf("after Recovered: Allow = %v, state %v, want a trial", ok, b.State(time.Second))
	}
	b.Done(p, time.Second, 0, Success)
	if got := b.State(time.Second); got != Closed {
		t.Errorf("after a trial that succeeded the breaker is %v", got)
	}
}
