package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type fakeProcess struct{ outcome Outcome }

func (f *fakeProcess) Status() Status {
	return Status{PID: 42, Generation: 3, Routes: []Route{{Name: "api", Requests: 7}}}
}

func (f *fakeProcess) Config() Config                                        { return Config{File: "c.kdl", Text: "system"} }
func (f *fakeProcess) Reload(context.Context, ReloadRequest, *Actor) Outcome { return f.outcome }

func serve(t *testing.T, p Process) string {
	t.Helper()
	return serveMore(t, p, nil)
}

// serveMore serves p and what add adds.
func serveMore(t *testing.T, p Process, add func(*Server)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run", "admin.sock")
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(p, Version{Version: "1.2"})
	if add != nil {
		add(s)
	}
	go s.Serve(ln)
	t.Cleanup(func() { s.Close(context.Background()) })
	return path
}

func TestClientAsksServer(t *testing.T) {
	p := &fakeProcess{outcome: Outcome{OK: true, Generation: 4}}
	path := serve(t, p)
	c := NewClient(path, 5*time.Second)
	if s, err := c.Status(t.Context()); err != nil || s.PID != 42 || s.Routes[0].Requests != 7 {
		t.Errorf("Status() = %+v, %v, want the process's", s, err)
	}
	if v, err := c.Version(t.Context()); err != nil || v.Version != "1.2" {
		t.Errorf("Version() = %+v, %v, want 1.2", v, err)
	}
	if o, err := c.Reload(t.Context()); err != nil || !o.OK || o.Generation != 4 {
		t.Errorf("Reload() = %+v, %v, want success", o, err)
	}
	p.outcome = Outcome{Error: "parse error", Details: []string{"c.kdl:1:1: x"}}
	if o, err := c.Reload(t.Context()); err != nil || o.OK || len(o.Details) != 1 {
		t.Errorf("Reload() = %+v, %v, want the failure and its details", o, err)
	}
}

// asAdmin returns what s answers an admin of this process.
func asAdmin(s *Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Handler().ServeHTTP(w, r.WithContext(WithActor(r.Context(), Actor{User: "root", Role: RoleAdmin.String()})))
	})
}

func TestMethodsAndPaths(t *testing.T) {
	h := asAdmin(NewServer(&fakeProcess{outcome: Outcome{}}, Version{}))
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/admin/version", 200},
		{"GET", "/admin/status", 200},
		{"GET", "/admin/routes", 200},
		{"GET", "/admin/config", 200},
		{"GET", "/admin/reload", 405},
		{"POST", "/admin/status", 405},
		{"POST", "/admin/reload", 422},
		{"GET", "/metrics", 404},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.want {
			t.Errorf("%s %s = %d, want %d", c.method, c.path, w.Code, c.want)
		}
	}
}

func TestSocketIsForItsOwnerOnly(t *testing.T) {
	path := serve(t, &fakeProcess{})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close()
	again, err := Listen(path)
	if err != nil {
		t.Fatalf("Listen over a stale socket: %v", err)
	}
	again.Close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stat after Close = %v, want the file gone", err)
	}
}

func TestListenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, path, want string }{
		{"long", filepath.Join(dir, strings.Repeat("x", 120)), "choose a shorter admin-socket"},
		{"no socket", file, "is no socket"},
		{"served", serve(t, &fakeProcess{}), "address in use"},
		{"folder is a file", filepath.Join(file, "admin.sock"), "not a directory"},
	} {
		ln, err := Listen(c.path)
		if err == nil {
			ln.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Listen = %v, want %q", c.name, err, c.want)
		}
	}
	if b, _ := os.ReadFile(file); string(b) != "precious" {
		t.Error("Listen has touched a file that is no socket")
	}
}

func TestNobodyThere(t *testing.T) {
	_, err := NewClient(filepath.Join(t.TempDir(), "none"), time.Second).Status(t.Context())
	if !errors.Is(err, ErrNotRunning) {
		t.Errorf("Status() without a socket = %v, want ErrNotRunning", err)
	}
	path := filepath.Join(t.TempDir(), "stale")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close()
	if _, err := NewClient(path, time.Second).Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Status() at a stale socket = %v, want ErrNotRunning", err)
	}
}

func TestAnswersAreJSON(t *testing.T) {
	w := httptest.NewRecorder()
	asAdmin(NewServer(&fakeProcess{}, Version{})).ServeHTTP(w, httptest.NewRequest("GET", "/admin/config", nil))
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q, want application/json", got)
	}
	if b, _ := io.ReadAll(w.Result().Body); !strings.Contains(string(b), `"text":"system"`) {
		t.Errorf("body = %s, want the configuration", b)
	}
}
