package accesslog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/observe/journal"
)

// sink is an output in memory.
type sink struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *sink) lines() int { return strings.Count(s.String(), "\n") }

// TestFlush checks that a line is written within the interval, and at the end.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out sink
		l := New(Options{Cells: 2, Access: journal.To(&out, journal.EncodingText)})
		ctx, stop := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { l.Run(ctx) })
		for i := range 3 {
			l.Record(i, served())
			time.Sleep(FlushEveryDefault - time.Millisecond)
			if got := out.lines(); got != i {
				t.Errorf("%d lines before the interval is over, want %d", got, i)
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if got := out.lines(); got != i+1 {
				t.Errorf("%d lines after the interval, want %d", got, i+1)
			}
		}
		l.Record(0, served())
		stop()
		run.Wait()
		if got := out.lines(); got != 4 {
			t.Errorf("%d lines after the end, want 4", got)
		}
	})
}

// blocked is an output that takes nothing until it is released.
type blocked struct {
	sink
	entered chan struct{}
	release chan struct{}
}

func (b *blocked) Write(p []byte) (int, error) {
	b.entered <- struct{}{}
	<-b.release
	return b.sink.Write(p)
}

// TestFull checks that a stuck output costs bounded memory, no waiting and no
// line that isn't counted.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &blocked{entered: make(chan struct{}, 100), release: make(chan struct{})}
		var dropped atomic.Int64
		l := New(Options{
			Cells: 1, MemoryMax: 1, Access: journal.To(out, journal.EncodingText),
			Dropped: func(n int) { dropped.Add(int64(n)) },
		})
		ctx, stop := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { l.Run(ctx) })
		const n = 5000
		l.Record(0, served())
		<-out.entered
		for range n - 1 {
			l.Record(0, served())
		}
		sh := &l.access.shards[0]
		if got := cap(sh.buf); got > shardBytesMin+headroom {
			t.Errorf("the buffer takes %d bytes, want at most %d", got, shardBytesMin+headroom)
		}
		close(out.release)
		stop()
		run.Wait()
		lines := int64(out.lines())
		if lines+dropped.Load() != n || dropped.Load() == 0 || lines < shardBytesMin/400 {
			t.Errorf("%d lines and %d dropped, want %d together and both", lines, dropped.Load(), n)
		}
		if !strings.HasSuffix(out.String(), "\n") {
			t.Errorf("the last line is cut: %q", out.String()[len(out.String())-50:])
		}
	})
}

// TestLongLine checks that after a line that doesn't fit none is kept until the next
// flush, so that long lines aren't the only ones that miss.
func TestLongLine(t *testing.T) {
	dropped := 0
	var out sink
	l := New(Options{
		Cells: 1, MemoryMax: 1, Access: journal.To(&out, journal.EncodingJSON),
		Dropped: func(n int) { dropped += n },
	})
	long := served()
	long.Path, long.Query, long.Referer = bytes.Repeat([]byte{1}, pathMax), bytes.Repeat([]byte{2}, queryMax), bytes.Repeat([]byte{3}, refererMax)
	kept := 0
	for sh := &l.access.shards[0]; !sh.full && kept < 100; kept++ {
		l.Record(0, long)
	}
	l.Record(0, served())
	if got := testing.AllocsPerRun(10, func() { l.Record(0, long) }); got != 0 {
		t.Errorf("%v allocations for a line that finds the buffer full, want 0", got)
	}
	l.Flush()
	if got, want := out.lines(), kept-1; got != want || dropped != 1+1+11 {
		t.Errorf("%d lines and %d dropped, want %d and 13", got, dropped, want)
	}
	l.Record(0, served())
	l.Flush()
	if got := out.lines(); got != kept {
		t.Errorf("%d lines after the flush, want %d", got, kept)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestFailingOutput(t *testing.T) {
	for _, enc := range []journal.Encoding{journal.EncodingText, journal.EncodingJSON, journal.EncodingNative} {
		dropped := 0
		l := New(Options{Cells: 1, Access: journal.To(failing{}, enc), Dropped: func(n int) { dropped += n }})
		for range 3 {
			l.Record(0, served())
		}
		l.Flush()
		if dropped != 3 {
			t.Errorf("encoding %d: %d dropped, want 3", enc, dropped)
		}
	}
}

// TestEvents checks which exchanges go among the events, and how many.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var access, events sink
		suppressed := 0
		l := New(Options{
			Cells: 1, MemoryMax: 32 << 20, Access: journal.To(&access, journal.EncodingText), Events: journal.To(&events, journal.EncodingText),
			Suppressed: func(n int) { suppressed += n },
		})
		ctx, stop := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { l.Run(ctx) })
		refused, abandoned := served(), served()
		refused.Fault, refused.Status = fault.NoRoute, 404
		abandoned.Fault, abandoned.Status = fault.ClientClosed, 499
		for range 10_000 {
			l.Record(0, refused)
		}
		l.Record(0, served())
		l.Record(0, abandoned)
		for range FailedBurst + 7 {
			l.Record(0, failed())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		text := events.String()
		if got := strings.Count(text, "request refused"); got != RefusedBurst {
			t.Errorf("%d refused, want %d", got, RefusedBurst)
		}
		if got := strings.Count(text, "request failed"); got != FailedBurst {
			t.Errorf("%d failed, want %d", got, FailedBurst)
		}
		want := 10_000 - RefusedBurst + 7
		if !strings.Contains(text, fmt.Sprintf(" WARN failing requests left out of the log, count=%d\n", want)) || suppressed != want {
			t.Errorf("suppressed = %d, want %d, and a line that says so", suppressed, want)
		}
		if strings.Contains(text, "served") || strings.Contains(text, "abandoned") {
			t.Errorf("events hold an exchange that went well")
		}
		if got, want := access.lines(), 10_000+2+FailedBurst+7; got != want {
			t.Errorf("the access log has %d lines, want %d", got, want)
		}
		stop()
		run.Wait()
	})
}

