package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/netip"
	"regexp"
	"testing"
	"testing/synctest"
	"time"
)

const ms = Took(time.Millisecond)

func TestTranscriptText(t *testing.T) {
	for _, c := range []struct {
		t    Transcript
		want string
	}{
		{
			Transcript{Kind: "http", Name: "a.test", Resolve: ms / 5, Address: one, Connect: ms * 2 / 5, Status: 503, Expected: "200", Layer: LayerAnswer, Cause: "answered 503, expected 200", Total: 12 * ms},
			"dns 0.2ms, connect 10.0.0.1:80 0.4ms, status 503 (expected 200), 12ms",
		},
		{Transcript{Kind: "http", OK: true, Address: one, Connect: ms, TLS: 2 * ms, TLSVersion: "TLS 1.3", Status: 200, Total: 1234 * ms}, "connect 10.0.0.1:80 1.0ms, TLS 1.3 2.0ms, status 200, 1.2s"},
		{Transcript{Kind: "tcp", Address: one, Connect: ms / 10, Cause: "connection refused", Total: ms / 10}, "connect 10.0.0.1:80 0.1ms, connection refused, 0.1ms"},
		{Transcript{Kind: "http", Name: "a.test", Resolve: ms, Cause: "name not found", Total: ms}, "dns 1.0ms, name not found, 1.0ms"},
		{Transcript{Kind: "http", Address: one, Status: 200, Body: "x", Layer: LayerBody, Cause: "body did not match", Total: ms}, "connect 10.0.0.1:80 0.0ms, status 200, body did not match, 1.0ms"},
		{Transcript{Kind: "grpc", OK: true, Address: one, Status: 200, GRPC: "SERVING", Total: ms}, "connect 10.0.0.1:80 0.0ms, grpc SERVING, 1.0ms"},
		{Transcript{Kind: "grpc", Address: one, Status: 200, GRPC: "NOT_SERVING", Layer: LayerAnswer, Cause: "gRPC status NOT_SERVING", Total: ms}, "connect 10.0.0.1:80 0.0ms, gRPC status NOT_SERVING, 1.0ms"},
	} {
		if got := c.t.String(); got != c.want {
			t.Errorf("String() = %q, want %q", got, c.want)
		}
	}
}

func TestTranscriptDetails(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 5e6, time.UTC)
	tr := Transcript{
		At: at, Kind: "http", Name: "a.test", Resolve: ms / 5, Address: one, Connect: ms * 2 / 5, TLS: 3 * ms, TLSVersion: "TLS 1.3",
		Certificate: "CN=a\nb", Expires: at, FirstByte: 11 * ms, Status: 503, StatusLine: "HTTP/1.1 503 Busy", Expected: "200",
		Body: "no\x00\"db\"", Layer: LayerAnswer, Cause: "answered 503, expected 200", Total: 15 * ms,
	}
	want := `probe     http, 2026-11-24T12:00:00.005Z
dns       0.2ms   "a.test"
connect   0.4ms   10.0.0.1:80
tls       3.0ms   TLS 1.3 certificate "CN=a\nb" until 2026-11-24
answer    11ms    "HTTP/1.1 503 Busy" (expected 200)
body      "no\x00\"db\""
result    failed at answer: answered 503, expected 200
total     15ms
`
	if got := tr.Details(); got != want {
		t.Errorf("Details() =\n%swant\n%s", got, want)
	}
	b, _ := json.Marshal(Transcript{Total: 1500 * Took(time.Microsecond), OK: true, Kind: "tcp"})
	if want := `{"at":"0001-01-01T00:00:00Z","kind":"tcp","ok":true,"total_ms":1.5}`; string(b) != want {
		t.Errorf("json %s, want %s", b, want)
	}
}

