package series

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/fault"
)

// Cause is one way in which requests fail: where, with whom, and how. All names are those of
// the configuration.
type Cause struct {
	Route, Upstream, Target string
	Fault                   fault.Kind // None where the upstream answered with Status itself
	Status                  int
	// Retried says that it was a try, and another one followed.
	Retried bool
}

const (
	// CausesMax bounds the causes that are told apart.
	CausesMax = 512
	// causeSlots is how many places there are for them, a power of two; causeProbes how many of
	// them one cause may have.
	causeSlots, causeProbes = 2 * CausesMax, 16
)

// Causes counts failures by cause. The request path notes only what fails; it takes a
// lock and allocates only when a cause comes for the first time. The zero value isn't usable.
type Causes struct {
	seed    maphash.Seed
	adding  sync.Mutex
	used    atomic.Int64
	leftOut atomic.Uint64
	slots   [causeSlots]atomic.Pointer[caused]
}

// caused is a cause with its count and when it was first and last, on the clock.
type caused struct {
	Cause
	first time.Duration
	count atomic.Uint64
	last  atomic.Int64
}

// NewCauses returns an empty table.
func NewCauses() *Causes { return &Causes{seed: maphash.MakeSeed()} }

// Note counts a failure at now. What finds no place is only counted together.
func (c *Causes) Note(cause *Cause, now time.Duration) {
	at := c.find(cause)
	if at == nil {
		if at = c.add(cause, now); at == nil {
			c.leftOut.Add(1)
			return
		}
	}
	at.count.Add(1)
	at.last.Store(int64(now))
}

// home returns where the places of a cause begin.
func (c *Causes) home(cause *Cause) int { return int(maphash.Comparable(c.seed, *cause) % causeSlots) }

func (c *Causes) find(cause *Cause) *caused {
	home := c.home(cause)
	for i := range causeProbes {
		if at := c.slots[(home+i)%causeSlots].Load(); at != nil && at.Cause == *cause {
			return at
		}
	}
	return nil
}

// add makes a place for a cause; nil when there is none left.
func (c *Causes) add(cause *Cause, now time.Duration) *caused {
	if c.used.Load() >= CausesMax {
		return nil
	}
	c.adding.Lock()
	defer c.adding.Unlock()
	if at := c.find(cause); at != nil || c.used.Load() >= CausesMax {
		return at
	}
	made := &caused{Cause: *cause, first: now}
	home := c.home(cause)
	for i := range causeProbes {
		if c.slots[(home+i)%causeSlots].CompareAndSwap(nil, made) {
			c.used.Add(1)
			return made
		}
	}
	return nil
}

// causeReading is what a cause has come to.
type causeReading struct {
	count       uint64
	first, last time.Duration
}

// read returns all causes, and forgets those that were last seen before old.
func (c *Causes) read(old time.Duration) map[Cause]causeReading {
	all := make(map[Cause]causeReading, c.used.Load())
	for i := range c.slots {
		at := c.slots[i].Load()
		if at == nil {
			continue
		}
		last := time.Duration(at.last.Load())
		if last < old && c.slots[i].CompareAndSwap(at, nil) {
			c.used.Add(-1)
			continue
		}
		all[at.Cause] = causeReading{at.count.Load(), at.first, last}
	}
	return all
}

// LeftOut returns how many failures found no place.
func (c *Causes) LeftOut() uint64 { return c.leftOut.Load() }
