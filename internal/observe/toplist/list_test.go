package toplist

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sentinel/internal/testkit/race"
)

// stream feeds a list and knows the truth of its window.
type stream struct {
	list  *List
	seed  maphash.Seed
	truth map[string]uint64
	total uint64
	cell  int
}

func newStream(entries, cells int) *stream {
	return &stream{list: New(entries, cells), seed: maphash.MakeSeed(), truth: make(map[string]uint64)}
}

func (s *stream) observe(key string, n uint64) {
	s.cell++
	s.list.Observe(s.cell, []byte(key), maphash.String(s.seed, key), n)
	s.truth[key] += n
	s.total += n
}

// check compares the top of the whole window with the truth, and returns it.
func (s *stream) check(t interface{ Errorf(string, ...any) }, now time.Duration) []Entry {
	entries := s.list.Top(WindowMax, math.MaxInt, now)
	share := s.total / uint64(len(s.list.past.scratch.slots))
	listed := make(map[string]bool)
	for _, e := range entries {
		listed[e.Key] = true
		if want := s.truth[e.Key]; e.Count < want || e.Count-e.ErrorBound > want {
			t.Errorf("Top() has %q with %d, up to %d too many, the truth is %d", e.Key, e.Count, e.ErrorBound, want)
		}
		if e.ErrorBound > share {
			t.Errorf("Top() has %q with an error of up to %d, want at most %d", e.Key, e.ErrorBound, share)
		}
	}
	for key, n := range s.truth {
		if n > share && !listed[key] {
			t.Errorf("Top() hasn't %q with %d of %d", key, n, s.total)
		}
	}
	if got := s.list.Total(WindowMax, now); got != s.total {
		t.Errorf("Total() = %d, want %d", got, s.total)
	}
	return entries
}

// best returns the k keys that have most in truth.
func (s *stream) best(k int) []string {
	var keys []string
	for key := range s.truth {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return int(s.truth[b]) - int(s.truth[a]) })
	return keys[:min(k, len(keys))]
}

// TestZipf draws streams with the skew of real traffic, over several slices, and looks for
// their true top ten among as many entries.
func TestZipf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		skew := rapid.Float64Range(1.05, 2).Draw(t, "skew")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		zipf := rand.NewZipf(random, skew, 1, 100_000)
		s := newStream(128, 4)
		var now time.Duration
		for range 6 {
			for range 1000 {
				s.observe(fmt.Sprint(zipf.Uint64()), 1)
			}
			now += SliceWidth
			s.list.Tick(now)
		}
		s.check(t, now)
		var got []string
		for _, e := range s.list.Top(WindowMax, 10, now) {
			got = append(got, e.Key)
		}
		for _, key := range s.best(10) {
			tenth := s.truth[s.best(10)[9]]
			if !slices.Contains(got, key) && s.truth[key] > tenth+s.total/1000 { // near ties may change places
				t.Errorf("skew %v: Top() = %v, hasn't %q with %d, the tenth has %d", skew, got, key, s.truth[key], tenth)
			}
		}
	})
}

// TestAnyStream draws streams without any skew and with weights: the bounds hold all the same.
func TestAnyStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStream(rapid.IntRange(1, 20).Draw(t, "entries"), rapid.IntRange(1, 4).Draw(t, "cells"))
		keys := rapid.IntRange(1, 500).Draw(t, "keys")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var now time.Duration
		for range rapid.IntRange(1, 2000).Draw(t, "steps") {
			s.observe(fmt.Sprint(random.IntN(keys)), random.Uint64N(9))
			if random.IntN(100) == 0 {
				now += time.Duration(random.Int64N(int64(SliceWidth)))
				s.list.Tick(now)
			}
		}
		s.check(t, now)
	})
}

// TestFlood has 20 heavy keys, of half a percent each, in a flood of keys that come once. None
// may be pushed out, and each count has to stay near the truth.
func TestFlood(t *testing.T) {
	s := newStream(256, 2)
	var now time.Duration
	for round := range 4 {
		for i := range 50_000 {
			if i%10 == 0 {
				s.observe(fmt.Sprintf("heavy %d", i/10%20), 1)
			} else {
				s.observe(fmt.Sprintf("once %d-%d", round, i), 1)
			}
		}
		now += SliceWidth
		s.list.Tick(now)
	}
	top := s.check(t, now)[:20]
	for _, e := range top {
		if !strings.HasPrefix(e.Key, "heavy") || e.ErrorBound > s.total/1000 {
			t.Errorf("Top() has %q with %d, up to %d too many of %d, want only heavy keys, in a thousandth", e.Key, e.Count, e.ErrorBound, s.total)
		}
	}
}

