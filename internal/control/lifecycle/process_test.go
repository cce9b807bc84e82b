package lifecycle

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/listen"
)

func TestStartAndStop(t *testing.T) {
	f := newFixture(t)
	f.run()
	f.log("started", "listeners=http=127.0.0.1:", "version=test")
	if b, _ := os.ReadFile(filepath.Join(f.dir, "pid")); string(b) != fmt.Sprintln(os.Getpid()) {
		t.Errorf("pid file holds %q", b)
	}
	c := f.dial()
	if got := f.ask(c, "a"); got != "1" {
		t.Errorf("answer = %q, want generation 1", got)
	}
	f.stop()
	for _, name := range []string{"pid", "admin.sock"} {
		if _, err := os.Stat(filepath.Join(f.dir, name)); !os.IsNotExist(err) {
			t.Errorf("%s after the end: %v, want it gone", name, err)
		}
	}
	if b, _ := os.ReadFile(filepath.Join(f.dir, "config.kdl.backup")); string(b) != "1" {
		t.Errorf("backup = %q, want the text that served", b)
	}
}

func TestStartFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		name   string
		change func(f *fixture, l *Loaded) error
		holds  []string
	}{
		{"parse", func(*fixture, *Loaded) error {
			return &ConfigError{Kind: "parse error", Lines: []string{"c.kdl:3:5: a", "b", "c", "d"}}
		}, []string{"parse error", "c.kdl:3:5: a; b; c", "more=1"}},
		{"port", func(_ *fixture, l *Loaded) error {
			l.Settings.Listeners.Listeners[0] = listen.Spec{Name: "http", At: "c.kdl:2:1", Addresses: []string{taken.Addr().String()}}
			return nil
		}, []string{"address in use", `listener "http"`, "c.kdl:2:1"}},
		{"metrics port", func(_ *fixture, l *Loaded) error {
			l.Settings.MetricsAddress, l.Settings.MetricsAt = taken.Addr().String(), "c.kdl:9:9"
			return nil
		}, []string{"address in use", "metrics", "c.kdl:9:9"}},
		{"build", func(_ *fixture, l *Loaded) error {
			l.Build = func(func(string) int) (commit, abort func(), err error) {
				return nil, nil, &ConfigError{Kind: "validation error"}
			}
			return nil
		}, []string{"validation error"}},
		{"admin socket", func(f *fixture, l *Loaded) error {
			l.Settings.AdminSocket = filepath.Join(f.dir, strings.Repeat("x", 200))
			return nil
		}, []string{"choose a shorter admin-socket"}},
		{"pid file", func(f *fixture, l *Loaded) error {
			os.WriteFile(l.Settings.PIDFile, fmt.Append(nil, livePID(f.t, true)), 0o644)
			return nil
		}, []string{"which is running"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			load := f.good(1)
			f.set(func() (*Loaded, error) {
				l, _ := load()
				return l, c.change(f, l)
			})
			f.run()
			f.log("start failed", c.holds...)
			if err := next(t, f.ended, "end of Run"); err == nil {
				t.Error("Run() = nil, want an error")
			}
			if f.serving.Load() != 0 || len(f.registry.Bindings()) != 0 || !f.state.Starting() {
				t.Error("a start that failed has left something behind")
			}
			if pid, ok := readPID(filepath.Join(f.dir, "pid")); ok && pid == os.Getpid() {
				t.Error("a start that failed has left its pid file")
			}
		})
	}
}

func TestDrainOrder(t *testing.T) {
	f := newFixture(t)
	messages := notifySocket(t, filepath.Join(f.dir, "notify"))
	f.notify = newNotifier()
	f.start()
	expectMessage(t, messages, "READY=1")
	c := f.dial()
	io.WriteString(c, "hold\n")
	<-f.held
	f.signals.stop <- syscall.SIGTERM
	f.log("stopping", "terminated")
	expectMessage(t, messages, "STOPPING=1")
	s, err := admin.NewClient(filepath.Join(f.dir, "admin.sock"), 10*time.Second).Status(t.Context())
	if err != nil || s.State != "draining" || s.Ready {
		t.Errorf("Status() in the drain = %+v, %v, want draining and not ready", s, err)
	}
	close(f.release)
	buf := make([]byte, 8)
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != "1\n" {
		t.Errorf("answer in the drain = %q, %v, want it whole", buf[:n], err)
	}
	f.log("stopped")
	f.expectEnd(nil)
}

func TestSecondSignalForces(t *testing.T) {
	f := newFixture(t)
	f.start()
	c := f.dial()
	io.WriteString(c, "hold\n")
	<-f.held
	f.signals.stop <- syscall.SIGTERM
	f.log("stopping")
	f.signals.stop <- syscall.SIGINT
	f.log("second signal")
	f.log("connections cut", "connections=1")
	close(f.release)
	f.log("stopped")
	f.expectEnd(nil)
}

func TestShutdownTimeoutForces(t *testing.T) {
	f := newFixture(t)
	load := f.good(1)
	f.set(func() (*Loaded, error) {
		l, err := load()
		l.Settings.ShutdownTimeout = time.Millisecond
		return l, err
	})
	f.start()
	c := f.dial()
	io.WriteString(c, "hold\n")
	<-f.held
	f.signals.stop <- syscall.SIGTERM
	f.log("stopping")
	f.log("connections cut")
	close(f.release)
	f.log("stopped")
	f.expectEnd(nil)
}

func TestOtherSignals(t *testing.T) {
	f := newFixture(t)
	f.start()
	f.signals.usr1 <- syscall.SIGUSR1
	f.log("log files reopened")
	if f.reopens.Load() != 1 {
		t.Errorf("reopened %d times, want 1", f.reopens.Load())
	}
	f.signals.usr2 <- syscall.SIGUSR2
	f.log("Upgrade failed", "new binary refuses the configuration", "cause=SIGUSR2") // there is no binary
	if got := f.ask(f.dial(), "a"); got != "1" {
		t.Errorf("answer after an upgrade that failed = %q, want 1", got)
	}
	f.stop()
	if o := f.Reload(t.Context(), admin.ReloadRequest{}, nil); o.OK || o.Error != "not reloaded" {
		t.Errorf("Reload() after the end = %+v, want a refusal", o)
	}
}

func TestRates(t *testing.T) {
	start := time.Unix(1000, 0)
	counts := []RouteCount{{"api", 100, 10}}
	p := &Process{started: start}
	p.opt.Traffic = func() []RouteCount { return counts }
	old := takeSample([]RouteCount{{"api", 40, 4}}, time.Now().Add(-10*time.Second))
	routes := []admin.Route{{Name: "api"}, {Name: "quiet"}}
	p.addTraffic(routes, old)
	if r := routes[0]; r.Requests != 100 || r.RequestsPerSecond < 5.5 || r.RequestsPerSecond > 6.1 || r.ErrorsPerSecond > 0.7 {
		t.Errorf("route = %+v, want 100 requests, 6 a second", r)
	}
	if r := routes[1]; r.Requests != 0 || r.RequestsPerSecond != 0 {
		t.Errorf("route without traffic = %+v, want zeros", r)
	}
	r := rates{}
	if got := r.reference(start); !got.at.Equal(start) {
		t.Errorf("reference without samples is of %v, want the start", got.at)
	}
}
