package limit

import (
	"math"
	"time"
)

const ways = 7 // places of a set, so that it is two cache lines

// set is where the keys of one range of hashes share seven places. Its shard's mutex guards it.
type set struct {
	keys    [ways]uint64 // 0 where the place was never used
	refused [ways]uint8  // how often, up to 255
	_       [1]byte
	full    [ways]uint64 // when the credit is full again, in ticks
	_       [8]byte
}

// findLocked returns where a key is, or -1, and when its credit is full again, not before
// base. It looks at all places, because guessing where the key is costs more.
func (s *set) findLocked(key, base uint64) (way int, full uint64) {
	way = -1
	for i, k := range &s.keys {
		if k == key {
			way = i
		}
	}
	if way < 0 {
		return way, base
	}
	return way, max(s.full[way], base)
}

// insertLocked gives a new key the place that matters least at base.
func (s *set) insertLocked(key, base uint64, m *meter, c *counts) int {
	way := s.placeLocked(base, base+m.window-m.interval)
	switch {
	case s.keys[way] == 0:
		c.used++
	case s.full[way] > base:
		c.evicted++
	}
	s.keys[way], s.refused[way] = key, 0
	return way
}

// placeLocked returns the first place with full credit at base or, where there is none, the
// one to give up. Those that are full after edge are blocked.
func (s *set) placeLocked(base, edge uint64) (way int) {
	least := ^uint64(0)
	for i, full := range &s.full {
		w := weight(full, base, edge, s.refused[i])
		if w < least {
			way = i
		}
		least = min(least, w)
	}
	return way
}

// weight orders places by how much they matter: 0 with full credit, then by debt, and above
// all of those the blocked ones by refusals and then by debt, to 128 ticks.
func weight(full, base, edge uint64, refused uint8) uint64 {
	debt := full - min(full, base)
	blocked := 1<<63 | uint64(refused)<<55 | min(debt>>7, 1<<55-1)
	if full > edge {
		debt = blocked
	}
	return debt
}

// refuseLocked remembers that the key at way, if it has a place, was refused once more.
func (s *set) refuseLocked(way int) {
	if way >= 0 && s.refused[way] < math.MaxUint8 {
		s.refused[way]++
	}
}

// convertLocked makes the set count by another meter.
func (s *set) convertLocked(from, to *meter, now time.Duration) {
	for i, full := range &s.full {
		s.full[i] = to.carry(full, from, now)
	}
}
