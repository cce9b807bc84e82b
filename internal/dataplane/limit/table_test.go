package limit

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sentinel/internal/testkit/race"
)

// hammer takes as many single requests as a table gives at one moment, up to most.
func hammer(table *Table, key uint64, now time.Duration, most int64) (allowed int64) {
	for allowed < most && table.Take(key, now, 1).Allowed {
		allowed++
	}
	return allowed
}

func TestBurstAndRate(t *testing.T) {
	cases := []struct {
		name  string
		rule  Rule
		pause time.Duration
		first int64 // allowed at once
		then  int64 // allowed after the pause
	}{
		{"at the start of the clock", Rule{Requests: 5, Burst: 10}, time.Second, 10, 5},
		{"no burst given", Rule{Requests: 5}, 200 * time.Millisecond, 5, 1},
		{"one at a time", Rule{Requests: 1, Burst: 1}, time.Second - 1, 1, 0},
		{"a thirtieth second", Rule{Requests: 30, Burst: 1}, time.Second, 1, 1},
		{"thirds", Rule{Requests: 3, Burst: 3}, 2 * time.Second / 3, 3, 1}, // 666,666,666 ns are less than two thirds
		{"a minute", Rule{Requests: 60, Per: time.Minute, Burst: 2}, 90 * time.Second, 2, 2},
		{"long idle", Rule{Requests: 100, Burst: 200}, 5 * 365 * 24 * time.Hour, 200, 200},
		{"past the clock", Rule{Requests: 100, Burst: 200}, math.MaxInt64, 200, 200},
		{"past the clock in finer ticks", Rule{Requests: 32e9, Burst: 1000}, math.MaxInt64, 1000, 1000},
		{"a day each", Rule{Requests: 1, Per: 24 * time.Hour, Burst: 7}, 49 * time.Hour, 7, 2},
		{"slowest", Rule{Requests: 1, Per: math.MaxInt64, Burst: 5}, 1000 * time.Hour, 1, 0},
		{"nothing", Rule{}, time.Second, 1, 1},
		{"faster than the clock", Rule{Requests: 2e9, Burst: 100}, 1, 100, 2},
		{"fastest", Rule{Requests: math.MaxInt64, Burst: 1000}, 1, 1000, scaleMax},
		{"all of it", Rule{Requests: math.MaxInt64, Burst: math.MaxInt64}, 1, 5000, 5000},
	}
	for _, c := range cases {
		table := NewTable(c.rule)
		if got := hammer(table, 0, 0, 5000); got != c.first {
			t.Errorf("%s: %d allowed at once, want %d", c.name, got, c.first)
		}
		if got := hammer(table, 0, c.pause, 5000); got != c.then {
			t.Errorf("%s: %d allowed after %v, want %d", c.name, got, c.pause, c.then)
		}
	}
}

// TestRounding checks rates whose interval isn't a whole number of ticks: never more than the
// rate, and less by no more than a tick an interval.
func TestRounding(t *testing.T) {
	for _, requests := range []int64{33, 97, 999, 12_347, 7_777_777, 999_999_937} {
		table := NewTable(Rule{Requests: requests, Burst: requests})
		table.Take(1, 0, requests)
		now := 10 * time.Second
		for range 3 { // one burst each
			d := table.Peek(1, now)
			least := requests - 1 - requests*requests/(scaleMax*int64(time.Second))
			if d.Remaining < least || d.Remaining > requests {
				t.Errorf("%d a second: %d left after it, want %d to %d", requests, d.Remaining, least, requests)
			}
			table.Take(1, now, d.Remaining)
			now += time.Second
		}
	}
}

func TestReserve(t *testing.T) {
	table := NewTable(Rule{Requests: 10, Burst: 2})
	for i, want := range []Decision{
		{Allowed: true, Limit: 2, Remaining: 1, Next: 100 * time.Millisecond, Reset: 100 * time.Millisecond},
		{Allowed: true, Limit: 2, Next: 100 * time.Millisecond, Reset: 200 * time.Millisecond},
		{Allowed: true, Limit: 2, RetryAfter: 100 * time.Millisecond, Next: 200 * time.Millisecond, Reset: 300 * time.Millisecond},
		{Allowed: true, Limit: 2, RetryAfter: 200 * time.Millisecond, Next: 300 * time.Millisecond, Reset: 400 * time.Millisecond},
		{Limit: 2, RetryAfter: 300 * time.Millisecond, Next: 300 * time.Millisecond, Reset: 400 * time.Millisecond},
	} {
		if got := table.Reserve(1, time.Second, 1, 250*time.Millisecond); got != want {
			t.Errorf("Reserve() no. %d = %+v, want %+v", i+1, got, want)
		}
	}
	if got := NewTable(Rule{}).Reserve(1, 0, 1, math.MaxInt64); !got.Allowed {
		t.Errorf("Reserve() with endless patience = %+v, want allowed", got)
	}
}

