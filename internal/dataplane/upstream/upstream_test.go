package upstream

import (
	"slices"
	"sync/atomic"
	"testing"
)

func targets(weights ...int) []*Target {
	var out []*Target
	for i, w := range weights {
		out = append(out, &Target{Address: string(rune('a' + i)), Weight: w})
	}
	return out
}

func picks(u *Upstream, n int) string {
	s := ""
	for range n {
		s += u.Pick(nil).Address
	}
	return s
}

func TestPickIsSmooth(t *testing.T) {
	for _, test := range []struct {
		weights []int
		want    string // one round from the start, in the order of turns
	}{
		{[]int{1}, "a"},
		{[]int{1, 1}, "ab"},
		{[]int{5, 1, 1}, "aabacaa"},
		{[]int{2, 0, 1}, "aca"},
	} {
		u := New("u", targets(test.weights...), new(atomic.Uint64))
		got := ""
		for _, i := range u.turns {
			got += u.Targets[i].Address
		}
		if got != test.want {
			t.Errorf("turns of %v = %q, want %q", test.weights, got, test.want)
		}
	}
}

func TestPickKeepsWeights(t *testing.T) {
	u := New("u", targets(70, 20, 10), new(atomic.Uint64))
	count := map[rune]int{}
	for _, c := range picks(u, 1000) {
		count[c]++
	}
	if count['a'] != 700 || count['b'] != 200 || count['c'] != 100 {
		t.Errorf("1000 picks of 70, 20, 10 = %v", count)
	}
}

// The turns go on where they were when a reload makes a new upstream.
func TestPickGoesOnAfterReload(t *testing.T) {
	next := new(atomic.Uint64)
	got := picks(New("u", targets(1, 1, 1), next), 2) + picks(New("u", targets(1, 1, 1), next), 1)
	r := []rune(got)
	slices.Sort(r)
	if string(r) != "abc" {
		t.Errorf("three picks over a reload = %q, want each target once", got)
	}
}

func TestPickExcept(t *testing.T) {
	u := New("u", targets(3, 1), new(atomic.Uint64))
	for range 8 {
		if got := u.Pick(u.Targets[0]); got != u.Targets[1] {
			t.Fatalf("Pick except %q = %q", u.Targets[0].Address, got.Address)
		}
	}
	one := New("u", targets(1), new(atomic.Uint64))
	if got := one.Pick(one.Targets[0]); got != one.Targets[0] {
		t.Error("the only target must be picked even when it is excepted")
	}
	none := New("u", targets(0), new(atomic.Uint64))
	if none.Pick(nil) != nil || none.Usable() {
		t.Error("weight 0 must take no requests")
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	u := New("u", targets(3, 1), new(atomic.Uint64))
	if n := testing.AllocsPerRun(1000, func() { u.Pick(nil) }); n != 0 {
		t.Errorf("Pick allocates %v times", n)
	}
}
