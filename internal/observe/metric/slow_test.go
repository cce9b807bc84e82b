package metric

import (
	"math/rand/v2"
	"testing"
	"time"
)

// However many requests come, few are slow: the first ones and those that beat all before, and
// after a slice of time those above what few were.
func TestSlow(t *testing.T) {
	r := New(Options{Cells: 1})
	route := r.Route("a")
	random := rand.New(rand.NewPCG(3, 4))
	slice := func() (slow int, least time.Duration) {
		least = time.Hour
		for range 100_000 {
			d := time.Duration(random.ExpFloat64() * float64(5*time.Millisecond))
			route.Observe(0, 200, d)
			if route.MaySlow(d) && route.Slow(d) {
				slow++
				least = min(least, d)
			}
		}
		return slow, least
	}
	if n, _ := slice(); n < slowPerSlice || n > slowPerSlice+40 {
		t.Errorf("of 100,000 requests %d are slow before anything is known, want about %d", n, slowPerSlice)
	}
	route.judge()
	n, least := slice()
	if n < 1 || n > slowPerSlice+20 || least < 25*time.Millisecond {
		t.Errorf("then %d are, from %v on, want %d at most, above 25 ms", n, least, slowPerSlice)
	}
	route.judge() // nothing since
	route.judge()
	if !route.MaySlow(time.Microsecond) {
		t.Error("where nothing comes a fast request isn't one of the slowest")
	}
}

func TestSlowWhereAllAre(t *testing.T) {
	r := New(Options{Cells: 1})
	route := r.Route("a")
	for range 1000 {
		route.Observe(0, 200, time.Minute)
	}
	route.judge()
	if route.MaySlow(29*time.Second) || !route.MaySlow(time.Minute) {
		t.Error("with 1000 requests of a minute the slowest begin elsewhere than at the last bound")
	}
}

func BenchmarkMaySlow(b *testing.B) {
	r := New(Options{Cells: 1})
	route := r.Route("a")
	route.slow.from.Store(int64(time.Second))
	for b.Loop() {
		if route.MaySlow(time.Millisecond) {
			b.Fatal("slow")
		}
	}
}