func TestCounts(t *testing.T) {
	table := NewTable(Rule{Requests: 1, Burst: 2})
	for range 5 {
		table.Take(1, 0, 1)
	}
	table.Take(2, 0, 3)
	table.Take(3, 0, 0)
	table.Peek(4, 0)
	if a, b, n := table.Allowed(), table.Blocked(), table.Len(); a != 3 || b != 4 || n != 1 {
		t.Errorf("%d allowed, %d blocked, %d keys, want 3, 4, 1", a, b, n)
	}
}

// TestConcurrent lets many take of one key, among others, and counts. Clocks go on while they
// do and lag behind each other.
func TestConcurrent(t *testing.T) {
	const goroutines, each = 8, 20_000
	table := NewTable(Rule{Requests: 1000, Burst: 50, Entries: 100})
	var clock, allowed atomic.Int64
	if table.Take(42, 0, 1).Allowed { // from here on it gains credit
		allowed.Add(1)
	}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				now := time.Duration(clock.Add(int64(time.Microsecond)))
				if table.Take(42, now, 1).Allowed {
					allowed.Add(1)
				}
				if i%4 == 0 {
					table.Take(uint64(100+g), now, 1)
				}
			}
		})
	}
	wg.Wait()
	end := time.Duration(clock.Load())
	left := table.Peek(42, end).Remaining
	if got, want := allowed.Load()+left, 50+int64(end/time.Millisecond); got != want {
		t.Errorf("%d allowed and %d left in %v, want %d together", allowed.Load(), left, end, want)
	}
	if got := table.Allowed() + table.Blocked(); got != goroutines*each*5/4+1 {
		t.Errorf("%d decisions counted, want %d", got, goroutines*each*5/4+1)
	}
}

// TestFlood has one key that hammers among many more new ones than the table has room for. It
// must get no more than its limit, whatever the burst: with a burst of one, each new key is
// blocked too as soon as it has come.
func TestFlood(t *testing.T) {
	for _, burst := range []int64{1, 2, 20} {
		table := NewTable(Rule{Requests: 1, Burst: burst, Entries: 1000})
		random := rand.New(rand.NewPCG(1, 2))
		var hammered int64
		const steps = 50_000
		for i := range steps {
			now := time.Duration(i) * 100 * time.Microsecond
			if table.Take(7, now, 1).Allowed {
				hammered++
			}
			for range 4 {
				table.Take(random.Uint64(), now, 1)
			}
		}
		if want := burst + 4; hammered != want { // within five seconds
			t.Errorf("burst %d: %d allowed to the key that hammers, want %d", burst, hammered, want)
		}
		if n := table.Len(); n > table.Cap() || table.Cap() > 1000+ways {
			t.Errorf("burst %d: %d keys in a table of %d, want at most %d", burst, n, table.Cap(), 1000+ways)
		}
		if table.Evicted() == 0 {
			t.Errorf("burst %d: Evicted() = 0 after a flood", burst)
		}
	}
}

// TestWhoYields fills one set and checks whose place a new key gets.
func TestWhoYields(t *testing.T) {
	rule := Rule{Requests: 1, Burst: 5, Entries: ways}
	spend := func(amounts [ways]int64, refusals [ways]int) *Table {
		table := NewTable(rule)
		for i, n := range amounts {
			table.Take(uint64(i+1), 0, n)
			for range refusals[i] {
				table.Take(uint64(i+1), 0, 5)
			}
		}
		return table
	}
	cases := []struct {
		name     string
		spent    [ways]int64
		refusals [ways]int
		now      time.Duration
		want     uint64
		evicted  uint64
	}{
		{"least in debt", [ways]int64{5, 4, 3, 2, 4, 4, 4}, [ways]int{}, 0, 3, 1},
		{"credit is full again", [ways]int64{5, 4, 3, 2, 4, 4, 4}, [ways]int{}, 3 * time.Second, 2, 0},
		{"the one that isn't blocked", [ways]int64{5, 5, 5, 5, 5, 4, 5}, [ways]int{0, 0, 0, 0, 0, 99, 0}, 0, 5, 1},
		{"refused least", [ways]int64{5, 5, 5, 5, 5, 5, 5}, [ways]int{3, 4, 5, 2, 3, 300, 300}, 0, 3, 1},
	}
	for _, c := range cases {
		table := spend(c.spent, c.refusals)
		table.Take(100, c.now, 1)
		for key := range uint64(ways) {
			way, _ := table.sets[0].findLocked(key+1, 0)
			if gone := way < 0; gone != (key == c.want) {
				t.Errorf("%s: key %d is gone: %v, want key %d to go", c.name, key, gone, c.want)
			}
		}
		if got := table.Evicted(); got != c.evicted {
			t.Errorf("%s: Evicted() = %d, want %d", c.name, got, c.evicted)
		}
	}
}

