package limit

import (
	"net/netip"
	"strings"
	"testing"
)

var addr4 = netip.MustParseAddr("192.0.2.7")

// request is a Source for tests; parts that aren't in the map aren't there.
type request struct {
	addr   netip.Addr
	parts  map[Part]string
	fields map[string]string
}

func (r *request) KeyAddr() netip.Addr { return r.addr }

func (r *request) KeyPart(p Part, name string) []byte {
	from, ok := r.fields[name]
	if name == "" || !ok {
		from, ok = r.parts[p]
	}
	if !ok {
		return nil
	}
	return append(make([]byte, 0, 8), from...)
}

func mustParse(t testing.TB, list ...string) *KeySpec {
	t.Helper()
	k, err := ParseKey(list, 0)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestParseKey(t *testing.T) {
	cases := []struct {
		list []string
		bits int
		want string // or part of the error
	}{
		{[]string{"client_ip"}, 0, "client_ip"},
		{[]string{"client-ip"}, 64, "client_ip"},
		{[]string{"client_ip", "route"}, 48, "client_ip/48,route"},
		{[]string{"header:X-Api-Key"}, 0, "header:x-api-key"},
		{[]string{"cookie:Session"}, 0, "cookie:Session"},
		{[]string{"path", "route", "host", "method", "listener"}, 0, "path,route,host,method,listener"},
		{nil, 0, "error: at least one part"},
		{[]string{"ip"}, 0, `error: unknown key part "ip", want client_ip, header:NAME`},
		{[]string{""}, 0, `error: unknown key part ""`},
		{[]string{"header"}, 0, "error: needs a name"},
		{[]string{"header:"}, 0, "error: needs a name"},
		{[]string{"header:a b"}, 0, "error: needs a name"},
		{[]string{"cookie:a;b"}, 0, "error: needs a name"},
		{[]string{"path:/x"}, 0, "error: takes no name"},
		{[]string{"header:a", "header:A"}, 0, "error: stands twice"},
		{[]string{"client_ip", "client-ip"}, 0, "error: stands twice"},
		{[]string{"client_ip"}, 129, "error: 129 bits"},
		{[]string{"client_ip"}, -1, "error: -1 bits"},
	}
	for _, c := range cases {
		k, err := ParseKey(c.list, c.bits)
		if want, bad := strings.CutPrefix(c.want, "error: "); bad {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("ParseKey(%q, %d) = %v, %v, want an error with %q", c.list, c.bits, k, err, want)
			}
		} else if err != nil || k.String() != c.want {
			t.Errorf("ParseKey(%q, %d) = %v, %v, want %q", c.list, c.bits, k, err, c.want)
		}
	}
}

func TestUses(t *testing.T) {
	k := mustParse(t, "client_ip", "cookie:a")
	if !k.Uses(PartClient) || !k.Uses(PartCookie) || k.Uses(PartPath) {
		t.Errorf("Uses() of %v is wrong", k)
	}
}

