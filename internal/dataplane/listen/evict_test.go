package listen

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// A peer that isn't let in is reset; nothing is counted as open for it.
func TestScreenedPeersAreReset(t *testing.T) {
	var closed atomic.Bool
	var asked atomic.Pointer[Listener]
	r := newTestRegistry(t, Options{Handler: newEcho(), Screen: func(l *Listener, peer netip.Addr, _ bool) bool {
		asked.Store(l)
		return !closed.Load() || peer.String() != "127.0.0.1"
	}})
	apply(t, r, one("http", "127.0.0.1:0"))
	before := dial(t, addressOf(t, r, "http"))
	say(t, before, "a")
	closed.Store(true)
	c, err := net.Dial("tcp", addressOf(t, r, "http"))
	if err == nil {
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a new connection ends with %v, want a reset", err)
	}
	if l := r.Listeners()[0]; asked.Load() != l || l.Refused() != 1 || l.Open() != 1 {
		t.Errorf("refused %d, open %d, want 1 and 1", l.Refused(), l.Open())
	}
	if got := say(t, before, "b"); got != "b" {
		t.Errorf("echo on the connection from before = %q, want b", got)
	}
}

func everybody(netip.Addr) bool { return true }

func TestEvict(t *testing.T) {
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	apply(t, r, one("http", "127.0.0.1:0"))
	idle, busy := dial(t, addressOf(t, r, "http")), dial(t, addressOf(t, r, "http"))
	say(t, idle, "a")
	io.WriteString(busy, "hold\n")
	<-e.held
	if n := r.Evict(func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.1") }, true); n != 0 {
		t.Errorf("Evict(somebody else) = %d, want 0", n)
	}
	if got := say(t, idle, "b"); got != "b" {
		t.Errorf("echo = %q, want b", got)
	}
	if n := r.Evict(everybody, false); n != 2 {
		t.Errorf("Evict() = %d, want 2", n)
	}
	expectClosed(t, idle)
	close(e.release)
	var answer [10]byte
	if n, err := io.ReadFull(busy, answer[:]); string(answer[:n]) != "last hold\n" {
		t.Errorf("the request in hand is answered %q (%v), want \"last hold\\n\"", answer[:n], err)
	}
	expectClosed(t, busy)
}

func TestEvictCuts(t *testing.T) {
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	apply(t, r, one("http", "127.0.0.1:0"))
	c := dial(t, addressOf(t, r, "http"))
	(<-e.accepted).Busy()
	r.Evict(everybody, false)
	if got := say(t, c, "a"); got != "last a" {
		t.Errorf("echo = %q, want a last one: its request was in hand", got)
	}
	expectClosed(t, c)
	c = dial(t, addressOf(t, r, "http"))
	(<-e.accepted).Busy()
	r.Evict(everybody, true)
	expectClosed(t, c)
}

// download writes without an end.
type download struct {
	accepted chan *Conn
	ended    chan error
}

func (d *download) ServeConn(c *Conn) {
	c.Busy()
	d.accepted <- c
	for content := make([]byte, 1<<10); ; {
		if _, err := c.Net.Write(content); err != nil {
			d.ended <- err
			return
		}
	}
}

// A client that takes all it gets, so that no write waits, is cut as well.
func TestEvictCutsADownload(t *testing.T) {
	d := &download{make(chan *Conn, 1), make(chan error, 1)}
	r := newTestRegistry(t, Options{Handler: d})
	apply(t, r, one("http", "127.0.0.1:0"))
	c := dial(t, addressOf(t, r, "http"))
	go io.Copy(io.Discard, c)
	<-d.accepted
	r.Evict(everybody, false)
	select {
	case err := <-d.ended:
		t.Fatalf("the answer in hand ends with %v", err)
	default:
	}
	r.Evict(everybody, true)
	if err := <-d.ended; err == nil {
		t.Error("writes go on")
	}
}

// A connection that falls idle while it is evicted is ended by one side or the other.
func TestEvictMeetsIdle(t *testing.T) {
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	apply(t, r, one("http", "127.0.0.1:0"))
	for range 100 {
		c := dial(t, addressOf(t, r, "http"))
		conn := <-e.accepted
		conn.Busy()
		var both sync.WaitGroup
		both.Go(func() { conn.Idle(conn.Net.Clock().Now()) })
		both.Go(func() { r.Evict(everybody, false) })
		both.Wait()
		expectClosed(t, c)
	}
}
