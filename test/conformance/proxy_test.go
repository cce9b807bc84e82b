// Package conformance holds HTTP/1.1 (RFC 9110, RFC 9112) to the messages of a raw client, as
// a raw origin sees them.
package conformance

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/lifecycle"
	"sentinel/internal/testkit/origin"
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

func forward(o *origin.Origin) string {
	return fmt.Sprintf("routes { route \"r\" { upstream \"u\" } }\nupstreams { upstream \"u\" { target %q } }\n", o.Addr())
}
