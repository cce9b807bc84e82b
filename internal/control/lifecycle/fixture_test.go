package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
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
	f := &fixture{
		t: t, dir: t.TempDir(), logs: make(chan string, 64), ended: make(chan error, 1),
		held: make(chan struct{}, 8), release: make(chan struct{}),
	}
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
			Sources: []Source{{Path: filepath.Join(f.dir, "config.kdl"), Text: fmt.Append(nil, number)}},
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

func (f *fixture) Load(string, []Source) (*Loaded, error) { return (*f.load.Load())() }
func (f *fixture) ConfigLoaded(time.Time, uint64)         { f.loaded.Add(1) }
func (f *fixture) ReloadSucceeded(time.Time, uint64)      { f.ok.Add(1) }
func (f *fixture) ReloadFailed()                          { f.bad.Add(1) }

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
