package limit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// fleet is three processes with a store, all on one clock that the test moves.
type fleet struct {
	rule   Rule
	tables []*Table
	store  map[uint64]time.Duration // when credit is full
	rtt    time.Duration
}

func newFleet(n int, r Rule) *fleet {
	r.Entries = 128
	f := &fleet{rule: r.filled(), store: map[uint64]time.Duration{}, rtt: time.Millisecond}
	for range n {
		t := NewShared(r)
		t.SetFirstLease(max((f.rule.Burst+int64(n)-1)/int64(n), 1))
		f.tables = append(f.tables, t)
	}
	return f
}

// settle lets one process settle; answers is what the store does, taken at the moment it is asked.
func (f *fleet) settle(i int, now time.Duration) (late []Position) {
	interval := f.rule.Per / time.Duration(f.rule.Requests)
	for _, s := range f.tables[i].Collect(make([]Spending, 0, 64), now, false) {
		full := max(f.store[s.Key], now-s.Age) + time.Duration(s.Requests)*interval
		f.store[s.Key] = full
		late = append(late, Position{Spending: s, Ahead: full - now})
	}
	return late
}

// run has each process asked rates[i] times a second for one key and returns how many
// requests each allowed, and how many one process alone would have.
func (f *fleet) run(d, every time.Duration, rates []float64) (allowed []int, alone int) {
	const tick = 100 * time.Microsecond
	one := NewTable(f.rule)
	allowed = make([]int, len(rates))
	owed := make([]float64, len(rates))
	answers := make([][]Position, len(rates))
	for now := time.Second; now < time.Second+d; now += tick {
		for i, t := range f.tables {
			phase := (every * time.Duration(i) / time.Duration(len(rates))).Truncate(tick)
			switch (now + phase) % every {
			case 0:
				answers[i] = f.settle(i, now)
			case f.rtt:
				for _, p := range answers[i] {
					t.Settle(p, now-f.rtt)
				}
			}
			for owed[i] += rates[i] * tick.Seconds() * 2 * rand.Float64(); owed[i] >= 1; owed[i]-- {
				if t.Take(7, now, 1).Allowed {
					allowed[i]++
				}
				if one.Take(7, now, 1).Allowed {
					alone++
				}
			}
		}
	}
	return allowed, alone
}

// Over ten seconds, three processes allow within 5 % what one would.
func TestFleetTotal(t *testing.T) {
	const d = 10 * time.Second
	for _, r := range []Rule{
		{Requests: 5},
		{Requests: 5, Burst: 1},
		{Requests: 5, Burst: 20},
		{Requests: 100},
		{Requests: 100, Burst: 10},
		{Requests: 1000, Burst: 200},
		{Requests: 60, Per: time.Minute, Burst: 10},
	} {
		for _, load := range [][]float64{{1, 1, 1}, {3, 0.1, 0.1}, {2, 0, 0}, {0.9, 0.6, 0.05}, {0.2, 0.2, 0.2}} {
			name := fmt.Sprintf("%d per %v, burst %d, load %v", r.Requests, r.filled().Per, r.filled().Burst, load)
			t.Run(name, func(t *testing.T) {
				perSecond := float64(r.Requests) / r.filled().Per.Seconds()
				rates := make([]float64, len(load))
				for i, l := range load {
					rates[i] = l * perSecond
				}
				allowed, want := newFleet(len(load), r).run(d, 20*time.Millisecond, rates)
				total := 0
				for _, n := range allowed {
					total += n
				}
				// A request can't be split: each other process may be one ahead.
				most := float64(r.filled().Burst) + perSecond*d.Seconds()
				slack := math.Max(0.05*most, float64(len(load)-1))
				if float64(total) > most+slack || float64(total) < float64(want)-slack {
					t.Errorf("allowed %v = %d requests, one process alone %d of at most %v", allowed, total, want, most)
				}
			})
		}
	}
}

// What all processes may spend of a key that none knows yet is little more than its burst.
func TestFleetFirstLease(t *testing.T) {
	f := newFleet(3, Rule{Requests: 1, Burst: 20})
	total := 0
	for _, table := range f.tables {
		for range 100 {
			if table.Take(7, time.Second, 1).Allowed {
				total++
			}
		}
	}
	if total != 21 {
		t.Errorf("three processes allow %d at once, want 3 times a third of 20", total)
	}
}

// SipHash of the inputs 00, 00 01 and so on under the key 00 01 .. 0f, as its authors print it.
func TestSipHash(t *testing.T) {
	key := sipKey{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	in := make([]byte, 0, 16)
	for i := range 15 {
		in = append(in, byte(i))
	}
	for n, want := range map[int]uint64{0: 0x726fdb47dd0e0e31, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5} {
		if got := key.sum(in[:n]); got != want {
			t.Errorf("sum of %d bytes = %#x, want %#x", n, got, want)
		}
	}
}

func TestSharedTableAllocatesNothing(t *testing.T) {
	table, now := NewShared(Rule{Requests: 1000, Burst: 1000}), time.Second
	table.SetFirstLease(500)
	key := uint64(0)
	if n := testing.AllocsPerRun(1000, func() { key++; now += time.Millisecond; table.Take(key%50, now, 1) }); n != 0 {
		t.Errorf("a decision allocates %v times", n)
	}
	batch := make([]Spending, 0, 64)
	if n := testing.AllocsPerRun(1000, func() {
		table.Take(key%50, now, 1)
		for _, s := range table.Collect(batch, now, false) {
			table.Settle(Position{Spending: s}, now)
		}
	}); n != 0 {
		t.Errorf("a settlement allocates %v times", n)
	}
}

func BenchmarkTakeShared(b *testing.B) {
	for name, table := range map[string]*Table{"local": NewTable(Rule{Requests: 1000}), "shared": NewShared(Rule{Requests: 1000})} {
		b.Run(name, func(b *testing.B) {
			now := time.Second
			for i := range b.N {
				now += 100 * time.Nanosecond
				table.Take(uint64(i)*0x9e3779b97f4a7c15>>50, now, 1)
			}
		})
	}
}
