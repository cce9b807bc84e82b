package system

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sentinel/internal/testkit/program"
)

// keepsIncidents is a configuration whose only target refuses, with a secret in it.
const keepsIncidents = `
routes {
    route "r" { matches { path-prefix "/" }; upstream "u"; policies { request-headers { set "Authorization" "Bearer hunter2" } } }
}
upstreams {
    upstream "u" {
        target "$NOBODY"
        health-check { type "tcp"; interval-secs 0.2; unhealthy-threshold 1 }
    }
}
observability {
    metrics { address "$METRICS" }
    logging { file "$DIR/events.log"; access-log { file "$DIR/access.log" } }
    incidents { folder "$DIR/incidents" $MORE }
}
`

// incidentProxy starts a proxy that keeps incidents with more keys in that block, and
// returns it and how a command about incidents is run.
func incidentProxy(t *testing.T, more string) (p *proxy, run func(args ...string) string) {
	t.Helper()
	p = newProxy(t)
	p.write(strings.NewReplacer("$NOBODY", program.FreeAddress(t), "$MORE", more).Replace(keepsIncidents))
	p.spawn()
	await(t, "it serves", func() bool { code, _, err := tryGet(p.url("/health")); return err == nil && code == 200 })
	return p, func(args ...string) string {
		t.Helper()
		c := exec.Command(binary(), append([]string{"--config", p.config(), "incident"}, args...)...)
		out, err := c.Output()
		if err != nil {
			t.Fatalf("sentinel incident %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
}

// TestIncident keeps an incident from its start to its end, as a person does.
func TestIncident(t *testing.T) {
	t.Parallel()
	p, run := incidentProxy(t, "; automatic #false")
	await(t, "the target is unhealthy", func() bool { return strings.Contains(shell(t, p.dir, "cat events.log"), "target unhealthy") })
	run("start", "--severity", "SEV2", "--summary", "the shop is down", "--service", "Shop")
	for range 20 {
		if code, _ := get(t, p.url("/x")); code < 500 {
			t.Fatalf("answered %d, want an error", code)
		}
	}
	await(t, "the requests are logged", func() bool { return strings.Contains(shell(t, p.dir, "cat access.log"), "request failed") })
	run("note", "the only target refuses")
	if got := run("message", "update"); !strings.Contains(got, "[UPDATE] Shop - the shop is down") || !strings.Contains(got, "100 % of 2") || !strings.Contains(got, "the only target refuses") {
		t.Errorf("the message says\n%s", got)
	}
	if got := run("end"); !strings.Contains(got, "post-mortem:") {
		t.Errorf("end says %q", got)
	}
	var list []struct{ ID string }
	if err := json.Unmarshal([]byte(run("list", "--json")), &list); err != nil || len(list) != 1 {
		t.Fatalf("list = %v, %v, want one", list, err)
	}
	folder := filepath.Join(p.dir, "incidents", list[0].ID)
	for name, want := range map[string]string{
		"snapshot-1/status.json":         `"name": "u"`,
		"snapshot-1/metrics.txt":         "sentinel_requests_total",
		"snapshot-1/events.json":         "unhealthy",
		"snapshot-1/diagnosis.txt":       "SEV1",
		"snapshot-1/series.json":         `"routes"`,
		"snapshot-2/requests.json":       "upstream",
		"snapshot-1/config.kdl":          `"Authorization" "***"`,
		"snapshot-1/config-history.txt":  `"Authorization" "***"`,
		"snapshot-2/logs/access.log":     "request failed",
		"snapshot-2/logs/events.log":     "target unhealthy",
		"snapshot-1/profiles/heap.pprof": "",
		"snapshot-2/profiles/cpu.pprof":  "",
		"snapshot-1/memory.txt":          "Mem",
		"snapshot-1/process.txt":         "open descriptors",
		"postmortem.md":                  "of 2",
	} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s = %.300q, %v, want %q in it", name, text, err, want)
		}
	}
	if out := shell(t, p.dir, "zcat incidents/*.tar.gz | grep -ac hunter2"); strings.TrimSpace(out) != "0" {
		t.Errorf("the archive holds the secret on %s lines", out)
	}
}

// TestIncidentDeclaresItself has nobody there: the proxy sees that no upstream is usable.
func TestIncidentDeclaresItself(t *testing.T) {
	t.Parallel()
	p, run := incidentProxy(t, "; keep 5")
	for _, name := range []string{"incident.json", "snapshot-1/manifest.json"} {
		await(t, name, func() bool {
			m, _ := filepath.Glob(filepath.Join(p.dir, "incidents", "INC-*", name))
			return len(m) == 1
		})
	}
	if got := run("show"); !strings.Contains(got, "SEV1") || !strings.Contains(got, "no upstream has a target") {
		t.Errorf("show says\n%s", got)
	}
	if got := shell(t, p.dir, "cat events.log"); !strings.Contains(got, "incident declared") {
		t.Errorf("the log doesn't tell of the incident:\n%s", got)
	}
}
