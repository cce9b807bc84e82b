package behaviour

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/pki"
	"sentinel/internal/testkit/rawclient"
)

// h2Origin is a server that speaks nothing but HTTP/2 without TLS.
type h2Origin struct {
	addr string
	// conns counts the connections that were opened, open those that are, streams the
	// requests in progress and most the most of those.
	conns, open, streams, most, hits, cancelled atomic.Int64

	mu      sync.Mutex
	handler http.HandlerFunc
}

// startH2 starts an origin; change may set limits.
func startH2(t *testing.T, handler http.HandlerFunc, change func(*http.Server)) *h2Origin {
	t.Helper()
	o := &h2Origin{handler: handler}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.addr = ln.Addr().String()
	only := new(http.Protocols)
	only.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Protocols: only, Handler: http.HandlerFunc(o.serve), HTTP2: &http.HTTP2Config{}, ErrorLog: log.New(io.Discard, "", 0),
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				o.conns.Add(1)
				o.open.Add(1)
			case http.StateClosed, http.StateHijacked:
				o.open.Add(-1)
			}
		},
	}
	if change != nil {
		change(srv)
	}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return o
}

func (o *h2Origin) serve(w http.ResponseWriter, r *http.Request) {
	n := o.streams.Add(1)
	defer o.streams.Add(-1)
	for most := o.most.Load(); n > most && !o.most.CompareAndSwap(most, n); most = o.most.Load() {
	}
	o.hits.Add(1)
	context.AfterFunc(r.Context(), func() { o.cancelled.Add(1) })
	o.mu.Lock()
	h := o.handler
	o.mu.Unlock()
	h(w, r)
}

// over is a configuration that sends everything to the origin by HTTP/2.
func (o *h2Origin) over(route, upstream string) string {
	return fmt.Sprintf(`routes { route "all" { matches { path-prefix "/" }; upstream "u"; %s } }
upstreams { upstream "u" { target "%s"; protocol "h2c"; %s } }`, route, o.addr, upstream)
}

// until waits until a condition holds.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// All shapes of messages pass, over one connection.
func TestProtocolH2C(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	o := startH2(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("X-Proto", r.Proto)
		w.Header().Set("X-Host", r.Host)
		w.Header().Set("X-Method", r.Method)
		w.Header().Set("X-Query", r.URL.RawQuery)
		w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
		switch r.URL.Path {
		case "/big":
			w.Write(big)
		case "/none":
			w.WriteHeader(204)
		case "/early":
			w.Header().Set("Link", "</a>")
			w.WriteHeader(103)
			w.Write([]byte("late"))
		default:
			w.Write(b)
		}
	}, nil)
	p := start(t, "", o.over("", ""))
	r := p.do("GET", "/a?b=c")
	if r.Status != 200 || r.Fields.Get("X-Proto") != "HTTP/2.0" || r.Fields.Get("X-Host") != "example.com" || r.Fields.Get("X-Query") != "b=c" {
		t.Errorf("GET = %d %v, want HTTP/2 at the origin", r.Status, r.Fields)
	}
	if r := p.do("HEAD", "/big"); r.Status != 200 || len(r.Content.Data) != 0 {
		t.Errorf("HEAD = %d with %d bytes", r.Status, len(r.Content.Data))
	}
	if r := p.do("GET", "/big"); !bytes.Equal(r.Content.Data, big) {
		t.Errorf("GET /big has %d bytes, want %d the same", len(r.Content.Data), len(big))
	}
	if r := p.do("GET", "/none"); r.Status != 204 {
		t.Errorf("GET /none = %d", r.Status)
	}
	if r := p.raw("POST", post("POST", 300_000)); r.Fields.Get("X-Length") != "300000" || len(r.Content.Data) != 300_000 {
		t.Errorf("POST came back with %d bytes, length %s", len(r.Content.Data), r.Fields.Get("X-Length"))
	}
	if r := p.raw("PUT", pieces("PUT", 300_000)); r.Fields.Get("X-Length") != "-1" || len(r.Content.Data) != 300_000 {
		t.Errorf("PUT in chunks came back with %d bytes, length %s", len(r.Content.Data), r.Fields.Get("X-Length"))
	}
	c, err := rawclient.Dial(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Send("GET /early HTTP/1.1\r\nHost: h\r\n\r\n")
	if r, err := c.ReadResponse("GET"); err != nil || r.Status != 103 || r.Fields.Get("Link") != "</a>" {
		t.Errorf("the interim response = %d %v", r.Status, err)
	}
	if r, err := c.ReadResponse("GET"); err != nil || r.Text() != "late" {
		t.Errorf("the response after it = %q %v", r.Text(), err)
	}
	if n := o.conns.Load(); n != 1 {
		t.Errorf("%d connections were opened, want 1", n)
	}
}

