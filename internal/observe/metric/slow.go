package metric

import (
	"sync/atomic"
	"time"
)

// slowPerSlice is how many requests of a route in a slice of time are its slowest.
const slowPerSlice = 12

// slowness says from which duration on a request is one of the slowest of its route. Run sets
// it for each slice of time by the durations of the one before; when too many come it rises to
// theirs, so that what is taken beyond slowPerSlice are only those that beat all before.
type slowness struct {
	from  atomic.Int64
	taken atomic.Int32
	last  total // guarded by the registry's lock
}

// MaySlow reports whether a request that took d may be one of the route's slowest; Slow says
// whether it is. It is one comparison, for every request.
func (r *Route) MaySlow(d time.Duration) bool { return int64(d) >= r.slow.from.Load() }

// Slow reports whether a request that took d is one of the slowest of the present slice.
func (r *Route) Slow(d time.Duration) bool {
	s := &r.slow
	from := s.from.Load()
	if int64(d) < from {
		return false
	}
	if s.taken.Add(1) > slowPerSlice {
		s.from.CompareAndSwap(from, int64(d)+1)
	}
	return true
}

// judge sets from which duration on requests are slow, by those since it was called last.
func (r *Route) judge() {
	s := &r.slow
	now, _ := r.counts()
	above := uint64(0)
	from := time.Duration(0)
	for i := len(bounds); i > 0; i-- { // bucket i holds what is above bounds[i-1]
		if above += now.Counts[i] - s.last.Counts[i]; above > slowPerSlice {
			break
		}
		from = bounds[i-1]
	}
	if above <= slowPerSlice && above+now.Counts[0]-s.last.Counts[0] <= slowPerSlice {
		from = 0 // few requests: all of them
	} else if from == 0 {
		from = bounds[len(bounds)-1]
	}
	s.last = now
	s.taken.Store(0)
	s.from.Store(int64(from))
}
