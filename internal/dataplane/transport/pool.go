// Package transport keeps the connections to upstream targets: it opens them, lends each
// to one exchange at a time and keeps idle ones within their limits.
package transport

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/h1"
	"sentinel/internal/dataplane/h2"
	"sentinel/internal/dataplane/netio"
)

// Limits are what a pool keeps to.
type Limits struct {
	ConnectionsMax int           // open at once; 0 is no limit
	IdleMax        int           // kept idle
	IdleTimeout    time.Duration // idle ones are closed after that
	LifetimeMax    time.Duration // a connection isn't reused after that; 0 is no limit
	ConnectTimeout time.Duration
	WriteTimeout   time.Duration // a write without progress
	Client         h1.ClientLimits
	TLS            *TLS // nil is plain text
	Protocol       Protocol
	Streams        h2.ClientLimits // where the protocol may be HTTP/2
}

// livenessAfter is how long a connection may have been idle and still be used without
// looking whether the target has closed it. A busy pool never pays for the look; what
// slips through is caught by the retry on a reused connection.
const livenessAfter = 5 * time.Millisecond

// Pool holds the connections to one target. It lives across reloads, keyed by the
// target's upstream and address.
type Pool struct {
	address string
	clock   *netio.Clock
	dialer  netio.Dialer
	// Opened is told of each connection that was established; nil for nobody. It is set
	// before the first Get.
	Opened func()
	// Host is the name that the target's certificate must be for, unless TLS says another.
	// It is set before the first Get.
	Host string

	// sharing says that exchanges may share connections; alone that the target has agreed on
	// HTTP/1.1 where it might have on HTTP/2.
	sharing, alone atomic.Bool

	mu struct {
		sync.Mutex
		limits Limits
		epoch  int            // how often TLS has changed
		tls    *tls.Config    // of this epoch; nil for none, or none yet
		idle   []*Conn        // the most recently used last
		shared []*multiplexed // that carry many exchanges each
		dials  dials
		open   int
		closed bool
	}
}

// NewPool returns an empty pool for a target ("host:port").
func NewPool(address string, clock *netio.Clock, dialer netio.Dialer, limits Limits) *Pool {
	p := &Pool{address: address, clock: clock, dialer: dialer}
	p.mu.limits = limits
	p.sharing.Store(limits.Protocol != HTTP1)
	return p
}

// SetLimits changes the limits; idle connections above them, or with other TLS or
// another protocol, are closed.
// Those that are lent go on and are closed when they come back.
func (p *Pool) SetLimits(l Limits) {
	p.mu.Lock()
	if !l.TLS.same(p.mu.limits.TLS) || l.Protocol != p.mu.limits.Protocol {
		p.mu.epoch++
		p.mu.tls = nil
	}
	p.mu.limits, p.mu.closed = l, false
	p.sharing.Store(l.Protocol != HTTP1)
	p.mu.Unlock()
	p.Sweep(p.clock.Now())
}

// Want says what connection is wanted. Times are on the clock.
type Want struct {
	Fresh bool          // none that has carried an exchange
	Alive bool          // the request can't be repeated: an idle one is looked at before it is used
	Now   time.Duration // the present time
	By    time.Duration // when a new one must stand at the latest, however long the limits let it take
	// Header is the PROXY header by which the connection begins; empty for none. A connection
	// carries exchanges of one header alone. Pools of HTTP/2 know none.
	Header []byte
}

// Get lends a connection: an idle one unless a fresh one is wanted, else a new one; or a
// stream of one. Errors are faults.
func (p *Pool) Get(w Want) (*Conn, error) {
	if p.sharing.Load() {
		return p.getShared(w)
	}
	if !w.Fresh {
		if c := p.takeIdle(w); c != nil {
			return c, nil
		}
	}
	p.mu.Lock()
	l := &p.mu.limits
	if l.ConnectionsMax > 0 && p.mu.open >= l.ConnectionsMax {
		p.mu.Unlock()
		return nil, fault.UpstreamConnectionLimit
	}
	p.mu.open++
	p.mu.Unlock()
	return p.open(w)
}

// open opens a connection that is counted already. What it can't open isn't counted any more.
func (p *Pool) open(w Want) (*Conn, error) {
	p.mu.Lock()
	l := p.mu.limits
	if p.mu.tls == nil {
		p.mu.tls = l.TLS.configFor(p.Host)
	}
	config, epoch := p.mu.tls, p.mu.epoch
	p.mu.Unlock()
	by := w.Now + min(l.ConnectTimeout, w.By-w.Now)
	nc, agreed, err := p.connect(&l, config, w.Header, w.Now, by)
	if err != nil {
		p.forget(1)
		return nil, err
	}
	if p.Opened != nil {
		p.Opened()
	}
	if l.Protocol == HTTP1 || l.Protocol == Auto && agreed != protocolHTTP2 {
		p.alone.Store(l.Protocol == Auto)
		c := newConn(p, nc, &l.Client)
		c.epoch = epoch
		if len(w.Header) > 0 {
			c.header = bytes.Clone(w.Header)
		}
		return c, nil
	}
	p.alone.Store(false)
	return p.share(nc, &l, by, epoch)
}

// protocolHTTP2 is HTTP/2 in the application-layer protocol negotiation of TLS (RFC 9113
// section 3.2).
const protocolHTTP2 = "h2"

