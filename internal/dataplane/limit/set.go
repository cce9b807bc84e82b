package limit

import (
	"math"
	"sync"
	"time"
)

// set is where the keys of one range of hashes share seven places.
type set struct {
	mu      sync.Mutex
	keys    [ways]uint64
	full    [ways]uint64 // when the credit is full again, in ticks; 0: the place was never used
	refused [ways]uint8  // how often, up to 255
	meter   uint8        // index into Table.meters
}

// findLocked returns where a key is, or -1, and when its credit is full again, not before
// base.
func (s *set) findLocked(key, base uint64) (way int, full uint64) {
	for i, k := range s.keys {
		if k == key && s.full[i] != 0 {
			return i, max(s.full[i], base)
		}
	}
	return -1, base
}

// insertLocked gives a new key the place that matters least at base.
func (s *set) insertLocked(key, base uint64, m *meter, c *counts) int {
	way := s.placeLocked(base, base+m.window-m.interval)
	switch {
	case s.full[way] == 0:
		c.used.Add(1)
	case s.full[way] > base:
		c.evicted.Add(1)
	}
	s.keys[way], s.refused[way] = key, 0
	return way
}

// placeLocked returns the first place with full credit at base or, where there is none, the
// one to give up. Those that are full after edge are blocked.
func (s *set) placeLocked(base, edge uint64) int {
	best := 0
	for i, full := range s.full {
		if full <= base {
			return i
		}
		if s.yieldsLocked(i, best, edge) {
			best = i
		}
	}
	return best
}

// yieldsLocked reports whether place i is to be given up before place j.
func (s *set) yieldsLocked(i, j int, edge uint64) bool {
	blocked := s.full[i] > edge
	if blocked != (s.full[j] > edge) {
		return !blocked
	}
	if blocked && s.refused[i] != s.refused[j] {
		return s.refused[i] < s.refused[j]
	}
	return s.full[i] < s.full[j]
}

// refuseLocked remembers that the key at way, if it has a place, was refused once more.
func (s *set) refuseLocked(way int) {
	if way >= 0 && s.refused[way] < math.MaxUint8 {
		s.refused[way]++
	}
}

// convert makes the set count by another meter.
func (s *set) convert(index uint8, from, to *meter, now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, full := range s.full {
		if full != 0 {
			s.full[i] = to.carry(full, from, now)
		}
	}
	s.meter = index
}
