package schema

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The tests here read configurations as if everything were built, so that they hold before
// and after a key is.

// loadUnbuilt is load with what isn't built taken as if it were.
func loadUnbuilt(t *testing.T, text string) *Config {
	t.Helper()
	c, sources, diags := LoadBytes("config.kdl", []byte(text), Options{Env: noEnv, unbuilt: true})
	if diags.HasErrors() {
		t.Fatalf("refused:\n%s\n%s", diags.AppendText(nil, sources.Text), text)
	}
	return c
}

// surviving writes every key of upstreams that survive, none with its default.
const surviving = `system { resolver { server "10.0.0.53:53" "[::1]:5353"; min-ttl-secs 1; max-ttl-secs 60; timeout-secs 0.5; max-stale-secs 3600 } }
health-check { interval-secs 7; port 81; type "http" { path "/up"; host "up.example"; method "HEAD"; expected-status 204 } }
listeners { listener "l" { address ":80" } }
routes {
    route "r" {
        upstream "u"; fallback-upstream "v"; queue-priority "critical"
        mirror "w" { percent 5; max-body-size 1000; max-concurrent 3 }
        retry-policy {
            max-attempts 2; retryable-status-codes 502 503; grpc-status "unavailable" "data-loss"; retry-on "timeout" "gateway-error"; per-try-timeout-secs 2; backoff-secs 0.1
            max-backoff-secs 1.5; non-idempotent #true; max-body-size "1MB"; hedge-after-secs 0.5
        }
    }
    route "away" { matches { path "/away" }; redirect "/" }
}
upstreams {
    upstream "u" {
        target { srv "_http._tcp.a.example"; weight 0 }
        target "h:1" weight=3
        targets-file "/etc/sentinel/targets"
        load-balancing "consistent_hash"; hash-key "header:X-User"; hash-load-percent 150
        protocol "h2c"; connection-pool { max-streams 30; ping-interval-secs 31 }
        slow-start-secs 20; panic-threshold-percent 30; max-connections 500; pass-deadline "X-Timeout-Ms"
        sticky-cookie { name "t"; key-file "/k"; max-age-secs 3600; path "/app"; secure #false; same-site "strict" }
        health-check {
            type "http" { path "/health"; host "h.example"; method "POST"; expected-status 200 "300-399"; body-contains "ok"; body-regex "^o" }
            interval-secs 3; timeout-secs 4; healthy-threshold 5; unhealthy-threshold 6; jitter-percent 20; down-interval-secs 1; port 82
        }
        passive-health { consecutive-failures 7; consecutive-gateway-errors 0; ejection-secs 8; max-ejection-secs 9; max-ejected-percent 10 }
        circuit-breaker {
            failure-threshold 11; success-threshold 12; timeout-secs 13; half-open-max-requests 14; error-rate-percent 15; slow-call-secs 16
            slow-call-percent 17; window-secs 18; min-requests 19
        }
        queue { max-pending 21; timeout-secs 22; shed-after-secs 23 }
        adaptive-concurrency { min-limit 24; max-limit 25; tolerance-percent 126; window-secs 27 }
        retry-budget { percent 28; min-per-second 29 }
    }
    upstream "v" { targets-file "v.txt"; health-check { type "grpc" { service "a.B" } } }
    upstream "w" { target "h:3"; load-balancing "maglev" }
}
`

// bare is what the keys are left out of.
const bare = `listeners { listener "http" { address "127.0.0.1:8080" } }
routes { route "r" { upstream "u" } }
upstreams { upstream "u" { target "127.0.0.1:9000" }; upstream "spare" { target "h:1" } }
`

// plain compares values without their origins.
var plain = cmp.Options{cmpopts.IgnoreTypes(Block{}, Origin{}), cmpopts.EquateComparable(netip.Prefix{}), cmpopts.IgnoreUnexported(Config{})}

func val[T any](v T) Value[T] { return Value[T]{V: v} }

func vals[T any](list ...T) []Value[T] {
	var all []Value[T]
	for _, v := range list {
		all = append(all, val(v))
	}
	return all
}

