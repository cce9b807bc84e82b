package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/listen"
	"sentinel/internal/dataplane/netio"
)

// fixture is a process around an engine that answers each line with its generation.
type fixture struct {
	*Process
	t       *testing.T
	dir     string
	logs    chan string
	ended   chan error
	load    atomic.Pointer[func() (*Loaded, error)]
	serving atomic.Int64 // what the last commit has set
	held    chan struct{}
	release chan struct{}
	reopens atomic.Int64
	aborted atomic.Int64
	// what the metrics were told
	loaded, ok, bad atomic.Int64
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{t: t, dir: t.TempDir(), logs: make(chan string, 64), ended: make(chan error, 1),
		held: make(chan struct{}, 8), release: make(chan struct{})}
	f.set(f.good(1))
	clock := netio.NewClock()
	t.Cleanup(clock.Stop)
	state := &State{}
	f.Process = New(Options{
		ConfigFile: filepath.Join(f.dir, "config.kdl"), Log: newLineLogger(f.logs), Engine: f, Metrics: f,
		Registry: listen.NewRegistry(listen.Options{Clock: clock, Handler: f}), State: state, NotReady: state.NotReady,
		Version: admin.Version{Version: "test"},
		Scrape: func(path string) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != path {
					http.NotFound(w, r)
				}
			})
		},
		Reopen:  func() error { f.reopens.Add(1); return nil },
		Traffic: func() []RouteCount { return []RouteCount{{"api", 100, 5}} },
	})
	return f
}

func (f *fixture) set(load func() (*Loaded, error)) { f.load.Store(&load) }

// good returns a configuration whose commit sets the number.
func (f *fixture) good(number int64) func() (*Loaded, error) {
	return func() (*Loaded, error) {
		return &Loaded{
			Settings: Settings{
				PIDFile: filepath.Join(f.dir, "pid"), StateDir: filepath.Join(f.dir, "state"), AdminSocket: filepath.Join(f.dir, "admin.sock"),
				ShutdownTimeout: time.Minute, MetricsAddress: "127.0.0.1:0", MetricsPath: "/metrics",
				Listeners: listen.Plan{Listeners: []listen.Spec{{Name: "http", Addresses: []string{"127.0.0.1:0"}}}},
			},
			Sources: []Source{{filepath.Join(f.dir, "config.kdl"), fmt.Append(nil, number)}},
			Routes:  []admin.Route{{Name: "api"}},
			Show:    func() string { return "effective" },
			Build: func(slot func(string) int) (commit, abort func(), err error) {
				if slot("http") != 0 {
					return nil, nil, errors.New("no slot for the listener")
				}
				return func() { f.serving.Store(number) }, func() { f.aborted.Add(1) }, nil
			},
		}, nil
	}
}

func (f *fixture) Load(string) (*Loaded, error)      { return (*f.load.Load())() }
func (f *fixture) ConfigLoaded(time.Time, uint64)    { f.loaded.Add(1) }
func (f *fixture) ReloadSucceeded(time.Time, uint64) { f.ok.Add(1) }
func (f *fixture) ReloadFailed()                     { f.bad.Add(1) }

func (f *fixture) ServeConn(c *listen.Conn) {
	buf := make([]byte, 64)
	for {
		n, err := c.Net.Read(buf)
		if err != nil {
			return
		}
		c.Busy()
		if string(buf[:n]) == "hold\n" {
			f.held <- struct{}{}
			<-f.release
		}
		c.Net.Write(fmt.Appendf(nil, "%d\n", f.serving.Load()))
		if c.MustClose() {
			return
		}
		c.Idle(c.Net.Clock().Now())
	}
}

func (f *fixture) run() {
	f.t.Helper()
	go func() { f.ended <- f.Run(context.Background()) }()
}

// start runs the process and waits until it serves.
func (f *fixture) start() {
	f.t.Helper()
	f.run()
	f.log("started")
}

// log waits for a line and checks what it begins with and holds.
func (f *fixture) log(begin string, holds ...string) string {
	f.t.Helper()
	line := next(f.t, f.logs, "log line "+begin)
	if !strings.HasPrefix(line, begin) {
		f.t.Fatalf("log line = %q, want %q", line, begin)
	}
	for _, h := range holds {
		if !strings.Contains(line, h) {
			f.t.Errorf("log line = %q, want it to hold %q", line, h)
		}
	}
	return line
}

// stop asks the process to end and waits for it.
func (f *fixture) stop() {
	f.t.Helper()
	f.signals.stop <- syscall.SIGTERM
	f.log("stopping")
	f.log("stopped")
	f.expectEnd(nil)
}

func (f *fixture) expectEnd(want error) {
	f.t.Helper()
	if err := next(f.t, f.ended, "end of Run"); !errors.Is(err, want) {
		f.t.Errorf("Run() = %v, want %v", err, want)
	}
	select {
	case line := <-f.logs:
		f.t.Errorf("one log line too many: %s", line)
	default:
	}
}

func (f *fixture) dial() net.Conn {
	f.t.Helper()
	c, err := net.Dial("tcp", f.registry.Bindings()[0].Address)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

func (f *fixture) ask(c net.Conn, line string) string {
	f.t.Helper()
	io.WriteString(c, line+"\n")
	buf := make([]byte, 64)
	n, err := c.Read(buf)
	if err != nil {
		f.t.Fatal(err)
	}
	return strings.TrimSpace(string(buf[:n]))
}

func newLineLogger(to chan string) *slog.Logger { return slog.New(lines{to}) }

// lines is a log handler that sends each record as one line.
type lines struct{ to chan string }

func (l lines) Enabled(context.Context, slog.Level) bool { return true }
func (l lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l lines) WithGroup(string) slog.Handler            { return l }
func (l lines) Handle(_ context.Context, r slog.Record) error {
	s := r.Message
	r.Attrs(func(a slog.Attr) bool { s += ", " + a.String(); return true })
	l.to <- s
	return nil
}

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

func TestDrainOrder(t *testing.T) {
	f := newFixture(t)
	messages := notifySocket(t, filepath.Join(f.dir, "notify"))
	f.notify = newNotifier()
	f.start()
	next(t, messages, "READY")
	c := f.dial()
	io.WriteString(c, "hold\n")
	<-f.held
	f.signals.stop <- syscall.SIGTERM
	f.log("stopping", "terminated")
	if got := next(t, messages, "STOPPING"); !strings.HasPrefix(got, "STOPPING=1") {
		t.Errorf("message = %q, want STOPPING=1", got)
	}
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
	f.log("SIGUSR2: replacing the binary isn't built yet")
	f.stop()
	if o := f.Reload(t.Context()); o.OK || o.Error != "not reloaded" {
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