// TestWindows observes one key each second and looks at which of them the windows hold.
func TestWindows(t *testing.T) {
	l, seed := New(400, 1), maphash.MakeSeed()
	var now time.Duration
	for second := range 1000 {
		key := fmt.Sprint(second)
		l.Observe(0, []byte(key), maphash.String(seed, key), 1)
		now += time.Second
		l.Tick(now)
	}
	cases := []struct {
		window      time.Duration
		later       time.Duration
		least, most int // entries
	}{
		{0, 0, 0, 5},
		{SliceWidth, 0, 5, 10},
		{time.Minute, 0, 60, 65},
		{WindowMax, 0, 300, 305},
		{time.Hour, 0, 300, 305},
		{time.Minute, 30 * time.Second, 30, 35},
		{time.Minute, 2 * time.Minute, 0, 5}, // the last slice was ended late
		{WindowMax, 2 * time.Minute, 180, 185},
	}
	for _, c := range cases {
		at := now + c.later
		entries := l.Top(c.window, 1000, at)
		total := l.Total(c.window, at)
		if len(entries) < c.least || len(entries) > c.most || total != uint64(len(entries)) {
			t.Errorf("Top(%v) %v later has %d entries, total %d, want %d to %d", c.window, c.later, len(entries), total, c.least, c.most)
		}
		for _, e := range entries {
			if e.Count != 1 || e.ErrorBound != 0 {
				t.Errorf("Top(%v) has %+v, want 1 for each", c.window, e)
			}
		}
	}
}

// TestGone checks that nothing stays for longer than the longest window.
func TestGone(t *testing.T) {
	l := New(10, 1)
	l.Observe(0, []byte("a"), 1, 1)
	l.Tick(SliceWidth)
	for i := range sliceCount {
		if n := len(l.Top(WindowMax, 10, SliceWidth*time.Duration(i+1))); n != 1 {
			t.Fatalf("%d entries %d slices later, want 1", n, i)
		}
	}
	if n := len(l.Top(WindowMax, 10, SliceWidth*time.Duration(sliceCount+1))); n != 0 {
		t.Errorf("%d entries after %v, want none", n, WindowMax)
	}
}

// TestLate checks that a slice which was ended late isn't followed by many short ones.
func TestLate(t *testing.T) {
	l := New(10, 1)
	l.Observe(0, []byte("a"), 1, 1)
	now := 2 * WindowMax
	for range 100 {
		l.Tick(now)
		now += time.Second / 10
	}
	if n := len(l.Top(WindowMax, 10, now)); n != 1 {
		t.Errorf("%d entries ten seconds after they came into the past, want 1", n)
	}
}

// TestRank checks that what is certain comes before what may be.
func TestRank(t *testing.T) {
	s := &slice{slots: make([]slot, 3), used: 3, floor: 10}
	for i, k := range []slot{{hash: 1, count: 100, over: 90}, {hash: 2, count: 50}, {hash: 3, count: 55, over: 5}} {
		k.set([]byte{'a' + byte(i)})
		s.slots[i] = k
	}
	other := &slice{floor: 7}
	want := []Entry{{Key: "c", Count: 62, ErrorBound: 12}, {Key: "b", Count: 57, ErrorBound: 7}, {Key: "a", Count: 107, ErrorBound: 97}}
	if got := rank([]*slice{s, other}, 3); !slices.Equal(got, want) {
		t.Errorf("rank() = %+v, want %+v", got, want)
	}
}

func TestKeys(t *testing.T) {
	l := New(10, 1)
	long := strings.Repeat("x", KeyBytesMax)
	key := []byte("first")
	l.Observe(0, key, 1, 5)
	copy(key, "other")
	l.Observe(0, []byte(long), 2, 4)
	l.Observe(0, []byte(long+"a"), 3, 3)
	l.Observe(0, []byte(long+"b"), 4, 2)
	l.Observe(0, []byte("\x00\xff\n"), 5, 1)
	l.Observe(0, []byte("none"), 6, 0)
	l.Observe(-7, nil, math.MaxUint64, 1)
	want := []Entry{
		{Key: "first", Count: 5},
		{Key: long, Count: 4},
		{Key: long, Cut: true, Count: 3},
		{Key: long, Cut: true, Count: 2},
		{Key: "", Count: 1},
		{Key: "\x00\xff\n", Count: 1},
	}
	if got := l.Top(time.Minute, 100, 0); !slices.Equal(got, want) {
		t.Errorf("Top() = %+v, want %+v", got, want)
	}
	if got := l.Top(time.Minute, 2, 0); !slices.Equal(got, want[:2]) {
		t.Errorf("Top() of 2 = %+v, want %+v", got, want[:2])
	}
	if got := l.Top(time.Minute, -1, 0); len(got) != 0 {
		t.Errorf("Top() of -1 = %+v, want none", got)
	}
}

