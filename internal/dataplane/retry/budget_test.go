package retry

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// takeAll takes retries until one is refused and returns how many there were.
func takeAll(b *Budget, now time.Duration) (n int) {
	for b.TryRetry(now) {
		n++
	}
	return n
}

func requests(b *Budget, now time.Duration, n int) {
	for range n {
		b.Request(now)
	}
}

func TestBudget(t *testing.T) {
	const second = time.Second
	for _, test := range []struct {
		name                  string
		percent, minPerSecond int
		do                    func(b *Budget)
		now                   time.Duration
		want                  int
	}{
		{"none", 0, 0, func(b *Budget) { requests(b, 0, 100) }, 0, 0},
		{"the minimum", 20, 3, func(*Budget) {}, 0, 30},
		{"the minimum with few requests", 20, 3, func(b *Budget) { requests(b, 0, 149) }, 0, 30},
		{"the percentage", 20, 3, func(b *Budget) { requests(b, 0, 200) }, 0, 40},
		{"rounds down", 20, 0, func(b *Budget) { requests(b, 0, 9) }, 0, 1},
		{"requests of the whole window", 20, 0, func(b *Budget) { requests(b, 0, 50); requests(b, 5*second, 50) }, 9999 * time.Millisecond, 20},
		{"requests leave the window", 20, 0, func(b *Budget) { requests(b, 0, 50); requests(b, 5*second, 50) }, 10 * second, 10},
		{"retries leave the window", 0, 1, func(b *Budget) { takeAll(b, 0) }, 10 * second, 10},
		{"retries stay in the window", 0, 1, func(b *Budget) { takeAll(b, 0) }, 9999 * time.Millisecond, 0},
		{"retries outlast their requests", 100, 0, func(b *Budget) { requests(b, 0, 10); takeAll(b, second); requests(b, second, 4) }, 10 * second, 0},
		{"after a long time", 20, 1, func(b *Budget) { requests(b, 0, 500); takeAll(b, 0) }, time.Hour, 10},
		{"another bound", 20, 1, func(b *Budget) { requests(b, 0, 500); takeAll(b, 0); b.Configure(40, 0) }, 0, 100},
		{"a bound below nothing", 20, 1, func(b *Budget) { requests(b, 0, 500); b.Configure(-1, -1) }, 0, 0},
	} {
		b := NewBudget(test.percent, test.minPerSecond)
		test.do(b)
		if got := b.Left(test.now); got != test.want {
			t.Errorf("%s: Left() = %d, want %d", test.name, got, test.want)
		}
		if got := takeAll(b, test.now); got != test.want {
			t.Errorf("%s: %d retries, want %d", test.name, got, test.want)
		}
		if got := b.Left(test.now); got != 0 {
			t.Errorf("%s: Left() after all were taken = %d, want 0", test.name, got)
		}
	}
}

// TestBudgetModel compares with a list of all that happened.
func TestBudgetModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		percent, minimum := rapid.IntRange(0, 100).Draw(t, "percent"), rapid.IntRange(0, 2).Draw(t, "min")
		b := NewBudget(percent, minimum)
		var asked, retried []time.Duration
		var now time.Duration
		live := func(times []time.Duration) (n int) {
			for _, at := range times {
				if at/time.Second+windowSeconds > now/time.Second {
					n++
				}
			}
			return n
		}
		for range 300 {
			switch rapid.IntRange(0, 9).Draw(t, "action") {
			case 0:
				now += time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond
			case 1, 2, 3, 4:
				b.Request(now)
				asked = append(asked, now)
			default:
				want := live(retried) < max(live(asked)*percent/100, minimum*windowSeconds)
				if got := b.TryRetry(now); got != want {
					t.Fatalf("TryRetry(%v) after %d requests and %d retries = %v, want %v", now, live(asked), live(retried), got, want)
				}
				if want {
					retried = append(retried, now)
				}
			}
		}
	})
}

// brownOut sends rate requests a second, each tried three times at most, a share of the tries
// failing, and returns the tries of each second.
func brownOut(rate, seconds int, fails func(try int) bool) []int {
	const takes = 50 * time.Millisecond
	b := NewBudget(20, 3)
	load := make([]int, seconds+1)
	type attempt struct {
		at  time.Duration
		try int
	}
	var waiting []attempt // in the order of time, since all take as long
	n := 0
	one := func(a attempt) {
		load[a.at/time.Second]++
		if n++; fails(n) && a.try < 3 && b.TryRetry(a.at+takes) {
			waiting = append(waiting, attempt{a.at + takes, a.try + 1})
		}
	}
	for i := range rate * seconds {
		now := time.Duration(i) * time.Second / time.Duration(rate)
		for len(waiting) > 0 && waiting[0].at <= now {
			next := waiting[0]
			waiting = waiting[1:]
			one(next)
		}
		b.Request(now)
		one(attempt{now, 1})
	}
	return load[:seconds]
}

