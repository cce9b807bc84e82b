package breaker

import (
	"sync"
	"sync/atomic"
	"time"
)

// sliceCount is how many slices a window has.
const sliceCount = 10

// window counts calls over a stretch of time that slides by a tenth of its length. Slices
// are used in turn; the one that a new tenth falls on is emptied under the mutex. A call
// that is counted while this happens may be lost or counted a slice later, which moves no
// percentage by much.
type window struct {
	width  time.Duration
	slices [sliceCount]slice
	mu     sync.Mutex // for emptying a slice
}

type slice struct {
	number atomic.Int64 // which tenth of all time it holds, counted from 1; 0: none
	all    atomic.Uint64
	failed atomic.Uint64
	slow   atomic.Uint64
}

func newWindow(length time.Duration) *window {
	return &window{width: max(length/sliceCount, 1)}
}

func (w *window) number(now time.Duration) int64 { return int64(now/w.width) + 1 }

// add counts one call that ended at now.
func (w *window) add(now time.Duration, failed, slow bool) {
	number := w.number(now)
	s := &w.slices[uint64(number)%sliceCount]
	if s.number.Load() < number {
		w.mu.Lock()
		if s.number.Load() < number {
			s.empty()
			s.number.Store(number)
		}
		w.mu.Unlock()
	}
	s.all.Add(1)
	if failed {
		s.failed.Add(1)
	}
	if slow {
		s.slow.Add(1)
	}
}

// sum returns the counts of the window that ends at now.
func (w *window) sum(now time.Duration) (all, failed, slow uint64) {
	oldest := w.number(now) - sliceCount + 1
	for i := range w.slices {
		s := &w.slices[i]
		if s.number.Load() >= oldest {
			all += s.all.Load()
			failed += s.failed.Load()
			slow += s.slow.Load()
		}
	}
	return all, failed, slow
}

// clear forgets all calls.
func (w *window) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.slices {
		w.slices[i].empty()
	}
}

func (s *slice) empty() {
	s.all.Store(0)
	s.failed.Store(0)
	s.slow.Store(0)
}