func TestResolve(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("::ffff:10.0.0.1")}
	for _, c := range []struct {
		name   string
		lookup Lookup
		cause  string
	}{
		{"second answers", func(context.Context, string) ([]netip.Addr, error) { return addrs, nil }, ""},
		{"first is silent", func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("10.0.0.66"), addrs[1]}, nil
		}, ""},
		{"not found", func(context.Context, string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "x", IsNotFound: true}
		}, "name not found"},
		{"nothing", func(context.Context, string) ([]netip.Addr, error) { return nil, nil }, "name not found"},
		{"broken", func(context.Context, string) ([]netip.Addr, error) { return nil, &net.DNSError{Err: "x"} }, "name lookup failed"},
		{"slow", func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() }, "name lookup timed out"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newFakeNet()
			n.set(one, well)
			n.silent = "10.0.0.66:80"
			check := (&Check{}).withDefaults()
			a := asker{dialer: n, lookup: c.lookup, target: target("a.test:80", &check), check: &check}
			got := a.ask(t.Context())
			if got.Cause != c.cause || got.Name != "a.test" || got.Resolve == 0 || c.cause == "" && got.Address != one {
				t.Errorf("%s: %+v, want cause %q", c.name, got, c.cause)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		check Check
		ok    bool
	}{
		{Check{}, true},
		{Check{Kind: GRPC, Service: "x"}, true},
		{Check{Method: "OPTIONS", Path: "*"}, true},
		{Check{Path: "/a?b=c", Host: "a.test:8080"}, true},
		{Check{Path: "a"}, false},
		{Check{Path: "//a"}, false},
		{Check{Path: "/a b"}, false},
		{Check{Path: "/a\r\nX: y"}, false},
		{Check{Path: "/ä"}, false},
		{Check{Method: "GET /"}, false},
		{Check{Host: "a b"}, false},
		{Check{Host: "a\r\nX: y"}, false},
		{Check{Port: 65536}, false},
		{Check{Port: -1}, false},
		{Check{Headers: [][2]string{{"X Y", "1"}}}, false},
		{Check{Headers: [][2]string{{"", "1"}}}, false},
		{Check{Headers: [][2]string{{"X", "1\r\nY: 2"}}}, false},
		{Check{Kind: 7}, false},
	} {
		if err := c.check.Validate(); (err == nil) != c.ok {
			t.Errorf("Validate(%+v) = %v, want ok %v", c.check, err, c.ok)
		}
	}
}

func TestDefaults(t *testing.T) {
	for _, c := range []struct{ interval, down, want time.Duration }{
		{0, 0, 2 * time.Second}, {time.Second, 0, time.Second}, {100 * time.Millisecond, 0, 100 * time.Millisecond}, {time.Minute, 0, 12 * time.Second}, {time.Minute, time.Hour, time.Hour},
	} {
		if got := (Check{Interval: c.interval, IntervalDown: c.down}).withDefaults().IntervalDown; got != c.want {
			t.Errorf("interval %v, down %v: %v while down, want %v", c.interval, c.down, got, c.want)
		}
	}
}

func TestSame(t *testing.T) {
	pool := func() *x509.CertPool { _, p := issue(t, time.Unix(0, 0), time.Unix(1, 0)); return p }
	trusted := pool()
	base := func() *Check {
		return &Check{
			Path: "/", Headers: [][2]string{{"A", "b"}}, Expected: []Range{{200, 200}}, BodyPattern: regexp.MustCompile("a"),
			TLS: &tls.Config{ServerName: "a", RootCAs: trusted.Clone(), Certificates: []tls.Certificate{{Certificate: [][]byte{{1}}}}},
		}
	}
	if !base().same(base()) {
		t.Errorf("same of equal checks = false, want true")
	}
	for i, change := range []func(*Check){
		func(c *Check) { c.Path = "/b" }, func(c *Check) { c.Headers[0][1] = "c" }, func(c *Check) { c.Expected[0].To = 204 },
		func(c *Check) { c.BodyPattern = regexp.MustCompile("b") }, func(c *Check) { c.BodyPattern = nil }, func(c *Check) { c.TLS = nil },
		func(c *Check) { c.TLS.ServerName = "b" }, func(c *Check) { c.TLS.RootCAs = pool() }, func(c *Check) { c.TLS.RootCAs = nil },
		func(c *Check) { c.TLS.Certificates[0].Certificate[0][0] = 2 }, func(c *Check) { c.Interval = 1 }, func(c *Check) { c.Unhealthy = 9 }, func(c *Check) { c.JitterPercent = 9 },
		func(c *Check) { c.TLS.VerifyConnection = func(tls.ConnectionState) error { return nil } },
	} {
		c := base()
		change(c)
		if c.same(base()) || base().same(c) {
			t.Errorf("change %d: same = true, want false", i)
		}
	}
}
