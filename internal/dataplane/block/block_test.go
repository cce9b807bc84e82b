package block

import (
	"net/netip"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// prefixes draws prefixes that often hold each other: few bits vary.
func prefixes() *rapid.Generator[netip.Prefix] {
	return rapid.Custom(func(t *rapid.T) netip.Prefix {
		bits := rapid.IntRange(0, 32).Draw(t, "bits")
		switch rapid.IntRange(0, 2).Draw(t, "family") {
		case 0:
			return netip.PrefixFrom(addresses().Draw(t, "v4"), bits)
		case 1:
			return netip.PrefixFrom(netip.AddrFrom16(addresses().Draw(t, "mapped").As16()), 96+bits)
		}
		return netip.PrefixFrom(six(addresses().Draw(t, "v6")), 4*bits)
	})
}

func addresses() *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		pick := rapid.SampledFrom([]byte{0, 1, 127, 128, 254, 255})
		return netip.AddrFrom4([4]byte{pick.Draw(t, "a"), pick.Draw(t, "b"), pick.Draw(t, "c"), pick.Draw(t, "d")})
	})
}

// six is an address of IPv6 with the bytes of a at both ends.
func six(a netip.Addr) netip.Addr {
	b := a.As4()
	var s [16]byte
	copy(s[:], b[:])
	copy(s[12:], b[:])
	return netip.AddrFrom16(s)
}

// longest is the model: the longest of the prefixes that holds a, or an invalid one.
func longest(list []netip.Prefix, a netip.Addr) (best netip.Prefix) {
	for _, p := range list {
		if p.Addr().Is4In6() {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p.Contains(a.Unmap()) && (!best.IsValid() || p.Bits() > best.Bits()) {
			best = p.Masked()
		}
	}
	return best
}

func anyAddress(t *rapid.T) netip.Addr {
	a := addresses().Draw(t, "address")
	return []netip.Addr{a, netip.AddrFrom16(a.As16()), six(a)}[rapid.IntRange(0, 2).Draw(t, "form")]
}

func TestFindIsTheLongestPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, model := new(Table), map[netip.Prefix]bool{}
		for range rapid.IntRange(0, 30).Draw(t, "changes") {
			var add []*Entry
			for _, p := range rapid.SliceOfN(prefixes(), 0, 3).Draw(t, "add") {
				add = append(add, NewEntry(p, 0))
			}
			remove := rapid.SliceOfN(prefixes(), 0, 3).Draw(t, "remove")
			table.Change(add, remove)
			for _, p := range remove {
				delete(model, Canonical(p))
			}
			for _, e := range add {
				model[e.Prefix()] = true
			}
		}
		var list []netip.Prefix
		for p := range model {
			list = append(list, p)
		}
		if table.Len() != len(list) {
			t.Fatalf("Len() = %d, want %d", table.Len(), len(list))
		}
		for range 20 {
			a := anyAddress(t)
			var got netip.Prefix
			if e := table.Find(a); e != nil {
				got = e.Prefix()
			}
			if want := longest(list, a); got != want {
				t.Fatalf("Find(%v) = %v, want %v of %v", a, got, want, list)
			}
		}
	})
}

func TestAllowsIsTheLongestPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		allowed := rapid.SliceOfN(prefixes(), 0, 10).Draw(t, "allow")
		denied := rapid.SliceOfN(prefixes(), 0, 10).Draw(t, "deny")
		if len(allowed) == 0 && rapid.Bool().Draw(t, "no allow") {
			allowed = nil
		}
		l := NewList(allowed, denied)
		for range 20 {
			a := anyAddress(t)
			yes, no := longest(allowed, a), longest(denied, a)
			want := allowed == nil
			if yes.IsValid() || no.IsValid() {
				want = yes.IsValid() && (!no.IsValid() || yes.Bits() >= no.Bits())
			}
			if got := l.Allows(a); got != want {
				t.Fatalf("Allows(%v) = %v, want %v by allow %v, deny %v", a, got, want, allowed, denied)
			}
		}
	})
}

