package listen

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

func TestGateHoldsItsLimit(t *testing.T) {
	var g Gate
	g.SetLimit(10)
	var wg sync.WaitGroup
	var in, most atomic.Int64
	for range 50 {
		wg.Go(func() {
			for range 200 {
				if !g.Enter() {
					continue
				}
				if n := in.Add(1); n > most.Load() {
					most.Store(n)
				}
				in.Add(-1)
				g.Leave()
			}
		})
	}
	wg.Wait()
	if most.Load() > 10 || g.Open() != 0 {
		t.Errorf("most = %d, Open() = %d, want at most 10 and 0", most.Load(), g.Open())
	}
}

func TestGateLimitChanges(t *testing.T) {
	var g Gate
	for i, step := range []struct {
		limit int64
		enter bool
		open  int64
	}{
		{0, true, 1}, {1, false, 1}, {2, true, 2}, {1, false, 2}, {0, true, 3},
	} {
		g.SetLimit(step.limit)
		if got := g.Enter(); got != step.enter || g.Open() != step.open {
			t.Errorf("step %d: Enter() = %v with %d open, want %v with %d", i, got, g.Open(), step.enter, step.open)
		}
	}
	g.SetLimit(1)
	g.Force()
	if g.Open() != 4 {
		t.Errorf("Open() after Force = %d, want 4", g.Open())
	}
}

func TestClientKey(t *testing.T) {
	for _, c := range []struct{ addr, want string }{
		{"192.0.2.7", "192.0.2.7"},
		{"::ffff:192.0.2.7", "192.0.2.7"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		{"fe80::1%eth0", "fe80::"},
		{"::1", "::1"},
	} {
		if got := ClientKey(netip.MustParseAddr(c.addr)); got.String() != c.want {
			t.Errorf("ClientKey(%s) = %s, want %s", c.addr, got, c.want)
		}
	}
}

func TestClientsCountEachAddress(t *testing.T) {
	table := NewClients()
	table.SetLimit(2)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for i, step := range []struct {
		addr netip.Addr
		want bool
	}{{a, true}, {a, true}, {a, false}, {b, true}} {
		if got := table.Enter(step.addr); got != step.want {
			t.Errorf("step %d: Enter(%s) = %v, want %v", i, step.addr, got, step.want)
		}
	}
	table.Leave(a)
	if !table.Enter(a) {
		t.Error("Enter after Leave = false, want true")
	}
	table.SetLimit(1)
	if table.Enter(b) {
		t.Error("Enter above a lowered limit = true, want false")
	}
	table.SetLimit(3)
	if !table.Enter(b) {
		t.Error("Enter below a raised limit = false, want true")
	}
}

func TestClientsForgetWhoIsGone(t *testing.T) {
	table := NewClients()
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	const n = clientShards * shardKeepMax * 2
	for i := range n {
		table.Enter(addr(i))
	}
	if got := table.Len(); got != n {
		t.Fatalf("Len() = %d, want %d", got, n)
	}
	for i := range n {
		table.Leave(addr(i))
	}
	if got := table.Len(); got != 0 {
		t.Errorf("Len() after all have left = %d, want 0", got)
	}
	for i := range table.shards {
		if table.shards[i].mu.open != nil {
			t.Fatalf("shard %d keeps the memory of a flood", i)
		}
	}
}
