// Package exchange is the spine: it takes a request from an engine and walks it over the
// snapshot, phase by phase, until the answer is written.
//
//	serve -> match -> rewrite -> forward -> relay -> finish
//
// Every phase returns here and says whether the exchange goes on; none calls the next.
package exchange

import (
	"net/netip"
	"sync/atomic"

	"sentinel/internal/dataplane/block"
	"sentinel/internal/dataplane/h1"
	"sentinel/internal/dataplane/h2"
	"sentinel/internal/dataplane/listen"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/dataplane/stream"
	"sentinel/internal/observe/accesslog"
	"sentinel/internal/observe/demand"
	"sentinel/internal/observe/flight"
	"sentinel/internal/observe/series"
)

// Options are what a Proxy is made with.
type Options struct {
	Clock *netio.Clock
	Cells int // metric cells, a power of two
	// NotReady returns why the process isn't ready to take traffic; nothing means it is.
	NotReady func() []string
	// Log takes every exchange; may be nil.
	Log *accesslog.Log
	// Talkers counts who and what has most of the requests; may be nil.
	Talkers *Talkers
	// Flight keeps records of requests that failed or were slow; may be nil.
	Flight *flight.Recorder
	// Asked tells which requests may ask to be kept; may be nil.
	Asked *flight.Signer
	// Causes counts requests that fail by where and how; may be nil.
	Causes *series.Causes
	// Demand remembers which requests came; may be nil.
	Demand *demand.Record
	// Bans are the clients that are kept out; may be nil.
	Bans *block.Table
	// Proof returns what an authority wants to read for a token and a host, both as received,
	// so that it believes that the host is ours (RFC 8555 section 8.3); nothing where it asks
	// in vain. It may wait. Nil where nobody issues certificates.
	Proof func(host, token string) []byte
	// Panicked is told of a panic in an exchange, which costs only that exchange.
	Panicked func(value any)
}

// Proxy serves connections by the snapshot that was swapped in last.
type Proxy struct {
	opt     Options
	current atomic.Pointer[snapshot.Snapshot]
	engine  h1.Server
	h2      h2.Server
	conns   atomic.Uint64
	splits  atomic.Uint64
	streams *stream.Server
	// pressure is a Pressure.
	pressure atomic.Int32
}

// New returns a proxy without a snapshot; Swap must come before the first connection.
func New(opt Options) *Proxy {
	p := &Proxy{opt: opt}
	p.engine = h1.Server{Handler: p, Settings: p.settings}
	p.h2 = h2.Server{Handler: p, Settings: p.settingsH2, Panicked: opt.Panicked}
	p.streams = p.newStreams()
	return p
}

// Swap makes s what new requests are served by. Those in hand go on with the one they
// began with.
func (p *Proxy) Swap(s *snapshot.Snapshot) {
	p.current.Store(s)
	p.streams.Tend()
}

// Current returns the snapshot that serves.
func (p *Proxy) Current() *snapshot.Snapshot { return p.current.Load() }

// ServeConn implements listen.Handler.
func (p *Proxy) ServeConn(c *listen.Conn) {
	client := p.describe(c.Addr)
	client.Listener = c.Slot()
	client.HealthOnly = c.HealthOnly
	noteConnection(client, c)
	s := p.current.Load()
	l := p.listener(s, client)
	l.Metrics.Opened(client.Cell)
	defer l.Metrics.Closed(client.Cell)
	if l.Streams != nil {
		p.streams.Serve(c, client, s, l)
		return
	}
	if p.secure(c, client, l) {
		p.speak(c, client)
	}
}

// describe gathers what is known of a peer once per connection.
func (p *Proxy) describe(addr netip.AddrPort) *message.Client {
	c := &message.Client{Addr: addr, Text: addr.Addr().AppendTo(nil)}
	c.AddrQuoted = c.Text
	if addr.Addr().Is6() {
		c.AddrQuoted = append(append([]byte(`"[`), c.Text...), `]"`...)
	}
	c.Cell = int(p.conns.Add(1)) & (p.opt.Cells - 1)
	return c
}

// settings returns what the engine keeps to for a client.
func (p *Proxy) settings(c *message.Client) *h1.Settings {
	return &p.listener(p.current.Load(), c).H1
}

// listener returns the settings of a client's listener; of any other while its own has
// left the configuration and its connections drain.
func (p *Proxy) listener(s *snapshot.Snapshot, c *message.Client) *snapshot.Listener {
	if c.Listener < len(s.Listeners) && s.Listeners[c.Listener] != nil {
		return s.Listeners[c.Listener]
	}
	for _, l := range s.Listeners {
		if l != nil {
			return l
		}
	}
	panic("a configuration without listeners was let in")
}

// trusted reports whether a peer's forwarded fields are believed.
func trusted(s *snapshot.Snapshot, a netip.Addr) bool {
	for _, p := range s.Trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
