package behaviour

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/testkit/pki"
)

// backend is a server of a protocol of its own: it says its name first, then what it is told.
type backend struct {
	t    *testing.T
	ln   net.Listener
	name string
}

func newBackend(t *testing.T, name string, config *tls.Config) *backend {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	b := &backend{t: t, ln: ln, name: name}
	t.Cleanup(func() { ln.Close() })
	go b.run()
	return b
}

func (b *backend) run() {
	for {
		c, err := b.ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if _, err := io.WriteString(c, b.name+"\n"); err != nil {
				return
			}
			io.Copy(c, c)
		}()
	}
}

func (b *backend) addr() string { return b.ln.Addr().String() }

func (b *backend) upstream(name, more string) string {
	return fmt.Sprintf("upstream %q { target %q; %s }\n", name, b.addr(), more)
}

// client is one stream to the proxy.
type streamClient struct {
	net.Conn
	t *testing.T
}

func (p *proxy) stream(from string) *streamClient {
	p.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	c, err := d.Dial("tcp", p.addr)
	if errors.Is(err, syscall.ECONNRESET) { // a reset may be quicker than we are
		return &streamClient{resetConn{}, p.t}
	}
	if err != nil {
		p.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	p.t.Cleanup(func() { c.Close() })
	return &streamClient{c, p.t}
}

// resetConn was reset before it was of any use.
type resetConn struct{ net.Conn }

func (resetConn) Read([]byte) (int, error)  { return 0, syscall.ECONNRESET }
func (resetConn) Write([]byte) (int, error) { return 0, syscall.ECONNRESET }

// line reads a line byte by byte, so that nothing behind it is taken.
func (c *streamClient) line() (string, error) {
	var b []byte
	for one := make([]byte, 1); ; {
		if _, err := io.ReadFull(c, one); err != nil {
			return string(b), err
		}
		if one[0] == '\n' {
			return string(b), nil
		}
		b = append(b, one[0])
	}
}

func (c *streamClient) expect(want string) {
	c.t.Helper()
	if got, err := c.line(); got != want {
		c.t.Errorf("line = %q, %v, want %q", got, err, want)
	}
}

func (c *streamClient) echo(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text+"\n"); err != nil {
		c.t.Errorf("write: %v", err)
	}
	c.expect(text)
}

// refused checks that the stream is reset.
func (c *streamClient) refused(why string) {
	c.t.Helper()
	n, err := c.Read(make([]byte, 64))
	if n > 0 || !errors.Is(err, syscall.ECONNRESET) {
		c.t.Errorf("%s: %d bytes, %v, want a reset", why, n, err)
	}
}

// tcp starts a proxy whose listener takes streams.
func tcp(t *testing.T, block, rest string) *proxy {
	t.Helper()
	return start(t, `protocol "tcp"; `+block, rest)
}

// Bytes pass as they come, whoever speaks first, also in bulk and behind a FIN.
func TestTCPPassesBytes(t *testing.T) {
	b := newBackend(t, "one", nil)
	p := tcp(t, `tcp { upstream "u" }`, "upstreams { "+b.upstream("u", "")+"}")
	c := p.stream("127.0.0.1")
	c.expect("one")
	c.echo("hello")
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // 16 MiB
	go c.Write(big)
	got := make([]byte, len(big))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, big) {
		t.Fatalf("16 MiB come back as %d bytes, %v", len(got), err)
	}
	c.echo("after it")
	io.WriteString(c, "last")
	c.Conn.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(c); err != nil || string(rest) != "last" {
		t.Errorf("behind a FIN = %q, %v, want last", rest, err)
	}
	in := `sentinel_stream_bytes_total{direction="in",route="listener l",upstream="u"}`
	bytesAll := fmt.Sprint(len("hello\nafter it\nlast") + len(big))
	p.expectMetrics(
		`sentinel_streams_total{route="listener l",upstream="u"} 1`, `sentinel_open_streams{route="listener l",upstream="u"} 0`,
		`sentinel_stream_duration_seconds_count{route="listener l",upstream="u"} 1`,
	)
	if n, err := strconv.ParseFloat(value(p.Metrics(), in), 64); err != nil || fmt.Sprint(int(n)) != bytesAll {
		t.Errorf("bytes from clients = %v, %v, want %s", n, err, bytesAll)
	}
	log := p.Logs()
	if !strings.Contains(log, `INFO stream ended, route="listener l", client_ip="127.0.0.1", upstream="u", target="`+b.addr()+`", bytes_in=`+bytesAll+`, bytes_out=`) {
		t.Errorf("no line of %s bytes in %s", bytesAll, log)
	}
}

