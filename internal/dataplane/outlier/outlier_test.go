package outlier

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const second = time.Second

var plain = Config{ConsecutiveFailures: 3, ConsecutiveGatewayErrors: 4, Ejection: 10 * second, EjectionMax: 25 * second, MaxEjectedPercent: 50}

// script runs steps, one a line, on a group of detectors and returns what they said. Each
// step is a time in seconds, the letter of a target and a word:
//
//	fail N, gateway N, ok, ignored   outcomes of requests
//	ejected, until                   says what the method returns
//	return, close                    calls the method
//	size N, configure                of the group; puts next into force at that target
//
// A change is said as the target, what became of it, and the cause.
func script(t *testing.T, cfg, next Config, size int, steps string) []string {
	t.Helper()
	var said []string
	g := new(Group)
	g.SetSize(size)
	targets := make(map[string]*Detector)
	for name := range strings.SplitSeq("abcd", "") {
		targets[name] = New(cfg, g, func(c Change) { said = append(said, name+" "+describe(c)) })
	}
	for line := range strings.Lines(steps) {
		f := strings.Fields(line)
		now, err := time.ParseDuration(f[0] + "s")
		if err != nil {
			t.Fatal(err)
		}
		n := 1
		if len(f) > 3 {
			fmt.Sscan(f[3], &n)
		}
		d := targets[f[1]]
		switch f[2] {
		case "size":
			g.SetSize(n)
		case "configure":
			d.Configure(next)
		default:
			if say := step(d, now, f[2], n); say != "" {
				said = append(said, say)
			}
		}
	}
	return said
}

func describe(c Change) string {
	switch {
	case c.Refused:
		return "refused: " + c.Cause
	case c.Ejected:
		return fmt.Sprintf("ejected %v (level %d): %s", c.Until-c.At, c.Level, c.Cause)
	}
	return "returned: " + c.Cause
}

func step(d *Detector, now time.Duration, word string, n int) string {
	outcomes := map[string]Outcome{"ok": OK, "fail": Failure, "gateway": GatewayError, "ignored": Ignored}
	switch word {
	case "ejected":
		return fmt.Sprint(d.Ejected(now))
	case "until":
		return d.Until(now).String()
	case "return":
		d.Return(now)
	case "close":
		d.Close()
	default:
		for range n {
			d.Done(now, outcomes[word])
		}
	}
	return ""
}

const (
	out   = "a ejected 10s (level 1): 3 failures in a row"
	out2  = "a ejected 20s (level 2): 3 failures in a row"
	out3  = "a ejected 25s (level 3): 3 failures in a row"
	ended = "a returned: its time was over"
)

func TestEjection(t *testing.T) {
	for _, test := range []struct {
		name, steps string
		want        []string
	}{
		{"failures in a row", "1 a fail 2\n1 a ejected\n1 a fail\n1 a ejected\n1 a until", []string{"false", out, "true", "11s"}},
		{"a success ends the run", "1 a fail 2\n1 a ok\n1 a fail 2\n1 a ejected", []string{"false"}},
		{"gateway errors in a row", "1 a gateway 3\n1 a ok\n1 a gateway 4", []string{"a ejected 10s (level 1): 4 gateway errors in a row"}},
		{"failures and gateway errors by turns", "1 a fail\n1 a gateway\n1 a fail\n1 a gateway\n1 a fail", []string{out}},
		{"an ignored outcome says nothing", "1 a fail 2\n1 a ignored\n1 a fail", []string{out}},
		{"it ends by Ejected", "1 a fail 3\n10.9 a ejected\n11 a ejected\n11 a ejected\n11 a until", []string{out, "true", ended, "false", "false", "0s"}},
		{"it ends by Until", "1 a fail 3\n11 a until", []string{out, ended, "0s"}},
		{"it ends by Done", "1 a fail 3\n11 a ok", []string{out, ended}},
		{"outcomes during an ejection", "1 a fail 3\n2 a fail 9\n3 a ok\n11 a fail 2\n11 a ejected", []string{out, ended, "false"}},
		{"it grows", "0 a fail 3\n10 a fail 3\n30 a fail 3\n55 a fail 3", []string{out, ended, out2, ended, out3, ended, out3}},
		{"it shrinks", "0 a fail 3\n10 a fail 3\n40 a fail 3\n60 a ok\n89 a fail 3\n150 a fail 3", []string{out, ended, out2, ended, out2, ended, out, ended, out}},
		{"well from its end on, not from when that was noticed", "0 a fail 3\n20 a fail 3", []string{out, ended, out}},
		{"returned", "0 a fail 3\n1 a return\n1 a ejected\n1 a return\n2 a fail 3", []string{out, "a returned: it was returned", "false", out2}},
		{"return when it is over", "0 a fail 3\n10 a return", []string{out, ended}},
		{
			"closed", "0 a fail 3\n1 a close\n1 a ejected\n2 b fail 3\n2 a fail 9\n3 a close\n20 a ejected",
			[]string{out, "false", "b ejected 10s (level 1): 3 failures in a row", "false"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, script(t, plain, Config{}, 2, test.steps)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.steps, diff)
			}
		})
	}
}