// TestSurvivingKeys checks that each key lands in its own field.
func TestSurvivingKeys(t *testing.T) {
	c := loadUnbuilt(t, surviving)
	const second = time.Second
	u, r := c.Upstreams[0], c.Routes[0]
	for _, x := range []struct{ got, want any }{
		{c.System.Resolver, Resolver{Servers: vals("10.0.0.53:53", "[::1]:5353"), MinTTL: val(second), MaxTTL: val(60 * second), Timeout: val(second / 2), MaxStale: val(3600 * second)}},
		{r.Fallback, val("v")},
		{r.QueuePriority, val("critical")},
		{r.Mirror, &Mirror{Upstream: val("w"), Percent: val[int64](5), MaxBodySize: val[int64](1000), MaxConcurrent: val[int64](3)}},
		{r.Retry, RetryPolicy{
			MaxAttempts: val[int64](2), StatusCodes: vals[int64](502, 503), GRPCStatus: vals("unavailable", "data_loss"), RetryOn: vals("timeout", "gateway_error"), PerTryTimeout: val(2 * second),
			Backoff: val(100 * time.Millisecond), MaxBackoff: val(1500 * time.Millisecond), NonIdempotent: val(true), MaxBodySize: val[int64](1000000), HedgeAfter: val(second / 2),
		}},
		{u.Targets, []*Target{{SRV: val("_http._tcp.a.example")}, {Address: val("h:1"), Weight: val[int64](3)}}},
		{u.TargetsFile, val("/etc/sentinel/targets")},
		{u.LoadBalancing, val("consistent_hash")},
		{u.HashKey, val("header:X-User")},
		{u.HashLoadPercent, val[int64](150)},
		{u.SlowStart, val(20 * second)},
		{u.PanicThresholdPercent, val[int64](30)},
		{u.MaxConnections, val[int64](500)},
		{u.PassDeadline, val("X-Timeout-Ms")},
		{u.StickyCookie, &StickyCookie{Name: val("t"), KeyFile: val("/k"), MaxAge: val(3600 * second), Path: val("/app"), Secure: val(false), SameSite: val("strict")}},
		{u.HealthCheck, &HealthCheck{
			Type: HealthType{
				Kind: val("http"), Path: val("/health"), Host: val("h.example"), Method: val("POST"), ExpectedStatus: vals(Range{200, 200}, Range{300, 399}),
				BodyContains: val("ok"), BodyRegex: val("^o"),
			},
			Interval: val(3 * second), Timeout: val(4 * second), HealthyThreshold: val[int64](5), UnhealthyThreshold: val[int64](6), JitterPercent: val[int64](20),
			DownInterval: val(second), Port: val[int64](82),
		}},
		{u.PassiveHealth, &PassiveHealth{ConsecutiveFailures: val[int64](7), Ejection: val(8 * second), MaxEjection: val(9 * second), MaxEjectedPercent: val[int64](10)}},
		{u.CircuitBreaker, &CircuitBreaker{
			FailureThreshold: val[int64](11), SuccessThreshold: val[int64](12), Timeout: val(13 * second), HalfOpenMaxRequests: val[int64](14),
			ErrorRatePercent: val[int64](15), SlowCall: val(16 * second), SlowCallPercent: val[int64](17), Window: val(18 * second), MinRequests: val[int64](19),
		}},
		{u.Queue, &Queue{MaxPending: val[int64](21), Timeout: val(22 * second), ShedAfter: val(23 * second)}},
		{u.AdaptiveConcurrency, &AdaptiveConcurrency{MinLimit: val[int64](24), MaxLimit: val[int64](25), TolerancePercent: val[int64](126), Window: val(27 * second)}},
		{u.RetryBudget, RetryBudget{Percent: val[int64](28), MinPerSecond: val[int64](29)}},
		{c.Upstreams[1].HealthCheck.Type.Service, val("a.B")},
	} {
		if d := cmp.Diff(x.want, x.got, plain); d != "" {
			t.Errorf("%T (-want +got):\n%s", x.got, d)
		}
	}
}