// TestSetLevel checks that the event stream leaves out what is below its level.
func TestSetLevel(t *testing.T) {
	var events sink
	l := New(Options{Cells: 1, Events: journal.To(&events, journal.EncodingText)})
	refused := served()
	refused.Fault, refused.Status = fault.NoRoute, 404
	for _, test := range []struct {
		least           slog.Level
		refused, failed int
	}{
		{slog.LevelDebug, 1, 1},
		{slog.LevelInfo, 1, 1},
		{slog.LevelWarn, 1, 1},
		{slog.LevelError, 0, 1},
	} {
		before := events.String()
		l.SetLevel(test.least)
		l.Record(0, served())
		l.Record(0, refused)
		l.Record(0, failed())
		l.Flush()
		text := strings.TrimPrefix(events.String(), before)
		if r, f := strings.Count(text, " WARN "), strings.Count(text, " ERROR "); r != test.refused || f != test.failed {
			t.Errorf("at level %v: %d refused and %d failed, want %d and %d", test.least, r, f, test.refused, test.failed)
		}
	}
	before := events.String()
	l.failed.refused.Store(3)
	if l.reportSuppressed(); events.String() != before {
		t.Errorf("a warning about what was left out is written at level error")
	}
}

// TestSameOutput checks that nothing is written twice when both streams share an output.
func TestSameOutput(t *testing.T) {
	var out sink
	both := journal.To(&out, journal.EncodingText)
	l := New(Options{Cells: 1, Access: both, Events: both})
	l.Record(0, failed())
	l.Flush()
	if got := out.lines(); got != 1 {
		t.Errorf("%d lines, want 1", got)
	}
}

func TestSetOutputs(t *testing.T) {
	var a, b, events sink
	first, second := journal.To(&a, journal.EncodingText), journal.To(&b, journal.EncodingJSON)
	ev := journal.To(&events, journal.EncodingText)
	l := New(Options{Cells: 4, Access: first, Events: ev})
	for cell := range 4 {
		l.Record(cell, failed())
	}
	l.SetOutputs(second, ev)
	if a.lines() != 4 {
		t.Errorf("%d lines in the first output, want 4", a.lines())
	}
	l.Record(0, served())
	l.SetOutputs(nil, ev)
	l.Record(0, served())
	l.Record(0, failed())
	l.SetOutputs(ev, ev)
	l.Record(0, failed())
	l.SetOutputs(nil, nil)
	l.Record(0, failed())
	l.Flush()
	if a.lines() != 4 || b.lines() != 1 || events.lines() != 6 || !strings.HasPrefix(b.String(), "{") {
		t.Errorf("lines = %d, %d, %d, want 4, 1, 6", a.lines(), b.lines(), events.lines())
	}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	out, err := journal.OpenFile(path, journal.EncodingText)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	l := New(Options{Cells: 1, Access: out})
	l.Record(0, served())
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Record(0, served())
	l.Flush()
	for _, name := range []string{path, path + ".1"} {
		text, err := os.ReadFile(name)
		if err != nil || bytes.Count(text, []byte("\n")) != 1 {
			t.Errorf("%s holds %q, %v, want one line", name, text, err)
		}
	}
}

