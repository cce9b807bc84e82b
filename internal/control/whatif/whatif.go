// Package whatif answers what rate limits would have made of the requests of the last minutes:
// it lets the requests that package demand remembers pass once more through tables as the data
// plane has them.
//
// Two things are not exact. Requests alike within demand.Span are remembered as one entry, and
// are taken to have come evenly between the first and the last; and every key begins with full
// credit. An answer says by how many requests the first may make it wrong.
package whatif

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"sentinel/internal/dataplane/limit"
	"sentinel/internal/observe/demand"
)

const (
	// worstMax is how many clients an answer names.
	worstMax = 5
	// steps is into how many parts an entry is cut at most, so that entries that overlap
	// take turns.
	steps = 8
	// resolution is how exactly it is known when a request came.
	resolution = time.Millisecond
)

// Limit is a limit to try.
type Limit struct {
	Rule     limit.Rule
	Key      *limit.KeySpec
	Patience time.Duration // how long a request is held back for its turn
	LetsPass bool          // it only notes requests too many: later limits see them, too
}

// Unknown returns the part of the limit's key that isn't remembered; "" when all are.
func (l *Limit) Unknown() string {
	for _, p := range []limit.Part{limit.PartHeader, limit.PartCookie, limit.PartUser, limit.PartClaim} {
		if l.Key.Uses(p) {
			return p.String()
		}
	}
	return ""
}

// Answer is what one limit would have done.
type Answer struct {
	Requests int // that it would have seen
	Refused  int
	Margin   int // by how many requests Refused and Delayed together may be wrong
	Delayed  int // held back for their turn
	Clients  int // that it would have seen
	Hit      int // of them, those of whom a request was refused or delayed
	Worst    []Client
}

// Client is what a limit would have meant for one client.
type Client struct {
	Addr              netip.Addr // of IPv6, the /64
	Requests, Refused int        // Refused counts delayed ones, too
}

// Simulate returns what the limits would have done to the requests of list, an answer for
// each. pick returns which of them a request of a listener and a route, as demand.Name has
// them, meets, in their order. Limits with an Unknown part see nothing.
func Simulate(list []demand.Seen, limits []Limit, pick func(listener, route uint32) []int) []Answer {
	trials := make([]*trial, len(limits))
	for i := range limits {
		trials[i] = newTrial(&limits[i])
	}
	each := func(p *pass) {
		n, at, gap := p.next()
		for k := range n {
			now := at + time.Duration(k)*gap
			for _, i := range pick(p.seen.Listener, p.seen.Route) {
				if trials[i] != nil && !trials[i].take(p, now) {
					break
				}
			}
			p.first = false
		}
	}
	var open passes
	for i := range list {
		for len(open) > 0 && open[0].at <= list[i].At {
			open.advance(each)
		}
		heap.Push(&open, newPass(&list[i]))
	}
	for len(open) > 0 {
		open.advance(each)
	}
	answers := make([]Answer, len(limits))
	for i, t := range trials {
		if t != nil {
			answers[i] = t.answer()
		}
	}
	return answers
}

// trial is one limit at work.
type trial struct {
	*Limit
	table   *limit.Table
	seed    *limit.Seed
	sum     Answer
	clients map[netip.Addr]*Client
	// doubts are how many requests of a key are uncertain since its credit was last full, or
	// nearly.
	doubts map[uint64]int
	close  int // how far apart what a key has and what it had can be, in requests
}

// newTrial returns nil for a limit that can't be tried.
func newTrial(l *Limit) *trial {
	if l.Unknown() != "" {
		return nil
	}
	t := &trial{
		Limit: l, table: limit.NewTable(l.Rule), seed: limit.NewSeed(),
		clients: make(map[netip.Addr]*Client), doubts: make(map[uint64]int),
	}
	t.close = 1 + t.earns(2*demand.Span)
	return t
}

// take lets one request of a pass through and reports whether limits behind this one see it.
func (t *trial) take(p *pass, now time.Duration) bool {
	key, _ := t.Key.Sum(t.seed, p)
	if p.first && p.seen.Count > 1 {
		t.doubt(key, t.uncertain(p.seen, t.table.Peek(key, now)))
	}
	d := t.table.Reserve(key, now, 1, t.Patience)
	c := t.client(p.seen.Client)
	c.Requests++
	t.sum.Requests++
	if t.borderline(&d) || d.Allowed && d.Remaining < int64(t.close) {
		t.doubt(key, 1)
	}
	if d.Allowed && d.Remaining+1 >= d.Limit-int64(t.close) {
		delete(t.doubts, key)
	}
	switch {
	case !d.Allowed:
		t.sum.Refused++
	case d.RetryAfter > 0:
		t.sum.Delayed++
	default:
		return true
	}
	c.Refused++
	return d.Allowed || t.LetsPass
}

