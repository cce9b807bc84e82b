package certs

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sentinel/internal/config/certguard"
	"sentinel/internal/config/compile"
	"sentinel/internal/observe/event"
	"sentinel/internal/testkit/pki"
)

// run runs a keeper until the test ends.
func run(t *testing.T, o Options) *Keeper {
	t.Helper()
	k := New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return k
}

func told(l *event.Log) (list []string) {
	for _, e := range l.Since(0, 1000) {
		list = append(list, fmt.Sprintf("%s %s: %s", e.Certificate, e.To, e.Cause))
	}
	return list
}

// TestAge checks that a certificate is told of at each stage once, whatever else happens, and
// one with a short life not from its first day on.
func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		ca := pki.New(t, "ca")
		use := func(file string, days int) compile.InUse {
			c := ca.Issue(t, pki.Server("a").Until(now.Add(time.Duration(days)*day))).Cert
			return compile.InUse{Side: "listener", Name: "l", File: file, Chain: certguard.Chain{c}}
		}
		short := use("short", 6)
		short.Chain[0] = ca.Issue(t, pki.Request{NotBefore: now, NotAfter: now.Add(6 * day)}).Cert
		list := []compile.InUse{use("long", 40), use("mid", 10), short, use("ended", -1)}
		events := event.New(100, slog.New(slog.DiscardHandler))
		k := run(t, Options{InUse: func() []compile.InUse { return list }, Events: events})
		k.Prepare(nil, 0)()
		synctest.Wait()
		want := []string{"mid expires soon: 10 days left", "ended expired: its time is over"}
		if got := told(events); !slices.Equal(got, want) {
			t.Errorf("at the start: %q, want %q", got, want)
		}
		for range 41 * 24 {
			time.Sleep(time.Hour)
			k.Prepare(nil, 0)() // reloads tell nothing again
		}
		want = append(want,
			"mid expires soon: 7 days left",
			"short expires soon: 1 day left", "short expired: its time is over",
			"mid expires soon: 1 day left",
			"long expires soon: 30 days left", "mid expired: its time is over",
			"long expires soon: 14 days left", "long expires soon: 7 days left", "long expires soon: 1 day left", "long expired: its time is over",
		)
		got := told(events)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("told:\n%q, want\n%q", got, want)
		}
	})
}

// TestWatch checks when files that change are loaded: once they have stood still, what failed
// every minute, and never where nobody wants it.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		put := func(text string) {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		put("1")
		var mu sync.Mutex // of what follows
		var loads []time.Duration
		start := time.Now()
		answer := []string(nil)
		every := time.Second
		will := func(problems []string, next time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			answer, every = problems, next
		}
		events := event.New(100, slog.New(slog.DiscardHandler))
		var k *Keeper
		k = run(t, Options{
			InUse: func() []compile.InUse { return nil }, Events: events,
			Renew: func(context.Context) []string {
				mu.Lock()
				defer mu.Unlock()
				loads = append(loads, time.Since(start))
				if answer == nil {
					k.Prepare([]string{file}, every)()
				}
				return answer
			},
		})
		expect := func(what string, want ...time.Duration) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if want != nil && !slices.Equal(loads, want) || want == nil && len(loads) > 0 {
				t.Errorf("%s: loaded at %v, want %v", what, loads, want)
			}
			loads, start = nil, time.Now()
		}
		k.Prepare([]string{file}, time.Second)()
		time.Sleep(time.Hour + time.Second/2)
		expect("no change")
		for i := range 5 { // it goes on changing
			put(fmt.Sprint("longer", i, string(make([]byte, i))))
			time.Sleep(time.Second)
		}
		expect("changes that go on")
		time.Sleep(10 * time.Second)
		expect("it stands still", time.Second/2)
		will([]string{"it is bad"}, time.Second)
		put("bad")
		time.Sleep(3*time.Minute - time.Second)
		expect("it can't be used", 1500*time.Millisecond, 61500*time.Millisecond, 121500*time.Millisecond)
		if got := told(events); len(got) != 2 || got[1] != " not loaded: changed files can't be used; those in use stay" {
			t.Errorf("told: %q, want one failure", got)
		}
		put("better then")
		will(nil, 0) // the configuration switches it off
		time.Sleep(10 * time.Second)
		expect("it is good again", 1500*time.Millisecond)
		put("nobody looks at this")
		time.Sleep(time.Hour)
		expect("switched off")
	})
}

func TestFingerprint(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	last := fingerprint([]string{a, dir})
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"a file comes", func() error { return os.WriteFile(a, []byte("1"), 0o600) }},
		{"it is written", func() error { return os.WriteFile(a, []byte("22"), 0o600) }},
		{"another comes into the folder", func() error { return os.WriteFile(b, nil, 0o600) }},
		{"that one replaces it", func() error { return os.Rename(b, a) }},
		{"it may be read by others", func() error { return os.Chmod(a, 0o644) }},
		{"it goes", func() error { return os.Remove(a) }},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		next := fingerprint([]string{a, dir})
		if next == last {
			t.Errorf("%s: nothing is seen", step.what)
		}
		if again := fingerprint([]string{a, dir}); again != next {
			t.Errorf("%s: %d, then %d", step.what, next, again)
		}
		last = next
	}
}

func TestDaysLeft(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want int
	}{{0, 0}, {day - 1, 0}, {day, 1}, {30*day + time.Hour, 30}, {-1, -1}, {-day, -1}, {-day - 1, -2}} {
		if got := daysLeft(tt.d); got != tt.want {
			t.Errorf("daysLeft(%v) = %d, want %d", tt.d, got, tt.want)
		}
	}
}
