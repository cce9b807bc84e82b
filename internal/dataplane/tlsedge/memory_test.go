package tlsedge

import (
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"sentinel/internal/dataplane/netio"
	"sentinel/internal/testkit/pki"
	"sentinel/internal/testkit/race"
)

// TestIdleMemory holds what an idle connection keeps to its bound.
func TestIdleMemory(t *testing.T) {
	if race.Enabled() {
		t.Skip("the race detector keeps memory of its own")
	}
	const conns = 400
	clock := netio.NewClock()
	defer clock.Stop()
	leaf := pki.New(t, "ca").Issue(t, pki.Server("a.example")).TLS()
	site := NewSite(nil, Auth{}, &leaf)
	e := New(Options{MinVersion: tls.VersionTLS12, Protocols: []string{HTTP1}, HandshakeTimeout: 10 * time.Second, Tickets: NewTickets(time.Now()), Default: site})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var served sync.WaitGroup
	used := func() (heap, stack uint64) {
		runtime.GC()
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, m.StackInuse
	}
	shaken := make(chan bool)
	one := func() net.Conn {
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		nc, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		served.Go(func() {
			c := netio.NewConn(clock, nc)
			defer c.Close()
			_, err := e.Accept(c)
			c.SetReadDeadline(0)
			shaken <- err == nil
			var b [16]byte
			c.Turns(func() netio.Verdict {
				for {
					switch _, err := c.TryRead(b[:]); err {
					case nil:
					case netio.ErrAgain:
						return netio.Park
					default:
						return netio.Leave
					}
				}
			})
		})
		if err := tls.Client(client, &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
			t.Fatal(err)
		}
		if !<-shaken {
			t.Fatal("no handshake")
		}
		return client
	}
	all := []net.Conn{one()}
	heap, stack := used()
	for range conns {
		all = append(all, one())
	}
	heap2, stack2 := used()
	const most = 16 << 10
	if each := (int(heap2+stack2) - int(heap+stack)) / conns; each > most {
		t.Errorf("an idle connection keeps %d bytes, want at most %d", each, most)
	}
	for _, c := range all {
		c.Close()
	}
	served.Wait()
}
