// Package behaviour holds the tests that observe, by real connections, what each key of the
// configuration does.
package behaviour

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/lifecycle"
	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// proxy is a running proxy with its files in dir.
type proxy struct {
	t                  *testing.T
	addr, metrics, dir string
	stop               func()
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs a proxy in this process until the test ends and returns when it is ready.
// The listener is what its parts say; @dir@, @addr@ and @metrics@ stand for what is known
// only now.
func start(t *testing.T, listener, rest string) *proxy {
	t.Helper()
	p := &proxy{t: t, addr: freeAddress(t), metrics: freeAddress(t), dir: t.TempDir()}
	text := `listeners { listener "l" { address "@addr@"; ` + listener + ` } }
` + rest
	if !strings.Contains(rest, "system {") {
		text += "\nsystem { @files@ }\n"
	}
	if !strings.Contains(rest, "observability {") {
		text += "\nobservability { metrics { address \"@metrics@\" }; logging { file \"@dir@/log\" } }\n"
	}
	text = strings.ReplaceAll(text, "@files@", `pid-file "@dir@/pid"; state-dir "@dir@/state"; admin-socket "@dir@/a.sock"`)
	text = strings.NewReplacer("@addr@", p.addr, "@metrics@", p.metrics, "@dir@", p.dir).Replace(text)
	path := filepath.Join(p.dir, "config.kdl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(p.dir, "n"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(p.dir, "n"))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- lifecycle.Run(ctx, path, admin.Version{Version: "test"}) }()
	done := false
	p.stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
		notify.Close()
	}
	t.Cleanup(p.stop)
	ready := make(chan struct{})
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := notify.Read(buf)
			if err != nil {
				return
			}
			if strings.Contains(string(buf[:n]), "READY=1") {
				close(ready)
				return
			}
		}
	}()
	select {
	case <-ready:
	case err := <-ended:
		done = true
		log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
		t.Fatalf("start failed: %v\n%s\n%s", err, text, log)
	case <-time.After(20 * time.Second):
		t.Fatal("not ready in time")
	}
	return p
}

// do sends a request with the fields, each "Name: value", and returns the response.
func (p *proxy) do(method, target string, fields ...string) rawclient.Response {
	p.t.Helper()
	raw := method + " " + target + " HTTP/1.1\r\n"
	if !strings.HasPrefix(strings.Join(append([]string{""}, fields...), "\n"), "\nHost:") {
		raw += "Host: example.com\r\n"
	}
	for _, f := range fields {
		raw += f + "\r\n"
	}
	return p.raw(method, raw+"\r\n")
}

func (p *proxy) raw(method, raw string) rawclient.Response {
	p.t.Helper()
	r, err := rawclient.Do(p.addr, method, raw)
	if err != nil {
		p.t.Fatalf("%q: %v", raw, err)
	}
	return r
}

// get returns what the metrics listener answers.
func (p *proxy) get(url string) (int, string) {
	p.t.Helper()
	r, err := http.Get(url)
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// file returns a file of the stopped proxy.
func (p *proxy) file(name string) string {
	p.t.Helper()
	p.stop()
	b, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// upstream writes an upstream for an origin.
func upstream(name string, o *origin.Origin, more string) string {
	return fmt.Sprintf("upstream %q { target %q; %s }\n", name, o.Addr(), more)
}

// forward is a configuration that sends everything to o.
func forward(o *origin.Origin, route, up string) string {
	return "routes { route \"r\" { upstream \"u\"; " + route + " } }\nupstreams { " + upstream("u", o, up) + "}\n"
}

func (p *proxy) dial() *rawclient.Client {
	p.t.Helper()
	c, err := rawclient.Dial(p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	return c
}

// named is an origin that answers its name.
func named(t *testing.T, name string) *origin.Origin {
	return origin.Start(t, origin.Answer(func(r origin.Request) string { return origin.Response(r, 200, name) }))
}
