package balance

// maglev is the table of Maglev (Eisenbud et al., "Maglev: A Fast and Reliable Software
// Network Load Balancer", NSDI 2016, section 3.4): each member has a permutation of the
// table's places, and they take turns to claim their next free place.
type maglev struct {
	roster
	table []int32 // seats
	seeds []uint64
}

const (
	// The table's sizes are primes, at least 100 times the members, which keeps parts even
	// within 1 %. The larger one is for more than membersSmall members.
	placesSmall  = 65_537
	placesLarge  = 655_373
	membersSmall = placesSmall / 100
	// walkMax is how many places a request walks on when members refuse.
	walkMax = 64
)

func newMaglev(members []Member, st *State) *maglev {
	p := new(maglev)
	order := p.fillByHash(members, st)
	if len(order) == 0 {
		return p
	}
	places := placesSmall
	if len(order) > membersSmall {
		places = placesLarge
	}
	p.table = make([]int32, places)
	for i := range p.table {
		p.table[i] = -1
	}
	walks := make([]walk, len(order))
	for i, m := range order {
		p.seeds = append(p.seeds, seatSeed(m.hash))
		at, step := mix(m.hash+golden), mix(^m.hash)
		walks[i] = walk{at: int(at % uint64(places)), step: int(step%uint64(places-1)) + 1}
	}
	p.claim(walks)
	return p
}

// walk is a member's permutation: from at on in steps.
type walk struct{ at, step int }

// claim fills the table. In a round the heaviest member claims a place, the others when
// their weights, added up, have come as far as the heaviest's turns that they had.
func (p *maglev) claim(walks []walk) {
	heaviest := int64(0)
	for _, s := range p.seats {
		heaviest = max(heaviest, int64(s.weight))
	}
	had := make([]int64, len(walks)) // turns times heaviest
	for round, left := int64(0), len(p.table); ; round++ {
		for i := range walks {
			if round*int64(p.seats[i].weight) < had[i] {
				continue
			}
			had[i] += heaviest
			w := &walks[i]
			for p.table[w.at] >= 0 {
				w.next(len(p.table))
			}
			p.table[w.at] = int32(i)
			if left--; left == 0 {
				return
			}
		}
	}
}

func (w *walk) next(places int) {
	if w.at += w.step; w.at >= places {
		w.at -= places
	}
}

// Pick takes the member at the key's place, then those at the places behind it.
func (p *maglev) Pick(r *Request) int {
	if len(p.seats) == 0 {
		return -1
	}
	place := below(mix(r.Key), len(p.table))
	at := int(p.table[place])
	if p.takes(r, at) {
		return p.member(at)
	}
	return p.pickNext(r, place)
}

func (p *maglev) pickNext(r *Request, place int) int {
	var t tried
	t.add(int(p.table[place]))
	for range walkMax {
		if place++; place == len(p.table) {
			place = 0
		}
		at := int(p.table[place])
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
	key := mix(r.Key)
	return p.pickRest(r, &t, func(at int) float32 {
		return float32(hashLot(key, p.seeds[at])) * p.seats[at].per
	})
}
