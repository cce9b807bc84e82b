package transport

import (
	"sync"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/h2"
	"sentinel/internal/dataplane/netio"
)

// Protocol is what a pool speaks with its target.
type Protocol uint8

// The protocols.
const (
	HTTP1 Protocol = iota
	HTTP2          // by agreement in the TLS handshake, or by prior knowledge without TLS
	Auto           // what the TLS handshake agrees on
)

// multiplexed is a connection that carries many exchanges.
type multiplexed struct {
	client *h2.Client
	opened time.Duration
	epoch  int  // of the pool, when it was opened
	leaves bool // it has been told to
	ended  bool
}

// joint is a Conn with its engine, in one piece of memory.
type joint struct {
	Conn
	stream h2.Stream
}

func (s *joint) lend(p *Pool, reused bool) {
	s.Conn = Conn{stream: &s.stream, joint: s, Head: &s.stream.Head, Reused: reused, pool: p}
}

var joints = sync.Pool{New: func() any { return new(joint) }}

// dials is who opens connections that others wait for.
type dials struct {
	underway int
	waiting  []*dialWait
}

// dialWait is an exchange that waits for a connection that another one opens.
type dialWait struct {
	waiter *netio.Waiter
	err    error // why there is none
}

// getShared lends a stream of an open connection, or of a new one when there is no room on
// those that are open.
func (p *Pool) getShared(w Want) (*Conn, error) {
	for {
		if c := p.takeStream(); c != nil {
			return c, nil
		}
		if !w.Fresh {
			if c := p.takeIdle(w); c != nil { // HTTP/1.1 was agreed on
				return c, nil
			}
		}
		wait, err := p.mayDial()
		switch {
		case err != nil:
			return nil, err
		case wait == nil:
			return p.dialShared(w)
		}
		if err := p.awaitDial(wait, w); err != nil {
			return nil, err
		}
		w.Now = p.clock.Now()
	}
}

// takeStream takes a place on the connection with the most room; nil where there is none.
func (p *Pool) takeStream() *Conn {
	s := joints.Get().(*joint)
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		var best *multiplexed
		most := 0
		for _, m := range p.mu.shared {
			if room := m.client.Room(); room > most && !p.tooOldLocked(m) {
				best, most = m, room
			}
		}
		if best == nil {
			joints.Put(s)
			return nil
		}
		if reused, ok := best.client.Open(&s.stream); ok {
			s.lend(p, reused)
			return &s.Conn
		}
	}
}

func (p *Pool) tooOldLocked(m *multiplexed) bool {
	l := &p.mu.limits
	return m.leaves || m.epoch != p.mu.epoch || l.LifetimeMax > 0 && p.clock.Now()-m.opened >= l.LifetimeMax
}

// mayDial takes leave to open a connection. Where others do so already for as many exchanges
// as there are, it returns a wait for those.
func (p *Pool) mayDial() (*dialWait, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, l := &p.mu.dials, &p.mu.limits
	if d.underway*l.Streams.StreamsMax > len(d.waiting) && !p.alone.Load() {
		w := &dialWait{waiter: netio.NewWaiter()}
		d.waiting = append(d.waiting, w)
		return w, nil
	}
	if l.ConnectionsMax > 0 && p.mu.open >= l.ConnectionsMax {
		return nil, fault.UpstreamConnectionLimit
	}
	for _, m := range p.mu.shared {
		if _, idle := m.client.Idle(); idle && m.client.Room() == 0 && !p.tooOldLocked(m) && !m.client.Leaving() {
			return nil, fault.UpstreamConnectionLimit // the target wants no streams at all
		}
	}
	d.underway++
	p.mu.open++
	return nil, nil
}

// awaitDial waits for a connection that another exchange opens.
func (p *Pool) awaitDial(wait *dialWait, w Want) error {
	defer wait.waiter.Free()
	if wait.waiter.Wait(max(w.By-w.Now, time.Millisecond)) {
		return wait.err
	}
	p.mu.Lock()
	waiting := p.mu.dials.waiting
	for i := range waiting {
		if waiting[i] == wait {
			p.mu.dials.waiting = append(waiting[:i], waiting[i+1:]...)
			p.mu.Unlock()
			return fault.UpstreamConnectTimeout
		}
	}
	p.mu.Unlock()
	wait.waiter.Await() // it is being woken
	return wait.err
}

// dialShared opens a connection, after mayDial has said yes, and takes a place on it.
func (p *Pool) dialShared(w Want) (*Conn, error) {
	c, err := p.open(w)
	p.mu.Lock()
	d := &p.mu.dials
	d.underway--
	for _, wait := range d.waiting {
		wait.err = err
		wait.waiter.Wake()
	}
	clear(d.waiting)
	d.waiting = d.waiting[:0]
	p.mu.Unlock()
	return c, err
}

// share begins HTTP/2 on a new connection and returns a place on it.
func (p *Pool) share(nc *netio.Conn, l *Limits, by time.Duration, epoch int) (*Conn, error) {
	limits := l.Streams
	limits.WriteTimeout, limits.Secure = l.WriteTimeout, l.TLS != nil
	m := &multiplexed{client: h2.NewClient(nc, &limits), opened: p.clock.Now(), epoch: epoch}
	m.client.Ended = func(*h2.Client) { p.sharedEnded(m) }
	if err := m.client.Start(by); err != nil {
		return nil, err // its end is counted by Ended
	}
	s := joints.Get().(*joint)
	reused, ok := m.client.Open(&s.stream)
	p.mu.Lock()
	if m.leaves = p.mu.closed; m.leaves {
		m.client.Leave()
	}
	if !m.ended {
		p.mu.shared = append(p.mu.shared, m)
	}
	p.mu.Unlock()
	if !ok {
		joints.Put(s)
		return nil, fault.UpstreamConnectionLimit
	}
	s.lend(p, reused)
	return &s.Conn, nil
}

// sharedEnded forgets a connection that is closed.
func (p *Pool) sharedEnded(m *multiplexed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.ended = true
	p.mu.open--
	for i, other := range p.mu.shared {
		if other == m {
			p.mu.shared = append(p.mu.shared[:i], p.mu.shared[i+1:]...)
			return
		}
	}
}

// putShared ends the exchange of a stream.
func (p *Pool) putShared(c *Conn) {
	c.stream.Finish()
	s := c.joint
	s.Conn = Conn{}
	joints.Put(s)
}

// sweepShared has connections leave that are beyond the limits: none of their exchanges is
// cut. all means all that are idle.
func (p *Pool) sweepShared(now time.Duration, all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, idle := &p.mu.limits, 0
	for _, m := range p.mu.shared {
		since, unused := m.client.Idle()
		if unused {
			idle++
		}
		old := unused && (all || idle > l.IdleMax || l.IdleTimeout > 0 && now-since >= l.IdleTimeout)
		if old || p.mu.closed || p.tooOldLocked(m) {
			m.leaves = true
			m.client.Leave()
		}
	}
}
