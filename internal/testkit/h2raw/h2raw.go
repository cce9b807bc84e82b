// Package h2raw is an HTTP/2 client for tests that sends the frames it is told to, also those
// that a decent one never would, and tells what comes back.
package h2raw

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// patience bounds every wait.
const patience = 10 * time.Second

// Conn is a connection to a server. Its methods end the test when the connection doesn't
// stand; those that return an error don't.
type Conn struct {
	*http2.Framer
	Net    net.Conn
	Server map[http2.SettingID]uint32 // what the server said first

	tb     testing.TB
	out    bytes.Buffer
	enc    *hpack.Encoder
	dec    *hpack.Decoder
	fields map[string]string
	answer map[uint32]*Answer
	// Quiet leaves windows and pings of the server unanswered.
	Quiet bool
	// GoAway is the last GOAWAY that came; nil before.
	GoAway *http2.GoAwayFrame
	// GoAways are the last streams that all of them named.
	GoAways []uint32
}

// Answer is what has come of one stream.
type Answer struct {
	Status   string
	Interims []string
	Fields   map[string]string
	Trailers map[string]string
	Content  []byte
	Ended    bool
	Reset    http2.ErrCode // of a RST_STREAM
	WasReset bool
}

// String tells of a with the beginning of its content.
func (a *Answer) String() string {
	return fmt.Sprintf("{status %q, interims %q, fields %q, trailers %q, %d bytes %.60q, ended %v, reset %v %v}",
		a.Status, a.Interims, a.Fields, a.Trailers, len(a.Content), a.Content, a.Ended, a.WasReset, a.Reset)
}

// Dial connects with prior knowledge, exchanges settings and returns once the server's have
// come.
func Dial(tb testing.TB, addr string, settings ...http2.Setting) *Conn {
	tb.Helper()
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		tb.Fatal(err)
	}
	return New(tb, nc, settings...)
}

// DialTLS connects by TLS and asks for h2.
func DialTLS(tb testing.TB, addr string, cfg *tls.Config, settings ...http2.Setting) *Conn {
	tb.Helper()
	cfg = cfg.Clone()
	cfg.NextProtos = []string{"h2"}
	nc, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if p := nc.ConnectionState().NegotiatedProtocol; p != "h2" {
		tb.Fatalf("the server chose %q", p)
	}
	return New(tb, nc, settings...)
}

// New is Dial over a connection that stands.
func New(tb testing.TB, nc net.Conn, settings ...http2.Setting) *Conn {
	tb.Helper()
	c := &Conn{Framer: http2.NewFramer(nc, nc), Net: nc, tb: tb, answer: map[uint32]*Answer{}, Server: map[http2.SettingID]uint32{}}
	tb.Cleanup(func() { nc.Close() })
	c.AllowIllegalWrites = true
	c.enc = hpack.NewEncoder(&c.out)
	c.dec = hpack.NewDecoder(4096, func(f hpack.HeaderField) { c.fields[f.Name] = f.Value })
	c.SetDeadline(patience)
	if _, err := nc.Write([]byte(http2.ClientPreface)); err != nil {
		tb.Fatal(err)
	}
	c.Must(c.WriteSettings(settings...))
	for len(c.Server) == 0 {
		if _, err := c.Next(); err != nil {
			tb.Fatalf("no settings: %v", err)
		}
	}
	return c
}

// SetDeadline lets reads and writes fail after that time.
func (c *Conn) SetDeadline(d time.Duration) { c.Net.SetDeadline(time.Now().Add(d)) }

// Must ends the test on an error.
func (c *Conn) Must(err error) {
	c.tb.Helper()
	if err != nil {
		c.tb.Fatal(err)
	}
}

// Encode returns an encoded field section of name and value pairs.
func (c *Conn) Encode(pairs ...string) []byte {
	c.out.Reset()
	for i := 0; i < len(pairs); i += 2 {
		c.enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return bytes.Clone(c.out.Bytes())
}

// Head returns the pairs of a usual request with further ones behind.
func Head(method, path string, more ...string) []string {
	return append([]string{":method", method, ":scheme", "http", ":path", path, ":authority", "h"}, more...)
}

// Open sends a whole field section in one frame.
func (c *Conn) Open(id uint32, end bool, pairs ...string) error {
	return c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.Encode(pairs...), EndHeaders: true, EndStream: end})
}

