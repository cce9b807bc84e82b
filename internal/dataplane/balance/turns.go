package balance

import "slices"

const (
	// turnsMax bounds the length of a round, unless there are more members; larger weights
	// are scaled down to it.
	turnsMax = 4096
	// smoothMax is how many members are put in order by smoothOrder, whose time grows with
	// members times turns; more are put in order by deadline.
	smoothMax = 256
)

// turns is smooth weighted round robin: one round of turns in which each member comes up
// weight times, as evenly as can be.
type turns struct {
	roster
	round []int32 // seats
}

func newTurns(members []Member, st *State) *turns {
	p := new(turns)
	p.fill(members, st)
	weights := p.scaled()
	if len(weights) <= smoothMax {
		p.round = smoothOrder(weights)
	} else {
		p.round = deadlineOrder(weights)
	}
	return p
}

// Pick takes a turn. A refused turn is used up and the next one taken: the turns of a member
// that refuses always go to the others by their weights, not to the one behind it.
func (p *turns) Pick(r *Request) int {
	var t tried
	n := uint64(len(p.round))
	for range min(4*triedMax, len(p.round)) {
		at := int(p.round[(p.state.turn.Add(1)-1)%n])
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

// scaled returns the weights divided by their common divisor and scaled to turnsMax.
func (p *turns) scaled() []int {
	out, divisor := make([]int, len(p.seats)), 0
	for i, s := range p.seats {
		out[i] = int(s.weight)
		divisor = gcd(out[i], divisor)
	}
	if len(out) == 0 {
		return nil
	}
	sum, limit := int(p.total)/divisor, max(turnsMax, 4*len(out))
	for i, w := range out {
		out[i] = w / divisor
		if sum > limit {
			out[i] = max((out[i]*limit+sum/2)/sum, 1)
		}
	}
	return out
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// smoothOrder gives each turn to whom most is owed: each step owes every one its weight,
// and who gets the turn pays the sum.
func smoothOrder(weights []int) []int32 {
	total := 0
	for _, w := range weights {
		total += w
	}
	round, owed := make([]int32, 0, total), make([]int, len(weights))
	for range total {
		best := 0
		for i, w := range weights {
			owed[i] += w
			if owed[i] > owed[best] {
				best = i
			}
		}
		owed[best] -= total
		round = append(round, int32(best))
	}
	return round
}

// deadlineOrder spreads the turns of each evenly over the round and takes them as they come.
func deadlineOrder(weights []int) []int32 {
	type turn struct {
		due float64
		at  int32
	}
	var all []turn
	for i, w := range weights {
		for k := range w {
			all = append(all, turn{due: (float64(k) + 0.5) / float64(w), at: int32(i)})
		}
	}
	slices.SortStableFunc(all, func(a, b turn) int {
		switch {
		case a.due < b.due:
			return -1
		case a.due > b.due:
			return 1
		}
		return 0
	})
	round := make([]int32, len(all))
	for i, t := range all {
		round[i] = t.at
	}
	return round
}
