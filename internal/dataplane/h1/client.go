package h1

import (
	"io"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// ClientLimits bound what an upstream may send.
type ClientLimits struct {
	HeadBytesMax int // of a response head
	FieldsMax    int
	InterimMax   int // informational responses before the final one
}

// DefaultClientLimits are generous: an upstream may set many cookies.
func DefaultClientLimits() ClientLimits {
	return ClientLimits{HeadBytesMax: readBufferBytes - contentBytesMin, FieldsMax: 200, InterimMax: 16}
}

// Client speaks to an upstream over one connection, one exchange at a time. Between
// exchanges it holds no buffer.
type Client struct {
	Net  *netio.Conn
	Head message.Head // of the response in hand

	lim        limits
	interimMax int
	interims   int
	buf        []byte
	begin, end int   // unread bytes
	left       int64 // Length: bytes of content still to come
	decoder    chunkDecoder
	received   bool // a byte of the response in hand has come
	complete   bool // the response in hand has been read to its end
	broken     bool
}

// NewClient returns a client over an open connection.
func NewClient(nc *netio.Conn, l *ClientLimits) *Client {
	return &Client{
		Net: nc, interimMax: l.InterimMax,
		lim: limits{headBytesMax: l.HeadBytesMax, fieldsMax: l.FieldsMax},
	}
}

// Room implements netio.Room: a buffer is borrowed when the first bytes of the response are
// there, so that an upstream that takes its time costs none.
func (c *Client) Room() []byte {
	if c.buf == nil {
		c.buf = newReadBuffer(c.lim.headBytesMax)
	}
	return c.buf[c.end:]
}

// Begin readies c for an exchange.
func (c *Client) Begin() {
	c.begin, c.end, c.left = 0, 0, 0
	c.interims = c.interimMax
	c.received, c.complete = false, false
}

// Finish ends the exchange and gives its buffer back. It reports whether the connection
// can carry another one.
func (c *Client) Finish() bool {
	ok := c.complete && !c.broken && c.begin == c.end && c.Head.PersistsAfter()
	if c.buf != nil {
		freeReadBuffer(c.buf)
		c.buf, c.Head.Buf = nil, nil
	}
	return ok
}

// Received reports whether any byte of the response in hand has come. Where none has, a
// request that may be repeated can go to another connection.
func (c *Client) Received() bool { return c.received }

// Exchange writes a whole request and waits for the head of its response.
func (c *Client) Exchange(request []byte) (written int, err error) {
	written, n, err := c.Net.WriteThenRead(request, c)
	if err != nil {
		c.broken = true
		if written < len(request) {
			return written, writeSide(err)
		}
		return written, c.readSide(err)
	}
	c.end, c.received = n, true
	return written, c.readHead()
}

// Await goes on waiting for the head of a response after a wait that has timed out; the
// caller has set a later deadline. It may be called only while no byte has been Received.
func (c *Client) Await() error {
	c.broken = false
	return c.readHead()
}

// Send writes a part of a request.
func (c *Client) Send(b []byte) error {
	if _, err := c.Net.Write(b); err != nil {
		c.broken = true
		return writeSide(err)
	}
	return nil
}

// SendContent writes a piece of content in the request's framing. Another goroutine may wait
// for the response meanwhile.
func (c *Client) SendContent(b []byte, f message.Framing) error {
	if f != message.Chunked {
		_, err := c.Net.Write(b)
		return err
	}
	o := newOutBuffer()
	defer o.free()
	o.b = AppendChunk(o.b[:0], b)
	_, err := c.Net.Write(o.b)
	return err
}

// EndContent ends content that was sent in pieces.
func (c *Client) EndContent(f message.Framing, trailers []byte) error {
	if f != message.Chunked {
		return nil
	}
	o := newOutBuffer()
	defer o.free()
	o.b = AppendLastChunk(o.b[:0], trailers)
	_, err := c.Net.Write(o.b)
	return err
}

// ReadHead waits for the next response head: the first after Send, or the one after an
// informational one.
func (c *Client) ReadHead() error { return c.readHead() }

func (c *Client) readHead() error {
	for {
		if c.begin < c.end {
			done, err := parseResponse(c.buf[c.begin:c.end], &c.Head, &c.lim)
			if err != nil {
				c.broken = true
				return err
			}
			if done {
				return c.startContent()
			}
			if c.begin > 0 {
				c.end = copy(c.buf, c.buf[c.begin:c.end])
				c.begin = 0
			}
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// fill waits for more bytes behind those there are.
func (c *Client) fill() error {
	n, err := c.Net.Read(c.Room())
	if err != nil {
		c.broken = true
		return c.readSide(err)
	}
	c.end += n
	c.received = true
	return nil
}

// startContent moves past the head just parsed.
func (c *Client) startContent() error {
	c.begin += c.Head.End
	if c.Head.Status < 200 && c.Head.Status != 101 {
		if c.interims--; c.interims < 0 {
			c.broken = true
			return fault.UpstreamBadResponse
		}
	}
	return nil
}

// Frame settles the framing of the final response in hand; toHead says that the request
// was a HEAD. It drops the fields that concern the connection.
func (c *Client) Frame(toHead bool) {
	h := &c.Head
	responseFraming(h, toHead)
	h.DropHopByHop()
	switch h.Framing {
	case message.NoContent:
		c.complete = true
	case message.Length:
		c.left = h.ContentLength
		c.complete = c.left == 0
	case message.Chunked:
		c.decoder.reset()
	case message.UntilClose:
		c.broken = true // it won't carry another exchange
	}
}

// Buffered returns the content that is at hand without waiting and takes it. end says
// that it is the last.
func (c *Client) Buffered() (content []byte, end bool, err error) {
	b := c.buf[c.begin:c.end]
	switch c.Head.Framing {
	case message.Length:
		b = b[:min(int64(len(b)), c.left)]
		c.begin += len(b)
		c.left -= int64(len(b))
		c.complete = c.left == 0
	case message.Chunked:
		n, used, ok := c.decoder.decode(b, b)
		if !ok {
			c.broken = true
			return nil, false, fault.UpstreamBadFraming
		}
		c.begin += used
		b = b[:n]
		c.complete = c.decoder.done()
	case message.UntilClose:
		c.begin = c.end
	default:
		b = nil
	}
	return b, c.complete, nil
}

// Left returns how many bytes of a Length are still to come from the connection itself,
// so that they can be moved without passing through the process.
func (c *Client) Left() int64 { return c.left }

// Moved says that n of the bytes Left were taken from the connection elsewhere.
func (c *Client) Moved(n int64) {
	c.left -= n
	c.complete = c.left == 0
}

// ReadContent waits for more content and returns it; it stands in p or in c's buffer and
// is valid until the next call. end says that it is the last.
func (c *Client) ReadContent(p []byte) (content []byte, end bool, err error) {
	if c.complete {
		return nil, true, nil
	}
	if c.Head.Framing == message.Length {
		p = p[:min(int64(len(p)), c.left)]
	}
	n, err := c.Net.Read(p)
	if err == io.EOF && c.Head.Framing == message.UntilClose {
		c.complete = true
		return nil, true, nil
	}
	if err != nil {
		c.broken = true
		return nil, false, contentSide(err)
	}
	return c.unframe(p[:n])
}

func (c *Client) unframe(b []byte) ([]byte, bool, error) {
	switch c.Head.Framing {
	case message.Length:
		c.left -= int64(len(b))
		c.complete = c.left == 0
	case message.Chunked:
		n, used, ok := c.decoder.decode(b, b)
		if !ok {
			c.broken = true
			return nil, false, fault.UpstreamBadFraming
		}
		c.complete = c.decoder.done()
		c.broken = c.broken || used < len(b) // bytes nobody asked for
		b = b[:n]
	}
	return b, c.complete, nil
}

// Trailers returns the trailer section of complete chunked content, as field lines that
// may be passed on; nothing where one of them may not.
func (c *Client) Trailers() []byte {
	if c.Head.Framing != message.Chunked {
		return nil
	}
	return c.decoder.trailers()
}

// Break says that the connection can't carry another exchange.
func (c *Client) Break() { c.broken = true }

// Early returns what has come behind a 101 response; it belongs to the tunnel.
func (c *Client) Early() []byte { return c.buf[c.begin:c.end] }

func writeSide(err error) error {
	switch err {
	case netio.ErrTimeout:
		return fault.UpstreamWriteTimeout
	case netio.ErrInterrupted:
		return err
	}
	return fault.UpstreamWriteFailed
}

// readSide names why a response head didn't come.
func (c *Client) readSide(err error) error {
	switch err {
	case netio.ErrTimeout:
		return fault.UpstreamResponseTimeout
	case netio.ErrInterrupted:
		return err
	case netio.ErrClientGone:
		return fault.ClientClosed
	case io.EOF:
		return fault.UpstreamClosed
	}
	if k, ok := err.(fault.Kind); ok { // the connection's own layer knows better
		return k
	}
	return fault.UpstreamReset
}

// contentSide names why response content broke off.
func contentSide(err error) error {
	switch err {
	case netio.ErrTimeout:
		return fault.UpstreamReadTimeout
	case netio.ErrInterrupted:
		return err
	case netio.ErrClientGone:
		return fault.ClientAborted
	}
	return fault.UpstreamTruncated
}
