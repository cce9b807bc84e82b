package retry

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// windowSeconds is how far back a budget looks. The second that has begun is one of them.
	windowSeconds = 10

	sliceWidth = time.Second
)

// Budget bounds the retries of one upstream: within the last ten seconds, there are at most a
// percentage of its requests, or so many a second where that is more. Make it by NewBudget;
// its methods may be called by many goroutines at once. Every now is on the clock of the
// process and may lag a little behind the now of another call.
//
// The seconds are counted in slices that are used in turn; the one that a new second falls on
// is emptied under the mutex. A call that is counted while this happens may be lost or counted
// a second later.
type Budget struct {
	percent      atomic.Int64
	minPerSecond atomic.Int64
	slices       [windowSeconds]slice
	mu           sync.Mutex // for emptying a slice
}

type slice struct {
	second   atomic.Int64 // which second it counts, from 1; 0: none
	requests atomic.Int64
	retries  atomic.Int64
}

// NewBudget returns a budget that lets percent retries go with a hundred requests, and in any
// case minPerSecond a second. Both 0 lets none go.
func NewBudget(percent, minPerSecond int) *Budget {
	b := new(Budget)
	b.Configure(percent, minPerSecond)
	return b
}

// Configure changes the bounds. What was counted stays.
func (b *Budget) Configure(percent, minPerSecond int) {
	b.percent.Store(int64(percent))
	b.minPerSecond.Store(int64(minPerSecond))
}

// Request counts the first attempt of a request.
func (b *Budget) Request(now time.Duration) { b.at(now).requests.Add(1) }

// TryRetry takes one retry out of the budget and reports whether there was one. Many that
// ask for the last ones at the same moment may all be refused.
func (b *Budget) TryRetry(now time.Duration) bool {
	return b.left(now) > 0 && b.take(now)
}

// take counts a retry, and takes that back when others were faster.
func (b *Budget) take(now time.Duration) bool {
	s := b.at(now)
	s.retries.Add(1)
	if b.left(now) < 0 {
		s.retries.Add(-1)
		return false
	}
	return true
}

// Left returns how many retries the budget has at now.
func (b *Budget) Left(now time.Duration) int { return int(max(b.left(now), 0)) }

// left is below 0 where more were taken than there are now.
func (b *Budget) left(now time.Duration) int64 {
	var requests, retries int64
	oldest := second(now) - windowSeconds + 1
	for i := range b.slices {
		if s := &b.slices[i]; s.second.Load() >= oldest {
			requests += s.requests.Load()
			retries += s.retries.Load()
		}
	}
	return max(requests*b.percent.Load()/100, b.minPerSecond.Load()*windowSeconds) - retries
}

func second(now time.Duration) int64 { return int64(now/sliceWidth) + 1 }

// at returns the slice that counts at now.
func (b *Budget) at(now time.Duration) *slice {
	n := second(now)
	s := &b.slices[uint64(n)%windowSeconds]
	if s.second.Load() < n {
		b.mu.Lock()
		if s.second.Load() < n {
			s.requests.Store(0)
			s.retries.Store(0)
			s.second.Store(n)
		}
		b.mu.Unlock()
	}
	return s
}
