package lifecycle

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/listen"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/observe/accesslog"
	"sentinel/internal/observe/metric"
)

func loggingOf(t *testing.T, text string) *schema.Logging {
	t.Helper()
	cfg, _, err := ReadConfig(configFile(t, `listeners { listener "http" { address "127.0.0.1:0" } }
routes { route "a" { matches { path "/" }; respond 204 } }
observability { logging { `+text+` } }`))
	if err != nil {
		t.Fatal(err)
	}
	return &cfg.Observability.Logging
}

// exchangeEntry is an exchange as the access log records it.
func exchangeEntry() *accesslog.Entry {
	return &accesslog.Entry{Time: time.Unix(0, 0), Method: []byte("GET"), Path: []byte("/seen"), Status: 200, Client: netip.MustParseAddr("192.0.2.1")}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLogsFollowTheConfiguration(t *testing.T) {
	for _, c := range []struct {
		name, text     string // %D is a folder
		events, access string // what the files hold; "" for no file
	}{
		{"one file", `file "%D/e.log"`, `path="/seen"`, ""},
		{"two files", `file "%D/e.log"; access-log { file "%D/sub/a.log" }`, "INFO hello, a=1", `path="/seen"`},
		{"JSON", `format "json"; file "%D/e.log"; access-log { file "%D/sub/a.log" }`, `"message":"hello"`, `"path":"/seen"`},
		{"access log of another form", `file "%D/e.log"; access-log { format "json"; file "%D/sub/a.log" }`, "INFO hello, a=1", `"path":"/seen"`},
		{"level", `level "warn"; file "%D/e.log"`, "", ""},
		{"access log off", `file "%D/e.log"; access-log { enabled #false }`, "INFO hello", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			l := newLogs(metric.New(metric.Options{Cells: 1}))
			commit, _, err := l.prepare(loggingOf(t, strings.ReplaceAll(c.text, "%D", dir)))
			if err != nil {
				t.Fatal(err)
			}
			commit()
			l.journal.Logger().Info("hello", "a", 1)
			l.access.Record(0, exchangeEntry())
			l.close()
			events := content(t, filepath.Join(dir, "e.log"))
			if !strings.Contains(events, c.events) {
				t.Errorf("events = %q, want %q", events, c.events)
			}
			if c.name == "access log off" && strings.Contains(events, "/seen") || c.name == "level" && strings.Contains(events, "hello") {
				t.Errorf("events = %q hold what is off", events)
			}
			if c.access != "" {
				if got := content(t, filepath.Join(dir, "sub", "a.log")); !strings.Contains(got, c.access) {
					t.Errorf("access log = %q, want %q", got, c.access)
				}
			}
		})
	}
}

func TestLogsReopen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "e.log")
	l := newLogs(metric.New(metric.Options{Cells: 1}))
	commit, _, err := l.prepare(loggingOf(t, `file "`+path+`"`))
	if err != nil {
		t.Fatal(err)
	}
	commit()
	l.journal.Logger().Info("before")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.reopen(); err != nil {
		t.Fatal(err)
	}
	l.journal.Logger().Info("after")
	l.close()
	if got := content(t, path+".1"); !strings.Contains(got, "before") || strings.Contains(got, "after") {
		t.Errorf("rotated file = %q, want what came before", got)
	}
	if got := content(t, path); !strings.Contains(got, "after") {
		t.Errorf("new file = %q, want what came after", got)
	}
}

func TestLogsThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	blocked := filepath.Join(dir, "file")
	os.WriteFile(blocked, nil, 0o600)
	l := newLogs(metric.New(metric.Options{Cells: 1}))
	defer l.close()
	before := l.journal.Output()
	for _, text := range []string{
		`file "` + blocked + `/e.log"`,
		`file "` + dir + `/e.log"; access-log { file "` + blocked + `/a.log" }`,
	} {
		if _, _, err := l.prepare(loggingOf(t, text)); err == nil || !strings.Contains(err.Error(), blocked) {
			t.Errorf("prepare(%s) = %v, want an error that names the file", text, err)
		}
	}
	if l.journal.Output() != before {
		t.Error("a preparation that failed has changed where events go")
	}
}

func TestRefusedClientsAreCounted(t *testing.T) {
	m := metric.New(metric.Options{Cells: 1})
	l := newLogs(m)
	a := &assembly{metrics: m, logs: l}
	path := filepath.Join(t.TempDir(), "e.log")
	commit, _, err := l.prepare(loggingOf(t, `file "`+path+`"`))
	if err != nil {
		t.Fatal(err)
	}
	commit()
	clock := netio.NewClock()
	defer clock.Stop()
	r := listen.NewRegistry(listen.Options{Clock: clock})
	change, err := r.Prepare(listen.Plan{Listeners: []listen.Spec{{Name: "http", Addresses: []string{"127.0.0.1:0"}}}})
	if err != nil {
		t.Fatal(err)
	}
	change.Commit()
	a.refused(r.Listeners()[0], netip.MustParseAddr("192.0.2.7"), fault.ConnectionLimit)
	r.Close(t.Context())
	l.close()
	for _, c := range trafficOf(m) {
		if c.Route == metric.RouteNone && (c.Requests != 1 || c.Errors != 1) {
			t.Errorf("counted %+v, want one request with an error", c)
		}
	}
	if got := content(t, path); !strings.Contains(got, "192.0.2.7") || !strings.Contains(got, fault.ConnectionLimit.Error()) {
		t.Errorf("log = %q, want client and cause", got)
	}
}

func TestAcceptWarningIsRare(t *testing.T) {
	clock := netio.NewClock()
	defer clock.Stop()
	logs := make(chan string, 8)
	w := newAcceptWarning(clock, newLineLogger(logs))
	r := listen.NewRegistry(listen.Options{Clock: clock})
	change, err := r.Prepare(listen.Plan{Listeners: []listen.Spec{{Name: "http"}}})
	if err != nil {
		t.Fatal(err)
	}
	change.Commit()
	defer r.Close(t.Context())
	for range 3 {
		w.tell(r.Listeners()[0], syscall.EMFILE)
	}
	if got := <-logs; !strings.Contains(got, "out of file descriptors") || len(logs) != 0 {
		t.Errorf("log = %q and %d more, want one line", got, len(logs))
	}
	w.next.Store(0)
	w.tell(r.Listeners()[0], errors.New("odd"))
	if got := <-logs; !strings.Contains(got, "odd") {
		t.Errorf("log = %q, want the error", got)
	}
}
