// Package stream serves connections that are streams of bytes: it looks for a server name
// where routes ask for one, picks a target, and passes bytes both ways until the stream ends.
// TLS that passes is never ended here.
//
//	Serve -> choose (hello, route) -> admit -> connect (upstream, fallback) -> tunnel -> finish
package stream

import (
	"net/netip"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/geo"
	"sentinel/internal/dataplane/listen"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/dataplane/tunnel"
	"sentinel/internal/dataplane/upstream"
	"sentinel/internal/observe/accesslog"
	"sentinel/internal/observe/metric"
)

// Options are what a Server works with.
type Options struct {
	Clock *netio.Clock
	// Current returns the snapshot that serves.
	Current func() *snapshot.Snapshot
	Log     *accesslog.Log // may be nil
	// Note is told of each stream that has ended, for lists of who has most; may be nil.
	Note func(cell int, client, route []byte, k fault.Kind)
}

// Server serves streams. Its methods may be called from any goroutine.
type Server struct {
	opt  Options
	list list
}

// NewServer returns a server without streams.
func NewServer(o Options) *Server { return &Server{opt: o} }

// stream is one connection and where it leads.
type stream struct {
	s      *Server
	c      *listen.Conn
	client *message.Client
	snap   *snapshot.Snapshot
	ln     *snapshot.Listener

	name    []byte // the server name that the client asks for
	secure  bool   // it begins with TLS
	peeked  int    // bytes that were looked at and are still there
	route   *snapshot.Stream
	gate    *queue.Gate
	choice  upstream.Choice
	took    time.Duration // to connect
	target  *upstream.Target
	up      *upstream.Upstream
	series  *metric.Stream
	conn    *netio.Conn // to the target
	tunnel  tunnel.Tunnel
	tries   int
	at      time.Duration // when the clock was last read
	fault   fault.Kind
	reached bool // the upstream was

	links   struct{ next, prev *stream } // guarded by the list
	counted struct{ in, out int64 }      // by the series; guarded by the list
	orphan  time.Duration                // since when its route is gone; 0 while it isn't; likewise
}

// Serve serves one connection of a listener for streams until it ends.
func (s *Server) Serve(c *listen.Conn, client *message.Client, snap *snapshot.Snapshot, l *snapshot.Listener) {
	x := &stream{s: s, c: c, client: client, snap: snap, ln: l}
	defer x.finish()
	if c.HealthOnly { // there is nothing to ask a stream for
		x.fault = fault.ConnectionLimit
		return
	}
	if x.fault = x.choose(); x.fault != fault.None || x.route == nil {
		return
	}
	c.Busy()
	if x.fault = x.admit(); x.fault != fault.None {
		return
	}
	if x.fault = x.connect(); x.fault != fault.None {
		return
	}
	x.fault = x.pass()
}

// admit asks the access list that is nearest.
func (x *stream) admit() fault.Kind {
	list := x.route.Access
	if list == nil {
		list = x.ln.Access
	}
	if !list.AllowsFrom(x.client.Addr.Addr(), x) {
		return fault.AccessDenied
	}
	return fault.None
}

// Locate implements block.Locator.
func (x *stream) Locate(a netip.Addr) geo.Place { return x.client.Place.Locate(x.snap.Places, a) }

// look reads the clock.
func (x *stream) look() time.Duration {
	x.at = x.s.opt.Clock.Now()
	return x.at
}

// pass passes bytes until the stream ends.
func (x *stream) pass() fault.Kind {
	x.c.Net.SetWriteTimeout(x.ln.Streams.IdleTimeout)
	x.conn.SetWriteTimeout(x.ln.Streams.IdleTimeout)
	x.tunnel = tunnel.Tunnel{Client: x.c.Net, Upstream: x.conn, Idle: x.ln.Streams.IdleTimeout}
	x.series.Opened()
	x.reached = true
	x.s.list.add(x)
	end := x.tunnel.Run()
	x.s.list.remove(x) // nobody interrupts it after that
	switch end {
	case tunnel.ClientLost:
		x.conn.Reset()
		return fault.ClientAborted
	case tunnel.UpstreamLost:
		x.c.Net.Reset()
		if x.tunnel.Out.Load() == 0 {
			return fault.UpstreamReset
		}
		return fault.UpstreamTruncated
	case tunnel.Interrupted:
		x.c.Net.Reset()
		x.conn.Reset()
		return fault.Draining
	}
	return fault.None
}

// finish gives back what the stream has, counts and logs it.
func (x *stream) finish() {
	x.look()
	if x.conn != nil {
		x.target.Pool.Hangup(x.conn)
	}
	x.choice.Done(x.at, x.took, upstream.OK)
	if x.gate != nil {
		x.gate.Leave()
	}
	life := x.at - x.c.Accepted
	if x.reached {
		x.series.Closed(x.client.Cell, life)
	}
	if x.fault == fault.None && x.route == nil {
		return // it ended before anything was asked
	}
	m := x.snap.NoRoute
	var key []byte
	if x.route != nil {
		m, key = x.route.Metrics, x.route.Key
	}
	m.Fault(x.fault)
	if x.s.opt.Note != nil {
		x.s.opt.Note(x.client.Cell, x.client.Text, key, x.fault)
	}
	if x.fault != fault.None && !x.reached {
		x.refuse()
	}
	x.log(life)
}

func (x *stream) log(life time.Duration) {
	l := x.s.opt.Log
	if l == nil || !l.Wants(0, x.fault) {
		return
	}
	e := accesslog.Entry{
		Time: x.s.opt.Clock.Time(x.c.Accepted), Stream: true, Client: x.client.Addr.Addr(), Host: x.name, Protocol: "tcp",
		Listener: x.ln.Name, Fault: x.fault, BytesIn: x.tunnel.In.Load(), BytesOut: x.tunnel.Out.Load(),
		Total: life, Connect: x.took, Tries: x.tries,
	}
	if x.route != nil {
		e.Route = x.route.Name
	}
	if x.up != nil {
		e.Upstream = x.up.Name
	}
	if x.target != nil {
		e.Target = x.target.Address
	}
	if x.snap.LogPlaces {
		p := x.Locate(e.Client)
		e.Country, e.ASN = p.Country.String(), p.ASN
	}
	l.Record(x.client.Cell, &e)
}

// unrecognizedName is the alert for a server name that leads nowhere (RFC 6066 section 3).
const unrecognizedName = "\x15\x03\x03\x00\x02\x02\x70"

// refuse ends a stream that has led nowhere: a client of TLS whose name isn't known is told
// so, all others are reset.
func (x *stream) refuse() {
	if x.fault == fault.NoRoute && x.secure && x.c.Net.Discard(x.peeked) == nil {
		x.c.Net.SetWriteTimeout(refuseTimeout)
		x.c.Net.Write([]byte(unrecognizedName))
		return
	}
	x.c.Net.Reset()
}

// refuseTimeout bounds how long a client may take an alert.
const refuseTimeout = time.Second
