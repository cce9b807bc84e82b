// Package balance chooses which member of an upstream a request goes to.
//
// A Policy is immutable: it is built anew from the usable members whenever their set or
// their weights change. What must outlive that stands beside it: how busy each member is
// (Load) and where the turns and the random numbers are (State). A Pick locks nothing and
// allocates nothing.
//
// All kinds keep the weights: with members alike, each gets its weight's part of the
// requests. When the Filter refuses the first choice, the request goes to the next of the
// kind's own order, so that what a refused member would have had is spread over all others
// by weight:
//
//	round robin        the next turns, then a weighted lot
//	random             further draws, then a weighted lot
//	least              the next lowest cost
//	pairs              the other of the two, then the lowest cost
//	ip, consistent     whom the key would go to if the refused member were not there
//	maglev             the next ones in the table, then as consistent hash
package balance

import "time"

// weightMax is the largest weight that counts; larger ones count as this.
const weightMax = 100_000

// Member is one of those that a Policy chooses from.
type Member struct {
	Key    string // its stable name, "host:port"; what the keyed kinds hash
	Weight int    // its part of the requests, up to 100000; 0 or less takes nothing
	Load   *Load  // how busy it is; nil: never busy
}

// Filter says which members a request may use now. Takes is called with the index of a
// candidate and may reserve when it says yes: each member is asked at most once in a Pick,
// and the first that takes the request ends it.
type Filter interface{ Takes(i int) bool }

// Request is what a Policy knows of a request.
type Request struct {
	Key    uint64        // hash of what requests are kept together by; only keyed kinds look at it
	Now    time.Duration // on the clock of the process
	Filter Filter        // nil: every member takes it
}

// Policy chooses among the members that it was built from. Safe for any goroutine.
type Policy interface {
	// Pick returns the index of the member to use, or -1 when none takes the request.
	Pick(r *Request) int
}

// Options are what kinds can be told beyond weights.
type Options struct {
	// BoundPercent keeps the requests in flight at a member under this percentage of its
	// fair part (consistent hash; 125 is a good value, 0 means no bound). The bound is kept
	// for requests that have begun: those picked at the same instant may exceed it by their
	// number. When no member under its bound takes a request, one over it may.
	BoundPercent int
}

// New returns the policy of a kind over members, which may be empty; it keeps none of the
// slice. st is of the upstream and outlives the policy. Of more than 65534 members with a
// weight, the rest take nothing.
func New(k Kind, members []Member, st *State, o Options) Policy {
	st.seed()
	switch k {
	case LeastConnections, LeastTime:
		return newLeast(members, st, k == LeastTime)
	case Random:
		return newDraw(members, st)
	case PowerOfTwo, PeakEWMA:
		return newPair(members, st, k == PeakEWMA)
	case IPHash:
		return newHashed(members, st, 0)
	case ConsistentHash:
		return newHashed(members, st, o.BoundPercent)
	case Maglev:
		return newMaglev(members, st)
	default:
		return newTurns(members, st)
	}
}

// rampStartPercent is the part of its weight that a member starts with.
const rampStartPercent = 10

// Ramp returns the weight of a member in slow start: it came back at since and its weight
// grows evenly from a tenth to the whole within window. At least 1, unless weight is 0.
func Ramp(weight int, since, window, now time.Duration) int {
	if weight <= 0 {
		return 0
	}
	if window <= 0 || now >= since+window {
		return weight
	}
	grown := float64(max(now-since, 0)) / float64(window)
	part := (rampStartPercent + (100-rampStartPercent)*grown) / 100
	return max(int(float64(weight)*part), 1)
}
