package balance

import "math"

// draw is the weighted random choice, by the alias method (Walker 1977, Vose 1991): a draw
// lands on a seat with equal chance and stays there with that seat's stay, or else goes to
// its alias.
type draw struct {
	roster
	slots []slot
}

type slot struct {
	stay  uint32 // chance in 2^32
	alias int32
}

func newDraw(members []Member, st *State) *draw {
	p := new(draw)
	p.deal(members, st)
	return p
}

func (p *draw) deal(members []Member, st *State) {
	p.fill(members, st)
	n := int64(len(p.seats))
	p.slots = make([]slot, n)
	left := make([]int64, n) // n times the weight; a seat's fair part is total
	var small, large []int32
	for i, s := range p.seats {
		p.slots[i] = slot{stay: math.MaxUint32, alias: int32(i)}
		left[i] = int64(s.weight) * n
		if left[i] < p.total {
			small = append(small, int32(i))
		} else {
			large = append(large, int32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		p.slots[s] = slot{stay: uint32(float64(left[s]) / float64(p.total) * (1 << 32)), alias: l}
		if left[l] -= p.total - left[s]; left[l] < p.total {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
}

// one draws a seat. There must be one.
func (p *draw) one() int {
	random := p.state.next()
	at := below(random, len(p.slots))
	if s := p.slots[at]; uint32(random) > s.stay {
		return int(s.alias)
	}
	return at
}

// Pick draws a member, and again when it refuses.
func (p *draw) Pick(r *Request) int {
	var t tried
	for range min(2*triedMax, 2*len(p.seats)) {
		at := p.one()
		if t.has(at) {
			continue
		}
		if p.takes(r, at) {
			return p.member(at)
		}
		if t.add(at); t.full() {
			break
		}
	}
	return p.pickLot(r, &t)
}
