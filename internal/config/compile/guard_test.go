package compile

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/testkit/pki"
)

// TestGuard checks what of a generation is refused and what warned of, by the one before.
func TestGuard(t *testing.T) {
	dir := t.TempDir()
	ca := pki.New(t, "ca")
	late := time.Now().Add(-time.Hour)
	for name, r := range map[string]pki.Request{
		"good": pki.Server("www.example"), "other": pki.Server("other.example"),
		"late": pki.Server("www.example").Until(late), "wide": pki.Server("www.example", "a.example"),
	} {
		ca.Issue(t, r).Write(t, dir, name)
	}
	ca.Write(t, dir, "ca")
	pki.WriteFile(t, filepath.Join(dir, "lateca.crt"), ca.Issue(t, pki.Request{}.Until(late)).CertPEM)
	// config has a listener with a certificate, a route for hosts, and an upstream that
	// believes an authority.
	config := func(listener, cert, hosts, authority string) string {
		return fmt.Sprintf(`listeners { listener %q { address "127.0.0.1:1"; protocol "https"; tls { cert-file "%[5]s/%[2]s.crt"; key-file "%[5]s/%[2]s.key" } } }
routes { route "r" { matches { host %[3]s }; upstream "u" } }
upstreams { upstream "u" { target "127.0.0.1:2"; tls { ca-cert "%[5]s/%[4]s.crt" } } }`, listener, cert, hosts, authority, dir)
	}
	base := config("l", "good", `"www.example"`, "ca")
	for _, tt := range []struct {
		name, before, next string
		refused, warned    string // what is said
	}{
		{"the same", base, base, "", ""},
		{"the first generation", "", config("l", "late", `"www.example"`, "lateca"), "", "late.crt expired at"},
		{"expired", base, config("l", "late", `"www.example"`, "ca"), "late.crt expired at", ""},
		// The hosts come in this order, and nothing good is shown for the first.
		{"expired, and a host that nothing was for", base, config("l", "late", `"a.example" "www.example"`, "ca"), "late.crt expired at", ""},
		{"of another host", base, config("l", "other", `"www.example"`, "ca"), "other.crt isn't for www.example", ""},
		{"a route for another host", base, config("l", "good", `"www.example" "new.example"`, "ca"), "", "good.crt isn't for new.example"},
		{"a new listener", base, config("m", "late", `"www.example"`, "ca"), "", "late.crt expired at"},
		{"bad before", config("l", "late", `"www.example"`, "ca"), config("l", "other", `"www.example"`, "ca"), "", "other.crt isn't for www.example"},
		{"fewer names that a route needs", config("l", "wide", `"a.example"`, "ca"), config("l", "good", `"a.example"`, "ca"), "good.crt isn't for a.example", ""},
		{"fewer names that none needs", config("l", "wide", `"www.example"`, "ca"), base, "", ""},
		{"no authority left", base, config("l", "good", `"www.example"`, "lateca"), "lateca.crt is of use: the first expired at", ""},
	} {
		live := newLive(t)
		build := func(text string) (refused, warned string, commit func()) {
			cfg, _, diags := schema.LoadBytes("config.kdl", []byte(text), schema.Options{})
			if diags.HasErrors() {
				t.Fatalf("%s: %v", tt.name, diags)
			}
			_, commit, diags = Build(cfg, live, nil)
			for _, d := range diags {
				if d.Severity.String() == "error" {
					refused += d.Message
				} else {
					warned += d.Message
				}
				if !d.Span.IsValid() {
					t.Errorf("%s: %q has no place", tt.name, d.Message)
				}
			}
			return refused, warned, commit
		}
		if tt.before != "" {
			_, _, commit := build(tt.before)
			commit()
		}
		refused, warned, _ := build(tt.next)
		if (tt.refused == "") != (refused == "") || !strings.Contains(refused, tt.refused) {
			t.Errorf("%s: refused with %q, want %q", tt.name, refused, tt.refused)
		}
		if tt.refused == "" && ((tt.warned == "") != (warned == "") || !strings.Contains(warned, tt.warned)) {
			t.Errorf("%s: warned of %q, want %q", tt.name, warned, tt.warned)
		}
	}
}
