package lifecycle

import (
	"context"
	"sync"
	"time"
)

// peaksKept is how many seconds of samples are kept.
const peaksKept = 300

// peaks remembers, once a second, how much there was of some things.
type peaks struct {
	read func() map[bound]int64
	mu   struct {
		sync.Mutex
		rings map[bound]*ring
	}
}

// bound is what there is a bound of, in the process or on a listener.
type bound struct{ listener, key string }

// The keys of bounds.
const (
	boundConnections = "max-connections"
	boundPerClient   = "max-connections-per-client"
	boundRequests    = "max-concurrent-requests"
)

type ring struct {
	samples [peaksKept]int64
	n       int // taken ever
}

// run takes samples until ctx ends.
func (p *peaks) run(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			p.sample()
		}
	}
}

// sample takes one of each thing there is, and forgets those that are gone.
func (p *peaks) sample() {
	now := p.read()
	p.mu.Lock()
	defer p.mu.Unlock()
	rings := make(map[bound]*ring, len(now))
	for b, n := range now {
		r := p.mu.rings[b]
		if r == nil {
			r = new(ring)
		}
		r.samples[r.n%peaksKept] = n
		r.n++
		rings[b] = r
	}
	p.mu.rings = rings
}

// above returns the largest of the last samples, and how many were above limit. known is
// false while there is none.
func (p *peaks) above(b bound, seconds int, limit int64) (peak int64, over int, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.mu.rings[b]
	if r == nil {
		return 0, 0, false
	}
	for i := range min(r.n, seconds, peaksKept) {
		n := r.samples[(r.n-1-i)%peaksKept]
		peak = max(peak, n)
		if n > limit {
			over++
		}
	}
	return peak, over, true
}
