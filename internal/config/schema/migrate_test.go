package schema

import (
	"strings"
	"testing"

	"sentinel/internal/config/kdl"
)

func TestMigrate(t *testing.T) {
	old := `// Our proxy.
server {
    worker-threads 2   // two of four
    graceful-shutdown-timeout 20
}
listeners { listener "http" { address "127.0.0.1:8080"; protocol "HTTP"; http2 { h2c true } } }
/- routes { nonsense }
routes {
    route "api" { matches { path-prefix "/" }; upstream "a"; retry { max-attempts 2 } }
}
upstreams {
    upstream "a" {
        // The two of them.
        targets {
            target { address "10.0.0.1:80"; weight 2 } // big
            target address="10.0.0.2:80"
        } // end of targets
        load-balancing "least-connections"
        health-check { type "http" { path "/h" }; interval 10 }
        timeouts connect=10 { request 30; read-secs 15 }
    }
    upstream "b" { targets { target "10.0.0.3:80" weight=2 }; load-balancing "Round-Robin" }
}
limits { max-body-size-bytes "10MB" }
`
	want := `// Our proxy.
system {
    worker-threads 2 // two of four
    graceful-shutdown-timeout-secs 20
}
listeners { listener "http" { address "127.0.0.1:8080"; protocol "http"; http2 { h2c #true } } }
/-routes { nonsense }
routes {
    route "api" { matches { path-prefix "/" }; upstream "a"; retry-policy { max-attempts 2 } }
}
upstreams {
    upstream "a" {
        // The two of them.

        target { address "10.0.0.1:80"; weight 2 } // big
        target address="10.0.0.2:80"
        // end of targets
        load-balancing "least_connections"
        health-check { type "http" { path "/h" }; interval-secs 10 }
        timeouts connect-secs=10 { request-secs 30; read-secs 15 }
    }
    upstream "b" { target "10.0.0.3:80" weight=2; load-balancing "round_robin" }
}
limits { max-body-size "10MB" }
`
	m, diags := Migrate("old.kdl", []byte(old), Options{})
	if diags.HasErrors() || string(m.Text) != want {
		t.Errorf("Migrate = %s, %s\nwant %s", m.Text, diags.AppendText(nil, func(string) []byte { return []byte(old) }), want)
	}
	for _, line := range []string{
		"old.kdl:2:1: server is spelled system", "old.kdl:4:5: graceful-shutdown-timeout is spelled graceful-shutdown-timeout-secs",
		`: load-balancing "least-connections" is spelled "least_connections"`, ": targets { target ... } is spelled target ...",
		": connect is spelled connect-secs", ": max-body-size-bytes is spelled max-body-size",
	} {
		if !strings.Contains(strings.Join(m.Changes, "\n"), line) {
			t.Errorf("changes = %q, want one with %q", m.Changes, line)
		}
	}
	again, diags := Migrate("new.kdl", m.Text, Options{})
	if diags.HasErrors() || string(again.Text) != string(m.Text) || len(again.Changes) != 0 {
		t.Errorf("migrating once more changes %q", again.Changes)
	}
}

// What isn't a configuration isn't migrated.
func TestMigrateRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"routes {":                 "unclosed",
		"listeners { listner 1 }":  `unknown key "listner"`,
		`routes { route "r" { } }`: "error",
	} {
		m, diags := Migrate("old.kdl", []byte(text), Options{})
		if got := string(diags.AppendText(nil, func(string) []byte { return []byte(text) })); m.Text != nil || !diags.HasErrors() || !strings.Contains(got, want) && want != "unclosed" {
			t.Errorf("Migrate(%q) = %q, %s, want an error with %q", text, m.Text, got, want)
		}
	}
}

// Whatever spelling a key may have, it is migrated to its name.
func TestEverySpellingIsMigrated(t *testing.T) {
	for _, k := range Keys() {
		spec := table()[k.Block]
		for _, alias := range k.Aliases {
			m := &migration{name: "x"}
			doc, _ := kdl.Parse("x", []byte(alias+" 1"), kdl.Options{})
			m.node(spec, doc.Nodes[0])
			if got := string(m.applied([]byte(alias + " 1"))); !strings.HasPrefix(got, k.Name+" ") {
				t.Errorf("%s in %q becomes %q, want %s", alias, k.Block, got, k.Name)
			}
		}
	}
}

func FuzzMigrate(f *testing.F) {
	f.Add([]byte(`server { pid-file "/p" } // c
listeners { listener "l" { address "127.0.0.1:1" } }
routes { route "r" { upstream "u" } }
upstreams { upstream "u" { targets { target "10.0.0.1:1" } } }`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, diags := Migrate("x", text, Options{Env: func(string) (string, bool) { return "", false }})
		if diags.HasErrors() {
			return
		}
		if again, ds := Migrate("x", m.Text, Options{Env: func(string) (string, bool) { return "", false }}); ds.HasErrors() || len(again.Changes) > 0 {
			t.Errorf("%q becomes %q, and that again %q, %v", text, m.Text, again.Changes, ds)
		}
	})
}