func TestBrownOut(t *testing.T) {
	const seconds = 60
	for _, test := range []struct {
		name       string
		rate       int
		fails      func(try int) bool
		most, some int // tries in all, at most and at least
	}{
		{"all fail", 1000, func(int) bool { return true }, seconds*1203 + 30, seconds * 1190},
		{"all fail, few requests", 1, func(int) bool { return true }, seconds * 3, seconds*3 - 2},
		{"one in ten fails", 1000, func(n int) bool { return n%10 == 0 }, seconds * 1112, seconds * 1110},
		{"none fails", 1000, func(int) bool { return false }, seconds * 1000, seconds * 1000},
	} {
		load := brownOut(test.rate, seconds, test.fails)
		all := 0
		for _, n := range load {
			all += n
		}
		if all > test.most || all < test.some {
			t.Errorf("%s: %d tries in %d seconds, want %d to %d", test.name, all, seconds, test.some, test.most)
		}
		for i := windowSeconds; i <= seconds; i++ {
			within := 0
			for _, n := range load[i-windowSeconds : i] {
				within += n
			}
			if most := windowSeconds*test.rate*120/100 + windowSeconds*3; within > most {
				t.Errorf("%s: %d tries in the ten seconds before second %d, want at most %d", test.name, within, i, most)
			}
		}
	}
}

// TestBudgetAtOnce lets many ask at the same moment.
func TestBudgetAtOnce(t *testing.T) {
	for round := range 50 {
		b := NewBudget(20, 1)
		now := time.Duration(round) * time.Second
		var asked, retried atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 100 {
					b.Request(now)
					asked.Add(1)
					if b.TryRetry(now) {
						retried.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if most := max(asked.Load()*20/100, 10); asked.Load() != 800 || retried.Load() > most {
			t.Fatalf("%d retries with %d requests, want at most %d", retried.Load(), asked.Load(), most)
		}
		if got := retried.Load() + int64(takeAll(b, now)); got != 160 {
			t.Fatalf("%d retries in all, want 160", got)
		}
	}
}

// TestTakeTooLate makes the call that saw a retry left which another one has taken.
func TestTakeTooLate(t *testing.T) {
	b := NewBudget(0, 1)
	takeAll(b, 0)
	if b.take(0) {
		t.Error("take() of an empty budget = true")
	}
	if got := takeAll(b, 0); got != 0 {
		t.Errorf("%d retries after an empty budget, want 0", got)
	}
	b.Configure(100, 0)
	requests(b, 0, 11)
	if got := b.Left(0); got != 1 {
		t.Errorf("Left() with 11 requests and 10 retries = %d, want 1", got)
	}
}

// TestLastRetryAtOnce lets two ask for the last retry at the same moment.
func TestLastRetryAtOnce(t *testing.T) {
	for range 1000 {
		b := NewBudget(100, 0)
		b.Request(0)
		var ready, retried atomic.Int64
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				ready.Add(1)
				for spins := 0; ready.Load() < 2 && spins < 10000; spins++ {
				}
				if b.TryRetry(0) {
					retried.Add(1)
				}
			})
		}
		wg.Wait()
		if retried.Load() > 1 {
			t.Fatalf("%d retries out of a budget of one", retried.Load())
		}
		if got := retried.Load() + int64(takeAll(b, 0)); got != 1 {
			t.Fatalf("%d retries in all, want 1", got)
		}
	}
}

// TestBudgetAtOnceOverTime lets many ask while seconds go by.
func TestBudgetAtOnceOverTime(t *testing.T) {
	const seconds, each = 40, 250
	b := NewBudget(20, 1)
	var retried [seconds]atomic.Int64
	var clock atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				i := clock.Add(1) / (8 * each)
				if i >= seconds {
					return
				}
				now := time.Duration(i) * time.Second
				b.Request(now)
				if b.TryRetry(now) {
					retried[i].Add(1)
				}
			}
		})
	}
	wg.Wait()
	const most = 8 * each * windowSeconds * 20 / 100
	for i := windowSeconds; i <= seconds; i++ {
		within := int64(0)
		for j := range retried[i-windowSeconds : i] {
			within += retried[i-windowSeconds+j].Load()
		}
		if within > most+16 {
			t.Errorf("%d retries in the ten seconds before second %d, want at most %d", within, i, most)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	b := NewBudget(20, 3)
	p := Policy{On: GatewayError, Backoff: time.Millisecond}
	var now time.Duration
	if n := testing.AllocsPerRun(1000, func() {
		now += 100 * time.Millisecond
		b.Request(now)
		b.TryRetry(now)
		b.Left(now)
		p.Status(503)
		p.Delay(2, 12345)
	}); n != 0 {
		t.Errorf("%v allocations a request, want 0", n)
	}
}

func BenchmarkBudget(b *testing.B) {
	budget := NewBudget(20, 3)
	b.Run("request", func(b *testing.B) {
		for i := range b.N {
			budget.Request(time.Duration(i) * 1000)
		}
	})
	b.Run("retry", func(b *testing.B) {
		for i := range b.N {
			budget.TryRetry(time.Duration(i) * 1000)
		}
	})
}
