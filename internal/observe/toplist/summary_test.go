package toplist

import (
	"fmt"
	"hash/maphash"
	"testing"

	"pgregory.net/rapid"
)

// newRecord returns a record of a key whose hash is given.
func newRecord(key string, hash, n uint64) *record {
	r := &record{hash: hash, n: n}
	r.set([]byte(key))
	return r
}

// TestSummary drives a small summary through random streams and checks after each step what
// its comment says must hold. Hashes are few, so that keys share counters and places.
func TestSummary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSummary(rapid.IntRange(1, 9).Draw(t, "entries"))
		truth := make(map[uint64]uint64)
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			hash := rapid.Uint64Range(0, 30).Draw(t, "key")
			hash = hash<<40*rapid.SampledFrom([]uint64{1, 5}).Draw(t, "spread") | hash<<8
			n := rapid.Uint64Range(1, 20).Draw(t, "n")
			truth[hash] += n
			s.add(newRecord(fmt.Sprint(hash), hash, n))
			check(t, &s, truth)
		}
	})
}

func check(t *rapid.T, s *summary, truth map[uint64]uint64) {
	var total, counts uint64
	for i, n := range s.heap {
		counts += n.count
		if least := s.heap[max(i-1, 0)/arity].count; least > n.count {
			t.Fatalf("heap node %d has %d, its parent %d", i, n.count, least)
		}
		if s.places[n.slot] != uint32(i) {
			t.Fatalf("slot %d is at %d of the heap, want %d", n.slot, s.places[n.slot], i)
		}
	}
	for hash, want := range truth {
		total += want
		at := s.index[s.lookup(hash)]
		if at == 0 {
			if c := *s.counter(hash); c < want {
				t.Fatalf("key %x isn't listed, its counter is %d, the truth %d", hash, c, want)
			}
			continue
		}
		k := &s.slots[at-1]
		count := s.heap[s.places[at-1]].count
		if k.hash != hash || string(k.kept()) != fmt.Sprint(hash) || count < want || count-k.over > want {
			t.Fatalf("key %x is listed as %x %q with %d, up to %d too many, the truth is %d", hash, k.hash, k.kept(), count, k.over, want)
		}
	}
	for _, c := range s.filter {
		if c > s.heap[0].count {
			t.Fatalf("a counter of %d, the smallest count is %d", c, s.heap[0].count)
		}
	}
	if s.total != total || counts > total || s.used != min(len(truth), len(s.slots)) {
		t.Fatalf("%d keys with %d of %d, want %d keys, total %d", s.used, counts, s.total, len(truth), total)
	}
}

// TestSummaryEnd checks that a summary which has ended starts anew and leaves its slice alone.
func TestSummaryEnd(t *testing.T) {
	s, past := newSummary(4), slice{slots: make([]slot, 4)}
	seed := maphash.MakeSeed()
	for round := range 3 {
		for i := range 10 {
			key := fmt.Sprintf("%d-%d", round, i)
			s.add(newRecord(key, maphash.String(seed, key), uint64(100-i)))
		}
		s.end(&past)
		if past.used != 4 || past.total != 955 || past.floor == 0 || string(past.slots[0].kept()[:2]) != fmt.Sprintf("%d-", round) {
			t.Errorf("round %d: slice with %d keys, total %d, floor %d, want 4, 955 and some floor", round, past.used, past.total, past.floor)
		}
		var free slice
		free.slots = make([]slot, 4)
		s.copyTo(&free)
		if free.used != 0 || free.total != 0 || free.floor != 0 {
			t.Errorf("round %d: %d keys, total %d, floor %d after the end, want none", round, free.used, free.total, free.floor)
		}
	}
}
