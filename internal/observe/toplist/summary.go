package toplist

import (
	"math/bits"
	"slices"
	"unsafe"
)

const (
	arity        = 4 // of the heap
	filterFactor = 8 // counters of the filter for each entry
	indexFactor  = 4 // places of the index for each entry
)

// summary is a filtered Space-Saving list. What must hold: a listed key's true count lies
// between count-over and count; one that isn't listed has had at most its counter in the
// filter; no counter exceeds the smallest count, and the counts together not the total.
type summary struct {
	slots  []slot
	used   int
	heap   []node   // of the used slots, the smallest count first
	places []uint32 // where in the heap a slot is
	index  []uint32 // by hash, open addressing: a slot's number from 1, or 0
	filter []uint64 // by hash
	total  uint64
}

// slot is a listed key.
type slot struct {
	hash  uint64
	count uint64 // set when the summary ends, until then it is in the heap
	over  uint64 // how much of count may be others'
	name
}

type node struct {
	count uint64
	slot  uint32
}

func newSummary(entries int) summary {
	size := 1 << bits.Len(uint(entries-1))
	return summary{
		slots:  make([]slot, entries),
		heap:   make([]node, 0, entries),
		places: make([]uint32, entries),
		index:  make([]uint32, indexFactor*size),
		filter: make([]uint64, filterFactor*size),
	}
}

// The parts of a hash that choose a record of a cell, a counter and a place of the index
// differ, so that keys which share one needn't share the others.
func (s *summary) counter(hash uint64) *uint64 {
	return &s.filter[hash>>8&uint64(len(s.filter)-1)]
}

func (s *summary) home(hash uint64) int { return int(hash>>40) & (len(s.index) - 1) }

// add counts a record.
func (s *summary) add(r *record) {
	s.total += r.n
	place := s.lookup(r.hash)
	if at := s.index[place]; at != 0 {
		i := s.places[at-1]
		s.heap[i].count += r.n
		s.sink(int(i))
		return
	}
	if s.used < len(s.slots) {
		s.enlist(r, place)
		return
	}
	over := s.counter(r.hash)
	least := s.heap[0].count
	if *over+r.n < least {
		*over += r.n
		return
	}
	s.takeOver(r, *over)
}

// enlist lists a key in a slot that was free. As long as there are any, the filter is empty.
func (s *summary) enlist(r *record, place int) {
	at := s.used
	s.used++
	s.slots[at] = slot{hash: r.hash, name: r.name}
	s.index[place] = uint32(at + 1)
	s.heap = append(s.heap, node{r.n, uint32(at)})
	s.rise(at)
}

// takeOver gives the place of the smallest count to a key, which may have had over before.
func (s *summary) takeOver(r *record, over uint64) {
	root := &s.heap[0]
	at := root.slot
	victim := &s.slots[at]
	c := s.counter(victim.hash)
	*c = max(*c, root.count)
	s.forget(s.lookup(victim.hash))
	victim.hash, victim.over, victim.name = r.hash, over, r.name
	s.index[s.lookup(r.hash)] = at + 1
	root.count = over + r.n
	s.sink(0)
}

// lookup returns the place of the index where a hash is or would be.
func (s *summary) lookup(hash uint64) int {
	i := s.home(hash)
	for s.index[i] != 0 && s.slots[s.index[i]-1].hash != hash {
		i = (i + 1) & (len(s.index) - 1)
	}
	return i
}

// forget empties a place of the index and moves up those behind it that would no longer be
// found.
func (s *summary) forget(hole int) {
	mask := len(s.index) - 1
	for i := (hole + 1) & mask; s.index[i] != 0; i = (i + 1) & mask {
		home := s.home(s.slots[s.index[i]-1].hash)
		if (i-home)&mask >= (i-hole)&mask {
			s.index[hole] = s.index[i]
			hole = i
		}
	}
	s.index[hole] = 0
}

// sink moves a node whose count has grown to where it belongs.
func (s *summary) sink(i int) {
	n := s.heap[i]
	for {
		first := i*arity + 1
		if first >= len(s.heap) {
			break
		}
		least := first
		for c := first + 1; c < min(first+arity, len(s.heap)); c++ {
			if s.heap[c].count < s.heap[least].count {
				least = c
			}
		}
		if s.heap[least].count >= n.count {
			break
		}
		s.put(i, s.heap[least])
		i = least
	}
	s.put(i, n)
}

// rise moves a new node to where it belongs.
func (s *summary) rise(i int) {
	n := s.heap[i]
	for i > 0 {
		parent := (i - 1) / arity
		if s.heap[parent].count <= n.count {
			break
		}
		s.put(i, s.heap[parent])
		i = parent
	}
	s.put(i, n)
}

func (s *summary) put(i int, n node) {
	s.heap[i] = n
	s.places[n.slot] = uint32(i)
}

// copyTo writes what the summary says into a slice.
func (s *summary) copyTo(to *slice) {
	s.settle()
	to.used, to.total, to.floor = s.used, s.total, slices.Max(s.filter)
	copy(to.slots, s.slots[:s.used])
}

// end is copyTo with empty hands afterwards: the slots change owners.
func (s *summary) end(to *slice) {
	s.settle()
	to.used, to.total, to.floor = s.used, s.total, slices.Max(s.filter)
	to.slots, s.slots = s.slots, to.slots
	s.used, s.total, s.heap = 0, 0, s.heap[:0]
	clear(s.index)
	clear(s.filter)
}

// settle writes the counts into the slots.
func (s *summary) settle() {
	for _, n := range s.heap {
		s.slots[n.slot].count = n.count
	}
}

// bytes returns how much memory the summary holds, its slots aside.
func (s *summary) bytes() int {
	return cap(s.heap)*int(unsafe.Sizeof(node{})) + 4*len(s.places) + 4*len(s.index) + 8*len(s.filter)
}
