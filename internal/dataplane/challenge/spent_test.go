package challenge

import (
	"math/rand/v2"
	"sync"
	"testing"
)

func TestSpent(t *testing.T) {
	s := new(Spent)
	const tag, keep = 0x1234567890abcdef, 400
	for _, test := range []struct {
		after int64
		want  bool
	}{{0, true}, {0, true}, {Grace, true}, {-5, true}, {Grace + 1, false}, {keep, false}, {keep + 1, false}} {
		if got := s.use(tag, start+test.after, keep); got != test.want {
			t.Errorf("use after %d s = %v, want %v", test.after, got, test.want)
		}
	}
}

// TestSpentForgetsNothing uses half as many tags as there are places, by chance: the fullest
// bucket then still has room, so none may be used again.
func TestSpentForgetsNothing(t *testing.T) {
	s, r := new(Spent), rand.New(rand.NewPCG(1, 2))
	tags := make([]uint64, spentBuckets)
	for i := range tags {
		tags[i] = r.Uint64()
		if !s.use(tags[i], start, 400) {
			t.Fatalf("tag %d can't be used", i)
		}
	}
	again := 0
	for _, tag := range tags {
		if s.use(tag, start+100, 400) {
			again++
		}
	}
	if again > 5 { // buckets with over 8 of a mean of 1: about one in a million
		t.Errorf("%d of %d tags could be used again", again, len(tags))
	}
}

func TestSpentFullGivesUpTheOldest(t *testing.T) {
	s := new(Spent)
	tag := func(i int) uint64 { return uint64(i+1) << 40 } // all of one bucket
	for i := range spentPlaces + 1 {
		if !s.use(tag(i), start+int64(i), 400) {
			t.Fatalf("use %d is refused", i)
		}
	}
	for i := 1; i <= spentPlaces; i++ {
		if s.use(tag(i), start+100, 400) {
			t.Errorf("tag %d was forgotten, want tag 0 alone", i)
		}
	}
	if !s.use(tag(0), start+100, 400) {
		t.Error("tag 0 wasn't given up")
	}
}

// TestSpentAfterIdling fills a bucket and comes back after days: what is used then must be
// remembered, not what is long past.
func TestSpentAfterIdling(t *testing.T) {
	for days := range int64(12) {
		s := new(Spent)
		for i := range uint64(spentPlaces) {
			s.use((i+1)<<40, start, 400)
		}
		now := start + days*24*3600 + 1000
		first, second := uint64(1)<<50, uint64(1)<<51
		if !s.use(first, now, 400) || !s.use(second, now+100, 400) {
			t.Fatalf("a fresh tag is refused after %d days", days)
		}
		if s.use(first, now+200, 400) || s.use(second, now+200, 400) {
			t.Errorf("a tag is used twice after %d days", days)
		}
	}
}

// TestSpentTurnsOver fills one bucket for longer than the seconds in a place can say.
func TestSpentTurnsOver(t *testing.T) {
	s, r := new(Spent), rand.New(rand.NewPCG(3, 4))
	for now := start; now < start+2*spentSeconds; now += 100 {
		tag := r.Uint64() / spentBuckets * spentBuckets
		if !s.use(tag, now, 400) {
			t.Fatalf("a fresh tag is refused after %d s", now-start)
		}
		if s.use(tag, now+Grace+1, 400) {
			t.Fatalf("a tag is used twice after %d s", now-start)
		}
	}
}

// TestSpentConcurrently has four goroutines use the same tags in the same second.
func TestSpentConcurrently(t *testing.T) {
	s, r := new(Spent), rand.New(rand.NewPCG(5, 6))
	tags := make([]uint64, 4000)
	for i := range tags {
		tags[i] = r.Uint64()
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, tag := range tags {
				if !s.use(tag, start, 400) {
					t.Error("a tag is refused within Grace")
					return
				}
			}
		})
	}
	wg.Wait()
	for _, tag := range tags {
		if s.use(tag, start+100, 400) {
			t.Error("a tag was forgotten")
		}
	}
}