// The server name decides; TLS is the backend's.
func TestTCPRoutesBySNI(t *testing.T) {
	ca := pki.New(t, "test")
	backendFor := func(name string, names ...string) *backend {
		return newBackend(t, name, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, pki.Server(names...)).TLS()}})
	}
	a, b, d := backendFor("a", "a.example"), backendFor("b", "x.b.example", "y.z.b.example"), newBackend(t, "default", nil)
	routes := `routes {
		route "a" { matches { sni "A.example" }; upstream "a" }
		route "b" { matches { sni "*.b.example" }; upstream "b" }
		route "deep" { priority 1; matches { sni "deep.b.example" }; upstream "a"; access { deny "127.0.0.0/8" } }
	}
	`
	ups := a.upstream("a", "") + b.upstream("b", "") + d.upstream("d", "")
	p := tcp(t, `tcp { upstream "d" }`, routes+"upstreams { "+ups+"}")
	hello := func(p *proxy, name string) (string, error) {
		c := tls.Client(p.stream("127.0.0.1"), &tls.Config{ServerName: name, RootCAs: ca.Pool()})
		if err := c.Handshake(); err != nil {
			return "", err
		}
		return (&streamClient{c, t}).line()
	}
	for name, want := range map[string]string{"a.example": "a", "x.b.example": "b", "y.z.b.example": "b"} {
		if got, err := hello(p, name); err != nil || got != want {
			t.Errorf("%s leads to %q, %v, want %s", name, got, err, want)
		}
	}
	if _, err := hello(p, "deep.b.example"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a route whose list denies us ends with %v, want a reset", err)
	}
	plain := p.stream("127.0.0.1")
	io.WriteString(plain, "hi\n")
	plain.expect("default")
	plain.expect("hi")

	p = tcp(t, "", routes+"upstreams { "+a.upstream("a", "")+b.upstream("b", "")+"}")
	if _, err := hello(p, "other.example"); err == nil || !strings.Contains(err.Error(), "remote error: tls: unrecognized name") {
		t.Errorf("a name that leads nowhere ends with %v, want unrecognized name", err)
	}
	c := p.stream("127.0.0.1")
	io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
	c.refused("no TLS and no default")
	c = p.stream("127.0.0.1")
	io.WriteString(c, "\x16\x03\x01\x00\x00")
	c.refused("an empty record")
	p.expectMetrics(`sentinel_faults_total{fault="no_route",route="-",side="client"} 2`, `sentinel_faults_total{fault="bad_hello",route="-",side="client"} 1`)
	if log := p.Logs(); !strings.Contains(log, `stream refused, reason="no route matches", host="other.example"`) {
		t.Errorf("no line of the name in %s", log)
	}
}

// A ClientHello may come in pieces, but not for ever.
func TestTCPHelloTimeout(t *testing.T) {
	b := newBackend(t, "b", nil)
	p := tcp(t, `tcp { upstream "d"; hello-timeout-secs 0.2 }`, `routes { route "a" { matches { sni "a.example" }; upstream "d" } }`+"\nupstreams { "+b.upstream("d", "")+"}")
	c := p.stream("127.0.0.1")
	io.WriteString(c, "\x16\x03\x01")
	c.refused("half a hello")
	p.stream("127.0.0.1").refused("a silent client")
	p.expectMetrics(`sentinel_faults_total{fault="hello_timeout",route="-",side="client"} 2`)
}

// Before a byte was sent another target is tried, then the fallback.
func TestTCPFailover(t *testing.T) {
	b, other := newBackend(t, "b", nil), newBackend(t, "other", nil)
	dead := closedPort(t)
	p := tcp(t, `tcp { upstream "u" }`, fmt.Sprintf("upstreams { upstream \"u\" { target %q; target %q; load-balancing \"round_robin\" } }", dead, b.addr()))
	for range 4 {
		p.stream("127.0.0.1").expect("b")
	}
	p = tcp(t, `tcp { upstream "u"; fallback-upstream "f" }`, fmt.Sprintf("upstreams { upstream \"u\" { target %q }; %s }", dead, other.upstream("f", "")))
	p.stream("127.0.0.1").expect("other")
	p.expectMetrics(`sentinel_failovers_total{route="listener l"} 1`, `sentinel_streams_total{route="listener l",upstream="f"} 1`)
	p = tcp(t, `tcp { upstream "u" }`, fmt.Sprintf("upstreams { upstream \"u\" { target %q; circuit-breaker { failure-threshold 1; timeout-secs 60 } } }", dead))
	p.stream("127.0.0.1").refused("a dead target")
	p.stream("127.0.0.1").refused("an open breaker")
	p.expectMetrics(`sentinel_faults_total{fault="upstream_refused",route="listener l",side="upstream"} 1`, `sentinel_faults_total{fault="breaker_open",route="listener l",side="upstream"} 1`)
	if log := p.Logs(); !strings.Contains(log, `ERROR stream failed, error="upstream refused connection", route="listener l"`) {
		t.Errorf("no line of the failure in %s", log)
	}
}

