package limit

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// bucket is the same limit told another way, in fractions: a bucket of tokens that fills at a
// steady pace.
type bucket struct {
	rule   Rule
	tokens *big.Rat
	last   time.Duration
}

func newBucket(r Rule) *bucket {
	return &bucket{rule: r, tokens: big.NewRat(r.Burst, 1)}
}

// at fills the bucket up to now.
func (b *bucket) at(now time.Duration) {
	gain := new(big.Rat).Mul(big.NewRat(int64(now-b.last), 1), big.NewRat(b.rule.Requests, int64(b.rule.Per)))
	b.tokens.Add(b.tokens, gain)
	if full := big.NewRat(b.rule.Burst, 1); b.tokens.Cmp(full) > 0 {
		b.tokens = full
	}
	b.last = now
}

func (b *bucket) take(now time.Duration, cost int64) bool {
	b.at(now)
	want := big.NewRat(max(cost, 0), 1)
	if b.tokens.Cmp(want) < 0 {
		return false
	}
	b.tokens.Sub(b.tokens, want)
	return true
}

// remaining returns whole tokens.
func (b *bucket) remaining() int64 {
	return new(big.Int).Quo(b.tokens.Num(), b.tokens.Denom()).Int64()
}

// wait returns how long it takes until there are tokens, in nanoseconds, rounded up.
func (b *bucket) wait(tokens int64) time.Duration {
	missing := new(big.Rat).Sub(big.NewRat(tokens, 1), b.tokens)
	if missing.Sign() <= 0 {
		return 0
	}
	missing.Mul(missing, big.NewRat(int64(b.rule.Per), b.rule.Requests))
	up := new(big.Int).Add(missing.Num(), new(big.Int).Sub(missing.Denom(), big.NewInt(1)))
	return time.Duration(up.Quo(up, missing.Denom()).Int64())
}

// TestModel drives a few keys of one set through a random history and compares each answer
// with the buckets. Rates are such that the interval is exact.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := Rule{
			Per:      time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "per")),
			Requests: rapid.Int64Range(1, scaleMax).Draw(t, "requests"),
			Burst:    rapid.Int64Range(1, 50).Draw(t, "burst"),
			Entries:  ways,
		}
		table := NewTable(rule)
		model := make(map[uint64]*bucket)
		now := time.Duration(rapid.Int64Range(0, int64(nowMax)/2).Draw(t, "start"))
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			step := rapid.Int64Range(0, 3*int64(rule.Per)/rule.Requests).Draw(t, "step")
			now += time.Duration(step * rapid.SampledFrom([]int64{0, 1, 1, 100}).Draw(t, "pause"))
			key := rapid.Uint64Range(0, ways-1).Draw(t, "key")
			cost := rapid.Int64Range(-1, rule.Burst+1).Draw(t, "cost")
			b := model[key]
			if b == nil {
				b = newBucket(rule)
				b.last = now
				model[key] = b
			}
			compare(t, table, b, key, now, cost)
		}
		if n := table.Evicted(); n != 0 {
			t.Fatalf("Evicted() = %d, want 0", n)
		}
	})
}

func compare(t *rapid.T, table *Table, b *bucket, key uint64, now time.Duration, cost int64) {
	b.at(now)
	if got, want := table.Peek(key, now).Allowed, b.remaining() >= 1; got != want {
		t.Fatalf("Peek(%d, %v) allowed %v, want %v", key, now, got, want)
	}
	wait := b.wait(min(max(cost, 0), b.rule.Burst))
	d := table.Take(key, now, cost)
	allowed := b.take(now, cost)
	if d.Allowed != allowed {
		t.Fatalf("Take(%d, %v, %d) = %+v, want allowed %v", key, now, cost, d, allowed)
	}
	if !allowed && d.RetryAfter != wait {
		t.Fatalf("Take(%d, %v, %d) = %+v, want RetryAfter %v", key, now, cost, d, wait)
	}
	left := b.remaining()
	next := time.Duration(0)
	if b.wait(b.rule.Burst) > 0 {
		next = b.wait(left + 1)
	}
	want := Decision{Allowed: allowed, RetryAfter: d.RetryAfter, Limit: b.rule.Burst, Remaining: left, Next: next, Reset: b.wait(b.rule.Burst)}
	if d != want {
		t.Fatalf("Take(%d, %v, %d) = %+v, want %+v", key, now, cost, d, want)
	}
}

// TestNeverMoreThanTheRate draws any rate, clocks that lag included, and checks the bound:
// the burst and what the rate gives between the earliest and the latest now.
func TestNeverMoreThanTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := Rule{
			Per:      time.Duration(rapid.Int64Range(1, 1<<62).Draw(t, "per")),
			Requests: rapid.Int64Range(1, 1<<62).Draw(t, "requests"),
			Burst:    rapid.Int64Range(1, 1<<62).Draw(t, "burst"),
			Entries:  1,
		}
		table := NewTable(rule)
		start := time.Duration(rapid.Int64Range(0, int64(nowMax)).Draw(t, "start"))
		latest, taken := start, new(big.Int)
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now := start + time.Duration(rapid.Int64Range(0, int64(min(rule.Per, nowMax-start))).Draw(t, "ahead"))
			latest = max(latest, now)
			cost := rapid.Int64Range(1, rule.Burst).Draw(t, "cost")
			if table.Take(1, now, cost).Allowed {
				taken.Add(taken, big.NewInt(cost))
			}
		}
		most := new(big.Rat).Mul(big.NewRat(int64(latest-start), int64(rule.Per)), big.NewRat(rule.Requests, 1))
		most.Add(most, big.NewRat(rule.Burst, 1))
		if new(big.Rat).SetInt(taken).Cmp(most) > 0 {
			t.Fatalf("%v taken by %v, want at most %v", taken, latest-start, most)
		}
	})
}

// TestInterval checks that an interval is never too short, and too long by less than a tick.
func TestInterval(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		per := rapid.Int64Range(1, 1<<60).Draw(t, "per")
		requests := rapid.Int64Range(1, math.MaxInt64).Draw(t, "requests")
		m := newMeter(Rule{Per: time.Duration(per), Requests: requests, Burst: 1})
		exact := new(big.Rat).Mul(big.NewRat(per, requests), new(big.Rat).SetUint64(m.scale))
		over := new(big.Rat).Sub(new(big.Rat).SetUint64(m.interval), exact)
		if over.Sign() < 0 || over.Cmp(big.NewRat(1, 1)) >= 0 {
			t.Fatalf("interval for %d in %v = %d ticks, want %v rounded up", requests, time.Duration(per), m.interval, exact)
		}
	})
}
