package listen

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"

	"sentinel/internal/dataplane/fault"
)

// Listener is a named place where clients connect. It outlives reloads that keep its
// name.
type Listener struct {
	registry *Registry
	name     string
	slot     int

	senders  atomic.Pointer[Senders] // nil: nobody begins with a PROXY header
	gate     Gate
	clients  *Clients
	conns    connList
	draining atomic.Bool
	secure   atomic.Bool // clients speak TLS
	silent   atomic.Bool // as Spec.Silent
	refused  atomic.Uint64

	stopDrain context.CancelFunc // set while drainRemoved runs; the registry's changer owns it
}

func newListener(r *Registry, name string, slot int) *Listener {
	return &Listener{registry: r, name: name, slot: slot, clients: NewClients()}
}

// Name returns the name in the configuration.
func (l *Listener) Name() string { return l.name }

// Slot returns the stable number of the listener.
func (l *Listener) Slot() int { return l.slot }

// Open returns how many connections are open.
func (l *Listener) Open() int64 { return l.gate.Open() }

// Clients returns its connections by client.
func (l *Listener) Clients() *Clients { return l.clients }

// Limit returns how many may be open; 0 or less is no limit.
func (l *Listener) Limit() int64 { return l.gate.Limit() }

// Refused returns how many connections were refused since the listener exists.
func (l *Listener) Refused() uint64 { return l.refused.Load() }

// Draining reports whether the listener takes nothing new.
func (l *Listener) Draining() bool { return l.draining.Load() }

// admit lets a new connection in or refuses it. scarce says that no descriptor may be
// spent on an ordinary client.
func (l *Listener) admit(nc *net.TCPConn, scarce bool) {
	r := l.registry
	addr := peerOf(nc)
	senders := l.senders.Load()
	how := senders.manner(addr.Addr())
	if how == unknown {
		r.dropped(l, addr.Addr(), fault.ProxySenderUnknown)
	}
	if how == unknown || !r.screen(l, addr.Addr(), how != plain) {
		l.refused.Add(1)
		reset(nc)
		return
	}
	client := ClientKey(addr.Addr())
	k := fault.DescriptorLimit
	if !scarce {
		k = l.enter(client, how == plain)
	}
	if k != fault.None {
		l.refused.Add(1)
		if !r.local(addr.Addr()) {
			l.turnAway(nc, k)
			r.refusedBy(l, addr.Addr(), k)
			return
		}
		l.force(client, how == plain)
	}
	c := newConn(l, nc, addr)
	c.HealthOnly = k != fault.None
	c.senders, c.manner, c.counted = senders, how, how == plain
	l.conns.add(c)
	if c.HealthOnly {
		r.health.watch(c)
	}
	go c.serve()
}

// turnAway ends a connection that can't be served because of k.
func (l *Listener) turnAway(nc *net.TCPConn, k fault.Kind) {
	switch {
	case l.silent.Load():
		reset(nc)
		return
	case l.secure.Load():
		farewell(nc, refusalAlert)
		return
	}
	l.registry.refusals.answer(nc, k)
}

// enter passes the gates of the process and of the listener, unless memory is short, and
// those of the client where that is known; or none.
func (l *Listener) enter(client netip.Addr, known bool) fault.Kind {
	r := l.registry
	if r.short.Load() {
		return fault.MemoryLimit
	}
	if !r.gate.Enter() {
		return fault.ConnectionLimit
	}
	if !l.gate.Enter() {
		r.gate.Leave()
		return fault.ConnectionLimit
	}
	if known {
		if k := l.enterClient(client); k != fault.None {
			l.gate.Leave()
			r.gate.Leave()
			return k
		}
	}
	if r.gate.Beyond() || l.gate.Beyond() {
		r.shadowed(fault.ConnectionLimit)
	}
	return fault.None
}

// enterClient passes the two gates of a client, or none.
func (l *Listener) enterClient(client netip.Addr) fault.Kind {
	r := l.registry
	if !r.clients.Enter(client) {
		return fault.ClientConnectionLimit
	}
	if !l.clients.Enter(client) {
		r.clients.Leave(client)
		return fault.ClientConnectionLimit
	}
	if r.clients.Beyond(client) || l.clients.Beyond(client) {
		r.shadowed(fault.ClientConnectionLimit)
	}
	return fault.None
}

func (l *Listener) force(client netip.Addr, known bool) {
	l.registry.gate.Force()
	l.gate.Force()
	if known {
		l.registry.clients.Force(client)
		l.clients.Force(client)
	}
}

// release ends a connection whose handler has returned.
func (l *Listener) release(c *Conn) {
	r := l.registry
	l.conns.remove(c)
	if c.HealthOnly {
		r.health.forget(c)
	}
	c.Net.Close()
	if c.counted {
		client := ClientKey(c.Addr.Addr())
		l.clients.Leave(client)
		r.clients.Leave(client)
	}
	if c.HealthOnly {
		r.gate.LeaveForced()
		l.gate.LeaveForced()
	} else {
		r.gate.Leave()
		l.gate.Leave()
	}
	r.reserve.refill()
}

func peerOf(nc *net.TCPConn) netip.AddrPort {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
