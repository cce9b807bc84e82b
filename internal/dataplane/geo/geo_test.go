package geo

import (
	"net/netip"
	"strings"
	"testing"

	"sentinel/internal/testkit/mmdb"
	"sentinel/internal/testkit/race"
)

func file(t testing.TB, kind string, records map[string]map[string]any) *File {
	t.Helper()
	f, err := NewFile(mmdb.Database(kind, records))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func database(t testing.TB, number uint16) *Database {
	return NewDatabase(file(t, "Test-Country", map[string]map[string]any{
		"192.0.2.0/25": mmdb.Country("DE"), "2001:db8::/32": mmdb.Country("AT"),
		"192.0.2.128/25":  {"registered_country": map[string]any{"iso_code": "CH"}},
		"198.51.100.0/24": {"continent": map[string]any{"code": "EU"}}, "203.0.113.0/24": mmdb.Country("Europe"),
	}), file(t, "Test-ASN", map[string]map[string]any{"192.0.2.0/24": mmdb.System(64500), "2001:db8::/33": mmdb.System(4200000000)}), number)
}

func TestLocate(t *testing.T) {
	d := database(t, 1)
	for address, want := range map[string]struct {
		country string
		asn     uint32
	}{
		"192.0.2.1": {"DE", 64500}, "::ffff:192.0.2.1": {"DE", 64500}, "192.0.2.200": {"CH", 64500},
		"2001:db8::1": {"AT", 4200000000}, "2001:db8:8000::1": {"AT", 0},
		"198.51.100.1": {"", 0}, "203.0.113.1": {"", 0}, "127.0.0.1": {"", 0}, "::1": {"", 0},
	} {
		if p := d.Locate(netip.MustParseAddr(address)); p.Country.String() != want.country || p.ASN != want.asn {
			t.Errorf("Locate(%s) = %q, %d, want %q, %d", address, p.Country, p.ASN, want.country, want.asn)
		}
	}
	if p := (*Database)(nil).Locate(netip.MustParseAddr("192.0.2.1")); p != (Place{}) {
		t.Errorf("without a database = %v", p)
	}
}

func TestLookupsAllocateNothing(t *testing.T) {
	if race.Enabled() {
		t.Skip("the race detector allocates")
	}
	d, a := database(t, 1), netip.MustParseAddr("192.0.2.1")
	if n := testing.AllocsPerRun(1000, func() { d.Locate(a) }); n > 0 {
		t.Errorf("Locate allocates %v times", n)
	}
	var m Memo
	if n := testing.AllocsPerRun(1000, func() { m.Locate(d, a) }); n > 0 {
		t.Errorf("Memo.Locate allocates %v times", n)
	}
}

// A memo spares the lookup, and asks a new database anew.
func TestMemo(t *testing.T) {
	old := database(t, 1)
	next := NewDatabase(file(t, "Test", map[string]map[string]any{"192.0.2.0/24": mmdb.Country("ZZ")}), nil, 2)
	a, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	var m Memo
	want := old.Locate(a)
	if p := m.Locate(old, a); p != want {
		t.Errorf("first = %v, want %v", p, want)
	}
	if p := m.Locate(old, other); p != want {
		t.Errorf("it was looked up again: %v, want %v", p, want)
	}
	if p := m.Locate(next, a); p.Country.String() != "ZZ" || p.ASN != 0 {
		t.Errorf("by the next database = %v, want ZZ", p)
	}
}

func TestHolds(t *testing.T) {
	for _, c := range []struct {
		records            map[string]map[string]any
		countries, systems bool
	}{
		{map[string]map[string]any{"192.0.2.0/24": mmdb.Country("DE")}, true, false},
		{map[string]map[string]any{"192.0.2.0/24": mmdb.System(1)}, false, true},
		{map[string]map[string]any{"192.0.2.0/24": {"isp": "a"}}, false, false},
	} {
		countries, systems, err := file(t, "Test", c.records).Holds()
		if countries != c.countries || systems != c.systems || err != nil {
			t.Errorf("Holds(%v) = %v, %v, %v", c.records, countries, systems, err)
		}
	}
	if _, _, err := file(t, "Test", nil).Holds(); err == nil {
		t.Error("an empty database holds something")
	}
	if d := file(t, "Test-Country", nil).Describe(); d != "Test-Country of 2023-11-14" {
		t.Errorf("Describe() = %q", d)
	}
}

// What isn't a database, or only a part of one, is refused or knows nothing.
func TestBrokenDatabases(t *testing.T) {
	whole := mmdb.Database("Test", map[string]map[string]any{"192.0.2.0/24": mmdb.Country("DE")})
	for _, b := range [][]byte{nil, []byte("text"), whole[:len(whole)/2], []byte(strings.Repeat("\xab\xcd\xefMaxMind.com", 2))} {
		if _, err := NewFile(b); err == nil {
			t.Errorf("NewFile of %d bytes is taken", len(b))
		}
	}
	for i := range whole {
		b := append([]byte(nil), whole...)
		b[i] ^= 0xff
		if f, err := NewFile(b); err == nil {
			f.Holds()
			NewDatabase(f, f, 1).Locate(netip.MustParseAddr("192.0.2.1"))
		}
	}
}

func TestRules(t *testing.T) {
	c := func(code string) Country {
		c, ok := ParseCountry([]byte(code))
		if !ok {
			t.Fatalf("ParseCountry(%q) fails", code)
		}
		return c
	}
	r := NewRules(Lists{
		AllowCountries: []Country{c("DE"), c("FR")}, DenyCountries: []Country{c("de"), c("ZZ")},
		AllowSystems: []uint32{64500, 7}, DenySystems: []uint32{64501, 7},
	})
	for _, row := range []struct {
		country string
		asn     uint32
		want    string
	}{
		{"DE", 0, "allow"},
		{"ZZ", 0, "deny"},
		{"AA", 0, "nothing"},
		{"", 0, "nothing"},
		{"", 5, "nothing"},
		{"ZZ", 64500, "allow"},
		{"DE", 64501, "deny"},
		{"ZZ", 7, "allow"},
		{"FR", 8, "allow"},
	} {
		p := Place{ASN: row.asn}
		if row.country != "" {
			p.Country = c(row.country)
		}
		got := "nothing"
		if allow, decided := r.Decide(p); decided && allow {
			got = "allow"
		} else if decided {
			got = "deny"
		}
		if got != row.want {
			t.Errorf("Decide(%s, %d) = %s, want %s", row.country, row.asn, got, row.want)
		}
	}
	if NewRules(Lists{}) != nil {
		t.Error("rules of nothing")
	}
	for _, code := range []string{"", "D", "DEU", "D1", "ü"} {
		if _, ok := ParseCountry([]byte(code)); ok {
			t.Errorf("ParseCountry(%q) is taken", code)
		}
	}
	for c := Country(1); c < countries; c++ {
		if back, ok := ParseCountry([]byte(c.String())); !ok || back != c {
			t.Fatalf("ParseCountry(%s) = %v", c, back)
		}
	}
}
