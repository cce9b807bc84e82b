package metric

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sentinel/internal/dataplane/fault"
)

// configured returns a registry as it is right after start.
func configured() *Registry {
	r := New(Options{Cells: 2, Version: "1.2.3", Revision: "abc"})
	r.Route("api")
	r.Route("web").Mirrors()
	r.Route("web").HasPolicy(BasicAuth)
	r.SetKeySources(func() []KeySource { return []KeySource{{Name: "https://id.example.com/keys"}} })
	r.Route("web").HasFallback()
	r.Listener("http").Secured()
	r.Limit("default", "top level")
	r.Upstream("a").Target("10.0.0.1:8080")
	r.Upstream("a").Target("10.0.0.2:8080")
	r.SetMaxConnections(10000)
	r.Store().SetConfigured(true)
	r.Issuance().SetConfigured(true)
	r.Stream("relay", "a")
	r.ConfigLoaded(time.Unix(1_800_000_000, 0), 1)
	return r
}

func scrape(t *testing.T, r *Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(r, "/metrics").ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("GET /metrics = %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// shell runs a command line as an operator would paste it, behind curl.
func shell(t *testing.T, text, command string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", command)
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == 1 {
		err = nil // grep found nothing
	}
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return string(out)
}

// incident lets r see an upstream failure.
func incident(r *Registry) {
	for range 3 {
		r.Route("web").Observe(0, 502, time.Millisecond)
		r.Route("web").Fault(fault.UpstreamRefused)
	}
	r.Route("api").Observe(1, 503, time.Millisecond)
	r.Route("api").Observe(1, 200, 2*time.Millisecond)
	r.Upstream("a").Observe(0, 100*time.Millisecond)
	r.Upstream("a").Pending(2)
	r.Upstream("a").Target("10.0.0.2:8080").SetHealthy(false)
	r.Upstream("a").Target("10.0.0.2:8080").SetBreaker(BreakerOpen)
	r.Listener("http").Opened(0)
}

// TestRunbookCommands pastes the command lines of the incident runbook.
func TestRunbookCommands(t *testing.T) {
	start := configured()
	during := configured()
	incident(during)
	for _, test := range []struct {
		name, command string
		reg           *Registry
		want          string
	}{
		{"error rate", `grep 'requests_total' | awk '/5[0-9][0-9]/ {sum+=$2} END {print "5xx errors:", sum}'`, during, "5xx errors: 4\n"},
		{"error rate at start", `grep 'requests_total' | awk '/5[0-9][0-9]/ {sum+=$2} END {print "5xx errors:", sum}'`, start, "5xx errors: 0\n"},
		{"unhealthy", `grep 'upstream_health{' | grep ' 0'`, during, `sentinel_upstream_health{target="10.0.0.2:8080",upstream="a"} 0` + "\n"},
		{"unhealthy at start", `grep 'upstream_health{' | grep ' 0'`, start, ""},
		{
			"breakers", `grep circuit_breaker_state | grep -v '^#'`, during,
			`sentinel_circuit_breaker_state{target="10.0.0.1:8080",upstream="a"} 0` + "\n" +
				`sentinel_circuit_breaker_state{target="10.0.0.2:8080",upstream="a"} 1` + "\n",
		},
		{
			"by route", `grep 'requests_total.*status="5' | sort -t'"' -k4 | grep -v ' 0$'`, during,
			`sentinel_requests_total{code="503",route="api",status="5xx"} 1` + "\n" +
				`sentinel_requests_total{code="502",route="web",status="5xx"} 3` + "\n",
		},
		{
			"by route at start", `grep 'requests_total.*status="5' | sort -t'"' -k4 | grep 'route="api"'`, start,
			`sentinel_requests_total{code="500",route="api",status="5xx"} 0` + "\n" +
				`sentinel_requests_total{code="502",route="api",status="5xx"} 0` + "\n" +
				`sentinel_requests_total{code="503",route="api",status="5xx"} 0` + "\n" +
				`sentinel_requests_total{code="504",route="api",status="5xx"} 0` + "\n",
		},
		{
			"latency at start", `grep 'upstream_request_duration.*quantile="0.99"'`, start,
			`sentinel_upstream_request_duration_seconds{upstream="a",quantile="0.99"} 0` + "\n",
		},
		{"latency", `grep 'upstream_request_duration.*quantile="0.99"' | awk '{print ($2 > 0.098 && $2 < 0.102)}'`, during, "1\n"},
		{"connections", `grep open_connections | grep -v '^#'`, during, `sentinel_open_connections{listener="http"} 1` + "\n"},
		{"queue", `grep pending_requests | grep -v '^#'`, during, `sentinel_pending_requests{upstream="a"} 2` + "\n"},
		{
			"reload", `grep config_reload | grep -v '^#'`, start,
			"sentinel_config_reload_last_success_timestamp_seconds 1.8e+09\nsentinel_config_reload_last_successful 1\n" +
				`sentinel_config_reload_total{result="failure"} 0` + "\n" + `sentinel_config_reload_total{result="success"} 0` + "\n",
		},
		{"memory", `grep process_resident_memory_bytes | grep -c '^process_resident_memory_bytes [1-9]'`, start, "1\n"},
		{"processor", `grep -c '^process_cpu_seconds_total '`, start, "1\n"},
		{"limit", `grep '^sentinel_max_connections'`, start, "sentinel_max_connections 10000\n"},
		{"up", `grep '^sentinel_up '`, start, "sentinel_up 1\n"},
		{
			"faults", `grep '^sentinel_faults_total' | grep -v ' 0$'`, during,
			`sentinel_faults_total{fault="upstream_refused",route="web",side="upstream"} 3` + "\n",
		},
		{"faults at start", `grep -c '^sentinel_faults_total{fault="no_route",route="-",side="client"} 0'`, start, "1\n"},
		{"one family", `grep '^# TYPE.*requests_total'`, start, "# TYPE sentinel_requests_total counter\n"},
	} {
		if got := shell(t, scrape(t, test.reg), test.command); got != test.want {
			t.Errorf("%s: %s\n got %q\nwant %q", test.name, test.command, got, test.want)
		}
	}
}

// TestSeriesFromStart checks that an incident adds no series to those of the start.
func TestSeriesFromStart(t *testing.T) {
	r := configured()
	names := func() string {
		return shell(t, scrape(t, r), `grep -v '^#' | grep '^sentinel' | sed 's/ [^ ]*$//' | sort`)
	}
	before := names()
	incident(r)
	r.ReloadFailed()
	r.AccessLogDropped(1)
	if after := names(); after != before {
		t.Errorf("series before:\n%s\nafter:\n%s", before, after)
	}
}

func TestHandler(t *testing.T) {
	h := Handler(configured(), "/metrics")
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/metrics", 200},
		{"HEAD", "/metrics", 200},
		{"GET", "/metrics?name[]=x", 200},
		{"POST", "/metrics", 405},
		{"DELETE", "/metrics", 405},
		{"GET", "/", 404},
		{"GET", "/metrics/", 404},
		{"GET", "/debug/pprof/", 404},
		{"POST", "/admin/routes", 404},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(test.method, test.path, nil))
		if w.Code != test.want {
			t.Errorf("%s %s = %d, want %d", test.method, test.path, w.Code, test.want)
		}
	}
	req := httptest.NewRequest("GET", "/metrics", nil)
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	body, _ := io.ReadAll(w.Body)
	if !strings.HasSuffix(string(body), "# EOF\n") {
		t.Errorf("OpenMetrics was asked for and not sent")
	}
}
