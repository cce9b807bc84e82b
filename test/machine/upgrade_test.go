package machine

import (
	"strings"
	"testing"

	"sentinel/internal/testkit/machine"
)

func TestRestartKeepsSockets(t *testing.T) {
	m := machine.Boot(t)
	m.Start(binary(), small)
	if got := property(m, "NFileDescriptorStore"); got != "2" {
		t.Errorf("descriptors kept = %s, want the listener and the metrics", got)
	}
	inode := socketOf(m)
	m.Run("systemctl", "restart", "sentinel")
	if got := socketOf(m); got != inode {
		t.Errorf("socket after the restart = %s, want %s", got, inode)
	}
	get(t, m, "http://127.0.0.1:8080/")
}

// socketOf returns what identifies the listening socket on port 8080.
func socketOf(m *machine.Machine) string {
	return strings.TrimSpace(m.Shell("ss -ltneH sport = :8080 2>/dev/null | grep -o 'ino:[0-9]*'"))
}

func TestUpgrade(t *testing.T) {
	m := machine.Boot(t)
	m.Start(binary(), small)
	inode, pid := socketOf(m), property(m, "MainPID")
	if got := m.Run("sentinel", "upgrade"); !strings.HasPrefix(got, "Upgrade succeeded: process ") {
		t.Errorf("sentinel upgrade = %q", got)
	}
	if got := property(m, "MainPID"); got == pid {
		t.Errorf("main process = %s, want another one", got)
	}
	if got := socketOf(m); got != inode {
		t.Errorf("socket after the upgrade = %s, want %s", got, inode)
	}
	next := property(m, "MainPID")
	expect(t, m, []expectation{
		{"cat /var/run/sentinel.pid", next},
		{"sentinel status --json | jq .pid", next},
		{"curl -s localhost:9090/metrics | grep ^sentinel_up", "sentinel_up 1"},
		{"systemctl show sentinel -P NFileDescriptorStore", "2"},
	})
	m.Await("! test -e /proc/" + pid)
	get(t, m, "http://127.0.0.1:8080/")
}