// A target that speaks HTTP/1.1 only gets no request.
func TestProtocolMismatch(t *testing.T) {
	o := origin.Start(t, origin.Raw("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
	p := start(t, "", fmt.Sprintf(`routes { route "all" { upstream "u" } }
upstreams { upstream "u" { target "%s"; protocol "h2c" } }`, o.Addr()))
	if r := p.do("GET", "/"); r.Status != 502 || !strings.Contains(r.Text(), "U41") {
		t.Errorf("answer = %d %s, want 502 with U41", r.Status, r.Text())
	}
}

// hold answers once released.
func hold(release <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		w.Write([]byte("ok"))
	}
}

// statuses are those of the answers to requests that were sent at once, with how many had each.
type statuses struct {
	wg     sync.WaitGroup
	mu     sync.Mutex
	counts map[int]int
}

// together sends n requests at once.
func (p *proxy) together(n int) *statuses {
	a := &statuses{counts: map[int]int{}}
	for range n {
		a.wg.Go(func() {
			r, err := rawclient.Do(p.addr, "GET", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			if err != nil {
				r.Status = -1
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			a.counts[r.Status]++
		})
	}
	return a
}

// of returns how many had that status so far.
func (a *statuses) of(status int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts[status]
}

// max-streams bounds the exchanges on a connection, ours and the target's own limit alike;
// what doesn't fit gets another connection, up to max-connections.
func TestMaxStreams(t *testing.T) {
	for _, test := range []struct {
		pool    string
		target  int // what the target allows
		n       int
		conns   int64
		refused int
	}{
		{"max-streams 4", 0, 12, 3, 0},
		{"", 4, 12, 3, 0},
		{"max-streams 4; max-connections 2", 0, 12, 2, 4},
		{"", 0, 12, 1, 0},
	} {
		release := make(chan struct{})
		o := startH2(t, hold(release), func(s *http.Server) { s.HTTP2.MaxConcurrentStreams = test.target })
		p := start(t, "", o.over("", "connection-pool { "+test.pool+" }"))
		got := p.together(test.n)
		until(t, "all requests at the origin or refused", func() bool {
			return o.streams.Load() == int64(test.n-test.refused) && got.of(503) == test.refused
		})
		if n := o.conns.Load(); n != test.conns {
			t.Errorf("%q: %d connections for %d exchanges, want %d", test.pool, n, test.n, test.conns)
		}
		close(release)
		got.wg.Wait()
		if got.of(200) != test.n-test.refused {
			t.Errorf("%q: answers %v, want %d of 200", test.pool, got.counts, test.n-test.refused)
		}
		p.Stop()
	}
}

// A client that leaves cancels its stream and no other.
func TestCancelledStream(t *testing.T) {
	release := make(chan struct{})
	o := startH2(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/endless" {
			for b := make([]byte, 1<<15); ; {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		}
		hold(release)(w, r)
	}, nil)
	p := start(t, "", o.over("", ""))
	got := p.together(1)
	until(t, "the request at the origin", func() bool { return o.streams.Load() == 1 })
	c, err := rawclient.Dial(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.Send("GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, err := io.ReadFull(c.Conn(), make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	c.Reset()
	c.Close()
	until(t, "the stream cancelled", func() bool { return o.cancelled.Load() == 1 && o.streams.Load() == 1 })
	close(release)
	got.wg.Wait()
	if got.of(200) != 1 || o.conns.Load() != 1 {
		t.Errorf("the other exchange: %v, over %d connections, want 200 over 1", got.counts, o.conns.Load())
	}
}

// Timeouts end a stream and leave its connection.
func TestStreamTimeout(t *testing.T) {
	o := startH2(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/quick" {
			<-r.Context().Done()
		}
	}, nil)
	p := start(t, "", o.over("", "timeouts { read-secs 0.3 }"))
	if r := p.do("GET", "/slow"); r.Status != 504 || !strings.Contains(r.Text(), "U16") {
		t.Errorf("a silent target: %d %s, want 504 with U16", r.Status, r.Text())
	}
	until(t, "the stream cancelled", func() bool { return o.streams.Load() == 0 })
	if r := p.do("GET", "/quick"); r.Status != 200 || o.conns.Load() != 1 {
		t.Errorf("the next request: %d, over %d connections, want 200 over 1", r.Status, o.conns.Load())
	}
}

// Retries by status and by reset, hedges, mirrors and breakers hold for streams.
func TestStreamRetries(t *testing.T) {
	var n atomic.Int64
	o := startH2(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if n.Add(1)%2 == 1 {
			switch r.URL.Path {
			case "/status":
				w.WriteHeader(503)
				return
			case "/reset":
				panic(http.ErrAbortHandler)
			}
		}
		fmt.Fprintf(w, "got %d", len(b))
	}, nil)
	p := start(t, "", o.over(`retry-policy { max-attempts 2; retry-on "reset" "gateway_error" }`, ""))
	for _, path := range []string{"/status", "/reset"} {
		n.Store(0)
		r := p.raw("PUT", strings.Replace(post("PUT", 5000), " / ", " "+path+" ", 1))
		if r.Status != 200 || r.Text() != "got 5000" || n.Load() != 2 {
			t.Errorf("%s: %d %q after %d tries, want 200 after 2", path, r.Status, r.Text(), n.Load())
		}
	}
	if got := o.conns.Load(); got != 1 {
		t.Errorf("%d connections were opened, want 1: a reset stream costs no connection", got)
	}
}

func TestStreamHedge(t *testing.T) {
	var n atomic.Int64
	slow := func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			<-r.Context().Done()
			return
		}
		w.Write([]byte("quick"))
	}
	a, b := startH2(t, slow, nil), startH2(t, slow, nil)
	p := start(t, "", fmt.Sprintf(`routes { route "all" { upstream "u"; retry-policy { max-attempts 2; hedge-after-secs 0.05 } } }
upstreams { upstream "u" { target "%s"; target "%s"; protocol "h2c"; retry-budget { percent 100 } } }`, a.addr, b.addr))
	if r := p.do("GET", "/"); r.Status != 200 || r.Text() != "quick" {
		t.Errorf("hedged = %d %q, want the second target's answer", r.Status, r.Text())
	}
	until(t, "the first try cancelled", func() bool { return a.streams.Load()+b.streams.Load() == 0 && n.Load() == 2 })
}