func TestCap(t *testing.T) {
	percent := func(n int) Config {
		cfg := plain
		cfg.MaxEjectedPercent = n
		return cfg
	}
	const refused = "b refused: 3 failures in a row"
	for _, test := range []struct {
		name  string
		cfg   Config
		size  int
		steps string
		want  []string
	}{
		{"a group of one", percent(100), 1, "0 a fail 3\n0 a ejected", []string{"a refused: 3 failures in a row", "false"}},
		{"a group of none", percent(100), 0, "0 a fail 3\n0 a ejected", []string{"a refused: 3 failures in a row", "false"}},
		{"one of two whatever the percentage", percent(1), 2, "0 a fail 3", []string{out}},
		{"no percentage", percent(0), 2, "0 a fail 3", []string{"a refused: 3 failures in a row"}},
		{"half of three", percent(50), 3, "0 a fail 3\n0 b fail 3\n0 b ejected", []string{out, refused, "false"}},
		{"all of two", percent(100), 2, "0 a fail 3\n0 b fail 3", []string{out, "b ejected 10s (level 1): 3 failures in a row"}},
		{
			"told once", percent(50), 2, "0 a fail 3\n0 b fail 30\n9 b fail 3\n10 b fail 3\n11 b return\n12 a fail 3\n13 b fail 3",
			[]string{out, refused, ended, "b ejected 10s (level 1): 3 failures in a row", "b returned: it was returned", out2, refused},
		},
		{
			"told again after an ejection without", percent(1), 2, "0 a fail 3\n0 b fail 3\n9 b fail 3\n10 b ok\n10 a fail 3\n18 b fail 3\n28 b fail 3",
			[]string{out, refused, ended, out2, refused},
		},
		{"an ejection that is over makes room unasked", percent(50), 2, "0 a fail 3\n10 b fail 3", []string{out, ended, "b ejected 10s (level 1): 3 failures in a row"}},
		{
			"a smaller group", percent(50), 4, "0 a fail 3\n1 b fail 3\n2 b size 2\n2 b ejected\n2 a ejected",
			[]string{out, "b ejected 10s (level 1): 3 failures in a row", "a returned: too many of the upstream were ejected", "true", "false"},
		},
		{"a group that shrinks to one", percent(50), 2, "0 a fail 3\n1 a size 1\n2 a ejected", []string{out, "a returned: too many of the upstream were ejected", "false"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, script(t, test.cfg, Config{}, test.size, test.steps)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.steps, diff)
			}
		})
	}
}

func TestConfigure(t *testing.T) {
	for _, test := range []struct {
		name      string
		cfg, next Config
		steps     string
		want      []string
	}{
		{
			"no form on ends an ejection", plain,
			Config{MaxEjectedPercent: 50},
			"0 a fail 3\n1 a configure\n1 a ejected\n1 a fail 9\n1 a gateway 9\n1 a ejected",
			[]string{out, "a returned: nothing ejects it any more", "false", "false"},
		},
		{
			"no percentage ends an ejection", plain,
			Config{ConsecutiveFailures: 3},
			"0 a fail 3\n1 a configure\n1 a ejected",
			[]string{out, "a returned: too many of the upstream were ejected", "false"},
		},
		{"an ejection stays", plain, Config{ConsecutiveFailures: 9, MaxEjectedPercent: 50}, "0 a fail 3\n1 a configure\n1 a ejected\n1 a until", []string{out, "true", "10s"}},
		{
			"a run stays", plain,
			Config{ConsecutiveFailures: 4, MaxEjectedPercent: 50},
			"0 a fail 2\n0 a configure\n0 a fail\n0 a ejected\n0 a fail",
			[]string{"false", "a ejected 30s (level 1): 4 failures in a row"},
		},
		{
			"failures are off",
			Config{ConsecutiveGatewayErrors: 2, MaxEjectedPercent: 50},
			plain, "0 a fail 9\n0 a gateway\n0 a fail 9\n0 a gateway",
			[]string{"a ejected 30s (level 1): 2 gateway errors in a row"},
		},
		{
			"gateway errors are off",
			Config{ConsecutiveFailures: 2, MaxEjectedPercent: 50},
			plain, "0 a gateway 9\n0 a fail\n0 a gateway\n0 a fail\n0 a ejected\n0 a fail",
			[]string{"false", "a ejected 30s (level 1): 2 failures in a row"},
		},
		{"one is a run", Config{ConsecutiveFailures: 1, MaxEjectedPercent: 50}, plain, "0 a fail", []string{"a ejected 30s (level 1): a failure"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, script(t, test.cfg, test.next, 2, test.steps)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.steps, diff)
			}
		})
	}
}

func TestGroupEjected(t *testing.T) {
	g := new(Group)
	g.SetSize(3)
	d := New(plain, g, nil)
	for range 3 {
		d.Done(0, Failure)
	}
	if ejected, size := g.Ejected(); ejected != 1 || size != 3 {
		t.Errorf("Ejected() = %d, %d, want 1, 3", ejected, size)
	}
	d.Close()
	if ejected, _ := g.Ejected(); ejected != 0 {
		t.Errorf("Ejected() after Close = %d, want 0", ejected)
	}
}

func TestOnChange(t *testing.T) {
	t.Run("may use the detector", func(t *testing.T) {
		g := new(Group)
		g.SetSize(2)
		var d *Detector
		var got []string
		d = New(Config{ConsecutiveFailures: 1, MaxEjectedPercent: 50}, g, func(c Change) {
			if c.Ejected {
				d.Return(c.At) // told after this
			}
			got = append(got, describe(c))
		})
		d.Done(0, Failure)
		if diff := cmp.Diff([]string{"ejected 30s (level 1): a failure", "returned: it was returned"}, got); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	})
	t.Run("may panic", func(t *testing.T) {
		g := new(Group)
		g.SetSize(2)
		told := 0
		d := New(plain, g, func(Change) {
			told++
			panic("a bug elsewhere")
		})
		for range 3 {
			func() {
				defer func() { recover() }()
				d.Done(0, Failure)
			}()
		}
		if !d.Ejected(0) || told != 1 {
			t.Errorf("Ejected() = false or %d changes, want true after 1", told)
		}
	})
}
