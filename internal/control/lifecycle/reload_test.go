package lifecycle

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/control/admin"
)

func TestReloadBySignal(t *testing.T) {
	f := newFixture(t)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil { // before the start
		t.Fatal(err)
	}
	f.start()
	f.log("Configuration reload succeeded", "cause=SIGHUP", "generation=2")
	c := f.dial()
	second := f.good(2)
	f.set(func() (*Loaded, error) {
		l, err := second()
		l.Notes = []string{"limits at c.kdl:1:1 and c.kdl:9:1 merged"}
		return l, err
	})
	f.signals.hup <- syscall.SIGHUP
	f.log("Configuration reload succeeded", "generation=3", "limits at c.kdl:1:1 and c.kdl:9:1 merged")
	if got := f.ask(c, "a"); got != "2" {
		t.Errorf("answer after the reload = %q, want 2", got)
	}
	f.set(func() (*Loaded, error) {
		return nil, &ConfigError{Kind: "validation error", Lines: []string{"c.kdl:3:5: error: unknown key"}}
	})
	f.signals.hup <- syscall.SIGHUP
	f.log("Configuration reload failed", "error=validation error", "c.kdl:3:5", "generation=3")
	if got := f.ask(c, "a"); got != "2" {
		t.Errorf("answer after the failed reload = %q, want 2", got)
	}
	if b, _ := os.ReadFile(filepath.Join(f.dir, "config.kdl.backup")); string(b) != "2" {
		t.Errorf("backup = %q, want the last text that served", b)
	}
	if f.loaded.Load() != 1 || f.ok.Load() != 2 || f.bad.Load() != 1 {
		t.Errorf("metrics were told of %d starts, %d good and %d bad reloads, want 1, 2 and 1", f.loaded.Load(), f.ok.Load(), f.bad.Load())
	}
	f.stop()
}

func TestReloadIsAllOrNothing(t *testing.T) {
	for _, c := range []struct {
		name, want string
		aborted    int64
		spoil      func(f *fixture, l *Loaded)
	}{
		{"pid file", "which is running", 1, func(f *fixture, l *Loaded) {
			os.WriteFile(l.Settings.PIDFile, fmt.Append(nil, livePID(t, true)), 0o644)
		}},
		{"build", "no snapshot", 0, func(_ *fixture, l *Loaded) {
			l.Build = func(func(string) int) (commit, abort func(), err error) { return nil, nil, errors.New("no snapshot") }
		}},
		{"admin socket", "choose a shorter", 1, func(_ *fixture, l *Loaded) { l.Settings.AdminSocket += strings.Repeat("x", 200) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			f.start()
			before := f.registry.Bindings()[0].Address
			load, moved, metrics := f.good(2), freeAddress(t), freeAddress(t)
			f.set(func() (*Loaded, error) {
				l, err := load()
				l.Settings.Listeners.Listeners[0].Addresses = []string{moved}
				l.Settings.PIDFile = filepath.Join(f.dir, "other.pid")
				l.Settings.MetricsAddress, l.Settings.MetricsPath = metrics, "/other"
				c.spoil(f, l)
				return l, err
			})
			f.signals.hup <- syscall.SIGHUP
			f.log("Configuration reload failed", c.want)
			if got := f.registry.Bindings(); len(got) != 1 || got[0].Address != before || f.serving.Load() != 1 {
				t.Errorf("after a failed reload: bound %v, serving %d, want no change", got, f.serving.Load())
			}
			if got := f.aborted.Load(); got != c.aborted {
				t.Errorf("%d snapshots given up, want %d", got, c.aborted)
			}
			if got := f.scrapeStatus("/metrics"); got != 200 {
				t.Errorf("after a failed reload GET /metrics = %d, want 200", got)
			}
			for _, address := range []string{moved, metrics} {
				if conn, err := net.Dial("tcp", address); err == nil {
					conn.Close()
					t.Errorf("after a failed reload %s is still bound", address)
				}
			}
			f.stop()
		})
	}
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestReloadMovesEverything(t *testing.T) {
	f := newFixture(t)
	f.start()
	oldMetrics := f.metrics.address()
	load := f.good(2)
	f.set(func() (*Loaded, error) {
		l, err := load()
		l.Settings.PIDFile = filepath.Join(f.dir, "other.pid")
		l.Settings.MetricsAddress, l.Settings.MetricsPath = "127.0.0.2:0", "/other"
		l.Settings.AdminSocket = filepath.Join(f.dir, "other.sock")
		return l, err
	})
	client := admin.NewClient(filepath.Join(f.dir, "admin.sock"), 10*time.Second)
	if o, err := client.Reload(t.Context()); err != nil || !o.OK || o.Generation != 2 {
		t.Fatalf("Reload() = %+v, %v, want success", o, err)
	}
	f.log("Configuration reload succeeded", "cause=admin")
	for name, want := range map[string]bool{"pid": false, "other.pid": true, "other.sock": true} {
		if _, err := os.Stat(filepath.Join(f.dir, name)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", name, err == nil, want)
		}
	}
	if _, err := http.Get("http://" + oldMetrics + "/metrics"); err == nil {
		t.Error("metrics still answer at the old address")
	}
	s, err := admin.NewClient(filepath.Join(f.dir, "other.sock"), 10*time.Second).Status(t.Context())
	if err != nil || s.Generation != 2 || s.LastReload == nil || !s.LastReload.OK || !s.Ready || s.Routes[0].Requests != 100 {
		t.Errorf("Status() = %+v, %v, want generation 2", s, err)
	}
	f.stop()
}

func TestMetricsListener(t *testing.T) {
	f := newFixture(t)
	f.start()
	load := f.good(2)
	f.set(func() (*Loaded, error) {
		l, err := load()
		l.Settings.MetricsPath = "/other"
		return l, err
	})
	if got := f.scrapeStatus("/metrics"); got != 200 {
		t.Errorf("GET /metrics = %d, want 200", got)
	}
	f.signals.hup <- syscall.SIGHUP
	f.log("Configuration reload succeeded")
	for path, want := range map[string]int{"/other": 200, "/metrics": 404, "/admin/status": 404} {
		if got := f.scrapeStatus(path); got != want {
			t.Errorf("GET %s after the path has moved = %d, want %d", path, got, want)
		}
	}
	f.stop()
}

// scrapeStatus asks the metrics listener for a path.
func (f *fixture) scrapeStatus(path string) int {
	f.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + f.Status().Metrics + path)
	if err != nil {
		f.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
