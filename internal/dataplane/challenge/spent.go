package challenge

import "sync/atomic"

// Spent remembers which seeds and tickets were used, for as long as they could be used again.
// A table of fixed size without locks: buckets of one cache line with 8 places. A place is one
// word: 44 bits that name the text, 20 bits of the second it was used first. Nothing is swept:
// the place used longest ago is the next to be taken, so the table turns over by itself. The
// zero value is ready; 512 KiB. Safe for any goroutine.
type Spent struct {
	buckets [spentBuckets][spentPlaces]atomic.Uint64
}

const (
	spentBuckets = 1 << 13
	spentPlaces  = 8
	spentSeconds = 1 << 20 // seconds in a place before they begin anew: 12 days

	// Grace is for how many seconds a used seed or ticket is served again.
	Grace = 10
)

// use reports whether the text that tag names may be used at a time: it wasn't yet, or within
// Grace. keep is for how many seconds a use matters. tag is a piece of a MAC, so it is spread
// evenly and nobody can choose it.
func (s *Spent) use(tag uint64, now, keep int64) bool {
	bucket := &s.buckets[tag%spentBuckets]
	name := tag &^ (spentSeconds - 1)
	second := uint64(now) % spentSeconds
	// Another goroutine may take a place between looking and taking: look once more then.
	for range spentPlaces {
		place, word, known := find(bucket, name, second, uint64(keep))
		if known {
			return age(word, second, uint64(keep)) <= Grace
		}
		if bucket[place].CompareAndSwap(word, name|second) {
			return true
		}
	}
	return false
}

// find returns the place that holds a name, or else the best one to take: a free one, or the
// one used longest ago.
func find(bucket *[spentPlaces]atomic.Uint64, name, second, keep uint64) (place int, word uint64, known bool) {
	oldest := uint64(0)
	for i := range bucket {
		w := bucket[i].Load()
		a := age(w, second, keep)
		switch {
		case w == 0:
			a = spentSeconds // older than any
		case w&^(spentSeconds-1) == name:
			return i, w, true
		}
		if i == 0 || a > oldest {
			place, word, oldest = i, w, a
		}
	}
	return place, word, false
}

// age returns how many seconds ago a place was used. A second that is up to keep to come, since
// the clock was set back, is now. Seconds begin anew after 12 days, so a place of that age looks
// as if it were just used, for a few minutes.
func age(word, second, keep uint64) uint64 {
	a := (second - word) % spentSeconds
	if a >= spentSeconds-keep {
		return 0
	}
	return a
}
