// Package grpc tests calls of gRPC through the proxy with the interoperability programs of
// grpc-go as client and server.
package grpc

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/program"
	testproxy "sentinel/internal/testkit/proxy"
)

// patience bounds one case, and every wait.
const patience = 30 * time.Second

// programs is the folder of the client and the server, built once by TestMain.
var programs string

func TestMain(m *testing.M) {
	const module = "tools/grpc/go.mod"
	os.Exit(program.Main(
		m, &programs,
		program.Build{Name: "client", Package: "google.golang.org/grpc/interop/client", ModFile: module},
		program.Build{Name: "server", Package: "google.golang.org/grpc/interop/server", ModFile: module},
	))
}

var cases = []string{
	"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream", "custom_metadata",
	"status_code_and_message", "special_status_message", "unimplemented_method", "unimplemented_service",
	"cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server",
}

func TestInterop(t *testing.T) {
	server := startServer(t)
	p := testproxy.Start(t, fmt.Sprintf(`
listeners { listener "l" { address "127.0.0.1:0"; http2 { h2c #true } } }
routes { route "calls" { upstream "u" } }
upstreams { upstream "u" { target %q; protocol "h2c" } }
`, server))
	for _, name := range cases {
		t.Run(name, func(t *testing.T) { call(t, p, name) })
	}
	if m := p.Metrics(); !strings.Contains(m, `sentinel_requests_total{code="200",route="calls",status="2xx"}`) {
		t.Error("no call is counted")
	}
}

// call plays a case of the client.
func call(t *testing.T, p *testproxy.Proxy, name string) {
	t.Helper()
	host, port, _ := net.SplitHostPort(p.Addr("l"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(programs, "client"), "-server_host", host, "-server_port", port, "-test_case", name).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
}

// startServer starts the server of the cases and returns its address. The program takes the
// number of a port, which another process may take first: then the next one is tried.
func startServer(t *testing.T) string {
	t.Helper()
	for try := range 20 {
		if address, ok := tryServer(t, 8000+(os.Getpid()*31+try)%4000); ok {
			return address
		}
	}
	t.Fatal("the server doesn't listen")
	return ""
}

// tryServer starts the server on a port. ok is false when it has ended instead.
func tryServer(t *testing.T, port int) (address string, ok bool) {
	t.Helper()
	address = fmt.Sprintf("127.0.0.1:%d", port)
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		return "", false
	}
	cmd := exec.Command(filepath.Join(programs, "server"), "-port", strconv.Itoa(port))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for {
		select {
		case <-ended:
			return "", false
		case <-timeout:
			t.Fatal("the server neither listens nor ends")
		case <-tick.C:
			if c, err := net.Dial("tcp", address); err == nil {
				c.Close()
				return address, true
			}
		}
	}
}
