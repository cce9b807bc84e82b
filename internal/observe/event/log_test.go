package event

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sentinel/internal/observe/journal"
)

func seqs(events []Event) string {
	s := ""
	for _, e := range events {
		s += fmt.Sprint(e.Seq, " ")
	}
	return s
}

func TestSince(t *testing.T) {
	l, _ := newLog(4)
	if got := l.Since(0, 0); len(got) != 0 || got == nil {
		t.Errorf("Since(0, 0) of an empty log = %#v, want an empty list", got)
	}
	for range 6 {
		l.Emit(Event{Kind: KindHealth})
	}
	for _, c := range []struct {
		seq   uint64
		limit int
		want  string
	}{
		{0, 0, "3 4 5 6 "},
		{2, 0, "3 4 5 6 "},
		{3, 0, "4 5 6 "},
		{5, 0, "6 "},
		{6, 0, ""},
		{7, 0, ""},
		{math.MaxUint64, 3, ""},
		{0, 2, "3 4 "},
		{4, 1, "5 "},
		{4, 9, "5 6 "},
	} {
		if got := seqs(l.Since(c.seq, c.limit)); got != c.want {
			t.Errorf("Since(%d, %d) = %s, want %s", c.seq, c.limit, got, c.want)
		}
	}
	if e := l.Since(5, 0)[0]; e.Time.IsZero() {
		t.Error("an event without a time got none")
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(4, slog.New(slog.DiscardHandler))
		var done sync.WaitGroup
		var woken atomic.Int64
		for range 3 {
			done.Go(func() {
				if err := l.Wait(t.Context(), 1); err == nil {
					woken.Add(1)
				}
			})
			synctest.Wait()
		}
		l.Emit(Event{})
		synctest.Wait()
		if woken.Load() != 0 {
			t.Errorf("Wait(1) returned after event 1")
		}
		l.Record(Event{})
		done.Wait()
		if woken.Load() != 3 {
			t.Errorf("%d of 3 waiters woke", woken.Load())
		}
		if err := l.Wait(t.Context(), 1); err != nil {
			t.Errorf("Wait for what is there = %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Wait(ctx, 2); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait until the context ends = %v", err)
		}
	})
}

func TestRecordWritesNoLine(t *testing.T) {
	l, out := newLog(4)
	l.Record(Event{Kind: KindReload})
	l.Emit(Event{Kind: KindHealth, To: "healthy"})
	if got := out.String(); strings.Contains(got, "reload") || strings.Count(got, "\n") != 1 {
		t.Errorf("log = %q, want the line of the event emitted only", got)
	}
	if got := seqs(l.Since(0, 0)); got != "1 2 " {
		t.Errorf("kept %s, want both", got)
	}
}

// Flaps fill the log to a bound only; the ring keeps them, and what a person asked for
// has its line.
func TestFlapsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, out := newLog(1000)
		flap := func(n int) {
			for i := range n {
				l.Emit(Event{Kind: KindHealth, Worse: i%2 == 0, To: "flapping"})
			}
		}
		count := func(what string) int { return strings.Count(out.String(), what) }
		flap(linesPerSecond + 7)
		l.Emit(Event{Kind: KindDrain, To: "draining"})
		if n, d := count("flapping"), count("draining"); n != linesPerSecond*2 || d != 2 { // each in message and pair
			t.Errorf("%d words of flaps and %d of the drain, want %d and 2", n, d, linesPerSecond*2)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !strings.Contains(out.String(), `WARN events left out of the log, count=7, see="sentinel events"`) {
			t.Errorf("the log doesn't say that 7 are left out: %s", out)
		}
		flap(3)
		if n := count("flapping"); n != linesPerSecond*2+6 {
			t.Errorf("%d words of flaps in the next second, want 6 more", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := count("left out"); n != 1 {
			t.Errorf("the count was logged %d times", n)
		}
		if n := len(l.Since(0, 0)); n != linesPerSecond+11 {
			t.Errorf("the ring keeps %d, want all", n)
		}
	})
}

// gate is a log that stands still until it is let go.
type gate struct {
	entered chan struct{}
	release chan struct{}
	page
}

func (g *gate) Write(b []byte) (int, error) {
	g.entered <- struct{}{}
	<-g.release
	return g.page.Write(b)
}

// While the log stands still, one caller is held up, the others aren't, and their lines
// follow in order.
func TestSlowLogHoldsUpOneCaller(t *testing.T) {
	g := &gate{entered: make(chan struct{}, 64), release: make(chan struct{})}
	l := New(16, journal.New(journal.To(g, journal.EncodingText), slog.LevelInfo).Logger())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Emit(Event{Kind: KindHealth, To: "s1"})
	}()
	<-g.entered
	for i := range 4 {
		l.Emit(Event{Kind: KindHealth, To: fmt.Sprint("s", i+2)})
	}
	if n := len(l.Since(0, 0)); n != 5 {
		t.Errorf("%d events kept while the log stands still, want 5", n)
	}
	close(g.release)
	<-done
	order := ""
	for line := range strings.Lines(g.String()) {
		order += line[strings.Index(line, "target")+7:][:2]
	}
	if order != "s1s2s3s4s5" {
		t.Errorf("lines in the order %s", order)
	}
}

// A log slower than a whole ring of events counts what it lost.
func TestOverrun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{entered: make(chan struct{}, 64), release: make(chan struct{})}
		l := New(4, journal.New(journal.To(g, journal.EncodingText), slog.LevelInfo).Logger())
		go l.Emit(Event{Kind: KindHealth, To: "first"})
		synctest.Wait()
		for range 10 {
			l.Emit(Event{Kind: KindHealth, To: "later"})
		}
		close(g.release)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s := g.String(); strings.Count(s, "target later") != 4 || !strings.Contains(s, "count=6") {
			t.Errorf("log = %s, want the last 4 and a count of 6", s)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	const callers, each = 8, 200
	l := New(callers*each, journal.New(journal.To(io.Discard, journal.EncodingText), slog.LevelInfo).Logger())
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				l.Emit(Event{Kind: KindHealth, To: "x"})
			}
		})
	}
	next := uint64(0)
	for next < callers*each {
		if err := l.Wait(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		for _, e := range l.Since(next, 64) {
			if e.Seq != next+1 {
				t.Fatalf("Seq %d after %d", e.Seq, next)
			}
			next = e.Seq
		}
	}
	wg.Wait()
}

func BenchmarkEmit(b *testing.B) {
	l := New(4096, journal.New(journal.To(io.Discard, journal.EncodingText), slog.LevelInfo).Logger())
	b.ReportAllocs()
	for b.Loop() {
		l.Emit(Event{Kind: KindHealth, Upstream: "a", Target: "10.0.0.1:80", To: "unhealthy", Cause: "connection refused"})
	}
}