func TestConfigure(t *testing.T) {
	now := 100 * time.Second
	cases := []struct {
		name      string
		from, to  Rule
		spent     int64
		kept      bool
		remaining int64
		next      time.Duration
	}{
		{"the same", Rule{Requests: 10, Burst: 20}, Rule{Requests: 10, Burst: 20}, 8, true, 12, 100 * time.Millisecond},
		{"another name", Rule{Requests: 10, Burst: 20}, Rule{Name: "b", Requests: 10, Burst: 20}, 8, true, 12, 100 * time.Millisecond},
		{"more", Rule{Requests: 1, Per: time.Hour, Burst: 10}, Rule{Requests: 100, Burst: 200}, 10, true, 190, 10 * time.Millisecond},
		{"less", Rule{Requests: 100, Burst: 200}, Rule{Requests: 1, Burst: 5}, 8, true, 0, time.Second},
		{"other ticks", Rule{Requests: 3, Burst: 20}, Rule{Requests: 7, Burst: 20}, 8, true, 12, 142857143},
		{"full credit", Rule{Requests: 3, Burst: 20}, Rule{Requests: 7, Burst: 30}, 0, true, 30, 0},
		{"more entries", Rule{Requests: 10, Burst: 20}, Rule{Requests: 10, Burst: 20, Entries: 100_000}, 8, false, 12, 100 * time.Millisecond},
	}
	for _, c := range cases {
		table := NewTable(c.from)
		table.Take(1, now, c.spent)
		if got := table.Configure(c.to, now); got != c.kept {
			t.Errorf("%s: Configure() = %v, want %v", c.name, got, c.kept)
		}
		if d := table.Peek(1, now); d.Remaining != c.remaining || d.Next != c.next {
			t.Errorf("%s: %d left, the next in %v, want %d and %v", c.name, d.Remaining, d.Next, c.remaining, c.next)
		}
		if got := table.Rule(); c.kept && got != c.to.filled() {
			t.Errorf("%s: Rule() = %v, want %v", c.name, got, c.to.filled())
		}
	}
}

// TestConfigureWhileTaking changes the rule back and forth under way. Without time that
// passes, no change may give back what was spent.
func TestConfigureWhileTaking(t *testing.T) {
	table := NewTable(Rule{Requests: 3, Burst: 1000, Entries: 50})
	var wg sync.WaitGroup
	var allowed [4]atomic.Int64
	for range 4 {
		wg.Go(func() {
			for i := range 5000 {
				if table.Take(uint64(i%4), time.Second, 1).Allowed {
					allowed[i%4].Add(1)
				}
			}
		})
	}
	for i := range 200 {
		table.Configure(Rule{Requests: int64(3 + i%5), Burst: 1000, Entries: 50}, time.Second)
		table.Rule()
	}
	wg.Wait()
	for key := range allowed {
		if got := allowed[key].Load(); got != 1000 {
			t.Errorf("%d allowed to key %d, want 1000", got, key)
		}
	}
	if n := table.Len(); n != 4 {
		t.Errorf("Len() = %d, want 4", n)
	}
}

func TestNoAllocation(t *testing.T) {
	if race.Enabled() {
		t.Skip("the detector allocates")
	}
	table := NewTable(Rule{Requests: 10, Entries: 1000})
	seed, spec, src := NewSeed(), mustParse(t, "client_ip", "header:x-key", "path"), &fixed{addr4, make([]byte, 1000)}
	var now time.Duration
	var key uint64
	if n := testing.AllocsPerRun(5000, func() {
		now += time.Millisecond
		key++
		table.Take(key, now, 1)
		table.Take(7, now, 1)
		table.Peek(7, now)
		table.Configure(Rule{Requests: 10, Entries: 1000}, now)
		spec.Sum(seed, src)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkTake(b *testing.B) {
	rule := Rule{Requests: 100, Burst: 200}
	b.Run("hit", func(b *testing.B) {
		table := NewTable(rule)
		for i := 0; b.Loop(); i++ {
			table.Take(7, time.Duration(i)*10*time.Millisecond, 1)
		}
	})
	b.Run("blocked", func(b *testing.B) {
		table := NewTable(rule)
		for b.Loop() {
			table.Take(7, 0, 1)
		}
	})
	b.Run("default", func(b *testing.B) { benchmarkMany(b, 0, 50_000) })
	b.Run("flood", func(b *testing.B) { benchmarkMany(b, 0, 1<<40) }) // all keys are new
	b.Run("million", func(b *testing.B) { benchmarkMany(b, 3<<19, 1_000_000) })
	b.Run("parallel", func(b *testing.B) {
		table := NewTable(rule)
		var keys atomic.Uint64
		b.RunParallel(func(pb *testing.PB) {
			key := keys.Add(0xff51afd7ed558ccd)
			for pb.Next() {
				table.Take(key, 0, 1)
			}
		})
	})
	b.Run("parallel on one key", func(b *testing.B) {
		table := NewTable(rule)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				table.Take(7, 0, 1)
			}
		})
	})
}

// benchmarkMany takes of so many keys in random order.
func benchmarkMany(b *testing.B, entries int, keys uint64) {
	table := NewTable(Rule{Requests: 100, Burst: 200, Entries: entries})
	random := uint64(1)
	for i := 0; b.Loop(); i++ {
		random = random*6364136223846793005 + 1442695040888963407
		table.Take((random>>20)%keys*0xff51afd7ed558ccd, time.Duration(i), 1)
	}
}