func TestAllows(t *testing.T) {
	parse := func(texts ...string) (list []netip.Prefix) {
		for _, text := range texts {
			list = append(list, netip.MustParsePrefix(text))
		}
		return list
	}
	for _, c := range []struct {
		allow, deny []netip.Prefix
		address     string
		want        bool
	}{
		{nil, nil, "192.0.2.1", true},
		{nil, parse("192.0.2.0/24"), "192.0.2.1", false},
		{nil, parse("192.0.2.0/24"), "::ffff:192.0.2.1", false},
		{nil, parse("::ffff:192.0.2.0/120"), "192.0.2.1", false},
		{nil, parse("192.0.2.0/24"), "198.51.100.1", true},
		{parse("192.0.2.0/24"), parse("192.0.2.0/24"), "192.0.2.1", true},
		{parse("192.0.2.0/24"), parse("192.0.2.1/32"), "192.0.2.1", false},
		{parse("192.0.2.1/32"), parse("0.0.0.0/0"), "192.0.2.1", true},
		{parse("192.0.2.0/24"), nil, "198.51.100.1", false},
		{parse("192.0.2.0/24"), nil, "2001:db8::1", false},
		{parse("0.0.0.0/0"), nil, "2001:db8::1", false},
		{[]netip.Prefix{}, nil, "192.0.2.1", false},
		{nil, parse("fe80::/10"), "fe80::1%eth0", false},
	} {
		if got := NewList(c.allow, c.deny).Allows(netip.MustParseAddr(c.address)); got != c.want {
			t.Errorf("allow %v, deny %v: Allows(%s) = %v, want %v", c.allow, c.deny, c.address, got, c.want)
		}
	}
	if !(*List)(nil).Allows(netip.MustParseAddr("192.0.2.1")) {
		t.Error("a nil list lets nobody in")
	}
}

func TestHitsStayWithTheEntry(t *testing.T) {
	var table Table
	if table.Find(netip.MustParseAddr("192.0.2.1")) != nil || (*Table)(nil).Find(netip.MustParseAddr("192.0.2.1")) != nil {
		t.Error("an empty table holds an address")
	}
	e := NewEntry(netip.MustParsePrefix("192.0.2.7/24"), 3)
	table.Change([]*Entry{e}, nil)
	table.Change([]*Entry{NewEntry(netip.MustParsePrefix("198.51.100.0/24"), 0)}, nil)
	table.Find(netip.MustParseAddr("192.0.2.1")).Hit()
	if e.Hits() != 4 || e.Prefix().String() != "192.0.2.0/24" {
		t.Errorf("entry %v has %d hits, want 192.0.2.0/24 with 4", e.Prefix(), e.Hits())
	}
}

// Changes and lookups go on at once.
func TestFindDuringChanges(t *testing.T) {
	var table Table
	kept := NewEntry(netip.MustParsePrefix("192.0.2.0/24"), 0)
	table.Change([]*Entry{kept}, nil)
	var done sync.WaitGroup
	stop := make(chan struct{})
	done.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 28+i%5)
			table.Change([]*Entry{NewEntry(p, 0)}, nil)
			table.Change(nil, []netip.Prefix{p})
		}
	})
	for i := range 20_000 {
		if table.Find(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})) == nil {
			t.Fatal("a ban was missed while others came and went")
		}
	}
	close(stop)
	done.Wait()
}

func filled(n int) *Table {
	table := new(Table)
	var add []*Entry
	for i := range n {
		add = append(add, NewEntry(netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1}), 32), 0))
	}
	table.Change(add, nil)
	return table
}

func TestLookupsAllocateNothing(t *testing.T) {
	table := filled(10_000)
	list := NewList([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}, nil)
	for _, a := range []string{"0.1.2.1", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"} {
		addr := netip.MustParseAddr(a)
		if n := testing.AllocsPerRun(100, func() { table.Find(addr); list.Allows(addr) }); n != 0 {
			t.Errorf("lookups of %s allocate %v times, want 0", a, n)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
	}{{"empty", 0}, {"100000", 100_000}} {
		table, addr := filled(c.n), netip.MustParseAddr("0.100.7.1")
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				table.Find(addr)
			}
		})
	}
}
