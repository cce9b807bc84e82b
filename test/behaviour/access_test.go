package behaviour

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sentinel/internal/testkit/origin"
)

func TestAccessLists(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	for _, c := range []struct {
		name, access string
		want         []string
	}{
		{"deny", `deny "127.0.1.0/24" "127.0.0.7"`, []string{"127.0.1.1 -1", "127.0.0.7 -1", "127.0.0.8 200"}},
		{"allow", `allow "127.0.1.0/24"`, []string{"127.0.1.1 200", "127.0.0.8 -1", "127.0.0.1 403"}},
		{
			"the longest prefix", `allow "127.0.0.0/8"; deny "127.0.1.0/24"; allow "127.0.1.128/25"; deny "127.0.1.200"`,
			[]string{"127.0.0.8 200", "127.0.1.1 -1", "127.0.1.129 200", "127.0.1.200 -1"},
		},
		{"allow before deny", `deny "127.0.1.0/24"; allow "127.0.1.0/24"`, []string{"127.0.1.1 200", "127.0.2.1 -1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, "access { "+c.access+" }", forward(o, "", ""))
			p.expectFrom("/", c.want...)
			p.expectFrom("/health", "127.0.0.1 200")
			p.expectFrom("/ready", "127.0.0.1 200")
		})
	}
	t.Run("counted", func(t *testing.T) {
		p := start(t, `access { allow "127.0.1.0/24" }`, forward(o, "", ""))
		p.expectFrom("/", "127.0.0.7 -1", "127.0.0.7 -1", "127.0.0.1 403")
		p.expectMetrics(`sentinel_refused_connections_total{reason="access_denied"} 2`, `sentinel_faults_total{fault="access_denied",route="-",side="client"} 2`,
			`sentinel_faults_total{fault="access_denied",route="r",side="client"} 1`)
		if r := p.do("GET", "/"); !strings.Contains(r.Text(), "C32") {
			t.Errorf("the refusal is %q, want its code", r.Text())
		}
	})
}

// The nearest block holds as a whole. Where a route has one, peers connect and are judged by
// request.
func TestAccessPlaces(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	const seven, eight = `access { deny "127.0.0.7" }`, `access { deny "127.0.0.8" }`
	for _, c := range []struct {
		name, top, listener, route string
		want                       []string
	}{
		{"nowhere", "", "", "", []string{"127.0.0.7 200"}},
		{"top level", seven, "", "", []string{"127.0.0.7 -1", "127.0.0.8 200"}},
		{"listener before top level", seven, eight, "", []string{"127.0.0.7 200", "127.0.0.8 -1"}},
		{"route before listener", seven, seven, eight, []string{"127.0.0.7 200", "127.0.0.8 403"}},
		{"route alone", "", "", seven, []string{"127.0.0.7 403", "127.0.0.8 200"}},
		{"a route that lets in again", "", `access { allow "127.0.0.8" }`, `access { allow "127.0.0.0/8" }`, []string{"127.0.0.7 200", "127.0.0.8 200"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, c.listener, c.top+"\n"+forward(o, c.route, ""))
			p.expectFrom("/", c.want...)
		})
	}
	t.Run("other routes keep the listener's", func(t *testing.T) {
		p := start(t, seven, `routes { route "open" { matches { path "/open" }; respond 200; access { allow "0.0.0.0/0" } }; route "r" { respond 204 } }`)
		p.expectFrom("/open", "127.0.0.7 200")
		p.expectFrom("/", "127.0.0.7 403", "127.0.0.8 204")
	})
}

// A list is about the client, whom a trusted proxy names.
func TestAccessBehindATrustedProxy(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, `access { allow "192.0.2.0/24" }`, "system { $FILES; trusted-proxies \"127.0.0.7\" }\n"+forward(o, "", ""))
	for _, c := range []struct {
		peer, forwarded string
		want            int
	}{
		{"127.0.0.7", "192.0.2.7", 200},
		{"127.0.0.7", "198.51.100.7", 403},
		{"127.0.0.8", "192.0.2.7", -1},
	} {
		if got := p.getFrom(c.peer, "/", "X-Forwarded-For: "+c.forwarded); got != c.want {
			t.Errorf("X-Forwarded-For %q from %s gets %d, want %d", c.forwarded, c.peer, got, c.want)
		}
	}
	p.expectFrom("/", "127.0.0.7 403") // the proxy speaks for itself
}

// Files are read again on reload; a broken one changes nothing.
func TestAccessFiles(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("allow", "127.0.0.0/8 # all of it\n")
	write("deny", "# bad ones\n\n127.0.0.7\n")
	text := `listeners { listener "l" { address "127.0.0.1:0"; access { allow-file "` + dir + `/allow"; deny-file "` + dir + `/deny" } } }
` + forward(o, "", "")
	p := start(t, `access { allow-file "`+dir+`/allow"; deny-file "`+dir+`/deny" }`, forward(o, "", ""))
	p.expectFrom("/", "127.0.0.7 -1", "127.0.0.8 200")
	write("deny", "127.0.0.8\n")
	p.expectFrom("/", "127.0.0.7 -1", "127.0.0.8 200")
	p.Reload(text)
	p.addr = p.Addr("l")
	p.expectFrom("/", "127.0.0.7 200", "127.0.0.8 -1")
	write("deny", "127.0.0.7\n127.0.0.900\n")
	if out := p.Reload(text); out.OK || !strings.Contains(strings.Join(out.Details, "\n"), dir+"/deny:2:1: error: \"127.0.0.900\" is neither") {
		t.Errorf("a reload with a broken file: %+v, want it refused with file and line", out)
	}
	p.expectFrom("/", "127.0.0.7 200", "127.0.0.8 -1")
	if err := os.Remove(filepath.Join(dir, "allow")); err != nil {
		t.Fatal(err)
	}
	write("deny", "127.0.0.7\n")
	if out := p.Reload(text); out.OK || !strings.Contains(strings.Join(out.Details, "\n"), "allow") {
		t.Errorf("a reload without its file: %+v, want it refused", out)
	}
	p.expectFrom("/", "127.0.0.7 200", "127.0.0.8 -1")
}

// In shadow mode who would be denied is counted and let in, in the place that has the list.
func TestAccessShadow(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	for _, place := range []string{"listener", "route"} {
		block := `access { deny "127.0.0.7"; mode "shadow" }`
		listener, route := block, ""
		if place == "route" {
			listener, route = "", block
		}
		p := start(t, listener, forward(o, route, ""))
		p.expectFrom("/", "127.0.0.7 200", "127.0.0.7 200", "127.0.0.8 200")
		p.expectMetrics(`sentinel_shadowed_total{fault="access_denied"} 2`, `sentinel_refused_connections_total{reason="access_denied"} 0`)
	}
}
