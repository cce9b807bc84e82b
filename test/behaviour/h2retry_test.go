package behaviour

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// moody is a server of HTTP/2 that answers each request on a connection as its mood says.
type moody struct {
	addr         string
	conns, heads atomic.Int64
	// mood does something with the request whose head has come on stream id, the n-th of all.
	mood func(c *moodyConn, id uint32, n int64)
}

type moodyConn struct {
	*http2.Framer
	nc  net.Conn
	enc *hpack.Encoder
	buf *strings.Builder
}

// answer answers a request by 200 and a few bytes.
func (c *moodyConn) answer(id uint32) {
	c.buf.Reset()
	c.enc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(c.buf.String()), EndHeaders: true})
	c.WriteData(id, true, []byte("done"))
}

func startMoody(t *testing.T, mood func(c *moodyConn, id uint32, n int64)) *moody {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	m := &moody{addr: ln.Addr().String(), mood: mood}
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			m.conns.Add(1)
			go m.serve(nc)
		}
	}()
	return m
}

func (m *moody) serve(nc net.Conn) {
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(nc, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	c := &moodyConn{Framer: http2.NewFramer(nc, nc), nc: nc, buf: new(strings.Builder)}
	c.enc = hpack.NewEncoder(c.buf)
	c.WriteSettings()
	for {
		f, err := c.ReadFrame()
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			m.mood(c, f.StreamID, m.heads.Add(1))
		}
		if err != nil {
			return
		}
	}
}

func (m *moody) over(policy string) string {
	return fmt.Sprintf(`routes { route "r" { upstream "u"; retry-policy { %s } } }
upstreams { upstream "u" { target %q; protocol "h2c"; retry-budget { min-per-second 1000 } } }`, policy, m.addr)
}

// A request that its server says it hasn't processed is sent again where the policy allows,
// whatever its method, and not where it doesn't.
func TestRefusedStreamsAreRepeated(t *testing.T) {
	for _, c := range []struct {
		policy, method string
		want           int
		tries          int64
	}{
		{"", "GET", 200, 3}, // the default
		{"", "POST", 200, 3},
		{`retry-on "refused_stream"`, "POST", 200, 3},
		{`max-attempts 2`, "POST", 503, 2},
		{`retry-on "connect_failure"`, "GET", 503, 1},
	} {
		m := startMoody(t, func(c *moodyConn, id uint32, n int64) {
			if n < 3 {
				c.WriteRSTStream(id, http2.ErrCodeRefusedStream)
				return
			}
			c.answer(id)
		})
		p := start(t, "", m.over(c.policy))
		r := p.raw(c.method, c.method+" / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab")
		if r.Status != c.want || m.heads.Load() != c.tries {
			t.Errorf("%s with %q = %d after %d tries, want %d after %d", c.method, c.policy, r.Status, m.heads.Load(), c.want, c.tries)
		}
		if c.want == 503 {
			p.expectMetrics(`sentinel_faults_total{fault="upstream_refused_stream",route="r",side="upstream"} 1`)
		}
	}
}

// A request behind the last one that a server took before it left goes to another connection;
// one that it took is finished on the old one.
func TestRequestsBehindGoAwayAreRepeated(t *testing.T) {
	m := startMoody(t, nil)
	var held atomic.Pointer[moodyConn]
	first := make(chan struct{})
	m.mood = func(c *moodyConn, id uint32, n int64) {
		switch n {
		case 1: // kept in hand
			held.Store(c)
			close(first)
		case 2: // on the same connection, which takes leave before it
			if c != held.Load() {
				t.Error("the second request came on a connection of its own")
			}
			c.WriteGoAway(1, http2.ErrCodeNo, nil)
			c.answer(1)
		default:
			if c == held.Load() {
				t.Error("a request came on a connection that was left")
			}
			c.answer(id)
		}
	}
	p := start(t, "", m.over(""))
	kept := p.dial()
	kept.Send(ask)
	<-first
	if r := p.raw("POST", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"); r.Status != 200 || r.Text() != "done" {
		t.Errorf("the request behind the last one = %d %q, want 200 from another connection", r.Status, r.Text())
	}
	if r, err := kept.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
		t.Errorf("the request that was taken = %d, %v, want 200", r.Status, err)
	}
	if m.conns.Load() != 2 || m.heads.Load() != 3 {
		t.Errorf("%d connections and %d requests at the server, want 2 and 3", m.conns.Load(), m.heads.Load())
	}
}
