package netio

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// tick is the resolution of all deadlines: one fires up to a tick late.
	tick = 50 * time.Millisecond
	// wheelSlots is the number of ticks the wheel spans; later visits are cut to that
	// and armed anew when they come up.
	wheelSlots = 512
	// verifyAfter is how long a connection waits for its next request before the clock
	// looks once whether its peer has closed unnoticed.
	verifyAfter = 200 * time.Millisecond
	// rewakeAfter is when a wait whose deadline has passed is woken once more.
	rewakeAfter = time.Second
	// never is a visit time that no connection is armed for.
	never = int64(1<<63 - 1)
)

// Clock tells the time of the data plane and ends waits whose deadline has passed.
// A deadline is a number in the connection: setting one is a store. The clock visits
// a connection no later than the earliest deadline it has seen for it and looks then
// what the deadline is now; so a busy connection costs no timer operation per
// request. Its structure is a hashed wheel of intrusive lists:
//
//	slot 0   slot 1   slot 2 ... slot 511      one slot a tick
//	  |        |
//	conn     conn -> conn                      each conn in one slot at most
type Clock struct {
	start time.Time
	date  atomic.Pointer[dateText]
	crew  Crew
	stop  chan struct{}
	done  chan struct{}

	mu struct {
		sync.Mutex
		slots [wheelSlots]*Conn
		at    int64 // the tick last visited
	}
}

type dateText struct {
	second int64
	text   [29]byte
}

// NewClock starts a clock. Stop ends it.
func NewClock() *Clock {
	k := &Clock{start: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	k.setDate(k.start)
	go k.run()
	return k
}

// Stop ends the clock and waits for it. Deadlines no longer fire.
func (k *Clock) Stop() {
	close(k.stop)
	<-k.done
	k.crew.close()
}

// Crew returns the crew of the data plane.
func (k *Clock) Crew() *Crew { return &k.crew }

// Now returns the time since the clock started; it never goes back.
func (k *Clock) Now() time.Duration { return time.Since(k.start) }

// Time returns the wall clock time of a moment of this clock.
func (k *Clock) Time(at time.Duration) time.Time { return k.start.Add(at) }

// AppendDate appends the current date as an IMF-fixdate (RFC 9110 section 5.6.7); it
// is at most a second old.
func (k *Clock) AppendDate(dst []byte) []byte { return append(dst, k.date.Load().text[:]...) }

func (k *Clock) setDate(now time.Time) {
	d := &dateText{second: now.Unix()}
	now.UTC().AppendFormat(d.text[:0], "Mon, 02 Jan 2006 15:04:05 GMT")
	k.date.Store(d)
}

func (k *Clock) run() {
	defer close(k.done)
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-k.stop:
			return
		case now := <-t.C:
			if now.Unix() != k.date.Load().second {
				k.setDate(now)
				k.crew.trim()
			}
			k.advance(int64(k.Now() / tick))
		}
	}
}

// advance visits every slot up to tick number to.
func (k *Clock) advance(to int64) {
	for {
		k.mu.Lock()
		if k.mu.at >= to {
			k.mu.Unlock()
			return
		}
		k.mu.at++
		slot := &k.mu.slots[k.mu.at%wheelSlots]
		due := *slot
		*slot = nil
		for c := due; c != nil; c = c.wheel.next {
			c.wheel.armed.Store(never)
			c.wheel.prev = nil
			c.wheel.visiting = true
		}
		k.mu.Unlock()
		for due != nil {
			due = k.visitOne(due)
		}
	}
}

// visitOne looks at one connection of a detached list and arms it for its next
// visit. It returns the rest of the list.
func (k *Clock) visitOne(c *Conn) *Conn {
	now := int64(k.Now())
	c.visit(now)
	k.mu.Lock()
	defer k.mu.Unlock()
	rest := c.wheel.next
	c.wheel.next, c.wheel.visiting = nil, false
	if c.wheel.closed {
		return rest
	}
	next := c.earliest()
	if next <= now { // woken; look again should the wake-up have raced with a new wait
		next = now + int64(rewakeAfter)
	}
	k.insertLocked(c, next)
	return rest
}

// arm makes sure that c is visited no later than at.
func (k *Clock) arm(c *Conn, at int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.wheel.closed || c.wheel.visiting || at >= c.wheel.armed.Load() {
		return
	}
	k.removeLocked(c)
	k.insertLocked(c, at)
}

// disarm takes c out of the wheel for good.
func (k *Clock) disarm(c *Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c.wheel.closed = true
	if !c.wheel.visiting {
		k.removeLocked(c)
	}
}

func (k *Clock) insertLocked(c *Conn, at int64) {
	if at == never {
		return
	}
	n := max(at/int64(tick)+1, k.mu.at+1)
	n = min(n, k.mu.at+wheelSlots-1)
	slot := &k.mu.slots[n%wheelSlots]
	c.wheel.slot, c.wheel.prev, c.wheel.next = int32(n%wheelSlots), nil, *slot
	if *slot != nil {
		(*slot).wheel.prev = c
	}
	*slot = c
	c.wheel.armed.Store(min(at, n*int64(tick)))
}

func (k *Clock) removeLocked(c *Conn) {
	if c.wheel.armed.Load() == never {
		return
	}
	if c.wheel.prev != nil {
		c.wheel.prev.wheel.next = c.wheel.next
	} else {
		k.mu.slots[c.wheel.slot] = c.wheel.next
	}
	if c.wheel.next != nil {
		c.wheel.next.wheel.prev = c.wheel.prev
	}
	c.wheel.prev, c.wheel.next = nil, nil
	c.wheel.armed.Store(never)
}
