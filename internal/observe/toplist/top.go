package toplist

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

// Entry is a key of a list. The true count lies between Count-ErrorBound and Count.
type Entry struct {
	Key        string // raw bytes; the first KeyBytesMax where Cut is set
	Cut        bool
	Count      uint64
	ErrorBound uint64
}

// Top returns up to n entries for the time from now-window to now, those first that are
// certain to have had most. The window is rounded up to whole slices and is at most WindowMax.
// It costs milliseconds, and those who observe meanwhile don't wait for it.
func (l *List) Top(window time.Duration, n int, now time.Duration) []Entry {
	l.past.Lock()
	defer l.past.Unlock()
	l.advanceLocked(now)
	l.drain()
	l.current.Lock()
	l.current.summary.copyTo(&l.past.scratch)
	l.current.Unlock()
	return rank(l.windowLocked(window, now), max(n, 0))
}

// Total returns how much was observed in the window that Top looks at.
func (l *List) Total(window, now time.Duration) uint64 {
	l.past.Lock()
	defer l.past.Unlock()
	l.advanceLocked(now)
	l.drain()
	l.current.Lock()
	total := l.current.summary.total
	l.current.Unlock()
	for _, s := range l.windowLocked(window, now)[1:] {
		total += s.total
	}
	return total
}

// windowLocked returns the copy of the current slice and the past ones of a window.
func (l *List) windowLocked(window, now time.Duration) []*slice {
	in := make([]*slice, 1, 1+sliceCount)
	in[0] = &l.past.scratch
	since := now - min(max(window, 0), WindowMax)
	for i := range l.past.ring {
		if s := &l.past.ring[i]; s.end > since {
			in = append(in, s)
		}
	}
	return in
}

// sum is what the slices say of one key.
type sum struct {
	name        *name
	count, over uint64
}

// rank adds slices up. In each slice, a key that it doesn't list has had up to its floor; so
// all floors are given to every key, and what a slice lists is counted from its floor on.
func rank(in []*slice, n int) []Entry {
	var floors uint64
	sums := make(map[uint64]*sum)
	for _, s := range in {
		floors += s.floor
		for i := range s.slots[:s.used] {
			k := &s.slots[i]
			have := sums[k.hash]
			if have == nil {
				have = &sum{name: &k.name}
				sums[k.hash] = have
			}
			have.count += k.count - s.floor // below 0 it wraps, and back when the floors come
			have.over += k.over - s.floor
		}
	}
	entries := make([]*sum, 0, len(sums))
	for _, s := range sums {
		s.count += floors
		s.over += floors
		entries = append(entries, s)
	}
	slices.SortFunc(entries, (*sum).compare)
	top := make([]Entry, min(n, len(entries)))
	for i := range top {
		s := entries[i]
		top[i] = Entry{Key: string(s.name.kept()), Cut: s.name.cut, Count: s.count, ErrorBound: s.over}
	}
	return top
}

// compare puts those first that are certain to have more, then those that may.
func (s *sum) compare(t *sum) int {
	if c := cmp.Compare(t.count-t.over, s.count-s.over); c != 0 {
		return c
	}
	if c := cmp.Compare(t.count, s.count); c != 0 {
		return c
	}
	return bytes.Compare(s.name.kept(), t.name.kept())
}

func (k *name) kept() []byte { return k.bytes[:k.length] }
