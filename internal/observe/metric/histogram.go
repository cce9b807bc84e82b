package metric

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// bounds are the upper bounds of the duration buckets, inclusive; a last
// bucket takes everything above. They suit a proxy on a local network (parts of a
// millisecond) as well as its default timeouts (10 and 30 s).
var bounds = [...]time.Duration{
	250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 10 * time.Second, 30 * time.Second,
}

// buckets is the number of buckets, the unbounded one included.
const buckets = len(bounds) + 1

// firstBucket says, by the length of a duration in bits, the first bucket it can belong to.
var firstBucket = buildFirstBucket()

func buildFirstBucket() (t [65]uint8) {
	for n := range t {
		least := time.Duration(0)
		if n > 0 && n < 64 {
			least = 1 << (n - 1)
		}
		for int(t[n]) < len(bounds) && bounds[t[n]] < least {
			t[n]++
		}
	}
	return t
}

// bucketOf returns the index of d's bucket. Negative durations count as zero.
func bucketOf(d time.Duration) int {
	if d < 0 {
		return 0
	}
	i := int(firstBucket[bits.Len64(uint64(d))])
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	return i
}

// BucketAbove returns the index of the first bucket that holds no duration up to d; Buckets
// where there is none.
func BucketAbove(d time.Duration) int {
	for i, b := range bounds {
		if b >= d {
			return i + 1
		}
	}
	return buckets
}

// BucketBound returns the upper bound, inclusive, of a bucket that has one.
func BucketBound(i int) time.Duration { return bounds[i] }

// histogram is one cell's share of a histogram of durations.
type histogram struct {
	counts [buckets]atomic.Uint64
	nanos  atomic.Uint64
}

func (h *histogram) observe(d time.Duration) {
	h.counts[bucketOf(d)].Add(1)
	if d > 0 {
		h.nanos.Add(uint64(d))
	}
}

// total is the sum over cells.
type total Durations

func (t *total) add(h *histogram) {
	for i := range h.counts {
		t.Counts[i] += h.counts[i].Load()
	}
	t.Nanos += h.nanos.Load()
}

// seconds returns the sum of all observations.
func (t *total) seconds() float64 { return float64(t.Nanos) / 1e9 }

// cumulative returns the number of observations and the cumulative counts by upper bound in seconds.
func (t *total) cumulative() (count uint64, byBound map[float64]uint64) {
	byBound = make(map[float64]uint64, len(bounds))
	for i, n := range t.Counts {
		count += n
		if i < len(bounds) {
			byBound[bounds[i].Seconds()] = count
		}
	}
	return count, byBound
}

// count returns the number of observations.
func (t *total) count() (n uint64) {
	for _, c := range t.Counts {
		n += c
	}
	return n
}
