package balance

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// hashed is weighted rendezvous hashing (Thaler and Ravishankar 1998): a key and a member
// give a lot, and the member with the lowest lot for its weight has the key. Whoever leaves
// loses its own keys only, and whoever comes or grows takes only what it gets.
//
// To find the lowest takes a lot of each member, so keys are dealt to slots, and all keys of
// a slot have the same first four choices, which are kept once they were found. Slots are
// numbered by the key alone: a rebuild starts with no choices known and finds the same ones.
type hashed struct {
	roster
	seeds   []uint64        // by seat
	slots   []atomic.Uint64 // choices, or 0 while unknown
	percent int64           // bound of requests in flight, 0: none
}

// choices is up to four seats, from 1 on, the first choice in the lowest 16 bits.
type choices uint64

// slotBits is the logarithm of the number of slots. A member's number of slots varies by its
// root: of 100 equal members, each has 655, give or take 26.
const slotBits = 16

// named is a member with the hash of its name.
type named struct {
	Member
	index int
	hash  uint64
}

// byHash returns the members that take requests in an order that their order in the
// configuration doesn't matter for. Those of the same name get different hashes.
func byHash(members []Member) []named {
	var out []named
	for i, m := range members {
		if m.Weight > 0 {
			out = append(out, named{Member: m, index: i, hash: xxhash.Sum64String(m.Key)})
		}
	}
	slices.SortStableFunc(out, func(a, b named) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), strings.Compare(a.Key, b.Key))
	})
	for i := 1; i < len(out); i++ {
		if out[i].Key == out[i-1].Key {
			out[i].hash = out[i-1].hash + 1
		}
	}
	return out
}

// fillByHash seats the members in the order of byHash and returns that.
func (p *roster) fillByHash(members []Member, st *State) []named {
	order := byHash(members)
	p.fill(nil, st)
	for _, m := range order {
		p.add(m.index, m.Member)
	}
	return order
}

// seatSeed is what a seat draws its lots with.
func seatSeed(hash uint64) uint64 { return mix(hash) }

// hashLot returns the lot of a key and a seed.
func hashLot(key, seed uint64) float64 {
	high, low := bits.Mul64(key^seed, golden)
	return exponential(high ^ low)
}

func newHashed(members []Member, st *State, boundPercent int) *hashed {
	p := &hashed{percent: int64(max(boundPercent, 0))}
	for _, m := range p.fillByHash(members, st) {
		p.seeds = append(p.seeds, seatSeed(m.hash))
	}
	if len(p.seats) > 0 {
		p.slots = make([]atomic.Uint64, 1<<slotBits)
	}
	return p
}

// Pick takes the member that the key belongs to, then the one that it would belong to were
// the first not there, and so on.
func (p *hashed) Pick(r *Request) int {
	if len(p.seats) == 0 {
		return -1
	}
	slot := mix(r.Key) >> (64 - slotBits)
	key := mix(slot + golden)
	known := choices(p.slots[slot].Load())
	if known == 0 {
		known = p.choose(key)
		p.slots[slot].Store(uint64(known))
	}
	var asked tried
	total := int64(-1)
	for ; known != 0; known >>= 16 {
		at := int(known&0xffff) - 1
		if p.percent > 0 && p.seats[at].load.inFlight.Load() > 0 {
			if total < 0 {
				total = p.inFlight()
			}
			if !p.within(at, total) {
				continue
			}
		}
		if p.takes(r, at) {
			return p.member(at)
		}
		asked.add(at)
	}
	if asked.n == len(p.seats) {
		return -1
	}
	return p.pickNext(r, &asked, key)
}

// cost is a seat's lot for its weight.
func (p *hashed) cost(at int, key uint64) float32 {
	return float32(hashLot(key, p.seeds[at])) * p.seats[at].per
}

// choose returns the seats with the lowest costs.
func (p *hashed) choose(key uint64) choices {
	var best [triedMax]entry
	n := 0
	for at := range p.seats {
		e := entry{cost: p.cost(at, key), at: int32(at)}
		if n < len(best) {
			n++
		} else if e.cost >= best[n-1].cost {
			continue
		}
		i := n - 1
		for ; i > 0 && e.cost < best[i-1].cost; i-- {
			best[i] = best[i-1]
		}
		best[i] = e
	}
	c := choices(0)
	for i := n - 1; i >= 0; i-- {
		c = c<<16 | choices(best[i].at+1)
	}
	return c
}

// pickNext offers the request to the seats that weren't asked, the lowest lot first: to those
// within their bound, then to the others.
func (p *hashed) pickNext(r *Request, asked *tried, key uint64) int {
	total := int64(0)
	if p.percent > 0 {
		total = p.inFlight()
	}
	o := p.order(asked, func(at int) float32 { return p.cost(at, key) })
	all := o.entries
	over, picked := len(all), -1 // from over on: those over their bound, the last one first
	for picked < 0 && len(o.entries) > 0 {
		at := o.pop()
		if !p.within(at, total) {
			over--
			all[over].at = int32(at) // free, for at least as many were popped
		} else if p.takes(r, at) {
			picked = p.member(at)
		}
	}
	for i := len(all) - 1; picked < 0 && i >= over; i-- {
		if at := int(all[i].at); p.takes(r, at) {
			picked = p.member(at)
		}
	}
	p.release(o)
	return picked
}

// inFlight returns how many requests are in flight at all seats.
func (p *hashed) inFlight() int64 {
	sum := int64(0)
	for i := range p.seats {
		sum += p.seats[i].load.inFlight.Load()
	}
	return sum
}

// within reports whether a seat may have one more request by its bound, given how many all
// seats have. An idle seat may by any bound.
func (p *hashed) within(at int, total int64) bool {
	s := &p.seats[at]
	n := s.load.inFlight.Load()
	if p.percent == 0 || n <= 0 {
		return true
	}
	fair := float64(total+1) * float64(s.weight) / float64(p.total)
	return float64(n)*100 < fair*float64(p.percent)
}