// TestNative checks what a failing exchange looks like in the journal.
func TestNative(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	out, err := journal.OpenNative(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	l := New(Options{Cells: 1, Events: out})
	l.Record(0, failed())
	e := failed()
	e.Path = []byte("/a\nPRIORITY=0")
	l.Record(0, e)
	l.Flush()
	data := make([]byte, 1<<16)
	var got []string
	for range 2 {
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(data[:n]))
	}
	want := "\nPRIORITY=3\nSYSLOG_IDENTIFIER=sentinel\nSTATUS=502\nPATH=/v1/x\nMETHOD=GET\nREQUEST_ID=01HXA7Q2K3M4N5P6\n" +
		"ROUTE=api\nUPSTREAM=primary-backend\nTARGET=10.0.0.1:8080\nFAULT=upstream_refused\nCLIENT_IP=192.0.2.7\n"
	if !strings.HasPrefix(got[0], `MESSAGE=request failed, error="upstream refused connection", `) || !strings.HasSuffix(got[0], ", level=ERROR"+want) {
		t.Errorf("entry = %q, want it to end with %q", got[0], want)
	}
	if want := "\nPATH\n\x0d\x00\x00\x00\x00\x00\x00\x00/a\nPRIORITY=0\nMETHOD=GET\n"; !strings.Contains(got[1], want) {
		t.Errorf("entry = %q, want it to hold %q", got[1], want)
	}
}

func TestAllocations(t *testing.T) {
	for _, enc := range []journal.Encoding{journal.EncodingText, journal.EncodingJSON, journal.EncodingNative} {
		l := New(Options{Cells: 2, Access: journal.To(io.Discard, enc), Events: journal.To(io.Discard, enc)})
		ok, bad := served(), failed()
		ok.UserAgent, ok.Path = []byte("a \"quoted\" \xff agent"), bytes.Repeat([]byte("\x01"), 5000)
		l.Record(0, ok)
		l.Record(0, bad)
		l.Flush()
		l.Record(0, bad)
		l.Flush()
		got := testing.AllocsPerRun(1000, func() {
			l.Record(0, ok)
			l.Record(0, bad)
			l.Flush()
		})
		if got != 0 {
			t.Errorf("encoding %d: %v allocations, want 0", enc, got)
		}
	}
}

// TestConcurrent lets everything happen at once, for the race detector, and
// checks that no line is lost.
func TestConcurrent(t *testing.T) {
	var out sink
	var dropped atomic.Int64
	a, b := journal.To(&out, journal.EncodingText), journal.To(&out, journal.EncodingText)
	l := New(Options{Cells: 2, FlushEvery: time.Microsecond, Access: a, Dropped: func(n int) { dropped.Add(int64(n)) }})
	ctx, stop := context.WithCancel(context.Background())
	var run, workers sync.WaitGroup
	run.Go(func() { l.Run(ctx) })
	const n = 2000
	for worker := range 4 {
		workers.Go(func() {
			for range n {
				l.Record(worker, served())
			}
		})
	}
	workers.Go(func() {
		for range 100 {
			l.SetOutputs(b, nil)
			l.SetOutputs(a, nil)
		}
	})
	workers.Wait()
	stop()
	run.Wait()
	if got := int64(out.lines()) + dropped.Load(); got != 4*n {
		t.Errorf("%d lines written or dropped, want %d", got, 4*n)
	}
}

func TestBucket(t *testing.T) {
	b := newBucket(10, 3)
	now := time.Unix(1_800_000_000, 0)
	count := func(at time.Time, tries int) (n int) {
		for range tries {
			if b.take(at) {
				n++
			}
		}
		return n
	}
	for _, test := range []struct {
		after time.Duration
		want  int
	}{
		{0, 3},
		{0, 0},
		{99 * time.Millisecond, 0},
		{100 * time.Millisecond, 1},
		{300 * time.Millisecond, 2},
		{time.Hour, 3},
		{0, 3}, // a clock set back doesn't close the bucket
	} {
		if got := count(now.Add(test.after), 10); got != test.want {
			t.Errorf("after %v: %d tokens, want %d", test.after, got, test.want)
		}
	}
}
