package grpc

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	testproxy "sentinel/internal/testkit/proxy"
)

func startRetries(t *testing.T, policy string, targets ...string) *testproxy.Proxy {
	t.Helper()
	return testproxy.Start(t, fmt.Sprintf(`
listeners { listener "l" { address "127.0.0.1:0"; http2 { h2c #true } } }
routes { route "calls" { upstream "u"; retry-policy { %s } } }
upstreams { upstream "u" { target "%s"; protocol "h2c"; retry-budget { min-per-second 1000 } } }
`, policy, strings.Join(targets, `"; target "`)))
}

func retries(t *testing.T, p *testproxy.Proxy, want int) {
	t.Helper()
	if m, line := p.Metrics(), fmt.Sprintf(`sentinel_upstream_retries_total{upstream="u"} %d`+"\n", want); !strings.Contains(m, line) {
		at := strings.Index(m, "sentinel_upstream_retries_total{")
		t.Errorf("the metrics say %.60s, want %s", m[max(at, 0):], line)
	}
}

// A call whose status a server tells at once is repeated as often as allowed, and the status
// is told to the client in the end.
func TestRepeatsCallsByStatus(t *testing.T) {
	server := startServer(t)
	for _, c := range []struct {
		policy string
		want   int
	}{
		{`max-attempts 3; grpc-status "unknown" "unavailable"`, 4}, // the case makes two such calls
		{`max-attempts 3; grpc-status "unavailable"`, 0},
		{`max-attempts 3; retry-on "server_error"; non-idempotent #true`, 0},
	} {
		p := startRetries(t, c.policy, server)
		call(t, p, "status_code_and_message")
		retries(t, p, c.want)
	}
}

// Calls that one target refuses are answered by the other, with all of their content; those
// with more than is kept aren't repeated.
func TestRepeatedCallsSucceed(t *testing.T) {
	var refused, short atomic.Int64
	busy := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refused.Add(1)
		if n, err := io.Copy(io.Discard, r.Body); err != nil || n < 5 {
			short.Add(1)
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", "14")
	}), Protocols: new(http.Protocols)}
	busy.Protocols.SetUnencryptedHTTP2(true)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go busy.Serve(ln)
	t.Cleanup(func() { busy.Close() })
	p := startRetries(t, `grpc-status "unavailable"; max-body-size "1MB"; backoff-secs 0; max-backoff-secs 0`, ln.Addr().String(), startServer(t))
	for range 5 {
		for _, name := range []string{"empty_unary", "large_unary", "client_streaming"} {
			call(t, p, name)
		}
	}
	if refused.Load() < 5 || short.Load() != 0 {
		t.Errorf("the busy target saw %d calls, %d of them without content; want some, all with theirs", refused.Load(), short.Load())
	}
	retries(t, p, int(refused.Load()))

	small := startRetries(t, `grpc-status "unavailable"; max-body-size "4"`, ln.Addr().String())
	before := refused.Load()
	if resp, err := callOnce(small.Addr("l")); err != nil || resp != "14" {
		t.Errorf("a call with more content than is kept ends with status %q, %v, want 14", resp, err)
	}
	if n := refused.Load() - before; n != 1 {
		t.Errorf("it was tried %d times, want once", n)
	}
}

// callOnce makes an empty call and returns its status.
func callOnce(address string) (status string, err error) {
	t := http.Transport{Protocols: new(http.Protocols)}
	t.Protocols.SetUnencryptedHTTP2(true)
	defer t.CloseIdleConnections()
	req, err := http.NewRequest(http.MethodPost, "http://"+address+"/grpc.testing.TestService/EmptyCall", strings.NewReader("\x00\x00\x00\x00\x00"))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	resp, err := t.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.Header.Get("Grpc-Status") + resp.Trailer.Get("Grpc-Status"), nil
}
