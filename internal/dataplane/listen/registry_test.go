package listen

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
)

// echo answers each line with its slot and the line. A line "hold" is answered when
// release is closed. It marks busy and idle as an engine does.
type echo struct {
	accepted chan *Conn
	held     chan struct{}
	release  chan struct{}
}

func newEcho() *echo {
	return &echo{accepted: make(chan *Conn, 64), held: make(chan struct{}, 64), release: make(chan struct{})}
}

func (e *echo) ServeConn(c *Conn) {
	e.accepted <- c
	var buf [256]byte
	for {
		n, err := c.Net.Read(buf[:])
		if err != nil {
			return
		}
		c.Busy()
		line := string(buf[:n])
		if line == "panic\n" {
			panic("as asked")
		}
		if line == "hold\n" {
			e.held <- struct{}{}
			<-e.release
		}
		last := c.MustClose()
		if last {
			line = "last " + line
		}
		c.Net.Write([]byte(line))
		if last {
			return
		}
		c.Idle(c.Net.Clock().Now())
	}
}

func newTestRegistry(t *testing.T, opt Options) *Registry {
	t.Helper()
	opt.Clock = netio.NewClock()
	r := NewRegistry(opt)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if left := r.Close(ctx); left != 0 {
			t.Errorf("Close() = %d connections left, want 0", left)
		}
		opt.Clock.Stop()
	})
	return r
}

func apply(t *testing.T, r *Registry, p Plan) *Change {
	t.Helper()
	c, err := r.Prepare(p)
	if err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	c.Commit()
	return c
}

func one(name, address string) Plan {
	return Plan{Listeners: []Spec{{Name: name, Addresses: []string{address}, At: "config.kdl:3:5"}}, DrainLimit: time.Minute}
}

func addressOf(t *testing.T, r *Registry, name string) string {
	t.Helper()
	for _, b := range r.Bindings() {
		if b.Listener == name {
			return b.Address
		}
	}
	t.Fatalf("no listener %q in %v", name, r.Bindings())
	return ""
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

func say(t *testing.T, c net.Conn, line string) string {
	t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		t.Fatalf("write: %v", err)
	}
	got, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return strings.TrimSuffix(got, "\n")
}

func expectClosed(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("Read = %d, %v, want a closed connection", n, err)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Error("connection is still open")
	}
}

func TestAcceptsAndCounts(t *testing.T) {
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	apply(t, r, one("http", "127.0.0.1:0"))
	c := dial(t, addressOf(t, r, "http"))
	if got := say(t, c, "a"); got != "a" {
		t.Errorf("echo = %q, want %q", got, "a")
	}
	conn := <-e.accepted
	if conn.HealthOnly || conn.Slot() != 0 || conn.Addr.String() != c.LocalAddr().String() {
		t.Errorf("Conn = %+v, want slot 0, peer %s", conn, c.LocalAddr())
	}
	if l := r.Listeners()[0]; l.Open() != 1 || r.Connections().Open() != 1 {
		t.Errorf("open = %d and %d, want 1 and 1", l.Open(), r.Connections().Open())
	}
}

func TestAddressInUseNamesListenerAndPlace(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	r := newTestRegistry(t, Options{Handler: newEcho()})
	_, err = r.Prepare(one("http", other.Addr().String()))
	var bindErr *BindError
	if !errors.As(err, &bindErr) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("Prepare = %v, want a BindError", err)
	}
	for _, want := range []string{"address in use", `listener "http"`, "config.kdl:3:5", other.Addr().String()} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q doesn't contain %q", err, want)
		}
	}
}

func TestFailedChangeChangesNothing(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	apply(t, r, one("http", "127.0.0.1:0"))
	before := addressOf(t, r, "http")
	plan := one("http", "127.0.0.1:0")
	plan.Listeners[0].MaxConnections = 1
	plan.Listeners = append(plan.Listeners,
		Spec{Name: "fine", Addresses: []string{"127.0.0.2:0"}},
		Spec{Name: "taken", Addresses: []string{other.Addr().String(), other.Addr().String()}})
	_, err = r.Prepare(plan)
	if n := strings.Count(err.Error(), "address in use"); n != 2 {
		t.Errorf("Prepare = %v, want both addresses named", err)
	}
	if got := r.Bindings(); len(got) != 1 || got[0].Address != before || r.Listeners()[0].Limit() != 0 {
		t.Errorf("Bindings() = %v, want only %s, unchanged", got, before)
	}
	if got := say(t, dial(t, before), "a"); got != "a" {
		t.Errorf("echo = %q, want %q", got, "a")
	}
}