// TestSameKey checks which requests share a key, by Sum and by Append.
func TestSameKey(t *testing.T) {
	from := func(addr string) *request { return &request{addr: netip.MustParseAddr(addr)} }
	with := func(fields map[string]string) *request { return &request{addr: addr4, fields: fields} }
	cases := []struct {
		list []string
		bits int
		a, b *request
		same bool
	}{
		{[]string{"client_ip"}, 0, from("192.0.2.7"), from("::ffff:192.0.2.7"), true},
		{[]string{"client_ip"}, 0, from("192.0.2.7"), from("192.0.2.8"), false},
		{[]string{"client_ip"}, 0, from("2001:db8:0:1::1"), from("2001:db8:0:1:ffff::2"), true},
		{[]string{"client_ip"}, 0, from("2001:db8:0:1::1"), from("2001:db8:0:2::1"), false},
		{[]string{"client_ip"}, 0, from("fe80::1%eth0"), from("fe80::1%eth1"), true},
		{[]string{"client_ip"}, 128, from("2001:db8::1"), from("2001:db8::2"), false},
		{[]string{"client_ip"}, 60, from("2001:db8:0:10::1"), from("2001:db8:0:1f::1"), true},
		{[]string{"client_ip"}, 60, from("2001:db8:0:10::1"), from("2001:db8:0:20::1"), false},
		{[]string{"header:a", "header:b"}, 0, with(map[string]string{"a": "x", "b": "yz"}), with(map[string]string{"a": "xy", "b": "z"}), false},
		{[]string{"header:a", "header:b"}, 0, with(map[string]string{"a": "x", "b": "y"}), with(map[string]string{"a": "y", "b": "x"}), false},
		{[]string{"header:a"}, 0, with(map[string]string{"a": ""}), with(nil), false},
		{[]string{"header:a"}, 0, with(map[string]string{"b": "1"}), with(map[string]string{"b": "2"}), true},
		{[]string{"header:a"}, 0, with(map[string]string{"a": "A"}), with(map[string]string{"a": "a"}), false},
	}
	seed, fleet, again := NewSeed(), NewFleetSeed([]byte("secret")), NewFleetSeed([]byte("secret"))
	for _, c := range cases {
		k, err := ParseKey(c.list, c.bits)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := k.Sum(seed, c.a)
		b, _ := k.Sum(seed, c.b)
		if (a == b) != c.same {
			t.Errorf("Sum() by %v is the same for %v and %v: %v, want %v", k, c.a, c.b, a == b, c.same)
		}
		x, _ := k.Sum(fleet, c.a)
		y, _ := k.Sum(again, c.b)
		if (x == y) != c.same {
			t.Errorf("Sum() by %v in two processes of a fleet is the same for %v and %v: %v, want %v", k, c.a, c.b, !c.same, c.same)
		}
	}
}

func TestComplete(t *testing.T) {
	k, seed := mustParse(t, "client_ip", "header:a"), NewSeed()
	for _, c := range []struct {
		src  *request
		want bool
	}{
		{&request{addr: addr4, fields: map[string]string{"a": "1"}}, true},
		{&request{addr: addr4, fields: map[string]string{"a": ""}}, true},
		{&request{addr: addr4}, false},
		{&request{fields: map[string]string{"a": "1"}}, false},
	} {
		_, sum := k.Sum(seed, c.src)
		if sum != c.want {
			t.Errorf("complete for %v = %v, want %v", c.src, sum, c.want)
		}
	}
}

// TestSeed checks that another process has other keys, and that they spread over the sets.
func TestSeed(t *testing.T) {
	k := mustParse(t, "client_ip")
	a, b := NewSeed(), NewSeed()
	table := NewTable(Rule{Entries: 64 * ways})
	var perSet [64]int
	for i := range 6400 {
		src := &request{addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}
		x, _ := k.Sum(a, src)
		y, _ := k.Sum(b, src)
		if x == y {
			t.Fatalf("Sum() of %v is the same by two seeds", src.addr)
		}
		perSet[table.index(x)]++
	}
	for i, n := range perSet {
		if n < 50 || n > 160 {
			t.Errorf("%d keys of 6400 in set %d of 64, want about 100", n, i)
		}
	}
}

func BenchmarkSum(b *testing.B) {
	src := &fixed{addr: netip.MustParseAddr("2001:db8::1"), value: []byte("3f1e0b7c-9d7a-4f43-8a55-1d9a6f0c2b11")}
	for _, list := range [][]string{{"client_ip"}, {"client_ip", "route"}, {"header:x-api-key", "path", "method"}} {
		k := mustParse(b, list...)
		for name, seed := range map[string]*Seed{"": NewSeed(), " of a fleet": NewFleetSeed([]byte("secret"))} {
			b.Run(k.String()+name, func(b *testing.B) {
				for b.Loop() {
					k.Sum(seed, src)
				}
			})
		}
	}
}

type fixed struct {
	addr  netip.Addr
	value []byte
}

func (f *fixed) KeyAddr() netip.Addr         { return f.addr }
func (f *fixed) KeyPart(Part, string) []byte { return f.value }
