package lifecycle

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.kdl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadConfig(t *testing.T) {
	path := configFile(t, `limits { max-connections 5 }
system { worker-threads 2; pid-file "p"; state-dir "s"; admin-socket "a"; graceful-shutdown-timeout-secs 7 }
listeners {
    listener "http" { address "127.0.0.1:8080"; address "[::1]:8080"; limits { max-connections 3 } }
}
routes {
    route "api" { priority 10; matches { path "/api" }; upstream "u" }
    route "cut" { matches { path "/cut" }; split { upstream "u" weight=1; upstream "v" weight=9 } }
    route "away" { matches { path "/away" }; redirect "https://example.com/" status=301 }
    route "own" { respond 404 "no" }
}
upstreams {
    upstream "u" { target { address "127.0.0.1:1"; weight 2 } }
    upstream "v" { target { address "127.0.0.1:2" } }
}
observability { metrics { address "127.0.0.1:9091"; path "/m" } }
limits { max-connections 4; max-connections-per-client 2 }
`)
	_, l, err := ReadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	s := l.Settings
	if s.Workers != 2 || s.PIDFile != "p" || s.StateDir != "s" || s.AdminSocket != "a" || s.ShutdownTimeout != 7*time.Second ||
		s.MetricsAddress != "127.0.0.1:9091" || s.MetricsPath != "/m" || s.MetricsAt != path+":16:35" {
		t.Errorf("Settings = %+v", s)
	}
	if p := s.Listeners; p.MaxConnections != 4 || p.MaxPerClient != 2 || p.DrainLimit != 7*time.Second {
		t.Errorf("Plan = %+v, want the strictest limits", p)
	}
	if p := s.Listeners.Listeners; len(p) != 1 || p[0].Name != "http" || len(p[0].Addresses) != 2 || p[0].MaxConnections != 3 || p[0].MaxPerClient != 2 || p[0].At != path+":4:5" {
		t.Errorf("Listeners = %+v", p)
	}
	want := []string{`upstream "u"`, `split "u" (1) "v" (9)`, "redirect 301", "respond 404"}
	for i, r := range l.Routes {
		if r.Target != want[i] {
			t.Errorf("route %s goes to %s, want %s", r.Name, r.Target, want[i])
		}
	}
	if len(l.Upstreams) != 2 || l.Upstreams[0].Targets[0].Weight != 2 {
		t.Errorf("Upstreams = %+v", l.Upstreams)
	}
	if len(l.Notes) != 1 || !strings.Contains(l.Notes[0], path+":1:1") || !strings.Contains(l.Notes[0], path+":17:1") {
		t.Errorf("Notes = %q, want both places of limits", l.Notes)
	}
	if len(l.Sources) != 1 || l.Sources[0].Path != path || !strings.Contains(l.Show(), "max-connections") {
		t.Errorf("Sources = %v, Show = %s", l.Sources, l.Show())
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct{ name, text, kind, line string }{
		{"parse", "listeners {\n", "parse error", ":1:"},
		{"validation", "listeners {\n    listner \"x\"\n}\n", "validation error", ":2:5: "},
		{"both", "a \"\nlistner\n", "parse error", ":1:"},
	} {
		path := configFile(t, c.text)
		_, _, err := ReadConfig(path)
		var e *ConfigError
		if !errors.As(err, &e) || e.Kind != c.kind || len(e.Lines) == 0 || !strings.Contains(e.Lines[0], path+c.line) ||
			!strings.Contains(e.Report, path+c.line) || !strings.HasPrefix(err.Error(), c.kind) {
			t.Errorf("%s: ReadConfig = %#v, want %s at %s", c.name, err, c.kind, c.line)
		}
	}
	_, _, err := ReadConfig("/nowhere/config.kdl")
	var e *ConfigError
	if !errors.As(err, &e) || e.Kind != "read error" || !strings.Contains(e.Lines[0], "no such file") {
		t.Errorf("ReadConfig of a file that isn't there = %#v, want a read error", err)
	}
}
