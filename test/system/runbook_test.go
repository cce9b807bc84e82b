package system

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sentinel/internal/testkit/program"
)

// pasted is a line of the runbook with the addresses and paths of a proxy in place of
// those it is installed with.
func (p *proxy) pasted(line string) string {
	return strings.NewReplacer("localhost:8080", p.http, "localhost:9090", p.metrics,
		"/etc/sentinel/config.kdl", p.config(), "/var/run/sentinel.pid", p.pidFile(),
		"/tmp/emergency-limits.kdl", filepath.Join(p.dir, "emergency-limits.kdl"),
		"./sentinel", binary()).Replace(line)
}

// paste runs a line of the runbook.
func (p *proxy) paste(line string) string {
	p.t.Helper()
	return shell(p.t, p.dir, p.pasted(line))
}

// troubled is a configuration with a route that works and two that don't.
func troubled(t *testing.T) string {
	t.Helper()
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "good") }))
	t.Cleanup(good.Close)
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	t.Cleanup(bad.Close)
	return fmt.Sprintf(`
routes {
    route "api" { matches { path-prefix "/api" }; upstream "gone" }
    route "bad" { matches { path-prefix "/bad" }; upstream "bad" }
    route "default" { upstream "good" }
}
upstreams {
    upstream "good" { target { address %q } }
    upstream "bad" { target { address %q } }
    upstream "gone" { target { address %q } }
}
`, good.Listener.Addr(), bad.Listener.Addr(), program.FreeAddress(t))
}

func TestRunbookDiagnostics(t *testing.T) {
	tool(t, "curl", "curl")
	p := start(t, troubled(t))
	wantGet(t, p.url("/"), 200, "good")
	get(t, p.url("/bad"))
	get(t, p.url("/bad"))
	failed, _ := get(t, p.url("/api/x"))
	if failed != 502 && failed != 503 {
		t.Errorf("GET /api/x = %d, want 502 or 503", failed)
	}
	// The count is kept when the response has gone out, so wait for it.
	p.awaitSeries(fmt.Sprintf(`sentinel_requests_total{code="%d",route="api",status="5xx"}`, failed), "1")
	for _, c := range []struct{ line, want string }{
		{`curl -sf http://localhost:8080/health && echo "OK" || echo "UNHEALTHY"`, `^\{"status":"healthy".*\}\s*OK\n$`},
		{`curl -sf http://localhost:8080/ready && echo "READY" || echo "NOT READY"`, `^\{"status":"ready".*\}\s*READY\n$`},
		{`curl -s localhost:9090/metrics | grep 'requests_total' | awk '/5[0-9][0-9]/ {sum+=$2} END {print "5xx errors:", sum}'`, `^5xx errors: 3\n$`},
		{
			`curl -s localhost:9090/metrics | grep 'requests_total.*status="5' | sort -t'"' -k4`,
			fmt.Sprintf(`(?s)requests_total\{code="%d",route="api",status="5xx"\} 1\n.*requests_total\{code="500",route="bad",status="5xx"\} 2\n`, failed),
		},
		{`curl -s localhost:9090/metrics | grep upstream_health`, `sentinel_upstream_health\{target="[^"]+",upstream="good"\} 1\n`},
		{`curl -s localhost:9090/metrics | grep circuit_breaker_state`, `sentinel_circuit_breaker_state\{target="[^"]+",upstream="good"\} 0\n`},
		{`curl -s localhost:9090/metrics | grep 'upstream_health{' | grep ' 0'`, `^$`},
		{`curl -s localhost:9090/metrics | grep config_reload`, `(?s)sentinel_config_reload_last_successful 1\n.*sentinel_config_reload_total\{result="failure"\} 0\nsentinel_config_reload_total\{result="success"\} 0\n`},
		{`curl -s localhost:9090/metrics | grep open_connections`, `(?m)^sentinel_open_connections\{listener="http"\} \d+\n`},
		{`curl -s localhost:9090/metrics | grep pending_requests`, `(?m)^sentinel_pending_requests\{upstream="good"\} 0\n`},
		{`curl -s localhost:9090/metrics | grep process_resident_memory_bytes`, `(?m)^process_resident_memory_bytes [0-9.e+]+\n`},
		{`curl -s localhost:9090/metrics | grep 'upstream_request_duration.*quantile="0.99"'`, `(?m)^sentinel_upstream_request_duration_seconds\{upstream="good",quantile="0.99"\} [0-9.e-]+\n`},
		{`./sentinel --validate --config /etc/sentinel/config.kdl && echo VALID`, `VALID\n$`},
		{`cat /proc/$(cat /var/run/sentinel.pid)/comm`, `^sentinel\n$`},
	} {
		if got := p.paste(c.line); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("%s\nprinted %q, want a match of %s", p.pasted(c.line), got, c.want)
		}
	}
	if n := strings.Count(p.scrape(), "requests_total{"); n != strings.Count(p.scrape(), "\nsentinel_requests_total{") {
		t.Errorf("a family besides sentinel_requests_total has requests_total in its name")
	}
}