// connect connects to the target, begins with a header if there is one, then with TLS where
// config isn't nil, and returns the protocol that was agreed on in that.
func (p *Pool) connect(l *Limits, config *tls.Config, header []byte, now, by time.Duration) (nc *netio.Conn, agreed string, err error) {
	if nc, err = netio.Dial(p.clock, p.dialer, p.address, by-now); err != nil {
		return nil, "", dialFault(err)
	}
	nc.SetWriteTimeout(l.WriteTimeout)
	if len(header) > 0 {
		if _, err := nc.Write(header); err != nil { // a new connection has room for it
			nc.Close()
			return nil, "", fault.UpstreamUnreachable
		}
	}
	if config == nil {
		return nc, "", nil
	}
	if agreed, err = secure(nc, config, by); err == nil && l.Protocol == HTTP2 && agreed != protocolHTTP2 {
		err = fault.UpstreamProtocol
	}
	if err != nil {
		nc.Close()
	}
	return nc, agreed, err
}

// takeIdle returns the most recently used idle connection with the header that is wanted that
// still lives.
func (p *Pool) takeIdle(w Want) *Conn {
	for {
		p.mu.Lock()
		i := len(p.mu.idle) - 1
		for i >= 0 && !bytes.Equal(p.mu.idle[i].header, w.Header) {
			i--
		}
		if i < 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.mu.idle[i]
		p.mu.idle = slices.Delete(p.mu.idle, i, i+1)
		p.mu.Unlock()
		if (w.Alive || w.Now-c.idle > livenessAfter) && !c.alone.Net.Alive() {
			p.discard(c)
			continue
		}
		c.Reused = true
		c.alone.Begin()
		return c
	}
}

// Put takes a connection back after its exchange: it is kept when it can carry another.
func (p *Pool) Put(c *Conn, now time.Duration) {
	if c.stream != nil {
		p.putShared(c)
		return
	}
	c.alone.Net.WaitFor(nil, 0)
	// An interruption that came when the exchange had ended would hit the next one.
	reusable := c.alone.Finish() && !c.alone.Net.Interrupted()
	p.mu.Lock()
	l := &p.mu.limits
	keep := reusable && !p.mu.closed && c.epoch == p.mu.epoch && l.IdleMax > 0 && (l.LifetimeMax == 0 || now-c.opened < l.LifetimeMax)
	var oldest *Conn
	switch {
	case !keep || len(p.mu.idle) < l.IdleMax:
	case len(c.header) == 0:
		keep = false
	default: // the client of the oldest one is the most likely to have gone
		oldest = p.mu.idle[0]
		p.mu.idle = slices.Delete(p.mu.idle, 0, 1)
	}
	if keep {
		c.idle = now
		c.alone.Net.SetReadDeadline(0)
		p.mu.idle = append(p.mu.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		p.discard(c)
	}
	if oldest != nil {
		p.discard(oldest)
	}
}

// discard closes a connection.
func (p *Pool) discard(c *Conn) {
	c.alone.Net.Close()
	p.forget(1)
}

func (p *Pool) forget(n int) {
	p.mu.Lock()
	p.mu.open -= n
	p.mu.Unlock()
}

// Sweep closes idle connections beyond the limits. It is called every few seconds.
func (p *Pool) Sweep(now time.Duration) {
	for _, c := range p.expired(now) {
		p.discard(c)
	}
	p.sweepShared(now, false)
}

// expired takes the connections to close out of the idle list.
func (p *Pool) expired(now time.Duration) []*Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &p.mu.limits
	var out []*Conn
	kept := p.mu.idle[:0]
	excess := len(p.mu.idle) - l.IdleMax
	for i, c := range p.mu.idle {
		old := l.IdleTimeout > 0 && now-c.idle >= l.IdleTimeout || l.LifetimeMax > 0 && now-c.opened >= l.LifetimeMax
		if p.mu.closed || old || c.epoch != p.mu.epoch || i < excess {
			out = append(out, c)
		} else {
			kept = append(kept, c)
		}
	}
	clear(p.mu.idle[len(kept):])
	p.mu.idle = kept
	return out
}

// Trim closes the idle connections.
func (p *Pool) Trim() {
	p.mu.Lock()
	idle := p.mu.idle
	p.mu.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		p.discard(c)
	}
	p.sweepShared(p.clock.Now(), true)
}

// Close closes the idle connections; those that are lent are closed when they come back.
func (p *Pool) Close() {
	p.mu.Lock()
	p.mu.closed = true
	p.mu.Unlock()
	p.Sweep(p.clock.Now())
}

// Open returns how many connections are open and how many of them are idle.
func (p *Pool) Open() (open, idle int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle = len(p.mu.idle)
	for _, m := range p.mu.shared {
		if _, unused := m.client.Idle(); unused {
			idle++
		}
	}
	return p.mu.open, idle
}

// dialFault names why a connection could not be opened.
func dialFault(err error) error {
	var dns *net.DNSError
	switch {
	case errors.Is(err, netio.ErrTimeout):
		return fault.UpstreamConnectTimeout
	case errors.As(err, &dns):
		return fault.UpstreamNameUnresolved
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault.UpstreamRefused
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fault.PortsExhausted
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fault.DescriptorLimit
	}
	return fault.UpstreamUnreachable
}
