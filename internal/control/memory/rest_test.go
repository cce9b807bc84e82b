package memory

import (
	"testing"
	"time"
)

// TestRest checks that garbage is collected once after a burst, and not under load.
func TestRest(t *testing.T) {
	const burst = 100 << 20
	var h heap
	collected := 0
	r := &rest{read: func() heap { return h }, collect: func() { collected++; h.objects = h.live }}
	now := time.Unix(0, 0)
	pass := func(seconds int, allocates uint64) {
		for range seconds * 10 {
			now = now.Add(100 * time.Millisecond)
			h.allocated += allocates / 10
			r.look(now)
		}
	}
	h.live, h.objects = 20<<20, burst
	if pass(10, 50<<20); collected != 0 {
		t.Errorf("under load: collected %d times, want never", collected)
	}
	if pass(10, 1000); collected != 1 {
		t.Errorf("after a burst: collected %d times, want once", collected)
	}
	pass(5, 50<<20)
	h.objects = h.live + 1<<20
	if pass(10, 1000); collected != 1 {
		t.Errorf("with little garbage: collected %d times, want once", collected)
	}
	pass(5, 50<<20)
	h.live, h.objects = 200<<20, 220<<20
	if pass(10, 1000); collected != 1 {
		t.Errorf("where most lives: collected %d times, want once", collected)
	}
	pass(5, 50<<20)
	h.objects = h.live * 3
	if pass(10, 1000); collected != 2 {
		t.Errorf("after the next burst: collected %d times, want twice", collected)
	}
}
