package listen

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/proxyproto"
)

// Senders says which peers hand connections on and begin each with a PROXY header.
type Senders struct {
	From     []netip.Prefix
	Timeout  time.Duration // from the accept to the end of the header
	Optional bool          // they may do without, and are the client then
	Others   bool          // other peers are clients; else they are refused
}

// manner is how a peer's connections begin.
type manner uint8

const (
	plain   manner = iota // with what the client has to say
	mayTell               // perhaps with a header
	tells                 // with a header
	unknown               // not at all: the peer isn't known
)

// manner returns how connections of a peer begin. The machine itself may always do without a
// header, so that its probes work.
func (s *Senders) manner(peer netip.Addr) manner {
	if s == nil {
		return plain
	}
	own := peer == home4 || peer == home6
	listed := slices.ContainsFunc(s.From, func(p netip.Prefix) bool { return p.Contains(peer) })
	switch {
	case listed && (own || s.Optional):
		return mayTell
	case listed:
		return tells
	case own || s.Others:
		return plain
	}
	return unknown
}

// The addresses from which a machine asks itself.
var (
	home4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	home6 = netip.IPv6Loopback()
)

// introduce finds out for whom c speaks, and passes what only then can be asked: whether the
// client is let in, and its share of the connections. It reports whether c is to be served.
func (c *Conn) introduce() bool {
	c.Net.SetReadDeadline(c.Accepted + c.senders.Timeout)
	h, err := c.readHeader()
	addr, sender := c.Peer, h != nil && h.Local
	switch {
	case err == proxyproto.ErrAbsent && c.manner == mayTell:
	case err != nil:
		c.dropUnknown(err)
		return false
	case !h.Local:
		addr = h.Source
	}
	c.Net.SetReadDeadline(0)
	c.listener.conns.change(func() { c.Addr, c.Header = addr, h })
	// Only now: whoever changes what is asked here looks at Addr afterwards.
	r := c.listener.registry
	if !r.screen(c.listener, addr.Addr(), sender) {
		c.listener.refused.Add(1)
		c.Net.Reset()
		return false
	}
	return c.enterAsClient()
}

// enterAsClient counts c as a connection of its client.
func (c *Conn) enterAsClient() bool {
	l := c.listener
	client := ClientKey(c.Addr.Addr())
	switch k := l.enterClient(client); {
	case c.HealthOnly && k != fault.None:
		l.registry.clients.Force(client)
		l.clients.Force(client)
	case k == fault.None:
	case c.Header == nil && l.registry.local(c.Addr.Addr()):
		l.conns.change(func() { c.HealthOnly = true })
		l.registry.gate.Force()
		l.gate.Force()
		l.gate.Leave()
		l.registry.gate.Leave()
		l.registry.clients.Force(client)
		l.clients.Force(client)
		l.registry.health.watch(c)
	default:
		l.refused.Add(1)
		if nc, ok := c.Net.NetConn().(*net.TCPConn); ok {
			l.turnAway(nc, k)
		}
		l.registry.refusedBy(l, c.Addr.Addr(), k)
		return false
	}
	c.counted = true
	return true
}

// dropUnknown ends a connection of which nobody knows whose it is.
func (c *Conn) dropUnknown(err error) {
	k := fault.BadProxyHeader
	switch err {
	case netio.ErrInterrupted, errNothing:
		return
	case netio.ErrTimeout:
		k = fault.ProxyHeaderTimeout
	}
	c.listener.refused.Add(1)
	c.Net.Reset()
	c.listener.registry.dropped(c.listener, c.Peer.Addr(), k)
}

// errNothing is a connection that has ended before its first byte, as checks of proxies do.
var errNothing = io.ErrUnexpectedEOF

// introductionBytes is what a header mostly fits in.
const introductionBytes = 256

var headerBuffers = sync.Pool{New: func() any { return new([proxyproto.BytesMax]byte) }}

// readHeader takes the header off the connection, to its last byte and no further.
func (c *Conn) readHeader() (*proxyproto.Header, error) {
	var short [introductionBytes]byte
	b := short[:]
	for need := 1; ; {
		if need > len(b) {
			long := headerBuffers.Get().(*[proxyproto.BytesMax]byte)
			defer headerBuffers.Put(long)
			b = long[:]
		}
		got, err := c.Net.Peek(b, need)
		switch {
		case err == io.EOF && got == 0:
			return nil, errNothing
		case err == io.EOF:
			return nil, proxyproto.ErrMalformed
		case err != nil:
			return nil, err
		}
		h, n, more, err := proxyproto.Parse(b[:got])
		if err != nil {
			return nil, err
		}
		if n > 0 {
			return &h, c.Net.Discard(n)
		}
		need = more
	}
}