// TestSurvivingDefaults checks what holds where nothing is written.
func TestSurvivingDefaults(t *testing.T) {
	text := strings.Replace(bare, `target "127.0.0.1:9000"`, `target "h:1"; max-connections 9; sticky-cookie { key-file "k" }; health-check { }; passive-health { }
circuit-breaker { }; queue { }; adaptive-concurrency { }`, 1)
	text = strings.Replace(text, `upstream "u" }`, `upstream "u"; mirror "spare" }`, 1)
	c := loadUnbuilt(t, text)
	const second = time.Second
	u, r, spare := c.Upstreams[0], c.Routes[0], c.Upstreams[1]
	for _, x := range []struct{ got, want any }{
		{c.System.Resolver, Resolver{MinTTL: val(5 * second), MaxTTL: val(300 * second), Timeout: val(2 * second)}},
		{r.QueuePriority, val("normal")},
		{r.Mirror, &Mirror{Upstream: val("spare"), Percent: val[int64](100), MaxBodySize: val[int64](64000), MaxConcurrent: val[int64](64)}},
		{r.Retry, RetryPolicy{
			MaxAttempts: val[int64](3), RetryOn: vals("connect_failure", "refused_stream"), Backoff: val(25 * time.Millisecond),
			MaxBackoff: val(250 * time.Millisecond), MaxBodySize: val[int64](64000),
		}},
		{u.Targets, []*Target{{Address: val("h:1"), Weight: val[int64](1)}}},
		{u.LoadBalancing, val("round_robin")},
		{u.HashKey, val("client_ip")},
		{u.HashLoadPercent, val[int64](125)},
		{u.SlowStart, val(time.Duration(0))},
		{u.PanicThresholdPercent, val[int64](50)},
		{spare.MaxConnections, val[int64](0)},
		{u.StickyCookie, &StickyCookie{Name: val("sentinel_target"), KeyFile: val("k"), Path: val("/"), Secure: val(true), SameSite: val("lax")}},
		{u.HealthCheck, &HealthCheck{
			Type:     HealthType{Kind: val("http"), Path: val("/"), Method: val("GET"), ExpectedStatus: vals(Range{200, 200})},
			Interval: val(10 * second), Timeout: val(5 * second), HealthyThreshold: val[int64](2), UnhealthyThreshold: val[int64](3), JitterPercent: val[int64](10),
		}},
		{u.PassiveHealth, &PassiveHealth{
			ConsecutiveFailures: val[int64](5), ConsecutiveGatewayErrors: val[int64](5), Ejection: val(30 * second),
			MaxEjection: val(300 * second), MaxEjectedPercent: val[int64](50),
		}},
		{u.CircuitBreaker, &CircuitBreaker{
			FailureThreshold: val[int64](5), SuccessThreshold: val[int64](2), Timeout: val(30 * second), HalfOpenMaxRequests: val[int64](1),
			Window: val(10 * second), MinRequests: val[int64](20),
		}},
		{u.Queue, &Queue{MaxPending: val[int64](100), Timeout: val(10 * second)}},
		{u.AdaptiveConcurrency, &AdaptiveConcurrency{MinLimit: val[int64](10), MaxLimit: val[int64](1000), TolerancePercent: val[int64](150), Window: val(second)}},
		{spare.RetryBudget, RetryBudget{Percent: val[int64](20), MinPerSecond: val[int64](3)}},
	} {
		if d := cmp.Diff(x.want, x.got, plain); d != "" {
			t.Errorf("%T (-want +got):\n%s", x.got, d)
		}
	}
	if spare.HealthCheck != nil || spare.PassiveHealth != nil || spare.CircuitBreaker != nil || spare.Queue != nil || spare.AdaptiveConcurrency != nil || spare.StickyCookie != nil {
		t.Errorf("upstream without blocks = %+v", spare)
	}
	if r.Retry.MaxAttempts.From.Kind != Default || r.Retry.StatusCodes != nil || u.PassDeadline.IsSet() || u.TargetsFile.IsSet() || r.Fallback.IsSet() || u.HealthCheck.Port.IsSet() {
		t.Errorf("what nobody wrote is set: %+v %+v", r, u)
	}
}

