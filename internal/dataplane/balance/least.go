package balance

import (
	"math"
	"math/rand/v2"
)

// least takes the member with the lowest cost of all.
//
// Least connections costs (in flight + lot) / weight, least time that multiplied by latency. A
// lot is drawn anew for each member and choice, from the exponential distribution of mean 1/2
// cut off below 1. Its mean keeps the weights while few requests are in flight (adding
// nothing favours the light, adding one the heavy: Sainte-Laguë's divisors against Adams' and
// Jefferson's). Its shape makes each of the idle win with its weight's chance, so neither the
// first nor the heaviest gets everything while there is little to do. Its limit lets fewer
// requests in flight always win among equal weights.
//
// All members are looked at in each choice, so costs are reckoned in integers: a request in
// flight is 2^lotBits.
type least struct {
	roster
	timed bool
}

const (
	lotBits = 16
	perBits = 26
)

// lots are lots in random order. A choice takes those from a random place on, in a row.
var lots = newLots()

// lotsLen is a power of two.
const lotsLen = 4096

func newLots() (out [lotsLen]uint16) {
	r := rand.New(rand.NewPCG(golden, 1))
	for to, from := range r.Perm(lotsLen) {
		lot := -math.Log((float64(from)+0.5)/lotsLen) / 2
		out[to] = uint16(min(lot*(1<<lotBits), 1<<lotBits-1))
	}
	return out
}

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
	random, unit := uint32(p.state.next()>>32), unitOf(r.Now)
	at := 0
	if p.timed {
		at = p.lowestTime(random, unit)
	} else {
		at = p.lowest(random)
	}
	if p.takes(r, at) {
		return p.member(at)
	}
	var t tried
	t.add(at)
	return p.pickRest(r, &t, func(at int) float32 {
		s := &p.seats[at]
		n := s.load.inFlight.Load()
		cost := float32(s.cost(n, random+uint32(at)))
		if p.timed {
			cost *= s.load.costLatency(unit, n)
		}
		return cost
	})
}

// cost is what a seat with n requests in flight costs, latency aside, by a lot.
func (s *seat) cost(n int64, lot uint32) uint64 {
	return (uint64(n)<<lotBits + uint64(lots[lot%lotsLen])) * uint64(s.perWhole)
}

func (p *least) lowest(random uint32) int {
	best, low, seats := 0, uint64(math.MaxUint64), p.seats
	for i := range seats {
		s := &seats[i]
		c := s.cost(s.load.inFlight.Load(), random+uint32(i))
		if c >= low {
			continue
		}
		best, low = i, c
	}
	return best
}

func (p *least) lowestTime(random, unit uint32) int {
	best, low, seats := 0, float32(math.Inf(1)), p.seats
	for i := range seats {
		s := &seats[i]
		load := s.load
		e := estimate(load.estimate.Load())
		n := load.inFlight.Load()
		bits := e.freshBits(unit)
		if e.stale(unit) {
			bits = e.staleBits(unit, n)
		}
		c := float32(int64(s.cost(n, random+uint32(i)))) * math.Float32frombits(bits)
		if c >= low {
			continue
		}
		best, low = i, c
	}
	return best
}
