package machine

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"sentinel/internal/testkit/machine"
)

const small = `listeners { listener "http" { address "0.0.0.0:8080" } }
routes {
    route "hello" { matches { path-prefix "/" }; respond 200 "hello" }
}
`

func get(t *testing.T, m *machine.Machine, url string) (int, string) {
	t.Helper()
	resp, err := m.Client().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// expectation is a line for a shell of the machine and what it shall print.
type expectation struct{ line, want string }

func expect(t *testing.T, m *machine.Machine, all []expectation) {
	t.Helper()
	for _, e := range all {
		if got := strings.TrimSpace(m.Shell(e.line)); got != e.want {
			t.Errorf("%s = %q, want %q", e.line, got, e.want)
		}
	}
}

func property(m *machine.Machine, name string) string {
	return strings.TrimSpace(m.Run("systemctl", "show", "sentinel", "-P", name))
}

// TestService starts the unit, and looks for everything that the contract with operators has.
func TestService(t *testing.T) {
	m := machine.Boot(t)
	m.Start(binary(), small)
	if code, body := get(t, m, "http://127.0.0.1:8080/"); code != http.StatusOK || body != "hello" {
		t.Errorf("GET / = %d %q, want 200 hello", code, body)
	}
	pid := property(m, "MainPID")
	expect(t, m, []expectation{
		{"cat /var/run/sentinel.pid", pid},
		{"pidof sentinel", pid},
		{"stat -c %U /proc/" + pid, "sentinel"},
		{"grep CapBnd /proc/" + pid + "/status | cut -f2", "0000000000000400"}, // CAP_NET_BIND_SERVICE alone
		{"curl -s localhost:9090/metrics | grep ^sentinel_up", "sentinel_up 1"},
		{"curl -s localhost:8080/health | cut -c1-19", `{"status":"healthy"`},
		{"systemctl is-active sentinel", "active"},
		{"sentinel status --json | jq -r .state", "serving"},
		{"cmp /etc/sentinel/config.kdl /etc/sentinel/config.kdl.backup && ls -d /var/lib/sentinel/config/000001", "/var/lib/sentinel/config/000001"},
		{"systemctl --failed --no-legend", ""},
	})
	m.Run("systemctl", "stop", "sentinel")
	if got := m.Shell("cat /var/run/sentinel.pid; ls /run/sentinel"); strings.Contains(got, pid) || strings.Contains(got, "admin.sock") {
		t.Errorf("left after a stop: %s", got)
	}
	if got := property(m, "Result"); got != "success" {
		t.Errorf("result of the stop = %s, want success", got)
	}
}

// TestJournalFields reads an exchange as journald keeps it.
func TestJournalFields(t *testing.T) {
	m := machine.Boot(t)
	m.Start(binary(), small)
	get(t, m, "http://127.0.0.1:8080/some/path")
	line := m.Await("journalctl --sync; journalctl -u sentinel -o json | grep /some/path")
	var entry map[string]any
	if err := json.Unmarshal([]byte(line), &entry); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	for field, want := range map[string]string{
		"CLIENT_IP": "127.0.0.1", "ROUTE": "hello", "STATUS": "200", "PATH": "/some/path", "PRIORITY": "6",
		"_SYSTEMD_UNIT": "sentinel.service", "_COMM": "sentinel", "SYSLOG_IDENTIFIER": "sentinel",
	} {
		if entry[field] != want {
			t.Errorf("%s = %v, want %q", field, entry[field], want)
		}
	}
	if entry["REQUEST_ID"] == nil || entry["REQUEST_ID"] == "" {
		t.Error("no REQUEST_ID")
	}
}

// exposureMax is the highest exposure that systemd-analyze security may find, times ten; the
// documentation has the present one.
const exposureMax = "15"

// TestHardening has systemd judge the unit.
func TestHardening(t *testing.T) {
	m := machine.Boot(t)
	m.Start(binary(), small)
	out, err := m.Try("systemd-analyze", "security", "--no-pager", "--threshold="+exposureMax, "sentinel.service")
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
	if i := strings.Index(out, "Overall exposure"); i >= 0 {
		t.Log(strings.TrimSpace(out[i:]))
	}
	if out, err := m.Try("systemd-analyze", "verify", "--man=no", "sentinel.service", "sentinel.socket"); err != nil || out != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	status := "/proc/" + property(m, "MainPID") + "/status"
	expect(t, m, []expectation{
		{"grep NoNewPrivs " + status + " | cut -f2", "1"},
		{"grep Seccomp: " + status + " | cut -f2", "2"},
		{"nsenter -t " + property(m, "MainPID") + " -m touch /etc/sentinel/x /usr/x 2>&1 | grep -c 'Read-only'", "2"},
	})
}
