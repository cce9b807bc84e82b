package behaviour

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sentinel/internal/testkit/mmdb"
	"sentinel/internal/testkit/origin"
)

// atlas writes databases by which parts of 127.0.0.0/8 are abroad.
type atlas struct {
	t   *testing.T
	dir string
}

func newAtlas(t *testing.T) *atlas {
	a := &atlas{t, t.TempDir()}
	a.write("country", map[string]map[string]any{
		"127.0.1.0/24": mmdb.Country("DE"), "127.0.2.0/24": mmdb.Country("FR"), "127.0.3.0/24": mmdb.Country("AQ"),
	})
	a.write("asn", map[string]map[string]any{"127.0.1.128/25": mmdb.System(64501), "127.0.2.128/25": mmdb.System(64502)})
	return a
}

func (a *atlas) path(name string) string { return filepath.Join(a.dir, name+".mmdb") }

func (a *atlas) write(name string, records map[string]map[string]any) {
	a.t.Helper()
	a.put(name, mmdb.Database("Test-"+name, records))
}

func (a *atlas) put(name string, content []byte) {
	a.t.Helper()
	next := a.path(name) + ".next"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Rename(next, a.path(name)); err != nil {
		a.t.Fatal(err)
	}
}

func (a *atlas) block(more string) string {
	return "geoip { country-database \"" + a.path("country") + "\"; asn-database \"" + a.path("asn") + "\"; " + more + " }\n"
}

// The narrowest rule decides; what no database knows is matched by none.
func TestAccessByPlace(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	a := newAtlas(t)
	for _, c := range []struct {
		name, access string
		want         []string
	}{
		{"deny-country", `deny-country "de" "AQ"`, []string{"127.0.1.1 -1", "127.0.2.1 200", "127.0.3.1 -1", "127.0.9.1 200"}},
		{"allow-country", `allow-country "DE"`, []string{"127.0.1.1 200", "127.0.2.1 -1", "127.0.9.1 -1", "127.0.0.1 403"}},
		{"deny-asn", `deny-asn 64501 64502`, []string{"127.0.1.1 200", "127.0.1.200 -1", "127.0.2.200 -1", "127.0.9.1 200"}},
		{"allow-asn", `allow-asn 64502`, []string{"127.0.2.200 200", "127.0.2.1 -1", "127.0.1.200 -1"}},
		{"system before country", `allow-country "DE"; deny-asn 64501; deny-country "FR"; allow-asn 64502`, []string{"127.0.1.1 200", "127.0.1.200 -1", "127.0.2.1 -1", "127.0.2.200 200"}},
		{"allow before deny", `allow-country "DE"; deny-country "DE"`, []string{"127.0.1.1 200", "127.0.2.1 -1"}},
		{"prefix before both", `deny-country "DE"; allow-asn 64502; allow "127.0.1.7"; deny "127.0.2.200"`, []string{"127.0.1.7 200", "127.0.1.8 -1", "127.0.2.200 -1", "127.0.2.201 200"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, "", a.block("")+"access { "+c.access+" }\n"+forward(o, "", ""))
			p.expectFrom("/", c.want...)
			p.expectFrom("/health", "127.0.0.1 200")
		})
	}
	t.Run("of a route, by request", func(t *testing.T) {
		p := start(t, "", "system { $FILES; trusted-proxies \"127.0.0.7\" }\n"+a.block("")+forward(o, `access { deny-country "FR" }`, ""))
		p.expectFrom("/", "127.0.2.1 403", "127.0.1.1 200")
		for client, want := range map[string]int{"127.0.2.9": 403, "127.0.1.9": 200} {
			if got := p.getFrom("127.0.0.7", "/", "X-Forwarded-For: "+client); got != want {
				t.Errorf("for %s: %d, want %d", client, got, want)
			}
		}
	})
}

// A reload reads what has changed; a database that can't be used changes nothing.
func TestGeoIPReload(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	a := newAtlas(t)
	text := a.block("") + `access { deny-country "FR" }` + "\n" + forward(o, "", "")
	p := start(t, "", text)
	p.expectFrom("/", "127.0.2.1 -1", "127.0.3.1 200")
	open, err := p.from("127.0.3.1")
	if err != nil {
		t.Fatal(err)
	}
	open.Send(getRoot)
	if r, err := open.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
		t.Fatalf("before: %d, %v", r.Status, err)
	}
	a.write("country", map[string]map[string]any{"127.0.3.0/24": mmdb.Country("FR")})
	p.expectFrom("/", "127.0.2.1 -1")
	p.reload(text)
	p.expectFrom("/", "127.0.2.1 200", "127.0.3.1 -1")
	open.Send(getRoot) // what was known of it is looked up anew
	if r, err := open.ReadFinalResponse("GET"); err != nil || r.Status != 403 {
		t.Errorf("a connection from before gets %d, %v, want 403", r.Status, err)
	}
	listener := "listeners { listener \"l\" { address \"127.0.0.1:0\" } }\n"
	refused := func(want string) {
		t.Helper()
		if out := p.Reload(listener + text); out.OK || !strings.Contains(strings.Join(out.Details, "\n"), want) {
			t.Errorf("reload = %+v, want it refused with %q", out, want)
		}
		p.expectFrom("/", "127.0.3.1 -1")
	}
	a.write("country", map[string]map[string]any{"127.0.3.0/24": mmdb.System(1)})
	refused(`config.kdl:2:26: error: database "` + a.path("country") + `" (Test-country of 2023-11-14) holds no countries`)
	a.put("country", []byte("no database"))
	refused("can't be read")
	if err := os.Remove(a.path("country")); err != nil {
		t.Fatal(err)
	}
	refused("no such file")
}

// The access log tells places where it is asked to.
func TestGeoIPLog(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	a := newAtlas(t)
	for _, log := range []bool{true, false} {
		more := ""
		if log {
			more = "log #true"
		}
		p := start(t, "", a.block(more)+forward(o, "", ""))
		p.expectFrom("/", "127.0.1.200 200", "127.0.9.1 200")
		text := p.Logs()
		if got := strings.Contains(text, `client_ip="127.0.1.200", country="DE", asn=64501, `); got != log {
			t.Errorf("log %v: %s", log, text)
		}
		if strings.Contains(text, `client_ip="127.0.9.1", country`) {
			t.Errorf("an unknown place is told: %s", text)
		}
	}
}