// TestUnbuiltShowsAndDiffers checks Show and Diff with every key.
func TestUnbuiltShowsAndDiffers(t *testing.T) {
	complete, err := os.ReadFile("testdata/complete.kdl")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{bare, full, passing, surviving, string(complete), strings.ReplaceAll(surviving, `type "http" {`, `type {`)} {
		c := loadUnbuilt(t, text)
		shown := string(Show(c))
		again := loadUnbuilt(t, shown)
		if d := Diff(c, again); len(d) > 0 {
			t.Errorf("what Show prints differs: %q\n%s", d, shown)
		}
		if d := cmp.Diff(c, again, plain); d != "" {
			t.Errorf("what Show prints means something else:\n%s\n%s", d, shown)
		}
	}
}

// passing is a configuration of streams, for keys that requests have no use for.
const passing = `
listeners { listener "l" { address ":80"; protocol "tcp"; tcp { upstream "u" }; limits { max-connections 5 } } }
routes { route "r" { matches { sni "a.example" "*.b" }; upstream "u"; access { deny "192.0.2.0/24" } } }
upstreams { upstream "u" { target "10.0.0.1:1"; proxy-protocol "v2" } }
`

// TestEveryKeyIsRead checks that surviving and passing write each key of its blocks, so that the tests
// that read it miss none.
func TestEveryKeyIsRead(t *testing.T) {
	seen := make(map[string]bool)
	markWritten(seen, table()[""], loadUnbuilt(t, surviving))
	markWritten(seen, table()[""], loadUnbuilt(t, passing))
	blocks := []string{
		"resolver", "mirror", "retry-policy", "sticky-cookie", "health-check", "health-check type", "passive-health", "circuit-breaker",
		"queue", "adaptive-concurrency", "retry-budget", "target", "upstream",
	}
	for _, k := range Keys() {
		if slices.Contains(blocks, k.Block) && k.Kind != Opens && !seen[k.ID()] {
			t.Errorf("%s is written nowhere", k.ID())
		}
	}
}

// markWritten notes each key of a block, and of the blocks in it, that was written.
func markWritten(seen map[string]bool, s *spec, block any) {
	for _, k := range s.rows {
		if k.Kind != Opens {
			for _, l := range lines(k.slot.at(block)) {
				seen[k.ID()] = seen[k.ID()] || l.from.Kind == Written
			}
			continue
		}
		var inner []any
		if k.slot.each != nil {
			inner = k.slot.each(block)
		} else if c := k.slot.at(block); c != nil {
			inner = []any{c}
		}
		for _, c := range inner {
			markWritten(seen, table()[k.Opens], c)
		}
	}
}

