package route

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestSplitIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(-1, 40), 1, 6).Draw(t, "weights")
		start := rapid.Uint64Range(0, math.MaxUint64-1000).Draw(t, "start")
		values, total := make([]int, len(weights)), 0
		for i, w := range weights {
			values[i] = i
			total += max(w, 0)
		}
		s := NewSplit(values, weights)
		counts := make([]int, len(weights))
		for n := range total {
			counts[s.Pick(start+uint64(n))]++
		}
		for i, w := range weights {
			if counts[i] != max(w, 0) {
				t.Fatalf("weights %v from %d: value %d picked %d times, want %d", weights, start, i, counts[i], max(w, 0))
			}
		}
	})
}

func TestSplitMixes(t *testing.T) {
	s := NewSplit([]string{"a", "b"}, []int{50, 50})
	run, last := 0, ""
	for n := range uint64(200) {
		if v := s.Pick(n); v == last {
			run++
		} else {
			run, last = 1, v
		}
		if run > 3 {
			t.Fatalf("Pick(%d) is the %d. of the same value in a row, want at most 3", n, run)
		}
	}
}

func TestSplitExtremes(t *testing.T) {
	if got := NewSplit([]string{"a"}, []int{0}).Pick(7); got != "" {
		t.Errorf("Pick without weights = %q, want the zero value", got)
	}
	if got := NewSplit([]string{"a", "b"}, []int{0, math.MaxInt}).Pick(math.MaxUint64); got != "b" {
		t.Errorf("Pick with one weight = %q, want %q", got, "b")
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	s := NewSplit([]string{"a", "b"}, []int{9, 1})
	if n := testing.AllocsPerRun(100, func() { s.Pick(5) }); n != 0 {
		t.Errorf("Pick allocates %v times, want 0", n)
	}
}
