package machine

import (
	"encoding/json"
	"strings"
	"testing"

	"sentinel/internal/testkit/machine"
)

// A binary that isn't good: it checks the configuration, or not, and does what follows with
// the process that it shall replace.
const badBinary = `#!/bin/bash
case "$*" in *--validate*) exit VALIDATES;; esac
fd=$SENTINEL_PREDECESSOR
read -r state <&$fd
RUNS
`

// TestUpgradeThatFails puts binaries in place that fail at each step: the process goes on as if
// nothing had been asked, and says why.
func TestUpgradeThatFails(t *testing.T) {
	for _, c := range []struct{ name, validates, runs, kind, detail string }{
		{"refuses the configuration", "1", "", "new binary refuses the configuration", "exit status 1"},
		{"ends at once", "0", "exit 1", "new process not ready", "ended before it was ready"},
		{"can't start", "0", "echo failed address in use: x >&$fd; exit 1", "new process not ready", "address in use: x"},
		{"ends when it shall serve", "0", "echo ready 9 >&$fd; read -r go <&$fd; exit 1", "new process did not take over", "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := machine.Boot(t)
			m.Start(binary(), small)
			m.Run("cp", machine.Program, "/usr/local/bin/good")
			pid, inode := property(m, "MainPID"), socketOf(m)
			l := startLoad(m, 200)
			m.Write(machine.Program, strings.NewReplacer("VALIDATES", c.validates, "RUNS", c.runs).Replace(badBinary), 0o755)
			out, err := m.Try("good", "upgrade")
			if err == nil || !strings.Contains(out, "Upgrade failed: "+c.kind) || !strings.Contains(out, c.detail) || !strings.Contains(out, "process "+pid) {
				t.Errorf("upgrade = %v %q, want %s, %s", err, out, c.kind, c.detail)
			}
			l.end(t)
			if got := property(m, "MainPID"); got != pid || socketOf(m) != inode || strings.TrimSpace(m.Read("/run/sentinel.pid")) != pid {
				t.Errorf("main process = %s, want %s with its socket and pid file", got, pid)
			}
			if got := property(m, "ActiveState") + " " + property(m, "StatusText"); got != "active serving, the upgrade failed" {
				t.Errorf("state = %s", got)
			}
			var event struct {
				Kind, Cause string
				Worse       bool
			}
			line := m.Run("good", "events", "--json", "--kind", "upgrade")
			if err := json.Unmarshal([]byte(line), &event); err != nil || event.Kind != "upgrade" || event.Cause != c.kind || !event.Worse {
				t.Errorf("event = %s, %v, want one of kind upgrade with cause %s", line, err, c.kind)
			}
			m.Run("mv", "/usr/local/bin/good", machine.Program)
			m.Run("kill", "-USR2", pid) // what the contract has beside the command
			m.Await("test $(systemctl show sentinel -P MainPID) != " + pid + " && sentinel status --json | jq -e '.state == \"serving\"'")
		})
	}
}

// TestUpgradeWaitsForUpstreams has an upstream whose first check takes a while: until that is
// known the former process serves.
func TestUpgradeWaitsForUpstreams(t *testing.T) {
	m := machine.Boot(t)
	ln := m.Listen("127.0.0.1:8000")
	slow := newSlowOrigin(ln)
	defer slow.Close()
	m.Start(binary(), strings.Replace(upstreamed, "target {", `health-check { type "http" { path "/check" }; interval-secs 60; timeout-secs 20 }; target {`, 1))
	m.Await("curl -sf localhost:8080/ready")
	slow.hold()
	done := make(chan string)
	go func() { out, _ := m.Try("sentinel", "upgrade"); done <- out }()
	slow.awaitCheck()
	pid := property(m, "MainPID")
	if got := strings.TrimSpace(m.Shell("curl -s -o /dev/null -w '%{http_code}' localhost:8080/ready; sentinel status --json | jq .pid")); got != "200"+pid {
		t.Errorf("while the new process isn't ready: %s, want 200 by %s", got, pid)
	}
	slow.release()
	if out := <-done; !strings.HasPrefix(out, "Upgrade succeeded") {
		t.Errorf("upgrade = %s", out)
	}
}
