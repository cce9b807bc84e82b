package whatif

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"sentinel/internal/dataplane/limit"
	"sentinel/internal/observe/demand"

	"pgregory.net/rapid"
)

func keyOf(t interface{ Fatal(...any) }, parts ...string) *limit.KeySpec {
	k, err := limit.ParseKey(parts, 0)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func addr(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) }

func all(n int) func(uint32, uint32) []int {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	return func(uint32, uint32) []int { return indices }
}

func TestSimulate(t *testing.T) {
	limits := []Limit{
		{Rule: limit.Rule{Requests: 5, Burst: 2}, Key: keyOf(t, "client_ip")},
		{Rule: limit.Rule{Requests: 1, Per: time.Minute, Burst: 3}, Key: keyOf(t, "path"), LetsPass: true},
		{Rule: limit.Rule{Requests: 1}, Key: keyOf(t, "header:x-key")},
		{Rule: limit.Rule{Requests: 1}, Key: keyOf(t, "user")},
	}
	one := func(client int, at time.Duration) demand.Seen {
		return demand.Seen{Request: demand.Request{Client: addr(client), Path: 1}, At: time.Hour + at, Count: 1}
	}
	list := []demand.Seen{
		one(1, 0), one(1, 50*time.Millisecond), one(2, 60*time.Millisecond), one(1, 100*time.Millisecond), // the third of client 1 within a burst of 2
		{Request: demand.Request{Client: addr(3), Path: 2}, At: time.Hour + time.Second, Span: 90 * time.Millisecond, Count: 10},
		one(1, 2*time.Second),
	}
	got := Simulate(list, limits, all(4))
	if a := got[0]; a.Requests != 15 || a.Refused != 9 || a.Clients != 3 || a.Hit != 2 || a.Margin != 8 ||
		!slices.Equal(a.Worst, []Client{{addr(3), 10, 8}, {addr(1), 4, 1}}) {
		t.Errorf("by client: %+v", a)
	}
	if a := got[1]; a.Requests != 6 || a.Refused != 1 || a.Hit != 1 || a.Worst[0] != (Client{addr(1), 3, 1}) {
		t.Errorf("by path, of those that passed: %+v", a)
	}
	if a := got[2]; a.Requests != 0 || limits[2].Unknown() != "header" {
		t.Errorf("by header: %+v, unknown %q", a, limits[2].Unknown())
	}
	if a := got[3]; a.Requests != 0 || limits[3].Unknown() != "user" {
		t.Errorf("by user: %+v, unknown %q", a, limits[3].Unknown())
	}
	delayed := Simulate(list[:4], []Limit{{Rule: limits[0].Rule, Key: limits[0].Key, Patience: time.Second}}, all(1))[0]
	if delayed.Delayed != 1 || delayed.Refused != 0 || delayed.Hit != 1 {
		t.Errorf("with patience: %+v", delayed)
	}
}

// What is simulated from the record agrees, within its margin, with what the limiter did to
// the same requests.
func TestSimulationAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limit{
			Rule: limit.Rule{Requests: rapid.Int64Range(1, 50).Draw(t, "rate"), Burst: rapid.Int64Range(1, 60).Draw(t, "burst")},
			Key:  keyOf(t, rapid.SampledFrom([]string{"client_ip", "path", "route"}).Draw(t, "key")),
		}
		gap := rapid.Int64Range(1, 200).Draw(t, "ms")
		n := rapid.IntRange(1, 2000).Draw(t, "n")
		clients, paths := rapid.IntRange(1, 5).Draw(t, "clients"), rapid.IntRange(1, 3).Draw(t, "paths")
		random := rapid.Int64Range(0, 1<<40)
		real, seed := limit.NewTable(l.Rule), limit.NewSeed()
		record, now, refused := demand.New(1), time.Second, 0
		for range n {
			x := random.Draw(t, "x")
			now += time.Duration(x % (gap * int64(time.Millisecond)))
			q := demand.Request{Client: addr(int(x>>8) % clients), Path: uint32(x>>16) % uint32(paths)}
			record.Note(0, &q, now)
			key, _ := l.Key.Sum(seed, newPass(&demand.Seen{Request: q}))
			if !real.Take(key, now, 1).Allowed {
				refused++
			}
		}
		list, covered := record.Read(demand.Window, now)
		if covered < now-time.Second && covered < demand.Window {
			t.Fatalf("covered %v of %v", covered, now-time.Second)
		}
		if covered < now-time.Second {
			return // the beginning is forgotten
		}
		a := Simulate(list, []Limit{l}, all(1))[0]
		if a.Requests != n || a.Refused-refused > a.Margin || refused-a.Refused > a.Margin {
			t.Errorf("of %d requests %d were refused, simulated %d of %d ±%d", n, refused, a.Refused, a.Requests, a.Margin)
		}
	})
}
