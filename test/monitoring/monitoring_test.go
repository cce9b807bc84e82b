// Package monitoring tests what deploy/ offers to monitoring systems with their own tools:
// alert rules with promtool, routes of alerts with amtool, and that rules and dashboard ask
// for series that there are.
//
// promtool and amtool are in Debian's packages prometheus and prometheus-alertmanager; the
// tests that need one that is missing are skipped, unless SENTINEL_CONFORMANCE_REQUIRED is
// set.
package monitoring

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sentinel/internal/testkit/program"
)

const deploy = "../../deploy"

var programs string

func TestMain(m *testing.M) { os.Exit(program.Main(m, &programs, program.Sentinel())) }

// sentinel runs the program and returns what it prints.
func sentinel(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(programs, "sentinel"), args...).CombinedOutput()
	if err != nil {
		t.Errorf("sentinel %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// TestAlertsName checks that each alert names a procedure of the runbook and a command that
// there is.
func TestAlertsName(t *testing.T) {
	rules := read(t, "prometheus/sentinel.rules.yml")
	procedures := sentinel(t, "runbook", "list")
	for _, m := range regexp.MustCompile(`procedure: (\S+)`).FindAllStringSubmatch(rules, -1) {
		if !strings.Contains(procedures, "\n"+m[1]+" ") {
			t.Errorf("the runbook has no procedure %s", m[1])
		}
	}
	commands := regexp.MustCompile(`command: sentinel (.*)`).FindAllStringSubmatch(rules, -1)
	if alerts := strings.Count(rules, "- alert:"); len(commands) != alerts {
		t.Errorf("%d commands for %d alerts", len(commands), alerts)
	}
	asked := make(map[string]bool)
	for _, m := range commands {
		if asked[m[1]] {
			continue
		}
		asked[m[1]] = true
		words := strings.Fields(strings.ReplaceAll(m[1], "{{ $labels.upstream }}", "shop"))
		if help := sentinel(t, append(words, "--help")...); !strings.Contains(help, "sentinel "+words[0]) {
			t.Errorf("sentinel %s isn't a command: its help says\n%s", m[1], help)
		}
	}
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("SENTINEL_CONFORMANCE_REQUIRED") != "":
		t.Fatalf("%s is missing: it is in Debian's package prometheus or prometheus-alertmanager", name)
	default:
		t.Skipf("%s is missing: it is in Debian's package prometheus or prometheus-alertmanager", name)
	}
	return path
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	c := exec.Command(tool(t, name), args...)
	c.Dir = filepath.Join(deploy, dir)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestAlertRules(t *testing.T) {
	run(t, "prometheus", "promtool", "check", "rules", "sentinel.rules.yml")
	run(t, "prometheus", "promtool", "test", "rules", "sentinel.rules_test.yml")
}

// TestEveryAlertIsTested checks that each alert is shown to be raised.
func TestEveryAlertIsTested(t *testing.T) {
	raised := make(map[string]bool)
	tests := regexp.MustCompile(`alertname: (\w+)\n\s+exp_alerts:`)
	for _, m := range tests.FindAllStringSubmatch(read(t, "prometheus/sentinel.rules_test.yml"), -1) {
		raised[m[1]] = true
	}
	rules := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(read(t, "prometheus/sentinel.rules.yml"), -1)
	if len(rules) == 0 {
		t.Error("there are no alerts")
	}
	for _, m := range rules {
		if !raised[m[1]] {
			t.Errorf("no test raises %s", m[1])
		}
	}
}

func TestAlertRoutes(t *testing.T) {
	run(t, "alertmanager", "amtool", "check-config", "alertmanager.yml")
	for severity, want := range map[string]string{
		"sev1": "on-call,team-lead,management", "sev2": "on-call,team-lead", "sev3": "on-call", "sev4": "next-business-day",
	} {
		out := run(t, "alertmanager", "amtool", "config", "routes", "test", "--config.file=alertmanager.yml", "severity="+severity)
		if !strings.Contains("\n"+out, "\n"+want+"\n") {
			t.Errorf("%s goes to %q, want %s", severity, out, want)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deploy, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSeriesExist checks that rules and dashboard ask only for families that the proxy has.
func TestSeriesExist(t *testing.T) {
	known := families(t)
	name := regexp.MustCompile(`\bsentinel_[a-z0-9_]+`)
	for _, file := range []string{"prometheus/sentinel.rules.yml", "grafana/sentinel.json"} {
		found := name.FindAllString(read(t, file), -1)
		if len(found) == 0 {
			t.Errorf("%s asks for nothing", file)
		}
		for _, n := range found {
			if !known[n] && !known[strings.TrimSuffix(n, "_bucket")] && !known[strings.TrimSuffix(n, "_count")] {
				t.Errorf("%s asks for %s, which there isn't", file, n)
			}
		}
	}
}

// families returns the names in the rows of the metrics' table.
func families(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../../internal/observe/metric/*.go")
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	row := regexp.MustCompile(`row\("(sentinel_[a-z0-9_]+)"`)
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range row.FindAllStringSubmatch(string(text), -1) {
			known[m[1]] = true
		}
	}
	return known
}

// TestDashboard checks its form: each panel has a title, a query and a place of its own.
func TestDashboard(t *testing.T) {
	var d struct {
		Title  string
		Panels []struct {
			ID          int
			Type, Title string
			Targets     []struct{ Expr string }
			GridPos     struct{ X, Y, W, H int }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "grafana/sentinel.json")), &d); err != nil || len(d.Panels) < 10 {
		t.Fatalf("the dashboard has %d panels, %v", len(d.Panels), err)
	}
	taken := make(map[[2]int]string)
	for _, p := range d.Panels {
		if p.Title == "" || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d lacks a title or a query", p.ID)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Errorf("%q lies over %q or outside at %d, %d", p.Title, other, x, y)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
