package listen

import (
	"context"
	"io"
	"net"
	"testing"
	"time"
)

func TestDrainFinishesWhatIsInHand(t *testing.T) {
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	apply(t, r, one("http", "127.0.0.1:0"))
	address := addressOf(t, r, "http")
	busy, idle := dial(t, address), dial(t, address)
	say(t, idle, "a")
	io.WriteString(busy, "hold\n")
	<-e.held

	drained := make(chan int64)
	go func() { drained <- r.Drain(t.Context()) }()
	expectClosed(t, idle)
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("a draining listener accepts")
	}
	close(e.release)
	buf := make([]byte, 64)
	if n, err := busy.Read(buf); err != nil || string(buf[:n]) != "last hold\n" {
		t.Errorf("answer in the drain = %q, %v, want %q", buf[:n], err, "last hold\n")
	}
	if left := <-drained; left != 0 {
		t.Errorf("Drain() = %d left, want 0", left)
	}
}

func TestDrainEndsWithItsContext(t *testing.T) {
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	apply(t, r, one("http", "127.0.0.1:0"))
	io.WriteString(dial(t, addressOf(t, r, "http")), "hold\n")
	<-e.held
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if left := r.Drain(ctx); left != 1 {
		t.Errorf("Drain() = %d left, want 1", left)
	}
	close(e.release)
}

func TestRemovedListenerDrains(t *testing.T) {
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	two := one("http", "127.0.0.1:0")
	two.Listeners = append(two.Listeners, Spec{Name: "gone", Addresses: []string{"127.0.0.1:0"}})
	apply(t, r, two)
	address := addressOf(t, r, "gone")
	idle, busy := dial(t, address), dial(t, address)
	say(t, idle, "a")
	io.WriteString(busy, "hold\n")
	<-e.held
	apply(t, r, one("http", "127.0.0.1:0"))
	expectClosed(t, idle)
	if got := len(r.Listeners()); got != 2 {
		t.Errorf("len(Listeners()) while one drains = %d, want 2", got)
	}
	close(e.release)
	buf := make([]byte, 64)
	if n, err := busy.Read(buf); err != nil || string(buf[:n]) != "last hold\n" {
		t.Errorf("answer = %q, %v, want %q", buf[:n], err, "last hold\n")
	}
	r.drains.Wait()
	if got := len(r.Listeners()); got != 1 {
		t.Errorf("len(Listeners()) after the drain = %d, want 1", got)
	}
	if c := apply(t, r, two); c.Slot("gone") != 1 {
		t.Errorf("Slot(gone) = %d, want the free slot 1", c.Slot("gone"))
	}
}

func TestRemovedListenerIsCutAtTheDrainLimit(t *testing.T) {
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	apply(t, r, one("gone", "127.0.0.1:0"))
	c := dial(t, addressOf(t, r, "gone"))
	say(t, c, "a")
	(<-e.accepted).Busy() // as a long answer would
	next := one("http", "127.0.0.1:0")
	next.DrainLimit = time.Millisecond
	apply(t, r, next)
	expectClosed(t, c)
	r.drains.Wait()
}

func TestListenerThatComesBackIsRevived(t *testing.T) {
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	apply(t, r, one("http", "127.0.0.1:0"))
	c := dial(t, addressOf(t, r, "http"))
	io.WriteString(c, "hold\n")
	<-e.held
	apply(t, r, one("other", "127.0.0.1:0"))
	if got := apply(t, r, one("http", "127.0.0.1:0")).Slot("http"); got != 0 {
		t.Errorf("Slot(http) = %d, want 0", got)
	}
	close(e.release)
	buf := make([]byte, 64)
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != "hold\n" {
		t.Errorf("answer = %q, %v, want %q", buf[:n], err, "hold\n")
	}
	if got := say(t, c, "a"); got != "a" {
		t.Errorf("echo = %q, want a", got)
	}
}

func TestCloseIdleTakesTheOldestFirst(t *testing.T) {
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	apply(t, r, one("http", "127.0.0.1:0"))
	clients := make([]net.Conn, 4)
	conns := make([]*Conn, 4)
	for i := range clients {
		clients[i] = dial(t, addressOf(t, r, "http"))
		conns[i] = <-e.accepted
	}
	const now = 10 * time.Second
	for i, idle := range []time.Duration{2 * time.Second, 4 * time.Second, 5 * time.Second, 3 * time.Second} {
		conns[i].Idle(now - idle)
	}
	conns[2].Busy()
	r.closeIdle(now, 2)
	expectClosed(t, clients[1])
	expectClosed(t, clients[3])
	if got := say(t, clients[0], "a"); got != "a" {
		t.Errorf("the youngest idle connection: echo = %q, want a", got)
	}
	if got := say(t, clients[2], "b"); got != "b" {
		t.Errorf("the busy connection: echo = %q, want b", got)
	}
}

func TestStoppedSocketTakesWhatHasConnected(t *testing.T) {
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	apply(t, r, one("http", "127.0.0.1:0"))
	ln, err := bind("tcp", "127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	s := newSocket(ln, "")
	s.owner.Store(r.Listeners()[0])
	queued := dial(t, ln.Addr().String())
	s.started = true
	s.stop()
	s.run()
	if got := say(t, queued, "a"); got != "a" {
		t.Errorf("echo = %q, want a", got)
	}
}
