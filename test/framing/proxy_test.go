// Package framing sends hostile and odd messages through a running proxy, with a raw client
// and a raw origin, and checks what RFC 9110 and RFC 9112 allow for each.
package framing

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/lifecycle"
	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

const config = `
system { pid-file "@dir@/pid"; state-dir "@dir@/state"; admin-socket "@dir@/a.sock" }
listeners { listener "l" { address "@addr@" } }
routes {
    route "up" { matches { path-prefix "/ws" }; allow-upgrade "websocket"; upstream "o" }
    route "rest" { upstream "o" }
}
upstreams { upstream "o" { target "@origin@" } }
limits { max-body-size 1000 }
observability { metrics { address "127.0.0.1:0" }; logging { file "@dir@/log"; access-log { enabled #false } } }
`

// start runs a proxy in front of o and returns its address once it serves.
func start(t *testing.T, o *origin.Origin) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, dir := ln.Addr().String(), t.TempDir()
	ln.Close()
	text := strings.NewReplacer("@dir@", dir, "@addr@", addr, "@origin@", o.Addr()).Replace(config)
	path := filepath.Join(dir, "config.kdl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "n"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(dir, "n"))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- lifecycle.Run(ctx, path, admin.Version{Version: "test"}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
		notify.Close()
	})
	notify.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 4096)
	for n := 0; !strings.Contains(string(buf[:n]), "READY=1"); {
		if n, err = notify.Read(buf); err != nil {
			t.Fatalf("not ready: %v", err)
		}
	}
	return addr
}

// exchange sends raw and returns everything until the proxy closes, or the first response
// when it keeps the connection.
func exchange(t *testing.T, addr, raw string) (status int, all string, closed bool) {
	t.Helper()
	c, err := rawclient.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Send(raw); err != nil {
		t.Fatal(err)
	}
	c.CloseWrite()
	answer, err := c.ReadUntilClose()
	if err != nil && len(answer) == 0 {
		t.Fatalf("%.60q: no answer: %v", raw, err)
	}
	return statusOf(string(answer)), string(answer), strings.Contains(string(answer), "Connection: close")
}

func statusOf(answer string) int {
	if len(answer) < 12 {
		return 0
	}
	n, _ := strconv.Atoi(answer[9:12])
	return n
}
