package system

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// slow is an origin that says when it is asked and answers when told.
func slow(t *testing.T) (text string, asked, answer chan struct{}) {
	t.Helper()
	asked, answer = make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case asked <- struct{}{}:
		case <-ctx.Done():
		}
		select {
		case <-answer:
			io.WriteString(w, "late")
		case <-ctx.Done():
		}
	}))
	t.Cleanup(func() {
		cancel()
		o.Close()
	})
	return toOrigin(o.Listener.Addr().String()), asked, answer
}

func TestDrain(t *testing.T) {
	for _, sig := range []string{"TERM", "INT"} {
		t.Run(sig, func(t *testing.T) {
			text, asked, answer := slow(t)
			p := start(t, text)
			type result struct {
				code int
				body string
				err  error
			}
			got := make(chan result, 1)
			go func() {
				code, body, err := tryGet(p.url("/slow"))
				got <- result{code, body, err}
			}()
			<-asked
			from := p.log.mark()
			p.paste("kill -" + sig + " $(cat /var/run/sentinel.pid)")
			p.awaitLog(from, "stopping")
			await(t, "new connections are refused", func() bool { return refused(p.http) })
			close(answer)
			if r := <-got; r.err != nil || r.code != 200 || r.body != "late" {
				t.Errorf("the request in flight = %d %q, %v, want 200 %q", r.code, r.body, r.err, "late")
			}
			if code := p.awaitEnd(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if exists(p.pidFile()) {
				t.Error("the pid file outlives a clean end")
			}
		})
	}
}

func TestReopenAccessLog(t *testing.T) {
	p := start(t, answering+`observability { metrics { address "$METRICS" }; logging { access-log { enabled #true; file "$DIR/access.log" } } }`)
	file := filepath.Join(p.dir, "access.log")
	logged := func(path, word string) func() bool {
		return func() bool {
			b, _ := os.ReadFile(path)
			return strings.Contains(string(b), word)
		}
	}
	wantGet(t, p.url("/before"), 200, "here")
	await(t, "a line in the log", logged(file, "/before"))
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	from := p.log.mark()
	p.paste("kill -USR1 $(cat /var/run/sentinel.pid)")
	p.awaitLog(from, "log files reopened")
	wantGet(t, p.url("/after"), 200, "here")
	await(t, "a line in the new file", logged(file, "/after"))
	if logged(file+".1", "/after")() {
		t.Error("the rotated file was written to after the reopening")
	}
}

func TestPIDFile(t *testing.T) {
	p := newProxy(t)
	p.write(answering)
	// A stale file: an id that can't be a process.
	if err := os.WriteFile(p.pidFile(), []byte("4194999\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.launch()
	b, err := os.ReadFile(p.pidFile())
	pid := strconv.Itoa(p.cmd.Process.Pid)
	if err != nil || strings.TrimSpace(string(b)) != pid {
		t.Fatalf("pid file %q, %v, want %s", b, err, pid)
	}

	second := newProxy(t)
	second.write(answering + `system { pid-file "` + p.pidFile() + `"; state-dir "$DIR/state"; admin-socket "$DIR/admin.sock" }`)
	second.spawn()
	if code := second.awaitEnd(); code == 0 {
		t.Error("a second process with the same pid file ended with 0")
	}
	if log := second.log.String(); !strings.Contains(log, "pid file") || !strings.Contains(log, pid) {
		t.Errorf("the second process logged %q, want the pid file and process %s in it", log, pid)
	}
	if now, err := os.ReadFile(p.pidFile()); err != nil || string(now) != string(b) {
		t.Errorf("pid file %q, %v after the second start, want %q", now, err, b)
	}
	wantGet(t, p.url("/"), 200, "here")

	// After a crash the file is stale again.
	p.cmd.Process.Kill()
	<-p.ended
	p.launch()
	wantGet(t, p.url("/"), 200, "here")
}

func TestStartFails(t *testing.T) {
	for _, c := range []struct {
		name, text string
		take       bool
		want       []string
	}{
		{"address in use", answering, true, []string{"address in use", "http", "config.kdl:"}},
		{"parse error", "routes {\n", false, []string{"parse error", "config.kdl:"}},
		{"validation error", "rutes { }\n", false, []string{"validation error", "config.kdl:1:1", "routes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProxy(t)
			p.write(c.text)
			if c.take {
				l, err := net.Listen("tcp", p.http)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
			}
			p.spawn()
			if code := p.awaitEnd(); code == 0 {
				t.Error("exit code 0, want another")
			}
			for _, want := range c.want {
				if !strings.Contains(p.log.String(), want) {
					t.Errorf("log %q, want %q in it", p.log, want)
				}
			}
		})
	}
}
