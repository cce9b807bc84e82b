package machine

import (
	"net/http"
	"strings"
	"testing"

	"sentinel/internal/testkit/machine"
)

// wantBody fetches the page of a configuration that answers with its name.
func wantBody(t *testing.T, m *machine.Machine, want string) {
	t.Helper()
	if code, body := get(t, m, "http://127.0.0.1:8080/"); code != http.StatusOK || body != want {
		t.Errorf("GET / = %d %q, want %q", code, body, want)
	}
}

func answering(word string) string {
	return strings.Replace(small, `respond 200 "hello"`, `respond 200 "`+word+`"`, 1)
}

// TestRunbookRollback is the rollback of a broken configuration as the runbook has it.
func TestRunbookRollback(t *testing.T) {
	m := machine.Boot(t)
	m.Start(binary(), answering("good"))
	m.Write(machine.Config, "routes { nonsense }\n", 0o644)
	if _, err := m.Try("systemctl", "restart", "sentinel"); err == nil {
		t.Error("a restart with a broken file succeeds")
	}
	m.Run("systemctl", "stop", "sentinel")
	m.Shell("systemctl reset-failed sentinel")
	m.Run("bash", "-ec", `# Restore last known good config
cp /etc/sentinel/config.kdl.backup /etc/sentinel/config.kdl
systemctl restart sentinel`)
	wantBody(t, m, "good")
}

// TestRollbackOfAServiceThatMayNotWrite has the command of root write what the service of
// another user may not.
func TestRollbackOfAServiceThatMayNotWrite(t *testing.T) {
	m := machine.Boot(t)
	m.Start(binary(), answering("one"))
	m.Write(machine.Config, answering("two"), 0o644)
	m.Run("sentinel", "reload")
	wantBody(t, m, "two")
	m.Run("sentinel", "rollback")
	wantBody(t, m, "one")
	if got := m.Read(machine.Config); got != answering("one") {
		t.Errorf("the file holds %q, want what serves", got)
	}
	if got := m.Shell("stat -c '%U %a' " + machine.Config); strings.TrimSpace(got) != "root 644" {
		t.Errorf("owner and mode = %q, want them as before", got)
	}
	if got := m.Run("sentinel", "status"); strings.Contains(got, "DIFFER") {
		t.Errorf("status: %s", got)
	}
	for _, c := range []struct{ line, want string }{
		{"systemctl is-active sentinel", "active"},
		{"sentinel config history | awk '{print $2, $3}' | sed -n 2p", "*F good"},
	} {
		if got := strings.TrimSpace(m.Shell(c.line)); got != c.want {
			t.Errorf("%s = %q, want %q", c.line, got, c.want)
		}
	}
}

// TestFallbackLastGood starts a unit with the flag as the manual has it.
func TestFallbackLastGood(t *testing.T) {
	m := machine.Boot(t)
	m.Start(binary(), answering("good"))
	m.Write("/etc/systemd/system/sentinel.service.d/fallback.conf", `[Service]
ExecStart=
ExecStart=/usr/bin/sentinel --config /etc/sentinel/config.kdl --fallback-last-good
`, 0o644)
	m.Run("systemctl", "daemon-reload")
	m.Write(machine.Config, "routes { nonsense }\n", 0o644)
	m.Run("systemctl", "restart", "sentinel")
	wantBody(t, m, "good")
	if got := m.Shell("curl -s localhost:9090/metrics | grep ^sentinel_config_files_serve"); strings.TrimSpace(got) != "sentinel_config_files_serve 0" {
		t.Errorf("metrics: %q", got)
	}
	m.Await("journalctl --sync; journalctl -u sentinel -p err | grep 'last known good configuration, because the file is broken'")
	m.Write(machine.Config, answering("mended"), 0o644)
	m.Run("sentinel", "reload")
	wantBody(t, m, "mended")
}