func TestMovedListenerKeepsSlotAndConnections(t *testing.T) {
	r := newTestRegistry(t, Options{Handler: newEcho()})
	first := one("http", "127.0.0.1:0")
	first.Listeners = append(first.Listeners, Spec{Name: "second", Addresses: []string{"127.0.0.1:0"}})
	apply(t, r, first)
	old := addressOf(t, r, "second")
	c := dial(t, old)
	say(t, c, "a")
	change := apply(t, r, Plan{Listeners: []Spec{{Name: "second", Addresses: []string{"127.0.0.2:0"}}, {Name: "third", Addresses: []string{"127.0.0.1:0"}}}})
	if got := change.Slot("second"); got != 1 {
		t.Errorf("Slot(second) = %d, want 1", got)
	}
	if got := say(t, c, "b"); got != "b" {
		t.Errorf("echo on the old connection = %q, want %q", got, "b")
	}
	if got := say(t, dial(t, addressOf(t, r, "second")), "c"); got != "c" {
		t.Errorf("echo on the new address = %q, want %q", got, "c")
	}
	if conn, err := net.Dial("tcp", old); err == nil {
		conn.Close()
		t.Error("the old address still accepts")
	}
}

func TestSocketPassesBetweenListeners(t *testing.T) {
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	apply(t, r, one("old", "127.0.0.1:0"))
	address := addressOf(t, r, "old")
	apply(t, r, one("old", address))
	c := dial(t, address)
	say(t, c, "a")
	<-e.accepted
	apply(t, r, one("new", address))
	if got := say(t, c, "b"); got != "last b" {
		t.Errorf("echo on a connection of the removed listener = %q, want %q", got, "last b")
	}
	if got := say(t, dial(t, address), "c"); got != "c" {
		t.Errorf("echo = %q, want %q", got, "c")
	}
	if got := (<-e.accepted).Listener().Name(); got != "new" {
		t.Errorf("Listener().Name() = %q, want new", got)
	}
}

func TestMoveFromWildcardToOneAddress(t *testing.T) {
	r := newTestRegistry(t, Options{Handler: newEcho()})
	apply(t, r, one("http", "0.0.0.0:0"))
	_, port, _ := net.SplitHostPort(addressOf(t, r, "http"))
	for _, address := range []string{"127.0.0.1:" + port, "0.0.0.0:" + port, "[::]:" + port, ":" + port, "127.0.0.1:" + port} {
		apply(t, r, one("http", address))
		if got := say(t, dial(t, "127.0.0.1:"+port), "a"); got != "a" {
			t.Errorf("echo at %s = %q, want a", address, got)
		}
	}
	other := newTestRegistry(t, Options{Handler: newEcho()})
	if _, err := other.Prepare(one("http", "127.0.0.1:"+port)); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Prepare by another registry = %v, want address in use", err)
	}
}

func TestDualStack(t *testing.T) {
	for _, addresses := range [][]string{{"[::]:0"}, {":0"}} {
		r := newTestRegistry(t, Options{Handler: newEcho()})
		apply(t, r, Plan{Listeners: []Spec{{Name: "http", Addresses: addresses}}})
		_, port, _ := net.SplitHostPort(addressOf(t, r, "http"))
		for _, host := range []string{"127.0.0.1", "[::1]"} {
			if got := say(t, dial(t, host+":"+port), "a"); got != "a" {
				t.Errorf("echo at %s for %v = %q, want a", host, addresses, got)
			}
		}
	}
}

func TestBothWildcardsSideBySide(t *testing.T) {
	p := &Plan{Listeners: []Spec{{Name: "a", Addresses: []string{"0.0.0.0:80", "[::]:80", "[::]:81", "[::1]:80", ":80"}}}}
	want := []string{"tcp4", "tcp6", "tcp", "tcp6", "tcp6"}
	for i, w := range wantedBy(p) {
		if w.network != want[i] {
			t.Errorf("network of %s = %s, want %s", w.address, w.network, want[i])
		}
	}
}

