package listen

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"sentinel/internal/dataplane/netio"
)

// peer is where the connections of these tests come from.
func peer() netip.AddrPort { return netip.MustParseAddrPort("192.0.2.1:4711") }

// openConns opens one connection for each moment since when it is idle; 0 is busy. They are
// counted as accept would.
func openConns(t *testing.T, l *Listener, since ...time.Duration) []*Conn {
	t.Helper()
	var all []*Conn
	for _, at := range since {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { ours.Close(); theirs.Close() })
		c := newConn(l, ours, peer())
		if c.Busy(); at > 0 {
			c.Idle(at)
		}
		if k := l.enter(ClientKey(peer().Addr()), true); k != 0 {
			t.Fatal(k)
		}
		l.conns.add(c)
		all = append(all, c)
	}
	return all
}

// ended reports whether a connection was told to end.
func ended(c *Conn) bool {
	c.Net.SetReadDeadline(c.Net.Clock().Now())
	_, err := c.Net.Read(make([]byte, 1))
	return err == netio.ErrInterrupted
}

func TestShed(t *testing.T) {
	for _, test := range []struct {
		name  string
		limit func(*Listener)
		want  []bool // which of the connections end
	}{
		{"no limit", func(*Listener) {}, []bool{false, false, false, false, false}},
		{"process", func(l *Listener) { l.registry.gate.SetLimit(3) }, []bool{false, true, false, true, false}},
		{"listener", func(l *Listener) { l.gate.SetLimit(4) }, []bool{false, false, false, true, false}},
		{"client", func(l *Listener) { l.registry.clients.SetLimit(2) }, []bool{false, true, true, true, false}},
		{"client of the listener", func(l *Listener) { l.clients.SetLimit(4) }, []bool{false, false, false, true, false}},
		{"busy ones stay", func(l *Listener) { l.gate.SetLimit(1) }, []bool{false, true, true, true, true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := netio.NewClock()
			defer clock.Stop()
			r := NewRegistry(Options{Clock: clock})
			defer r.endLife()
			l := newListener(r, "l", 0)
			r.mu.slots = []*Listener{l}
			conns := openConns(t, l, 0, 2*time.Second, 3*time.Second, time.Second, 4*time.Second)
			test.limit(l)
			r.Shed()
			for i, c := range conns {
				if got := ended(c); got != test.want[i] {
					t.Errorf("connection %d ended: %v, want %v", i, got, test.want[i])
				}
			}
		})
	}
}
