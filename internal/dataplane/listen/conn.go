package listen

import (
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/proxyproto"
)

// Handler serves connections.
type Handler interface {
	// ServeConn serves c until nothing more is to be done on it. It runs on a goroutine
	// of its own; the connection is closed when it returns.
	ServeConn(c *Conn)
}

// Conn is an accepted connection.
type Conn struct {
	// Net is the connection itself.
	Net *netio.Conn
	// Peer is the other end of the connection. Addr is whom it speaks for: the peer or, where
	// that has sent a PROXY header, the client named there. An IPv4 address is never in its
	// IPv6-mapped form.
	Peer, Addr netip.AddrPort
	// Header is the PROXY header that the connection began with; nil for none.
	Header *proxyproto.Header
	// Accepted is when it was accepted, on the clock of Net.
	Accepted time.Duration
	// HealthOnly is true for a connection that exists only because it comes from the
	// loopback while a limit is reached: only /health and /ready may be answered on it.
	HealthOnly bool

	listener  *Listener
	senders   *Senders // in force when it was accepted
	manner    manner
	counted   bool         // among its client's connections
	idleSince atomic.Int64 // on the clock; 0 while a request is in hand
	evicted   atomic.Bool  // it must end as soon as it is idle
	told      atomic.Pointer[func()]
	links     struct { // guarded by the mutex of the list that holds the connection
		next, prev *Conn
	}
}

func newConn(l *Listener, nc net.Conn, addr netip.AddrPort) *Conn {
	clock := l.registry.clock
	c := &Conn{Net: netio.NewConn(clock, nc), Peer: addr, Addr: addr, Accepted: clock.Now(), listener: l}
	c.Idle(c.Accepted)
	return c
}

// Slot returns the slot of the listener that accepted c.
func (c *Conn) Slot() int { return c.listener.slot }

// Listener returns the listener that accepted c.
func (c *Conn) Listener() *Listener { return c.listener }

// MustClose reports whether the answer to the request in hand must be the last one: the
// listener drains, more connections are open than a limit that was lowered allows, its
// client was evicted, or the connection is HealthOnly.
func (c *Conn) MustClose() bool {
	return c.HealthOnly || c.listener.draining.Load() || c.evicted.Load() || c.aboveLimit()
}

// Busy says that a request has begun. Until Idle is called a drain leaves c alone. A
// connection starts idle.
func (c *Conn) Busy() { c.idleSince.Store(0) }

// Idle says that c waits for a request since now.
func (c *Conn) Idle(now time.Duration) {
	c.idleSince.Store(max(int64(now), 1))
	if c.evicted.Load() {
		c.Net.Interrupt()
	}
}

// OnDrain has told called when no further request is wanted, until it is given nil: for a
// protocol that can say so while requests are in hand. Any goroutine calls it, as often as it
// likes; it may not wait.
func (c *Conn) OnDrain(told func()) {
	if told == nil {
		c.told.Store(nil)
		return
	}
	c.told.Store(&told)
}

// tell calls what OnDrain was given.
func (c *Conn) tell() {
	if told := c.told.Load(); told != nil {
		(*told)()
	}
}

// serve is the goroutine of the connection.
func (c *Conn) serve() {
	l := c.listener
	defer l.release(c)
	defer func() {
		if p := recover(); p != nil {
			l.registry.panicked(p, debug.Stack())
		}
	}()
	if c.manner != plain && !c.introduce() {
		return
	}
	l.registry.handler.ServeConn(c)
}

// connList is an intrusive list of connections, the oldest first. Its zero value is empty.
type connList struct {
	mu struct {
		sync.Mutex
		first, last *Conn
	}
}

func (s *connList) add(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.links.prev = s.mu.last
	if s.mu.last != nil {
		s.mu.last.links.next = c
	} else {
		s.mu.first = c
	}
	s.mu.last = c
}

// change does what others may see of a connection of the list.
func (s *connList) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// remove takes c out. Nobody interrupts it after that, so that it may be closed.
func (s *connList) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.links.prev != nil {
		c.links.prev.links.next = c.links.next
	} else {
		s.mu.first = c.links.next
	}
	if c.links.next != nil {
		c.links.next.links.prev = c.links.prev
	} else {
		s.mu.last = c.links.prev
	}
	c.links.next, c.links.prev = nil, nil
}

// each calls f for every connection, the oldest first. None is closed meanwhile.
func (s *connList) each(f func(*Conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := s.mu.first; c != nil; c = c.links.next {
		f(c)
	}
}

// interruptIdle ends the waits of connections that have been idle since before.
func (s *connList) interruptIdle(before time.Duration) {
	s.each(func(c *Conn) {
		if since := c.idleSince.Load(); since != 0 && since <= int64(before) {
			c.Net.Interrupt()
		}
	})
}

// drain ends the waits of connections that have been idle since before, and tells the others
// that the end is near.
func (s *connList) drain(before time.Duration) {
	s.each(func(c *Conn) {
		if since := c.idleSince.Load(); since != 0 && since <= int64(before) {
			c.Net.Interrupt()
		} else {
			c.tell()
		}
	})
}
