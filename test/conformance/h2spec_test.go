// Package conformance has other people's programs judge how the proxy speaks its protocols.
package conformance

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"sentinel/internal/testkit/pki"
	"sentinel/internal/testkit/program"
	"sentinel/internal/testkit/proxy"
)

const (
	h2specModule = "tools/h2spec/go.mod"
	h2specMain   = "github.com/summerwind/h2spec/cmd/h2spec"
	// h2specTests is how many there are in the version that go.mod names.
	h2specTests = 145
	// requiredVariable makes a program that can't be had a failure.
	requiredVariable = "SENTINEL_CONFORMANCE_REQUIRED"
)

// h2spec builds the program.
func h2spec(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("not in short mode")
	}
	dir := t.TempDir()
	err := program.Build{Name: "h2spec", Package: h2specMain, ModFile: h2specModule}.Into(dir)
	if err != nil && os.Getenv(requiredVariable) == "" {
		t.Skipf("h2spec can't be built: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "h2spec")
}

var h2specVerdict = regexp.MustCompile(`(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed`)

// judge runs h2spec against addr and wants every test passed.
func judge(t *testing.T, path, addr string, args ...string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	args = append([]string{"--host", host, "--port", port, "--timeout", "5"}, args...)
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	m := h2specVerdict.FindSubmatch(out)
	if m == nil {
		t.Fatalf("h2spec %q: %v\n%s", args, err, out)
	}
	if want := strconv.Itoa(h2specTests); string(m[1]) != want || string(m[2]) != want {
		t.Errorf("h2spec %q: %s, want %s passed\n%s", args, m[0], want, out)
	}
}

// startOrigin starts a server that answers a request once it has read all of it, so that no
// early response ends a stream whose frames are to be judged, and returns its address.
func startOrigin(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			io.WriteString(w, "hello, conformance")
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestH2spec has h2spec judge HTTP/2 without TLS, on a listener that speaks nothing else: one
// that does answers in HTTP/1.1 what doesn't begin like HTTP/2.
func TestH2spec(t *testing.T) {
	judged := h2spec(t)
	p := proxy.Start(t, `listeners { listener "l" { address "127.0.0.1:0"; http2 { h2c #true; only #true } } }
routes { route "r" { upstream "u" } }
upstreams { upstream "u" { target "`+startOrigin(t)+`" } }`)
	judge(t, judged, p.Addr("l"))
}

// TestH2specTLS is TestH2spec for HTTP/2 that a handshake has agreed on.
func TestH2specTLS(t *testing.T) {
	judged := h2spec(t)
	cert, key := pki.New(t, "authority").Issue(t, pki.Server("127.0.0.1")).Write(t, t.TempDir(), "server")
	p := proxy.Start(t, fmt.Sprintf(`listeners { listener "l" { address "127.0.0.1:0"; protocol "https"; tls { cert-file %q; key-file %q } } }
routes { route "r" { upstream "u" } }
upstreams { upstream "u" { target %q } }`, cert, key, startOrigin(t)))
	judge(t, judged, p.Addr("l"), "--tls", "--insecure")
}
