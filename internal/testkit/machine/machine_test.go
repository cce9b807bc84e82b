package machine

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMachine runs a service in a machine, reads its journal, reaches it by network, and sees
// that nothing of it is left.
func TestMachine(t *testing.T) {
	var m *Machine
	t.Run("lives", func(t *testing.T) {
		m = Boot(t)
		m.Write("/etc/systemd/system/hello.service", "[Service]\nType=oneshot\nExecStart=/bin/echo hello from inside\n", 0o644)
		m.Run("systemctl", "daemon-reload")
		m.Run("systemctl", "start", "hello")
		if got := m.Await("journalctl --sync && journalctl -u hello -o cat | grep inside"); !strings.Contains(got, "hello from inside") {
			t.Errorf("journal = %q, want what the service printed", got)
		}
		if got := strings.TrimSpace(m.Run("cat", "/proc/1/comm")); got != "systemd" {
			t.Errorf("process 1 = %s, want systemd", got)
		}
		if got := m.Run("systemctl", "--failed", "--no-legend"); got != "" {
			t.Errorf("failed units: %s", got)
		}
		ln := m.Listen("127.0.0.1:80")
		go http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "from the test") }))
		if resp, err := m.Client().Get("http://127.0.0.1/"); err != nil || resp.StatusCode != 200 {
			t.Errorf("over the machine's loopback: %v, %v", resp, err)
		}
		m.Write("/etc/only-inside", "x", 0o600)
		if _, err := os.Stat("/etc/only-inside"); err == nil {
			t.Error("what the machine writes is on the host")
		}
	})
	if m == nil {
		return
	}
	if _, err := os.Stat(m.group); err == nil {
		t.Errorf("%s is left", m.group)
	}
	if left, _ := filepath.Glob("/etc/systemd/system/hello.service"); len(left) > 0 {
		t.Errorf("left on the host: %v", left)
	}
}

func TestCommandsThatFail(t *testing.T) {
	m := Boot(t)
	if out, err := m.Try("sh", "-c", "echo said; exit 3"); err == nil || out != "said\n" {
		t.Errorf("Try = %q, %v, want the output and an error", out, err)
	}
	if out := m.Shell("echo a; echo b >&2; false"); out != "a\nb\n" {
		t.Errorf("Shell = %q, want both outputs", out)
	}
}
