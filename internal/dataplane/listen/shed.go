package listen

import (
	"net/netip"
	"slices"
	"time"
)

// idleConn is a connection that waits for a request, as it was when the shedding began.
type idleConn struct {
	*Conn
	since  int64
	client netip.Addr
}

// Shed ends connections above the limits, which a reload may have lowered: those that are
// idle, the longest idle first. A request in hand is finished; while its listener or the
// process is above a limit, its answer is the last one of its connection.
func (r *Registry) Shed() {
	s := shedding{process: r.gate.Excess(), listeners: map[*Listener]int64{}, clients: map[*Clients]map[netip.Addr]int64{}}
	var idle []idleConn
	for _, l := range r.Listeners() {
		s.listeners[l] = l.gate.Excess()
		l.conns.each(func(c *Conn) {
			if since := c.idleSince.Load(); since != 0 && !c.HealthOnly {
				idle = append(idle, idleConn{c, since, ClientKey(c.Addr.Addr())})
			}
		})
	}
	slices.SortFunc(idle, func(a, b idleConn) int { return int(a.since - b.since) })
	for _, c := range idle {
		if s.excess(c) && c.idleSince.Load() == c.since {
			s.ended(c)
			c.Net.Interrupt()
		}
	}
}

// shedding is how many connections there are too many, and where.
type shedding struct {
	process   int64
	listeners map[*Listener]int64
	clients   map[*Clients]map[netip.Addr]int64 // what was ended of each client
}

// excess reports whether c is one of too many.
func (s *shedding) excess(c idleConn) bool {
	l := c.listener
	return s.process > 0 || s.listeners[l] > 0 || s.excessClient(l.clients, c) || s.excessClient(l.registry.clients, c)
}

func (s *shedding) excessClient(t *Clients, c idleConn) bool {
	limit := t.Limit()
	if limit <= 0 {
		return false
	}
	return t.Open(c.client)-s.clients[t][c.client] > limit
}

func (s *shedding) ended(c idleConn) {
	s.process--
	s.listeners[c.listener]--
	for _, t := range []*Clients{c.listener.clients, c.listener.registry.clients} {
		if s.clients[t] == nil {
			s.clients[t] = map[netip.Addr]int64{}
		}
		s.clients[t][c.client]++
	}
}

// aboveLimit reports whether so many connections are open that c should end with its answer.
func (c *Conn) aboveLimit() bool {
	return c.listener.gate.Excess() > 0 || c.listener.registry.gate.Excess() > 0
}

// shedEvery is how often what is above a limit is looked for.
const shedEvery = time.Second

// runShedding sheds once in a while until the registry is closed: connections that were
// busy when a limit was lowered have become idle.
func (r *Registry) runShedding() {
	t := time.NewTicker(shedEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			r.Shed()
			if r.tight.Load() {
				r.endIdle()
			}
		case <-r.life.Done():
			return
		}
	}
}

// SetMemory says how short memory is: while it is tight, idle connections end; while it is
// short, nobody new comes in.
func (r *Registry) SetMemory(tight, short bool) {
	r.tight.Store(tight)
	r.short.Store(short)
	if tight {
		r.endIdle()
	}
}

// endIdle ends connections that have been idle for a moment, so that no client is cut off
// between two requests that follow each other.
func (r *Registry) endIdle() {
	for _, l := range r.Listeners() {
		l.conns.interruptIdle(r.clock.Now() - drainIdleAfter)
	}
}