// earns returns how many requests a key earns in d, rounded up.
func (t *trial) earns(d time.Duration) int {
	r := t.table.Rule()
	return int((d*time.Duration(r.Requests) + r.Per - 1) / r.Per)
}

// uncertain returns how many requests of an entry might have come before or after credit that
// is earned while it lasts; before is what was there at its beginning. What was spent earlier
// may have been spent up to a Span away from where it was counted.
func (t *trial) uncertain(s *demand.Seen, before limit.Decision) int {
	while := s.Span + demand.Span
	if before.Remaining >= int64(s.Count) || while < before.Next {
		return 0
	}
	return min(s.Count-1, 1+t.earns(while-before.Next))
}

// doubt makes the answer uncertain by n requests of a key. While a key stays short of credit
// that doesn't add up: what is let through too early is refused later, for it is credit that
// decides, and of that there is the same.
func (t *trial) doubt(key uint64, n int) {
	have := t.doubts[key]
	n = min(n, 2*t.close-have)
	if n > 0 {
		t.doubts[key] = have + n
		t.sum.Margin += n
	}
}

// A request that leaves less than is earned in two spans is in doubt, too: entries of several
// clients with one key overlap, and the record doesn't tell in which order theirs came.

// borderline reports whether a decision would have been another one a moment earlier or later.
func (t *trial) borderline(d *limit.Decision) bool {
	if d.RetryAfter > 0 {
		return d.RetryAfter <= resolution
	}
	r := t.table.Rule()
	window := time.Duration(float64(r.Burst) * float64(r.Per) / float64(r.Requests))
	return window-d.Reset < resolution
}

func (t *trial) client(a netip.Addr) *Client {
	if a.Is6() {
		p, _ := a.WithZone("").Prefix(limit.KeyIPv6BitsDefault)
		a = p.Addr()
	}
	c := t.clients[a]
	if c == nil {
		c = &Client{Addr: a}
		t.clients[a] = c
	}
	return c
}

func (t *trial) answer() Answer {
	t.sum.Clients = len(t.clients)
	var hit []Client
	for _, c := range t.clients {
		if c.Refused > 0 {
			hit = append(hit, *c)
		}
	}
	slices.SortFunc(hit, func(a, b Client) int { return cmp.Or(cmp.Compare(b.Refused, a.Refused), a.Addr.Compare(b.Addr)) })
	t.sum.Hit, t.sum.Worst = len(hit), hit[:min(len(hit), worstMax)]
	t.sum.Margin = min(t.sum.Margin, t.sum.Requests)
	return t.sum
}

// pass is an entry on its way through the limits, a part at a time. It is a limit.Source.
type pass struct {
	seen  *demand.Seen
	at    time.Duration // when its next part comes
	done  int           // requests
	first bool          // of its requests is next
	part  [4]byte
}

func newPass(s *demand.Seen) *pass { return &pass{seen: s, at: s.At, first: true} }

// next returns how many requests the next part has, when the first of them came and how far
// apart they are.
func (p *pass) next() (n int, at, gap time.Duration) {
	s := p.seen
	if s.Count > 1 {
		gap = s.Span / time.Duration(s.Count-1)
	}
	n = min((s.Count+steps-1)/steps, s.Count-p.done)
	at = s.At + time.Duration(p.done)*gap
	p.done += n
	p.at = s.At + time.Duration(p.done)*gap
	return n, at, gap
}

// KeyAddr implements limit.Source.
func (p *pass) KeyAddr() netip.Addr { return p.seen.Client }

// KeyPart implements limit.Source.
func (p *pass) KeyPart(part limit.Part, _ string) []byte {
	n := uint32(0)
	switch part {
	case limit.PartPath:
		n = p.seen.Path
	case limit.PartRoute:
		n = p.seen.Route
	case limit.PartHost:
		n = p.seen.Host
	case limit.PartListener:
		n = p.seen.Listener
	case limit.PartMethod:
		n = uint32(p.seen.Method)
	}
	binary.LittleEndian.PutUint32(p.part[:], n)
	return p.part[:]
}

// passes are those that aren't done, the one whose part comes next first.
type passes []*pass

// advance lets the next part through and forgets a pass that is done.
func (h *passes) advance(each func(*pass)) {
	p := (*h)[0]
	each(p)
	if p.done == p.seen.Count {
		heap.Pop(h)
	} else {
		heap.Fix(h, 0)
	}
}

// Len, Less, Swap, Push and Pop are those of heap.Interface.
func (h passes) Len() int           { return len(h) }
func (h passes) Less(i, j int) bool { return h[i].at < h[j].at }
func (h passes) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *passes) Push(x any)        { *h = append(*h, x.(*pass)) }
func (h *passes) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