// TestConcurrent lets workers observe while others look: nothing is lost or counted twice.
func TestConcurrent(t *testing.T) {
	const workers, each = 4, 20_000
	l, seed := New(100, workers), maphash.MakeSeed()
	var observers, readers sync.WaitGroup
	done := make(chan struct{})
	readers.Go(func() {
		for now := time.Duration(0); ; now += time.Second / 10 {
			select {
			case <-done:
				return
			default:
				l.Tick(now % WindowMax)
				l.Top(time.Minute, 10, now%WindowMax)
				l.Total(time.Minute, now%WindowMax)
			}
		}
	})
	for w := range workers {
		observers.Go(func() {
			var key [8]byte
			for i := range each {
				binary.BigEndian.PutUint64(key[:], uint64(i%100))
				l.Observe(w/2, key[:], maphash.Bytes(seed, key[:]), 1)
			}
		})
	}
	observers.Wait()
	close(done)
	readers.Wait()
	for _, e := range l.Top(WindowMax, 100, WindowMax-1) {
		if e.Count != workers*each/100 || e.ErrorBound != 0 {
			t.Errorf("Top() has %x with %d±%d, want %d", e.Key, e.Count, e.ErrorBound, workers*each/100)
		}
	}
	if got := l.Total(WindowMax, WindowMax-1); got != workers*each {
		t.Errorf("Total() = %d, want %d", got, workers*each)
	}
}

func TestNew(t *testing.T) {
	for _, c := range []struct{ entries, cells, wantEntries, wantCells int }{
		{256, 4, 256, 4}, {100, 3, 100, 4}, {0, 0, 1, 1}, {-1, -1, 1, 1}, {1, 1, 1, 1},
	} {
		l := New(c.entries, c.cells)
		if e, n := len(l.current.summary.slots), len(l.cells); e != c.wantEntries || n != c.wantCells {
			t.Errorf("New(%d, %d) has %d entries, %d cells, want %d, %d", c.entries, c.cells, e, n, c.wantEntries, c.wantCells)
		}
	}
	if got := New(256, 1).Bytes(); got < 2_500_000 || got > 2_600_000 {
		t.Errorf("Bytes() of 256 entries = %d, want about 2.6 MB", got)
	}
}

func TestNoAllocation(t *testing.T) {
	if race.Enabled() {
		t.Skip("the detector allocates")
	}
	l := New(64, 1)
	key := make([]byte, 40)
	var i uint64
	var now time.Duration
	if n := testing.AllocsPerRun(20_000, func() {
		i++
		now += time.Second / 100
		binary.BigEndian.PutUint64(key, i)
		l.Observe(0, key, i*0x9e3779b97f4a7c15, 1)
		l.Observe(0, key, 7, 1)
		l.Tick(now)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	keys := func(next func(i uint64) uint64) func(b *testing.B) {
		return func(b *testing.B) {
			l := New(256, 1)
			key := make([]byte, 40)
			for i := uint64(0); b.Loop(); i++ {
				k := next(i)
				binary.LittleEndian.PutUint64(key, k)
				l.Observe(0, key, (k+1)*0x9e3779b97f4a7c15, 1)
				if i%(1<<20) == 0 {
					l.Tick(time.Duration(i>>20) * SliceWidth)
				}
			}
		}
	}
	b.Run("one key", keys(func(uint64) uint64 { return 1 }))
	b.Run("fifty keys", keys(func(i uint64) uint64 { return i % 50 }))
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.2, 1, 100_000)
	drawn := make([]uint64, 1<<16)
	for i := range drawn {
		drawn[i] = zipf.Uint64()
	}
	b.Run("zipf", keys(func(i uint64) uint64 { return drawn[i%(1<<16)] }))
	b.Run("flood", keys(func(i uint64) uint64 { return i }))
}

func BenchmarkTop(b *testing.B) {
	l := New(256, 4)
	var now time.Duration
	for i := range uint64(60 * 2000) {
		l.Observe(int(i), nil, (i+1)*0x9e3779b97f4a7c15, 1)
		if i%2000 == 0 {
			now += SliceWidth
			l.Tick(now)
		}
	}
	for b.Loop() {
		l.Top(WindowMax, 20, now)
	}
}
