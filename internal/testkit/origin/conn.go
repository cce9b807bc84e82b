package origin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"sentinel/internal/testkit/wire"
)

// Conn is an accepted connection. Its script alone reads and writes it; the
// counts and Received may be asked by others at any time.
type Conn struct {
	origin *Origin
	conn   net.Conn
	reader *bufio.Reader
	mu     struct {
		sync.Mutex
		received []byte
	}
}

// Request is a request as received.
type Request struct {
	Method, Target, Proto string
	Fields                wire.Fields
	Content               wire.Content // empty until ReadContent or ReadRequest
	Head                  []byte       // raw, with the empty line
}

// ErrClosed is what Stall returns when the origin is closed.
var ErrClosed = errors.New("origin closed")

func newConn(o *Origin, conn net.Conn) *Conn {
	c := &Conn{origin: o, conn: conn}
	c.reader = bufio.NewReader(recorder{c})
	return c
}

// recorder reads from the connection and records what it read.
type recorder struct{ c *Conn }

func (r recorder) Read(p []byte) (int, error) {
	n, err := r.c.conn.Read(p)
	r.c.mu.Lock()
	r.c.mu.received = append(r.c.mu.received, p[:n]...)
	r.c.mu.Unlock()
	return n, err
}

// Conn is the connection below. What is read from it directly is not recorded.
func (c *Conn) Conn() net.Conn { return c.conn }

// Received returns every byte read from the connection so far.
func (c *Conn) Received() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]byte(nil), c.mu.received...)
}

// ReadHead reads a request head and counts it as a request. io.EOF means that
// the peer closed where a request could have begun.
func (c *Conn) ReadHead() (Request, error) {
	head, err := wire.ReadHead(c.reader)
	req := Request{Fields: head.Fields, Head: head.Raw}
	if err != nil {
		return req, err
	}
	parts := strings.Split(head.StartLine, " ")
	if len(parts) != 3 {
		return req, fmt.Errorf("request line %q", head.StartLine)
	}
	req.Method, req.Target, req.Proto = parts[0], parts[1], parts[2]
	c.origin.requests.Add(1)
	return req, nil
}

// ReadContent reads the content of req, as its fields frame it, into req.
func (c *Conn) ReadContent(req *Request) error {
	framing, err := wire.RequestFraming(req.Fields)
	if err != nil {
		return err
	}
	req.Content, err = wire.ReadContent(c.reader, framing)
	return err
}

// ReadRequest reads a head and its content.
func (c *Conn) ReadRequest() (Request, error) {
	req, err := c.ReadHead()
	if err == nil {
		err = c.ReadContent(&req)
	}
	return req, err
}

// Read reads bytes as they come.
func (c *Conn) Read(p []byte) (int, error) { return c.reader.Read(p) }

// ReadUntilClose reads everything until the peer ends its direction.
func (c *Conn) ReadUntilClose() ([]byte, error) { return io.ReadAll(c.reader) }

// WriteString sends s as it is.
func (c *Conn) WriteString(s string) error {
	_, err := io.WriteString(c.conn, s)
	return err
}

// Write sends p as it is.
func (c *Conn) Write(p []byte) (int, error) { return c.conn.Write(p) }

// CloseWrite ends the sending direction: the peer reads an orderly end while
// the script can still read.
func (c *Conn) CloseWrite() error { return wire.CloseWrite(c.conn) }

// Reset closes the connection with a reset.
func (c *Conn) Reset() error { return wire.Reset(c.conn) }

// Stall does nothing until told by a value or by closing the channel. It
// returns ErrClosed when the origin is closed first; with a nil channel it
// stalls until then.
func (c *Conn) Stall(until <-chan struct{}) error {
	select {
	case <-until:
		return nil
	case <-c.origin.done:
		return ErrClosed
	}
}