func TestLoopbackPassesTheLimitForHealthOnly(t *testing.T) {
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	p := one("http", "127.0.0.1:0")
	p.MaxConnections = 1
	apply(t, r, p)
	say(t, dial(t, addressOf(t, r, "http")), "a")
	if c := <-e.accepted; c.HealthOnly {
		t.Error("HealthOnly below the limit = true, want false")
	}
	if got := say(t, dial(t, addressOf(t, r, "http")), "b"); got != "last b" {
		t.Errorf("echo above the limit = %q, want %q", got, "last b")
	}
	if c := <-e.accepted; !c.HealthOnly {
		t.Error("HealthOnly above the limit = false, want true")
	}
}

func TestOldestHealthOnlyConnectionGivesWay(t *testing.T) {
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	p := one("http", "127.0.0.1:0")
	p.Listeners[0].MaxConnections = 1
	apply(t, r, p)
	dial(t, addressOf(t, r, "http"))
	<-e.accepted
	oldest := dial(t, addressOf(t, r, "http"))
	<-e.accepted
	for range healthConnsMax {
		dial(t, addressOf(t, r, "http"))
		<-e.accepted
	}
	expectClosed(t, oldest)
}

// admitFrom hands the registry a connection as if it came from that address.
func TestRemoteClientsAreRefusedAtEachLimit(t *testing.T) {
	client := ClientKey(netip.MustParseAddr("192.0.2.1"))
	for _, c := range []struct {
		name string
		plan func(p *Plan)
		want fault.Kind
	}{
		{"none", func(p *Plan) {}, fault.None},
		{"process", func(p *Plan) { p.MaxConnections = 2 }, fault.ConnectionLimit},
		{"listener", func(p *Plan) { p.Listeners[0].MaxConnections = 2 }, fault.ConnectionLimit},
		{"client", func(p *Plan) { p.MaxPerClient = 2 }, fault.ClientConnectionLimit},
		{"client and listener", func(p *Plan) { p.Listeners[0].MaxPerClient = 2 }, fault.ClientConnectionLimit},
	} {
		r := newTestRegistry(t, Options{Handler: newEcho()})
		p := one("http", "127.0.0.1:0")
		apply(t, r, p)
		l := r.Listeners()[0]
		l.enter(client, true)
		l.enter(client, true)
		c.plan(&p)
		apply(t, r, p)
		if got := l.enter(client, true); got != c.want {
			t.Errorf("%s: enter() = %v, want %v", c.name, got, c.want)
		}
		for l.gate.Open() > 0 {
			l.clients.Leave(client)
			r.clients.Leave(client)
			r.gate.Leave()
			l.gate.Leave()
		}
		if r.gate.Open() != 0 || r.clients.Len() != 0 || l.clients.Len() != 0 {
			t.Errorf("%s: a refused client was counted: %d, %d, %d", c.name, r.gate.Open(), r.clients.Len(), l.clients.Len())
		}
	}
}

func TestCannedAnswers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for k, status := range map[fault.Kind]int{fault.ConnectionLimit: 503, fault.DescriptorLimit: 503, fault.MemoryLimit: 503, fault.ClientConnectionLimit: 429} {
		c := dial(t, ln.Addr().String())
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		nc, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		newRefusals().answer(nc.(*net.TCPConn), k)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%v: %v", k, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != status || resp.Header.Get("Retry-After") == "" || !resp.Close ||
			!strings.Contains(string(body), k.Row().Code) {
			t.Errorf("%v: %s %v %s (%v), want %d with Retry-After and code", k, resp.Status, resp.Header, body, err, status)
		}
	}
}

func TestPanicCostsOneConnection(t *testing.T) {
	panics := make(chan any, 1)
	r := newTestRegistry(t, Options{Handler: newEcho(), Panicked: func(v any, stack []byte) { panics <- v }})
	apply(t, r, one("http", "127.0.0.1:0"))
	c := dial(t, addressOf(t, r, "http"))
	io.WriteString(c, "panic\n")
	expectClosed(t, c)
	if got := <-panics; got != "as asked" {
		t.Errorf("Panicked(%v), want the panic's value", got)
	}
	if got := say(t, dial(t, addressOf(t, r, "http")), "a"); got != "a" {
		t.Errorf("echo = %q, want a", got)
	}
}
