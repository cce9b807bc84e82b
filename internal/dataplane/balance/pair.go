package balance

// pair is power of two choices (Mitzenmacher 2001): two members are drawn by weight and the
// better one is taken. PeakEWMA multiplies by latency.
//
// Taking the better of two would undo the weights where members are few: of two members both
// are always drawn. So a move from the first drawn to the second, when it is better, is
// accepted with a chance that evens out the moves in both directions among members alike (the
// rule of Metropolis and Hastings). It is 1 for equal weights.
type pair struct {
	draw
	timed  bool
	shares []share // by seat
}

type share struct {
	perMean float32 // mean weight / weight: what one request in flight counts
	drawn   float32 // 1 + q + q² + q³ of its chance q: how much oftener others are drawn second
}

const (
	// secondDraws is how often a second member is drawn until it is another.
	secondDraws = 4
	// better is how much lower a cost with latency must be to move, so that estimates a little older or
	// younger don't undo the weights; from far on the weights don't keep from moving.
	better = 0.9
	far    = 0.25
	// tieParts makes a lot so small that it only settles ties.
	tieParts = 1024
)

func newPair(members []Member, st *State, timed bool) *pair {
	p := &pair{timed: timed}
	p.deal(members, st)
	p.shares = make([]share, len(p.seats))
	mean := float32(p.total) / float32(max(len(p.seats), 1))
	for i, s := range p.seats {
		q := float32(s.weight) / float32(p.total)
		p.shares[i] = share{perMean: mean * s.per, drawn: 1 + q*(1+q*(1+q))}
	}
	return p
}

// cost is what one more request at a seat costs.
func (p *pair) cost(at int, unit uint32) float32 {
	load := p.seats[at].load
	n := load.inFlight.Load()
	cost := 1 + float32(n)*p.shares[at].perMean
	if p.timed {
		cost *= load.costLatency(unit, n)
	}
	return cost
}

// Pick takes the better of two members, the other one when that refuses, then the best of
// the rest.
func (p *pair) Pick(r *Request) int {
	var t tried
	unit := unitOf(r.Now)
	if len(p.seats) == 0 {
		return -1
	}
	first := p.one()
	second := p.second(first)
	if second != first && p.moves(first, second, unit) {
		first, second = second, first
	}
	if p.takes(r, first) {
		return p.member(first)
	}
	t.add(first)
	if second != first {
		if p.takes(r, second) {
			return p.member(second)
		}
		t.add(second)
	}
	random := p.state.next()
	return p.pickRest(r, &t, func(at int) float32 {
		return p.cost(at, unit) * (1 + lot(random, at)*p.shares[at].perMean/tieParts)
	})
}

// second draws another seat than first, or first when that is drawn each time.
func (p *pair) second(first int) int {
	for range secondDraws {
		if at := p.one(); at != first {
			return at
		}
	}
	return first
}

func (p *pair) moves(first, second int, unit uint32) bool {
	here, there := p.cost(first, unit), p.cost(second, unit)
	if there >= here || p.timed && there >= here*better {
		return false
	}
	a, b := p.shares[first].drawn, p.shares[second].drawn
	return a <= b || there < here*far || float32(p.state.next()>>40)*a < b*(1<<24)
}
