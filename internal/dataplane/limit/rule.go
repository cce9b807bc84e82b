package limit

import (
	"math/bits"
	"time"
)

const (
	// EntriesDefault is how many keys a table holds unless its rule says otherwise.
	EntriesDefault = 65536
	// EntriesMax is how many keys a table may hold: 307 MB.
	EntriesMax = 1 << 24
)

const (
	scaleMax  = 32                     // ticks a nanosecond
	nowMax    = time.Duration(1) << 58 // nine years; times scaleMax it is half of what a tick can count
	windowMax = uint64(1) << 61        // ticks; with as much patience again it stays below overflow
)

// Rule says how much one key may do: Requests in Per at a steady pace, Burst of them at once.
type Rule struct {
	Name     string        // as in the configuration; names the policy in RateLimit fields
	Per      time.Duration // one second where it is 0 or less
	Requests int64         // 1 where it is less
	Burst    int64         // Requests where it is less than 1
	Entries  int           // how many keys are remembered; EntriesDefault where it is less than 1
}

// filled returns r with its defaults.
func (r Rule) filled() Rule {
	if r.Per <= 0 {
		r.Per = time.Second
	}
	r.Requests = max(r.Requests, 1)
	if r.Burst < 1 {
		r.Burst = r.Requests
	}
	if r.Entries < 1 {
		r.Entries = EntriesDefault
	}
	r.Entries = min(r.Entries, EntriesMax)
	return r
}

// meter is a Rule in ticks.
type meter struct {
	rule     Rule
	scale    uint64 // ticks a nanosecond, 1 to scaleMax
	interval uint64 // ticks a request, 1 to windowMax
	burst    uint64 // requests
	window   uint64 // burst intervals, up to windowMax
}

func newMeter(r Rule) *meter {
	per, requests := uint64(r.Per), uint64(r.Requests)
	common := gcd(per, requests)
	per, requests = per/common, requests/common
	m := &meter{rule: r, scale: min(requests, scaleMax)}
	m.interval = min(divideUp(per, m.scale, requests), windowMax)
	m.burst = max(min(uint64(r.Burst), windowMax/m.interval), 1)
	m.window = m.burst * m.interval
	return m
}

// ticks returns now in ticks, at most 1<<63.
func (m *meter) ticks(now time.Duration) uint64 {
	return uint64(min(max(now, 0), nowMax)) * m.scale
}

// duration returns a number of ticks, at most 1<<63-1, as time, rounded up.
func (m *meter) duration(ticks uint64) time.Duration {
	if m.scale == 1 {
		return time.Duration(ticks)
	}
	return time.Duration((ticks + m.scale - 1) / m.scale)
}

// ask returns when credit would be full again that is so at full, if cost were taken.
func (m *meter) ask(full uint64, cost int64) uint64 {
	return full + min(uint64(max(cost, 0)), m.burst)*m.interval
}

// patience returns it in ticks, cut so that sums stay in range.
func (m *meter) patience(d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	return min(m.ticks(d), windowMax)
}

// describe fills in d but for Allowed: at base, credit is full again at full, and what was
// asked for would have it full at ask.
func (m *meter) describe(d *Decision, base, full, ask uint64) {
	end := base + m.window
	if ask > end {
		d.RetryAfter = m.duration(ask - end)
	}
	d.Limit = int64(m.burst)
	d.Reset = m.duration(full - base)
	if full == base {
		d.Remaining = d.Limit
		return
	}
	if full > end {
		d.Next = m.duration(full - end + m.interval)
		return
	}
	left := (end - full) / m.interval
	d.Remaining = int64(left)
	d.Next = m.duration((left+1)*m.interval - (end - full))
}

// carry returns when a credit of this meter is full again that was so at full by another
// meter. What has been spent stays, up to the whole burst.
func (m *meter) carry(full uint64, other *meter, now time.Duration) uint64 {
	base := other.ticks(now)
	if full <= base {
		return 0
	}
	spent := divideUp(full-base, m.interval, other.interval)
	return m.ticks(now) + min(spent, m.window)
}

// divideUp returns a*b/c rounded up, or the largest number where that is larger.
func divideUp(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi >= c {
		return 1<<64 - 1
	}
	quotient, rest := bits.Div64(hi, lo, c)
	if rest > 0 && quotient < 1<<64-1 {
		quotient++
	}
	return quotient
}

func gcd(a, b uint64) uint64 {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}
