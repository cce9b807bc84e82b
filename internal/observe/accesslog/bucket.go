package accesslog

import (
	"sync/atomic"
	"time"
)

// bucket is a token bucket in one word: the time at which it will be full
// again. Taking a token moves that time on; it may lie at most a burst ahead.
type bucket struct {
	gap, ahead time.Duration
	full       atomic.Int64 // unix nanoseconds
	refused    atomic.Int64 // tokens refused since somebody asked
}

func newBucket(perSecond, burst int) bucket {
	gap := time.Second / time.Duration(perSecond)
	return bucket{gap: gap, ahead: gap * time.Duration(burst)}
}

// take reports whether there is a token at now.
func (b *bucket) take(now time.Time) bool {
	t := now.UnixNano()
	for {
		full := b.full.Load()
		next := max(full, t) + int64(b.gap)
		if next > t+int64(b.ahead) {
			// A clock set back would leave the bucket empty for as long.
			if full <= t+2*int64(b.ahead) {
				return false
			}
			next = t + int64(b.gap)
		}
		if b.full.CompareAndSwap(full, next) {
			return true
		}
	}
}