func TestRunbookLogs(t *testing.T) {
	p := start(t, troubled(t)+`observability { metrics { address "$METRICS" }; logging { access-log { enabled #true } } }`)
	wantGet(t, p.url("/fine"), 200, "good")
	get(t, p.url("/api/error,one"))
	p.awaitLog(0, `path="/api/error,one"`)
	p.signal(15)
	if code := p.awaitEnd(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	log := filepath.Join(p.dir, "journal")
	if err := os.WriteFile(log, []byte(p.log.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ line, want, not string }{
		{`cat journal | grep -i error | tail -20`, `path="/api/error,one"`, `path="/fine"`},
		{`cat journal | grep -oP 'error="[^,]*' | sort | uniq -c | sort -rn | head`, ` error="[a-z ]+"`, `\d:\d`},
		{`cat journal | grep -oP 'path="[^"]*"' | sort | uniq -c | sort -rn | head -20`, `1 path="/fine"`, `x{99}`},
	} {
		got := shell(t, p.dir, c.line)
		if !regexp.MustCompile(c.want).MatchString(got) || regexp.MustCompile(c.not).MatchString(got) {
			t.Errorf("%s\nprinted %q, want a match of %s and none of %s", c.line, got, c.want, c.not)
		}
	}
}

func TestRunbookConfiguration(t *testing.T) {
	text := answering + "limits { max-connections 9000; max-connections-per-client 40 }\n"
	p := start(t, text)
	backup := p.config() + ".backup"
	await(t, "the backup is written", func() bool { return exists(backup) })
	reload := `kill -HUP $(cat /var/run/sentinel.pid)`
	hup := func() string {
		from := p.log.mark()
		p.paste(reload)
		return p.awaitLog(from, "Configuration reload ")
	}
	if line := hup(); !strings.Contains(line, "succeeded") {
		t.Errorf("%s: %s", reload, line)
	}

	p.paste(`cat >> /tmp/emergency-limits.kdl << 'EOF'
limits {
    max-connections 5000
    max-connections-per-client 50
}
EOF
cat /etc/sentinel/config.kdl >> /tmp/emergency-limits.kdl
mv /tmp/emergency-limits.kdl /etc/sentinel/config.kdl`)
	line := hup()
	for _, want := range []string{"Configuration reload succeeded", "config.kdl:1:1", "config.kdl:6:1"} {
		if !strings.Contains(line, want) {
			t.Errorf("reload with emergency limits: %q, want %q in it", line, want)
		}
	}
	show := shell(t, p.dir, binary()+" config show "+p.config())
	for _, want := range []string{"max-connections 5000", "max-connections-per-client 40"} {
		if !strings.Contains(show, want) {
			t.Errorf("config show: %q, want %q in it", show, want)
		}
	}
	wantBackup, err := os.ReadFile(p.config())
	if err != nil {
		t.Fatal(err)
	}

	p.writeRaw("routes { nonsense }\n")
	out := p.paste(`./sentinel --validate --config /etc/sentinel/config.kdl; echo "exit $?"`)
	if !strings.Contains(out, "exit 1") || !strings.Contains(out, "config.kdl:1:10") {
		t.Errorf("--validate of nonsense printed %q, want exit 1 and config.kdl:1:10", out)
	}
	if line := hup(); !strings.Contains(line, "Configuration reload failed") {
		t.Errorf("reload of nonsense: %s", line)
	}
	p.paste(`cp /etc/sentinel/config.kdl.backup /etc/sentinel/config.kdl`)
	restored, err := os.ReadFile(p.config())
	if err != nil || string(restored) != string(wantBackup) {
		t.Errorf("the backup holds %q, %v, want the last good text %q", restored, err, wantBackup)
	}
	if line := hup(); !strings.Contains(line, "Configuration reload succeeded") {
		t.Errorf("reload of the backup: %s", line)
	}
	wantGet(t, p.url("/"), 200, "here")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestHealthAtTheConnectionLimit is the first line of the triage tree: a proxy that is
// full must not look dead.
func TestHealthAtTheConnectionLimit(t *testing.T) {
	p := start(t, answering+"limits { max-connections 3 }\n")
	for range 3 {
		c := keepAlive{address: p.http}
		defer c.close()
		if _, err := c.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	if code, body, err := tryGet(p.url("/")); err == nil && code != 503 {
		t.Errorf("GET / above the limit = %d %q, want 503 or a refusal", code, body)
	}
	if code, body := get(t, p.url("/health")); code != 200 || !strings.Contains(body, "healthy") {
		t.Errorf("GET /health above the limit = %d %q, want 200", code, body)
	}
	if code, body := get(t, p.url("/ready")); code != 200 {
		t.Errorf("GET /ready above the limit = %d %q, want 200", code, body)
	}
}
