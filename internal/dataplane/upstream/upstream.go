// Package upstream is a named set of targets and the choice among them.
package upstream

import (
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/transport"
	"sentinel/internal/observe/metric"
)

// Target is one address behind an upstream. Its pool lives across reloads.
type Target struct {
	Address string
	Weight  int // 0 takes no requests
	Pool    *transport.Pool
	Metrics *metric.Target
}

// Upstream is one generation of a named set of targets.
type Upstream struct {
	Name            string
	Targets         []*Target
	Metrics         *metric.Upstream
	RequestTimeout  time.Duration // for a whole request; 0: the listener's
	ResponseTimeout time.Duration // from the request sent to the response head, and between two reads

	turns []uint16 // indices of Targets in the order of smooth weighted round robin
	next  *atomic.Uint64
}

// weightSumMax bounds the length of the order that weights are spread over; larger weights
// are scaled down to it.
const weightSumMax = 4096

// New returns an upstream whose targets take turns by weight. next outlives a reload, so
// that the turns go on where they were.
func New(name string, targets []*Target, next *atomic.Uint64) *Upstream {
	return &Upstream{Name: name, Targets: targets, turns: smoothOrder(targets), next: next}
}

// smoothOrder spreads the targets over one round so that each comes up weight times, as
// evenly as can be.
func smoothOrder(targets []*Target) []uint16 {
	sum := 0
	for _, t := range targets {
		sum += t.Weight
	}
	scale := (sum + weightSumMax - 1) / weightSumMax
	if sum == 0 {
		return nil
	}
	weights, total := make([]int, len(targets)), 0
	for i, t := range targets {
		if t.Weight > 0 {
			weights[i] = max(t.Weight/scale, 1)
		}
		total += weights[i]
	}
	order := make([]uint16, 0, total)
	current := make([]int, len(targets))
	for range total {
		best := -1
		for i, w := range weights {
			current[i] += w
			if w > 0 && (best < 0 || current[i] > current[best]) {
				best = i
			}
		}
		current[best] -= total
		order = append(order, uint16(best))
	}
	return order
}

// Usable reports whether any target takes requests.
func (u *Upstream) Usable() bool { return len(u.turns) > 0 }

// Pick returns the target whose turn it is, or nil when none takes requests. except, if not
// nil, is passed over while there is another.
func (u *Upstream) Pick(except *Target) *Target {
	n := uint64(len(u.turns))
	if n == 0 {
		return nil
	}
	if n == 1 {
		return u.Targets[u.turns[0]]
	}
	at := u.next.Add(1)
	for i := range n {
		t := u.Targets[u.turns[(at+i)%n]]
		if t != except {
			return t
		}
	}
	return except
}
