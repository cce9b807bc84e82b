package balance

import "sync"

// membersMax is how many members a policy takes.
const membersMax = 1<<16 - 2

// seat is a member that takes requests, as choices need it.
type seat struct {
	load     *Load
	index    int32 // of the member
	weight   int32
	per      float32 // 1 / weight
	perWhole uint32  // 2^perBits / weight
}

// roster is what all kinds are built on: the members that take requests, in a row.
type roster struct {
	seats  []seat
	total  int64 // sum of weights
	state  *State
	orders sync.Pool // of *order, for requests whose first choices were refused
}

func (p *roster) fill(members []Member, st *State) {
	p.state = st
	for i, m := range members {
		p.add(i, m)
	}
	p.orders.New = func() any { return &order{entries: make([]entry, 0, len(p.seats))} }
}

func (p *roster) add(index int, m Member) {
	if m.Weight <= 0 || len(p.seats) == membersMax {
		return
	}
	if m.Load == nil {
		m.Load = new(Load)
	}
	w := min(m.Weight, weightMax)
	p.seats = append(p.seats, seat{
		load: m.Load, index: int32(index), weight: int32(w),
		per: 1 / float32(w), perWhole: uint32((1 << perBits) / w),
	})
	p.total += int64(w)
}

// takes asks the request's filter about a seat.
func (p *roster) takes(r *Request, at int) bool {
	return r.Filter == nil || r.Filter.Takes(int(p.seats[at].index))
}

// member returns the index of the member at a seat.
func (p *roster) member(at int) int { return int(p.seats[at].index) }

// triedMax is how many seats a choice tries by its quick way before it orders the rest.
const triedMax = 4

// tried is the few seats that a choice has tried.
type tried struct {
	at [triedMax]int32
	n  int
}

func (t *tried) full() bool { return t.n == triedMax }

func (t *tried) add(at int) {
	t.at[t.n] = int32(at)
	t.n++
}

func (t *tried) has(at int) bool {
	for _, a := range t.at[:t.n] {
		if int(a) == at {
			return true
		}
	}
	return false
}

// entry is a seat with its cost in one choice.
type entry struct {
	cost float32
	at   int32
}

// order is a heap of seats, the lowest cost first.
type order struct{ entries []entry }

// order returns all seats but the tried ones by cost. Give it back by release.
func (p *roster) order(t *tried, cost func(at int) float32) *order {
	o := p.orders.Get().(*order)
	o.entries = o.entries[:0]
	for at := range p.seats {
		if !t.has(at) {
			o.entries = append(o.entries, entry{cost: cost(at), at: int32(at)})
		}
	}
	for i := len(o.entries)/2 - 1; i >= 0; i-- {
		o.sink(i)
	}
	return o
}

func (p *roster) release(o *order) { p.orders.Put(o) }

// pop removes the lowest and returns its seat. The place behind the last entry is free then.
func (o *order) pop() int {
	e := o.entries
	at := int(e[0].at)
	e[0] = e[len(e)-1]
	o.entries = e[:len(e)-1]
	o.sink(0)
	return at
}

func (o *order) sink(i int) {
	e := o.entries
	for {
		child := 2*i + 1
		if child >= len(e) {
			return
		}
		if child+1 < len(e) && e[child+1].cost < e[child].cost {
			child++
		}
		if e[i].cost <= e[child].cost {
			return
		}
		e[i], e[child] = e[child], e[i]
		i = child
	}
}

// pickRest offers a request to the seats that weren't tried, the lowest cost first.
func (p *roster) pickRest(r *Request, t *tried, cost func(at int) float32) int {
	if t.n >= len(p.seats) {
		return -1
	}
	o := p.order(t, cost)
	picked := -1
	for picked < 0 && len(o.entries) > 0 {
		if at := o.pop(); p.takes(r, at) {
			picked = p.member(at)
		}
	}
	p.release(o)
	return picked
}

// pickLot offers a request to the seats that weren't tried, in an order drawn by weight.
func (p *roster) pickLot(r *Request, t *tried) int {
	random := p.state.next()
	return p.pickRest(r, t, func(at int) float32 { return lot(random, at) * p.seats[at].per })
}

// lot returns the lot of a seat in a choice with a random number.
func lot(random uint64, at int) float32 {
	return float32(exponential(mix(random + uint64(at)*golden)))
}