// TestUnbuiltSpellings checks that different spellings say the same.
func TestUnbuiltSpellings(t *testing.T) {
	upstream := func(keys string) string {
		return strings.Replace(bare, `target "127.0.0.1:9000"`, `target "h:1"; max-connections 9; `+keys, 1)
	}
	route := func(keys string) string {
		return strings.Replace(bare, `upstream "u" }`, `upstream "u"; `+keys+` }`, 1)
	}
	spellings := map[string][]string{
		"queue":    {upstream(`queue { timeout-secs 0.5 }`), upstream(`queue { timeout 0.5 }`), upstream(`queue { queue-timeout 0.5 }`), upstream(`queue queue-timeout-secs=0.5`)},
		"retry":    {route(`retry-policy { backoff-secs 0.1; max-body-size 5 }`), route(`retry { backoff 0.1; max-body-size-bytes 5 }`)},
		"retry-on": {route(`retry { retry-on "connect_failure" "server_error" }`), route(`retry { retry-on "connect-failure"; retry-on "server-error" }`)},
		"status": {
			upstream(`health-check { type "http" { expected-status 200 "300-399" } }`), upstream(`health-check { type { expected-status "200"; expected-status "300-399" } }`),
			upstream(`health-check { type kind="http" { expected-status 0xc8 "300-399" } }`),
		},
		"zero":   {upstream(`slow-start-secs 0`), upstream(`slow-start 0.0`)},
		"mirror": {route(`mirror "spare" { percent 7 }`), route(`mirror { upstream "spare"; percent 7 }`), route(`mirror "spare" percent=7`)},
		"target": {strings.Replace(bare, `target "127.0.0.1:9000"`, `target { srv "_a._b.c" }`, 1), strings.Replace(bare, `target "127.0.0.1:9000"`, `target srv="_a._b.c"`, 1)},
	}
	for name, words := range map[string][]string{
		"round_robin": {"weighted", "Round-Robin"}, "peak_ewma": {"adaptive", "peak-ewma"}, "least_connections": {"least_conn", "least-conn", "least-connections"},
		"power_of_two_choices": {"p2c", "power-of-two-choices"}, "consistent_hash": {"ring-hash", "ring_hash", "consistent-hash"},
		"least_time": {"least-time"}, "ip_hash": {"ip-hash"}, "random": {"random"}, "maglev": {"Maglev"},
	} {
		for _, w := range words {
			u := loadUnbuilt(t, upstream(fmt.Sprintf("load-balancing %q", w))).Upstreams[0]
			if u.LoadBalancing.V != name {
				t.Errorf("load-balancing %q = %q, want %q", w, u.LoadBalancing.V, name)
			}
		}
	}
	for name, texts := range spellings {
		first := loadUnbuilt(t, texts[0])
		if d := Diff(first, loadUnbuilt(t, bare)); len(d) == 0 && name != "zero" {
			t.Errorf("%s: %s\nis nothing that Diff tells of", name, texts[0])
		}
		for _, s := range texts[1:] {
			if d := Diff(first, loadUnbuilt(t, s)); len(d) > 0 {
				t.Errorf("%s: %s\ndiffers from the first spelling: %q", name, s, d)
			}
		}
	}
}

// TestWeightedIsBuilt checks that another word for what is built is built, and that a weight
// may be 0, of which a warning tells when all are.
func TestWeightedIsBuilt(t *testing.T) {
	c := load(t, strings.Replace(base, `target "127.0.0.1:9000"`, `target "h:1" weight=0; target "h:2"; load-balancing "weighted"`, 1))
	u := c.Upstreams[0]
	if u.LoadBalancing.V != "round_robin" || u.Targets[0].Weight.V != 0 || u.Targets[1].Weight.V != 1 {
		t.Errorf("upstream = %q with weights %d and %d, want round_robin with 0 and 1", u.LoadBalancing.V, u.Targets[0].Weight.V, u.Targets[1].Weight.V)
	}
	_, _, diags := LoadBytes("config.kdl", []byte(strings.Replace(base, `target "127.0.0.1:9000"`, `target "h:1" weight=0; target "h:2" weight=0`, 1)), Options{Env: noEnv})
	if len(diags) != 1 || diags.HasErrors() || !strings.Contains(diags[0].Message, "takes no requests") || diags[0].Span.Start.Line != 3 {
		t.Errorf("diagnostics = %v, want a warning that nothing takes requests", diags)
	}
}