func TestStreamMirror(t *testing.T) {
	content := make(chan string, 1)
	main := startH2(t, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("main")) }, nil)
	copied := startH2(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		content <- r.Method + " " + r.URL.Path + " " + string(b)
	}, nil)
	p := start(t, "", fmt.Sprintf(`routes { route "all" { upstream "u"; mirror "m" { percent 100 } } }
upstreams { upstream "u" { target "%s"; protocol "h2c" }; upstream "m" { target "%s"; protocol "h2c" } }`, main.addr, copied.addr))
	if r := p.raw("POST", "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"); r.Text() != "main" {
		t.Errorf("answer = %q", r.Text())
	}
	if got := <-content; got != "POST /p abc" {
		t.Errorf("the mirror got %q", got)
	}
}

func TestStreamBreaker(t *testing.T) {
	o := startH2(t, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, nil)
	p := start(t, "", o.over("", "circuit-breaker { failure-threshold 3; timeout-secs 60 }"))
	for i := range 5 {
		want := 502
		if i >= 3 {
			want = 503
		}
		if r := p.do("GET", "/"); r.Status != want {
			t.Errorf("request %d = %d, want %d", i, r.Status, want)
		}
	}
	if n := o.hits.Load(); n != 3 {
		t.Errorf("the target got %d requests, want 3", n)
	}
}

// A connection that the target has closed isn't used, and one that it takes leave of carries
// what it has begun to its end.
func TestStaleStreamConnection(t *testing.T) {
	var srv *http.Server
	release := make(chan struct{})
	o := startH2(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			hold(release)(w, r)
		}
	}, func(s *http.Server) { srv = s })
	p := start(t, "", o.over("", ""))
	if r := p.do("GET", "/"); r.Status != 200 {
		t.Fatalf("the first request = %d", r.Status)
	}
	held := make(chan rawclient.Response, 1)
	go func() {
		r, _ := rawclient.Do(p.addr, "GET", "GET /held HTTP/1.1\r\nHost: h\r\n\r\n")
		held <- r
	}()
	until(t, "the request at the origin", func() bool { return o.streams.Load() == 1 })
	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown(context.Background()) }()
	until(t, "the listener closed", func() bool {
		_, err := net.Dial("tcp", o.addr)
		return err != nil
	})
	until(t, "the connection left alone", func() bool {
		r := p.do("POST", "/") // mustn't be sent twice
		return r.Status == 502 && strings.Contains(r.Text(), "U01")
	})
	close(release)
	if r := <-held; r.Status != 200 || r.Text() != "ok" {
		t.Errorf("the request in hand = %d %q, want it to end", r.Status, r.Text())
	}
	if err := <-ended; err != nil && !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Shutdown = %v", err)
	}
}

// An idle connection is tried at intervals, and closed when nobody answers.
func TestPingInterval(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := start(t, "", fmt.Sprintf(`routes { route "all" { upstream "u" } }
upstreams { upstream "u" { target "%s"; protocol "h2c"; connection-pool { ping-interval-secs 0.2 } } }`, ln.Addr()))
	answered := make(chan rawclient.Response, 1)
	go func() { answered <- p.do("GET", "/") }()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
	f := http2.NewFramer(conn, conn)
	f.WriteSettings()
	for pings := 0; ; {
		frame, err := f.ReadFrame()
		if err != nil {
			if pings < 2 {
				t.Errorf("the connection ended after %d pings: %v", pings, err)
			}
			return
		}
		switch frame := frame.(type) {
		case *http2.HeadersFrame:
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: frame.StreamID, BlockFragment: []byte{0x89}, EndHeaders: true, EndStream: true})
			if r := <-answered; r.Status != 204 {
				t.Errorf("answer = %d, want 204", r.Status)
			}
		case *http2.PingFrame:
			if pings++; pings == 1 {
				f.WritePing(true, frame.Data)
			}
		}
	}
}

