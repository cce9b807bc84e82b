package listen

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/dataplane/fault"
)

// introduced is a plan whose listener takes headers of 127.0.0.2 and 127.0.0.1.
func introduced(s Senders) Plan {
	p := one("http", "127.0.0.1:0")
	s.From = append(s.From, netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("127.0.0.2/32"))
	if s.Timeout == 0 {
		s.Timeout = 10 * time.Second
	}
	p.Listeners[0].Senders = &s
	return p
}

func dialFrom(t *testing.T, local, address string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
	c, err := d.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

const header7 = "PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n"

// What a connection begins with decides whose it is, or that it is nobody's.
func TestIntroduce(t *testing.T) {
	long := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x08\x00\xc0\x00\x02\x09\xc6\x33\x64\x01\x30\x39\x01\xbb\x04\x07\xf1" + strings.Repeat("n", 2033)
	for _, c := range []struct {
		name, peer, sent string
		senders          Senders
		want             string
	}{
		{"header", "127.0.0.2", header7, Senders{}, "192.0.2.7"},
		{"long header", "127.0.0.2", long, Senders{}, "192.0.2.9"},
		{"local", "127.0.0.2", "PROXY UNKNOWN\r\n", Senders{}, "127.0.0.2"},
		{"no header", "127.0.0.2", "", Senders{}, "bad_proxy_header"},
		{"no header, optional", "127.0.0.2", "", Senders{Optional: true}, "127.0.0.2"},
		{"header, optional", "127.0.0.2", header7, Senders{Optional: true}, "192.0.2.7"},
		{"broken, optional", "127.0.0.2", "PROXY TCP5 \r\n", Senders{Optional: true}, "bad_proxy_header"},
		{"the machine itself", "127.0.0.1", "", Senders{}, "127.0.0.1"},
		{"the machine with header", "127.0.0.1", header7, Senders{}, "192.0.2.7"},
		{"stranger", "127.0.0.3", "", Senders{}, "proxy_sender_unknown"},
		{"stranger with header", "127.0.0.3", header7, Senders{}, "proxy_sender_unknown"},
		{"stranger, plain", "127.0.0.3", "", Senders{Others: true}, "127.0.0.3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, dropped := newEcho(), make(chan fault.Kind, 1)
			r := newTestRegistry(t, Options{Handler: e, Dropped: func(_ *Listener, _ netip.Addr, k fault.Kind) { dropped <- k }})
			apply(t, r, introduced(c.senders))
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.peer)}}
			nc, err := d.Dial("tcp", addressOf(t, r, "http"))
			if err == nil {
				defer nc.Close()
				io.WriteString(nc, c.sent+"hello\n")
			} else if !errors.Is(err, syscall.ECONNRESET) { // a reset may be quicker than we are
				t.Fatal(err)
			}
			select {
			case got := <-e.accepted:
				if got.Addr.Addr().String() != c.want || got.Peer.Addr().String() != c.peer {
					t.Errorf("it speaks for %v, peer %v, want %s and %s", got.Addr, got.Peer, c.want, c.peer)
				}
				buf := make([]byte, 64)
				if n, err := nc.Read(buf); err != nil || string(buf[:n]) != "hello\n" {
					t.Errorf("echo behind the header = %q, %v", buf[:n], err)
				}
			case k := <-dropped:
				if k.String() != c.want {
					t.Errorf("it is dropped for %v, want %s", k, c.want)
				}
				if err == nil {
					if n, err := nc.Read(make([]byte, 1)); n > 0 || err == nil {
						t.Error("a connection that is dropped goes on")
					}
				}
			}
		})
	}
}

// A header that comes in pieces is waited for, to its deadline.
func TestHeaderInTime(t *testing.T) {
	e, dropped := newEcho(), make(chan fault.Kind, 1)
	r := newTestRegistry(t, Options{Handler: e, Dropped: func(_ *Listener, _ netip.Addr, k fault.Kind) { dropped <- k }})
	apply(t, r, introduced(Senders{}))
	nc := dialFrom(t, "127.0.0.2", addressOf(t, r, "http"))
	for i := range len(header7) {
		io.WriteString(nc, header7[i:i+1])
	}
	if got := <-e.accepted; got.Addr.String() != "192.0.2.7:12345" {
		t.Errorf("it speaks for %v, want 192.0.2.7:12345", got.Addr)
	}
	apply(t, r, introduced(Senders{Timeout: 20 * time.Millisecond}))
	io.WriteString(dialFrom(t, "127.0.0.2", addressOf(t, r, "http")), header7[:10])
	if k := <-dropped; k != fault.ProxyHeaderTimeout {
		t.Errorf("half a header is dropped for %v, want %v", k, fault.ProxyHeaderTimeout)
	}
}

// The limit of a client is that of whom the header names; what has no header yet is nobody's.
func TestLimitOfIntroducedClients(t *testing.T) {
	e := newEcho()
	r := newTestRegistry(t, Options{Handler: e})
	p := introduced(Senders{})
	p.MaxPerClient = 1
	apply(t, r, p)
	address := addressOf(t, r, "http")
	pending := dialFrom(t, "127.0.0.2", address)
	send := func(header string) net.Conn {
		nc := dialFrom(t, "127.0.0.2", address)
		io.WriteString(nc, header)
		return nc
	}
	first := send(header7)
	<-e.accepted
	buf := make([]byte, 64)
	if n, err := send(header7).Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 429 ") {
		t.Errorf("the second one of a client gets %q, %v, want 429", buf[:n], err)
	}
	send("PROXY TCP4 192.0.2.8 198.51.100.1 1 443\r\n")
	<-e.accepted
	io.WriteString(pending, "PROXY TCP4 192.0.2.9 198.51.100.1 1 443\r\n")
	<-e.accepted
	if got := r.Clients().Len(); got != 3 {
		t.Errorf("clients = %d, want 3", got)
	}
	if n := r.Evict(func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.7") }, false); n != 1 {
		t.Errorf("Evict(192.0.2.7) = %d, want 1", n)
	}
	expectClosed(t, first)
}

// At a limit the machine itself is let in without a header, and at the client's own limit too.
func TestOwnProbesWithSenders(t *testing.T) {
	for _, limit := range []string{"connections", "client"} {
		e := newEcho()
		r := newTestRegistry(t, Options{Handler: e})
		p := introduced(Senders{})
		if limit == "client" {
			p.MaxPerClient = 1
		} else {
			p.MaxConnections = 1
		}
		apply(t, r, p)
		for i := range 2 {
			say(t, dialFrom(t, "127.0.0.1", addressOf(t, r, "http")), "a")
			if c := <-e.accepted; c.HealthOnly != (i == 1) {
				t.Errorf("%s: HealthOnly of connection %d = %v", limit, i, c.HealthOnly)
			}
		}
	}
}

// Checks of load balancers connect and leave: that is nobody's fault.
func TestNothingIsNoFault(t *testing.T) {
	r := newTestRegistry(t, Options{Handler: newEcho(), Dropped: func(_ *Listener, _ netip.Addr, k fault.Kind) { t.Errorf("dropped for %v", k) }})
	apply(t, r, introduced(Senders{}))
	nc := dialFrom(t, "127.0.0.2", addressOf(t, r, "http"))
	nc.Close()
	for r.Connections().Open() > 0 {
		time.Sleep(time.Millisecond)
	}
}
