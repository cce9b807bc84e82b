package probe

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestIntervalsRunFromStartToStart probes targets that take their time.
func TestIntervalsRunFromStartToStart(t *testing.T) {
	for _, c := range []struct {
		name    string
		connect time.Duration
		want    time.Duration
	}{{"slow", 3 * time.Second, 10 * time.Second}, {"slower than the interval", 15 * time.Second, 15*time.Second + restMin}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig()
			defer r.Close()
			r.net.connectTime = c.connect
			r.net.set(one, well)
			r.Set([]Target{target(one, &Check{Interval: 10 * time.Second, Timeout: time.Minute})})
			time.Sleep(5 * time.Minute)
			all := gaps(r.net.dialled(one))
			for _, gap := range all[1:] {
				if gap != c.want {
					t.Errorf("%s: gap %v, want %v", c.name, gap, c.want)
				}
			}
		})
	}
}

// TestNoTwoProbesOfATarget takes a target away and back while its report is being heard.
func TestNoTwoProbesOfATarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		n.set(one, well)
		hearing, reports := false, 0
		p := New(Options{Dialer: n, Probed: func(Target, *Transcript) {
			if hearing {
				t.Errorf("two reports of one target at a time")
			}
			hearing = true
			time.Sleep(time.Second)
			hearing = false
			reports++
		}})
		for range 3 {
			p.Set([]Target{target(one, &Check{})})
			time.Sleep(firstSpread + 100*time.Millisecond)
			p.Set(nil)
		}
		p.Set([]Target{target(one, &Check{})})
		time.Sleep(4 * time.Second)
		p.Close()
		if r := p.Results()[0]; r.State != Healthy || reports != 2 {
			t.Errorf("state %v after %d reports, want healthy after 2", r.State, reports)
		}
	})
}

// TestExcerptIsNotWaitedFor answers with the wrong status and a body that doesn't come.
func TestExcerptIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		n.set(one, func(c net.Conn) {
			answer("HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\nabc")(c)
			hang(c)
		})
		check := (&Check{}).withDefaults()
		a := asker{dialer: n, target: target(one, &check), check: &check}
		start := time.Now()
		got := a.ask(t.Context())
		if took := time.Since(start); took != excerptWait || got.Total > ms || got.Body != "abc" {
			t.Errorf("took %v, total %v, body %q, want %v, nothing, abc", took, got.Total, got.Body, excerptWait)
		}
	})
}