// A breaker is told when a stream has begun, not when it ends.
func TestTCPBreakerCloses(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	p := tcp(t, `tcp { upstream "u" }`, fmt.Sprintf("upstreams { upstream \"u\" { target %q; circuit-breaker { failure-threshold 1; success-threshold 1; timeout-secs 0.2; half-open-max-requests 1 } } }", address))
	p.stream("127.0.0.1").refused("a dead target")
	if ln, err = net.Listen("tcp", address); err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	b := &backend{t: t, ln: ln, name: "back"}
	t.Cleanup(func() { ln.Close() })
	go b.run()
	var first *streamClient
	eventually(t, "the trial gets through", func() bool {
		first = p.stream("127.0.0.1")
		got, _ := first.line()
		return got == "back"
	})
	p.stream("127.0.0.1").expect("back") // while the trial is still open
	first.echo("still open")
}

// Limits, bans and lists hold for streams; who is refused gets a reset and no HTTP.
func TestTCPKeepsOut(t *testing.T) {
	b := newBackend(t, "b", nil)
	p := tcp(t, `tcp { upstream "u" }; limits { max-connections-per-client 1 }; access { deny "127.0.0.66" }`, "upstreams { "+b.upstream("u", "")+"}")
	c := p.stream("127.0.0.2")
	c.expect("b")
	p.stream("127.0.0.2").refused("the second one of a client")
	p.stream("127.0.0.3").expect("b")
	p.expectFrom("/", "127.0.0.66 -1")
	p.ban("127.0.0.4")
	p.expectFrom("/", "127.0.0.4 -1")
	c.echo("still there")
}

func TestTCPIdleTimeout(t *testing.T) {
	b := newBackend(t, "b", nil)
	p := tcp(t, `tcp { upstream "u"; idle-timeout-secs 0.4 }`, "upstreams { "+b.upstream("u", "")+"}")
	c := p.stream("127.0.0.1")
	c.expect("b")
	for range 6 { // traffic keeps it alive
		time.Sleep(100 * time.Millisecond)
		c.echo("x")
	}
	began := time.Now()
	if rest, _ := io.ReadAll(c); len(rest) > 0 || time.Since(began) < 200*time.Millisecond || time.Since(began) > 5*time.Second {
		t.Errorf("an idle stream ends after %v with %q, want 0.4 s", time.Since(began), rest)
	}
}

// A reload leaves streams alone whose route stays; others end at their time, or go on when
// their route comes back.
func TestTCPReload(t *testing.T) {
	b := newBackend(t, "b", nil)
	listener := func(routes string) string {
		return `system { $FILES; graceful-shutdown-timeout-secs 0.5 }
listeners { listener "l" { address "127.0.0.1:0"; protocol "tcp"; tcp { orphan-timeout-secs 1; hello-timeout-secs 9; upstream "u" } } }` + "\n" + routes + "\nupstreams { " + b.upstream("u", "") + "}\n"
	}
	const kept, gone = `route "kept" { matches { sni "kept.example" }; upstream "u" }`, `route "gone" { matches { sni "gone.example" }; upstream "u" }`
	p := startText(t, listener("routes { "+kept+"; "+gone+" }"))
	open := func(name string) *streamClient {
		c := p.stream("127.0.0.1")
		c.Write(clientHello(t, name))
		c.expect("b")
		return c
	}
	stays, leaves := open("kept.example"), open("gone.example")
	if out := p.Reload(listener("routes { " + kept + " }")); !out.OK {
		t.Fatalf("reload = %+v", out)
	}
	p.expectMetrics(`sentinel_orphaned_streams{route="gone",upstream="u"} 1`, `sentinel_orphaned_streams{route="kept",upstream="u"} 0`)
	if _, err := io.ReadAll(leaves); err == nil {
		t.Error("a stream whose route is gone ends like any other, want a reset")
	}
	p.expectMetrics(`sentinel_orphaned_streams{route="gone",upstream="u"} 0`, `sentinel_faults_total{fault="draining",route="gone",side="self"} 1`)
	if _, err := io.WriteString(stays, "x"); err != nil {
		t.Errorf("a stream whose route stays: %v", err)
	}
	p.Stop()
	if _, err := io.ReadAll(stays); err == nil {
		t.Error("a stream outlives the process")
	}
}

// clientHello is what crypto/tls begins with.
func clientHello(t *testing.T, name string) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go tls.Client(ours, &tls.Config{ServerName: name}).Handshake()
	b := make([]byte, 16<<10)
	theirs.SetReadDeadline(time.Now().Add(patience))
	n, err := theirs.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}