// With TLS the handshake agrees on the protocol: h2 takes no less, auto takes what there is.
func TestProtocolByTLS(t *testing.T) {
	ca := pki.New(t, "CA")
	file := ca.Write(t, t.TempDir(), "ca")
	config := serverConfig(ca.Issue(t, pki.Server("localhost")))
	for _, test := range []struct {
		protocol string
		offers   []string // by the target
		want     string
		status   int
	}{
		{"h2", []string{"h2", "http/1.1"}, "HTTP/2.0", 200},
		{"h2", []string{"http/1.1"}, "", 502},
		{"h2", nil, "", 502},
		{"auto", []string{"h2", "http/1.1"}, "HTTP/2.0", 200},
		{"auto", []string{"http/1.1"}, "HTTP/1.1", 200},
		{"auto", nil, "HTTP/1.1", 200},
		{"http1", []string{"h2", "http/1.1"}, "HTTP/1.1", 200},
	} {
		var conns atomic.Int64
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Proto, " ", r.TLS.ServerName)
		}))
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				conns.Add(1)
			}
		}
		srv.Config.Protocols = new(http.Protocols)
		srv.Config.Protocols.SetHTTP1(true)
		srv.Config.Protocols.SetHTTP2(true)
		srv.TLS = config.Clone()
		srv.TLS.NextProtos = test.offers
		srv.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c := config.Clone()
			c.NextProtos = test.offers
			return c, nil
		}
		srv.StartTLS()
		addr := strings.Replace(srv.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
		p := start(t, "", fmt.Sprintf(`routes { route "all" { upstream "u" } }
upstreams { upstream "u" { target "%s"; protocol "%s"; tls { ca-cert "%s" }
    health-check { interval-secs 0.2; unhealthy-threshold 1 } } }`, addr, test.protocol, file))
		for range 3 {
			r := p.do("GET", "/")
			if want := test.want + " localhost"; r.Status != test.status && test.status == 200 || test.status == 200 && r.Text() != want {
				t.Errorf("%s with %v = %d %q, want %d %q", test.protocol, test.offers, r.Status, r.Text(), test.status, want)
			} else if test.status != 200 && r.Status != 502 && r.Status != 503 {
				t.Errorf("%s with %v = %d, want none to be served", test.protocol, test.offers, r.Status)
			}
		}
		p.Stop()
		srv.Close()
	}
}

// Health checks speak what requests speak.
func TestProtocolOfChecks(t *testing.T) {
	o := startH2(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" && r.ProtoMajor != 2 {
			w.WriteHeader(500)
		}
	}, nil)
	p := start(t, "", o.over("", `health-check { type "http" { path "/health" }; interval-secs 0.1; unhealthy-threshold 1 }`))
	until(t, "a check at the origin", func() bool { return o.hits.Load() > 2 })
	if r := p.do("GET", "/"); r.Status != 200 {
		t.Errorf("answer = %d %s, want a healthy target", r.Status, r.Text())
	}
}

// A reload that changes the protocol, or closes a pool, cuts no exchange.
func TestProtocolReload(t *testing.T) {
	release := make(chan struct{})
	o := startH2(t, hold(release), func(s *http.Server) { s.Protocols.SetHTTP1(true) })
	text := func(protocol string) string {
		return fmt.Sprintf(`listeners { listener "l" { address "127.0.0.1:0" } }
routes { route "all" { upstream "u" } }
upstreams { upstream "u" { target "%s"; protocol "%s" } }`, o.addr, protocol)
	}
	p := start(t, "", strings.SplitN(text("h2c"), "\n", 2)[1])
	before := p.together(3)
	until(t, "the requests at the origin", func() bool { return o.streams.Load() == 3 })
	if out := p.Reload(text("http1")); !out.OK {
		t.Fatalf("Reload = %+v", out)
	}
	p.addr = p.Addr("l")
	after := p.together(3)
	until(t, "all requests at the origin", func() bool { return o.streams.Load() == 6 })
	close(release)
	before.wg.Wait()
	after.wg.Wait()
	if before.of(200) != 3 || after.of(200) != 3 {
		t.Errorf("answers = %v and %v, want 200", before.counts, after.counts)
	}
	until(t, "the old connection closed", func() bool { return o.open.Load() <= 3 })
}
