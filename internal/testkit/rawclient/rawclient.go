// Package rawclient is an HTTP/1.1 client for tests that sends exactly the
// bytes it is given, valid or not, and shows exactly the bytes that came back.
package rawclient

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sentinel/internal/testkit/wire"
)

// DefaultTimeout bounds each call of a Client until SetTimeout says otherwise.
const DefaultTimeout = 10 * time.Second

// Client is one connection. It is not safe for concurrent use, but one
// goroutine may send while another reads.
type Client struct {
	conn    net.Conn
	reader  *bufio.Reader
	timeout time.Duration
}

// Response is a response as received.
type Response struct {
	Proto   string // such as "HTTP/1.1"
	Status  int
	Reason  string
	Fields  wire.Fields
	Content wire.Content
	Framing wire.Framing
	Raw     []byte // head and content
}

// Text returns the decoded content.
func (r Response) Text() string { return string(r.Content.Data) }

// Dial connects to address by TCP.
func Dial(address string) (*Client, error) {
	conn, err := net.DialTimeout("tcp", address, DefaultTimeout)
	if err != nil {
		return nil, err
	}
	return New(conn), nil
}

// New returns a client on an open connection of any kind.
func New(conn net.Conn) *Client {
	return &Client{conn: conn, reader: bufio.NewReader(conn), timeout: DefaultTimeout}
}

// Do connects to address, sends raw, reads the response to a request with the
// given method and closes. Interim responses (1xx) are skipped.
func Do(address, method, raw string) (Response, error) {
	c, err := Dial(address)
	if err != nil {
		return Response{}, err
	}
	defer c.Close()
	// A server may answer and close before it has taken everything, so what
	// counts is whether a response can be read.
	sent := c.Send(raw)
	resp, err := c.ReadFinalResponse(method)
	if err != nil {
		return resp, errors.Join(err, sent)
	}
	return resp, nil
}

// Conn is the connection below, for what Client has no method for. Bytes that
// Client has read ahead are not in it; Read returns them.
func (c *Client) Conn() net.Conn { return c.conn }

// SetTimeout bounds each of the following calls.
func (c *Client) SetTimeout(d time.Duration) { c.timeout = d }

// Send writes raw as it is.
func (c *Client) Send(raw string) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, raw)
	return err
}

// SendPieces writes each piece by itself, so that the peer's reads can end
// between any two; wait is called between pieces, to let the peer catch up.
func (c *Client) SendPieces(wait func(), pieces ...string) error {
	for i, piece := range pieces {
		if i > 0 && wait != nil {
			wait()
		}
		if err := c.Send(piece); err != nil {
			return fmt.Errorf("piece %d: %w", i, err)
		}
	}
	return nil
}

// CloseWrite ends the sending direction: the peer reads an orderly end.
func (c *Client) CloseWrite() error { return wire.CloseWrite(c.conn) }

// Reset closes the connection with a reset.
func (c *Client) Reset() error { return wire.Reset(c.conn) }

// Close closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Read reads what has come, also what was read ahead behind a response: the
// bytes of a tunnel, for example.
func (c *Client) Read(p []byte) (int, error) {
	c.armRead()
	return c.reader.Read(p)
}

// ReadResponse reads one response, interim or final, to a request with the
// given method. With an error it returns what it could read; the error is
// io.EOF when the connection ended before the first byte.
func (c *Client) ReadResponse(method string) (Response, error) {
	c.armRead()
	var resp Response
	head, err := wire.ReadHead(c.reader)
	resp.Raw, resp.Fields = head.Raw, head.Fields
	if err != nil {
		return resp, err
	}
	if err := resp.parseStatusLine(head.StartLine); err != nil {
		return resp, err
	}
	if resp.Framing, err = wire.ResponseFraming(resp.Fields, resp.Status, method); err != nil {
		return resp, err
	}
	resp.Content, err = wire.ReadContent(c.reader, resp.Framing)
	resp.Raw = append(resp.Raw, resp.Content.Raw...)
	return resp, err
}

// ReadFinalResponse reads responses until one is final (RFC 9110, section 15)
// and returns that one. A 101 is final here: what follows it is no HTTP.
func (c *Client) ReadFinalResponse(method string) (Response, error) {
	for {
		resp, err := c.ReadResponse(method)
		if err != nil || resp.Status >= 200 || resp.Status == 101 {
			return resp, err
		}
	}
}

// ReadResponses reads one final response for each of the methods, in order:
// the answers to pipelined requests. With an error it returns those before.
func (c *Client) ReadResponses(methods ...string) ([]Response, error) {
	var all []Response
	for i, method := range methods {
		resp, err := c.ReadFinalResponse(method)
		if err != nil {
			return all, fmt.Errorf("response %d: %w", i, err)
		}
		all = append(all, resp)
	}
	return all, nil
}

// ReadUntilClose returns everything until the peer ends the connection, in
// order or by a reset. It fails when the peer still holds the connection open
// after the timeout.
func (c *Client) ReadUntilClose() ([]byte, error) {
	c.armRead()
	b, err := io.ReadAll(c.reader)
	if errors.Is(err, syscall.ECONNRESET) {
		err = nil
	}
	return b, err
}

// AwaitClose checks that the peer ends the connection without another byte.
func (c *Client) AwaitClose() error {
	b, err := c.ReadUntilClose()
	if err == nil && len(b) > 0 {
		err = fmt.Errorf("%d bytes before the end of the connection: %.200q", len(b), b)
	}
	return err
}

// AwaitSilence checks that neither a byte nor the end of the connection comes
// for d.
func (c *Client) AwaitSilence(d time.Duration) error {
	c.conn.SetReadDeadline(time.Now().Add(d))
	b, err := c.reader.Peek(1)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("byte %q", b)
	}
	return fmt.Errorf("instead of silence: %w", err)
}

// armRead bounds the reads that follow. When the connection is closed it can't,
// but what was read ahead may still be read, and further reads fail by
// themselves.
func (c *Client) armRead() { c.conn.SetReadDeadline(time.Now().Add(c.timeout)) }

// parseStatusLine reads "HTTP/1.1 200 OK" (RFC 9112, section 4).
func (r *Response) parseStatusLine(line string) error {
	proto, rest, _ := strings.Cut(line, " ")
	code, reason, ok := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if err != nil || !ok || len(code) != 3 || !strings.HasPrefix(proto, "HTTP/") {
		return fmt.Errorf("status line %q", line)
	}
	r.Proto, r.Status, r.Reason = proto, status, reason
	return nil
}