// TestHealthChecksInherit checks that the nearest health check wins, key by key, and that a
// check of another kind takes over nothing of the kind.
func TestHealthChecksInherit(t *testing.T) {
	c := loadUnbuilt(t, `health-check { interval-secs 7; type "http" { path "/top"; host "top.example"; expected-status 204 } }
listeners { listener "l" { address ":80" } }
routes { route "r" { split { upstream "none"; upstream "some"; upstream "tcp" } } }
upstreams {
    upstream "none" { target "h:1" }
    upstream "some" { target "h:1"; health-check { timeout-secs 1; type { path "/own" } } }
    upstream "tcp" { target "h:1"; health-check { interval-secs 2; type "tcp" } }
}
`)
	none, some, tcp := c.Upstreams[0].HealthCheck, c.Upstreams[1].HealthCheck, c.Upstreams[2].HealthCheck
	if none == nil || none.From.Kind != Inherited || none.Interval.V != 7*time.Second || none.Type.Path.V != "/top" || none.Timeout.V != 5*time.Second {
		t.Errorf("inherited check = %+v", none)
	}
	if some.From.Kind != Written || some.Interval.V != 7*time.Second || some.Timeout.V != time.Second || some.Type.Path.V != "/own" ||
		some.Type.Host.V != "top.example" || some.Type.ExpectedStatus[0].V != (Range{204, 204}) || some.Type.ExpectedStatus[0].From.Kind != Inherited {
		t.Errorf("check with some keys = %+v", some)
	}
	if tcp.Interval.V != 2*time.Second || tcp.Type.Kind.V != "tcp" || tcp.Type.Host.IsSet() || tcp.Type.Path.From.Kind == Inherited {
		t.Errorf("check of another kind = %+v", tcp)
	}
	none.Type.ExpectedStatus[0].V.First = 1
	if c.HealthCheck.Type.ExpectedStatus[0].V.First != 204 {
		t.Error("the list of the top level is shared")
	}
}

func TestUnbuiltDiffReadsAsWords(t *testing.T) {
	const before = base
	after := strings.NewReplacer(
		`target "127.0.0.1:9000" }`, `target "127.0.0.1:9000"; target { srv "_a._b.c" }; load-balancing "ring-hash"; hash-key "path"; slow-start-secs 3
circuit-breaker { }; health-check { type "tcp" }; retry-budget { percent 5 } }; upstream "v" { target "h:2" }`,
		`upstream "u" }`, `upstream "u"; queue-priority "low"; mirror "v" { percent 10 }; retry { max-attempts 1 } }`,
	).Replace(base)
	want := []string{
		`route "r", mirror is new`,
		`route "r", mirror: percent 10 is set`,
		`route "r", mirror: upstream "v" is set`,
		`route "r", retry policy: max attempts changes from 3 to 1`,
		`route "r": queue priority changes from "normal" to "low"`,
		`upstream "u", circuit breaker is new`,
		`upstream "u", health check is new`,
		`upstream "u", health check, type: kind "tcp" is set`,
		`upstream "u", retry budget: percent changes from 20 to 5`,
		`upstream "u", target "_a._b.c" is new`,
		`upstream "u": hash key changes from "client_ip" to "path"`,
		`upstream "u": load balancing changes from "round_robin" to "consistent_hash"`,
		`upstream "u": slow start changes from 0 seconds to 3 seconds`,
		`upstream "v" is new`,
	}
	a, b := loadUnbuilt(t, before), loadUnbuilt(t, after)
	if got := Diff(a, b); !slices.Equal(got, want) {
		t.Errorf("Diff = %q\nwant %q", got, want)
	}
	gone := Diff(loadUnbuilt(t, strings.Replace(before, "target", "circuit-breaker { timeout-secs 3 }; target", 1)), a)
	if want := []string{`upstream "u", circuit breaker is removed`, `upstream "u", circuit breaker: timeout 3 seconds is no longer set`}; !slices.Equal(gone, want) {
		t.Errorf("Diff of a block that goes = %q, want %q", gone, want)
	}
	top := Diff(a, loadUnbuilt(t, base+"health-check { interval-secs 3 }"))
	if want := []string{"health check is new", "health check: interval 3 seconds is set"}; !slices.Equal(top, want) {
		t.Errorf("Diff of a default = %q, want %q", top, want)
	}
}

// TestSecondsHaveWords checks that Diff names no key by its unit.
func TestSecondsHaveWords(t *testing.T) {
	for _, k := range Keys() {
		if k.Kind == Seconds && strings.HasSuffix(k.words(), "secs") {
			t.Errorf("%s is called %q in a diff", k.ID(), k.words())
		}
	}
}
