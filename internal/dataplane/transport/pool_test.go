package transport

import (
	"net"
	"testing"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/h1"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// server accepts connections, answers every request with "ok" and tells of each.
type server struct {
	ln    net.Listener
	conns chan net.Conn
}

func serve(t *testing.T) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{ln: ln, conns: make(chan net.Conn, 100)}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.conns <- c
			go answer(c)
		}
	}()
	return s
}

func answer(c net.Conn) {
	b := make([]byte, 1024)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
		c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	}
}

func newPool(t *testing.T, address string, change func(*Limits)) (*Pool, *netio.Clock) {
	t.Helper()
	clock := netio.NewClock()
	t.Cleanup(clock.Stop)
	l := Limits{IdleMax: 2, IdleTimeout: time.Minute, ConnectTimeout: 5 * time.Second, Client: h1.DefaultClientLimits()}
	if change != nil {
		change(&l)
	}
	p := NewPool(address, clock, &net.Dialer{}, l)
	t.Cleanup(p.Close)
	return p, clock
}

// request returns a GET without content.
func request() *message.Outgoing {
	h := &message.Head{Buf: []byte("GET"), MethodAt: message.Span{End: 3}, Extra: []byte("Host: a\r\n")}
	return &message.Outgoing{Head: h, Path: []byte("/")}
}

// use carries one exchange over c and gives it back.
func use(t *testing.T, p *Pool, c *Conn) {
	t.Helper()
	if err := c.Exchange(request()); err != nil {
		t.Fatal(err)
	}
	c.Frame(false)
	if content, end, err := c.Buffered(); string(content) != "ok" || !end || err != nil {
		t.Fatalf("Buffered = %q, %v, %v", content, end, err)
	}
	p.Put(c, p.clock.Now())
}

// An interruption that comes when the response is there already must not hit the next exchange.
func TestPoolDropsInterruptedConnections(t *testing.T) {
	p, _ := newPool(t, serve(t).ln.Addr().String(), nil)
	c := get(t, p)
	if err := c.Exchange(request()); err != nil {
		t.Fatal(err)
	}
	c.Frame(false)
	c.Buffered()
	c.Interrupt()
	p.Put(c, p.clock.Now())
	use(t, p, get(t, p))
	if open, idle := p.Open(); open != 1 || idle != 1 {
		t.Errorf("Open = %d, %d, want the second connection alone", open, idle)
	}
}

func get(t *testing.T, p *Pool) *Conn {
	t.Helper()
	c, err := p.Get(Want{Now: p.clock.Now(), By: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPoolReuses(t *testing.T) {
	p, _ := newPool(t, serve(t).ln.Addr().String(), nil)
	for i := range 3 {
		c := get(t, p)
		if c.Reused != (i > 0) {
			t.Errorf("use %d: Reused = %v", i, c.Reused)
		}
		use(t, p, c)
	}
	if open, idle := p.Open(); open != 1 || idle != 1 {
		t.Errorf("Open = %d, %d, want 1, 1", open, idle)
	}
}

func TestPoolSeesClosedConnections(t *testing.T) {
	s := serve(t)
	p, _ := newPool(t, s.ln.Addr().String(), nil)
	c := get(t, p)
	use(t, p, c)
	(<-s.conns).Close()
	for end := time.Now().Add(5 * time.Second); c.Net().Alive(); {
		if time.Now().After(end) {
			t.Fatal("the FIN never came")
		}
	}
	c, err := p.Get(Want{Alive: true, Now: p.clock.Now(), By: time.Hour}) // must: the request can't be repeated
	if err != nil || c.Reused {
		t.Fatalf("Get = %v, reused %v, want a new connection", err, c.Reused)
	}
	p.Put(c, p.clock.Now())
}

func TestPoolLimits(t *testing.T) {
	p, _ := newPool(t, serve(t).ln.Addr().String(), func(l *Limits) { l.ConnectionsMax, l.IdleMax = 3, 1 })
	var lent []*Conn
	for range 3 {
		lent = append(lent, get(t, p))
	}
	if _, err := p.Get(Want{Now: p.clock.Now(), By: time.Hour}); err != fault.UpstreamConnectionLimit {
		t.Errorf("Get above the limit = %v, want %v", err, fault.UpstreamConnectionLimit)
	}
	for _, c := range lent {
		use(t, p, c)
	}
	if open, idle := p.Open(); open != 1 || idle != 1 {
		t.Errorf("Open = %d, %d, want 1, 1: max-idle is 1", open, idle)
	}
}

func TestPoolAges(t *testing.T) {
	p, clock := newPool(t, serve(t).ln.Addr().String(), func(l *Limits) { l.LifetimeMax = time.Hour })
	use(t, p, get(t, p))
	p.Sweep(clock.Now() + 59*time.Second)
	if _, idle := p.Open(); idle != 1 {
		t.Error("closed before its idle timeout")
	}
	p.Sweep(clock.Now() + 61*time.Second)
	if open, _ := p.Open(); open != 0 {
		t.Error("kept beyond its idle timeout")
	}
	p.SetLimits(Limits{IdleMax: 1, LifetimeMax: time.Nanosecond, ConnectTimeout: time.Second, Client: h1.DefaultClientLimits()})
	use(t, p, get(t, p))
	if open, _ := p.Open(); open != 0 {
		t.Error("kept beyond its lifetime")
	}
}

func TestPoolClosesWhatComesBack(t *testing.T) {
	p, _ := newPool(t, serve(t).ln.Addr().String(), nil)
	c := get(t, p)
	p.Close()
	use(t, p, c)
	if open, _ := p.Open(); open != 0 {
		t.Errorf("%d connections open after Close", open)
	}
}

func TestPoolDropsBrokenConnections(t *testing.T) {
	p, _ := newPool(t, serve(t).ln.Addr().String(), nil)
	c := get(t, p)
	if err := c.Exchange(request()); err != nil {
		t.Fatal(err)
	}
	p.Put(c, p.clock.Now()) // its content was not read
	if open, _ := p.Open(); open != 0 {
		t.Error("a connection with an unread response was kept")
	}
}

func TestDialFaults(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := ln.Addr().String()
	ln.Close()
	for _, test := range []struct {
		address string
		want    fault.Kind
	}{
		{closed, fault.UpstreamRefused},
		{"no-such-host.invalid:80", fault.UpstreamNameUnresolved},
	} {
		p, _ := newPool(t, test.address, nil)
		if _, err := p.Get(Want{Now: p.clock.Now(), By: time.Hour}); err != test.want {
			t.Errorf("Get from %s = %v, want %v", test.address, err, test.want)
		}
		if open, _ := p.Open(); open != 0 {
			t.Errorf("a failed dial counts as open")
		}
	}
}
