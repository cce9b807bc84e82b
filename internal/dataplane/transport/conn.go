package transport

import (
	"time"

	"sentinel/internal/dataplane/h1"
	"sentinel/internal/dataplane/h2"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// Conn is the way of one exchange to a target and back, whatever the protocol. Its methods
// are those of the engine behind it; errors are faults.
type Conn struct {
	Head   *message.Head // of the response in hand
	Reused bool          // the connection carried an exchange before

	alone   *h1.Client // a connection of its own; nil where stream is set
	stream  *h2.Stream // one of many on a connection
	joint   *joint     // where stream stands; nil for alone
	framing message.Framing
	pool    *Pool
	opened  time.Duration
	idle    time.Duration // since when; valid while in the pool
	epoch   int           // of the pool, when it was opened
	header  []byte        // that it began with, and whose exchanges it carries; empty for none
}

// lone is a Conn with its engine, in one piece of memory.
type lone struct {
	Conn
	client h1.Client
}

// newConn returns the way over a new connection.
func newConn(p *Pool, nc *netio.Conn, l *h1.ClientLimits) *Conn {
	c := &lone{client: *h1.NewClient(nc, l)}
	c.Conn = Conn{alone: &c.client, Head: &c.client.Head, pool: p, opened: p.clock.Now()}
	c.client.Begin()
	return &c.Conn
}

// Net returns the connection where the exchange has one to itself, else nil.
func (c *Conn) Net() *netio.Conn {
	if c.stream != nil {
		return nil
	}
	return c.alone.Net
}

// SetReadDeadline sets when a wait for the response ends, on the clock; 0 is never. Any
// goroutine may call it.
func (c *Conn) SetReadDeadline(at time.Duration) {
	if c.stream != nil {
		c.stream.SetReadDeadline(at)
		return
	}
	c.alone.Net.SetReadDeadline(at)
}

// WaitFor ends waits for the response by fault.ClientClosed, and for its content by
// fault.ClientAborted, when the client is found to have gone, until a nil client or Put
// says otherwise. now is on the clock. See netio.Conn.WaitFor.
func (c *Conn) WaitFor(client *netio.Conn, now time.Duration) {
	if c.stream != nil {
		c.stream.WaitFor(client, now)
		return
	}
	c.alone.Net.WaitFor(client, now)
}

// Exchange sends a whole request and waits for the head of its response.
func (c *Conn) Exchange(o *message.Outgoing) error {
	if c.stream != nil {
		return c.stream.Exchange(o)
	}
	o.Scratch = h1.AppendRequest(o.Scratch[:0], o)
	_, err := c.alone.Exchange(o.Scratch)
	return err
}

// Await goes on waiting for the head of a response after a wait that has timed out; the
// caller has set a later deadline. It may be called only while no byte has been Received.
func (c *Conn) Await() error {
	if c.stream != nil {
		return c.stream.Await()
	}
	return c.alone.Await()
}

// SendHead sends the head of a request whose content follows in pieces.
func (c *Conn) SendHead(o *message.Outgoing) error {
	if c.stream != nil {
		return c.stream.SendHead(o)
	}
	c.framing = o.Framing
	o.Scratch = h1.AppendRequestHead(o.Scratch[:0], o)
	return c.alone.Send(o.Scratch)
}

// SendContent sends a piece of content, and EndContent ends it. A goroutine may call them
// while another one waits for the response.
func (c *Conn) SendContent(b []byte) error {
	if c.stream != nil {
		return c.stream.SendContent(b)
	}
	return c.alone.SendContent(b, c.framing)
}

// EndContent ends content that was sent in pieces, with its trailer section, which is empty
// or complete field lines.
func (c *Conn) EndContent(trailers []byte) error {
	if c.stream != nil {
		return c.stream.EndContent(trailers)
	}
	return c.alone.EndContent(c.framing, trailers)
}

// ReadHead waits for the next response head: the first after SendHead, or the one after an
// informational one.
func (c *Conn) ReadHead() error {
	if c.stream != nil {
		return c.stream.ReadHead()
	}
	return c.alone.ReadHead()
}

// Received reports whether any byte of the response in hand has come. Where none has, a
// request that may be repeated can go to another connection.
func (c *Conn) Received() bool {
	if c.stream != nil {
		return c.stream.Received()
	}
	return c.alone.Received()
}

// Frame settles the framing of the final response in hand; toHead says that the request was
// a HEAD. It drops the fields that concern the connection.
func (c *Conn) Frame(toHead bool) {
	if c.stream != nil {
		c.stream.Frame()
		return
	}
	c.alone.Frame(toHead)
}

// Buffered returns the content that is at hand without waiting and takes it. end says that
// it is the last.
func (c *Conn) Buffered() (content []byte, end bool, err error) {
	if c.stream != nil {
		return c.stream.Buffered()
	}
	return c.alone.Buffered()
}

// ReadContent waits for more content and returns it; it stands in p or in a buffer of the
// engine and is valid until the next call. end says that it is the last.
func (c *Conn) ReadContent(p []byte) (content []byte, end bool, err error) {
	if c.stream != nil {
		return c.stream.ReadContent()
	}
	return c.alone.ReadContent(p)
}

// Open reports whether the connection carries other exchanges, whatever has become of this
// one.
func (c *Conn) Open() bool { return c.stream != nil && !c.stream.Leaving() }

// Duplex reports whether content may be sent while that of the response is read.
func (c *Conn) Duplex() bool { return c.stream != nil }

// Left returns how many bytes of content are still to come from Net itself, so that they can
// be moved without passing through the process.
func (c *Conn) Left() int64 {
	if c.stream != nil {
		return 0
	}
	return c.alone.Left()
}

// Moved says that n of the bytes Left were taken from Net elsewhere.
func (c *Conn) Moved(n int64) { c.alone.Moved(n) }

// Trailers returns the trailer section of complete content, as field lines that may be
// passed on; nothing where one of them may not.
func (c *Conn) Trailers() []byte {
	if c.stream != nil {
		return c.stream.Trailers()
	}
	return c.alone.Trailers()
}

// Early returns what has come behind a 101 response; it belongs to the tunnel.
func (c *Conn) Early() []byte { return c.alone.Early() }

// Break says that the exchange ends before its messages do.
func (c *Conn) Break() {
	if c.stream != nil {
		return
	}
	c.alone.Break()
}

// Interrupt ends all waits of the exchange at the target, now and later. Any goroutine may
// call it.
func (c *Conn) Interrupt() {
	if c.stream != nil {
		c.stream.Interrupt()
		return
	}
	c.alone.Net.Interrupt()
}

// InterruptWrites ends those of SendContent and EndContent only.
func (c *Conn) InterruptWrites() {
	if c.stream != nil {
		c.stream.InterruptWrites()
		return
	}
	c.alone.Net.InterruptWrites()
}

// ResumeWrites undoes InterruptWrites where all had been written.
func (c *Conn) ResumeWrites() {
	if c.stream == nil {
		c.alone.Net.ResumeWrites()
	}
}