// Get sends a GET request on a stream.
func (c *Conn) Get(id uint32, path string, more ...string) error {
	return c.Open(id, true, Head("GET", path, more...)...)
}

// Next reads one frame and takes note of it. Settings and pings are answered, and windows
// opened for what has come, unless c is Quiet.
func (c *Conn) Next() (http2.Frame, error) {
	f, err := c.ReadFrame()
	if err != nil {
		return nil, err
	}
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			f.ForeachSetting(func(s http2.Setting) error { c.Server[s.ID] = s.Val; return nil })
			if !c.Quiet {
				err = c.WriteSettingsAck()
			}
		}
	case *http2.PingFrame:
		if !f.IsAck() && !c.Quiet {
			err = c.WritePing(true, f.Data)
		}
	case *http2.GoAwayFrame:
		kept := *f
		c.GoAway = &kept
		c.GoAways = append(c.GoAways, f.LastStreamID)
	case *http2.HeadersFrame:
		c.takeHeaders(f)
	case *http2.DataFrame:
		err = c.takeData(f)
	case *http2.RSTStreamFrame:
		a := c.of(f.StreamID)
		a.WasReset, a.Reset = true, f.ErrCode
	}
	return f, err
}

func (c *Conn) of(id uint32) *Answer {
	if c.answer[id] == nil {
		c.answer[id] = &Answer{}
	}
	return c.answer[id]
}

func (c *Conn) takeHeaders(f *http2.HeadersFrame) {
	c.fields = map[string]string{}
	if _, err := c.dec.Write(f.HeaderBlockFragment()); err != nil {
		c.tb.Errorf("stream %d: %v", f.StreamID, err)
	}
	c.dec.Close()
	a := c.of(f.StreamID)
	a.Ended = a.Ended || f.StreamEnded()
	status := c.fields[":status"]
	switch {
	case status == "":
		a.Trailers = c.fields
	case strings.HasPrefix(status, "1"):
		a.Interims = append(a.Interims, status)
	default:
		a.Status, a.Fields = status, c.fields
	}
}

func (c *Conn) takeData(f *http2.DataFrame) error {
	a := c.of(f.StreamID)
	a.Content = append(a.Content, f.Data()...)
	a.Ended = a.Ended || f.StreamEnded()
	n := f.Header().Length
	if c.Quiet || n == 0 {
		return nil
	}
	if err := c.WriteWindowUpdate(0, n); err != nil || a.Ended {
		return err
	}
	return c.WriteWindowUpdate(f.StreamID, n)
}

// Answer reads until a stream has ended or the connection has.
func (c *Conn) Answer(id uint32) (*Answer, error) {
	for {
		a := c.of(id)
		if a.Ended || a.WasReset {
			return a, nil
		}
		if _, err := c.Next(); err != nil {
			return a, fmt.Errorf("stream %d: %w", id, err)
		}
	}
}

// Until reads until ok says yes of what has come of a stream. It ends the test where that
// doesn't come.
func (c *Conn) Until(id uint32, what string, ok func(*Answer) bool) *Answer {
	c.tb.Helper()
	for {
		a := c.of(id)
		if ok(a) {
			return a
		}
		if _, err := c.Next(); err != nil {
			c.tb.Fatalf("stream %d = %v, %v, want %s", id, a, err, what)
		}
	}
}

// Want is Answer with a status that ends the test if it is another.
func (c *Conn) Want(id uint32, status string) *Answer {
	c.tb.Helper()
	a, err := c.Answer(id)
	if err != nil || a.Status != status {
		c.tb.Fatalf("stream %d = %v, %v, want %s", id, a, err, status)
	}
	return a
}

// End reads until the connection ends and returns the code of the last GOAWAY. It fails when
// the connection doesn't end in time.
func (c *Conn) End() (http2.ErrCode, error) {
	for {
		_, err := c.Next()
		if err == nil {
			continue
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return 0, err
		}
		if c.GoAway == nil {
			return 0, fmt.Errorf("no GOAWAY: %w", err)
		}
		return c.GoAway.ErrCode, nil
	}
}
