package balance

import "math"

// least takes the member with the lowest cost of all.
//
// Least connections costs (in flight + 1/2) / weight. The half is what keeps the weights while
// few requests are in flight: without it the light get too many, with a whole one the heavy
// (Sainte-Laguë's divisors against Adams' and Jefferson's). An idle member has a lot of mean
// 1/2 in place of it, so that among idle ones each wins with its weight's chance, and neither
// the first nor the heaviest gets everything while there is little to do. For members of
// equal weight fewer requests in flight always win; small lots settle ties.
//
// Least time costs latency * (in flight + a lot of mean 1/2) / weight.
type least struct {
	roster
	timed bool
}

// In least connections a request in flight counts as unit, which is above the largest lot.
const (
	unit     = 16
	idleMost = 1.4 * unit // an idle member costs less than one with a request
)

func newLeast(members []Member, st *State, timed bool) *least {
	p := &least{timed: timed}
	p.fill(members, st)
	return p
}

// Pick takes the lowest cost, then the next lowest.
func (p *least) Pick(r *Request) int {
	if len(p.seats) == 0 {
		return -1
	}
	random, now := uint32(p.state.next()>>32), unitOf(r.Now)
	at := 0
	if p.timed {
		at = p.lowestTime(random, now)
	} else {
		at = p.lowest(random)
	}
	if p.takes(r, at) {
		return p.member(at)
	}
	var t tried
	t.add(at)
	return p.pickRest(r, &t, func(at int) float32 {
		if p.timed {
			return p.timeCost(at, random, now)
		}
		return p.cost(at, random)
	})
}

func (p *least) cost(at int, random uint32) float32 {
	s := &p.seats[at]
	n := s.load.inFlight.Load()
	if n <= 0 {
		return min(lot(random, at)*(unit/2), idleMost) * s.per
	}
	return (float32(n*unit+unit/2) + lot(random, at)) * s.per
}

func (p *least) timeCost(at int, random, now uint32) float32 {
	s := &p.seats[at]
	n := s.load.inFlight.Load()
	return (float32(2*n) + lot(random, at)) * s.per * s.load.costLatency(now, n)
}

func (p *least) lowest(random uint32) int {
	best, low := 0, float32(math.Inf(1))
	for i := range p.seats {
		if c := p.cost(i, random); c < low {
			best, low = i, c
		}
	}
	return best
}

func (p *least) lowestTime(random, now uint32) int {
	best, low := 0, float32(math.Inf(1))
	for i := range p.seats {
		if c := p.timeCost(i, random, now); c < low {
			best, low = i, c
		}
	}
	return best
}
