package system

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const answersHello = `routes { route "all" { matches { path-prefix "/" }; respond 200 "hello" } }`

// pid returns the process that the pid file names.
func (p *proxy) pid() int {
	b, err := os.ReadFile(p.pidFile())
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}

// TestUpgradeByHand replaces a process that no service manager looks after, by signal and by
// command. The new ones are children of the test, as the first one is.
func TestUpgradeByHand(t *testing.T) {
	p := newProxy(t)
	p.write(answersHello)
	log, err := os.Create(filepath.Join(p.dir, "log")) // a file, which later processes write too
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(binary(), "--config", p.config())
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if pid := p.pid(); pid > 0 {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("log:\n%s", text)
		}
	})
	await(t, "the process serves", func() bool { code, _, _ := tryGet(p.url("/")); return code == 200 })
	first := p.pid()
	if err := cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the former process ended with %v", err)
	}
	second := p.pid()
	if second == first || second == 0 {
		t.Fatalf("pid file = %d, want another process than %d", second, first)
	}
	wantGet(t, p.url("/"), 200, "hello")

	out, err := exec.Command(binary(), "--config", p.config(), "upgrade").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "Upgrade succeeded: process ") {
		t.Fatalf("sentinel upgrade = %v %s", err, out)
	}
	third := p.pid()
	if code := reap(t, second); third == second || code != 0 {
		t.Errorf("pid file = %d, exit code of process %d = %d, want another and 0", third, second, code)
	}
	wantGet(t, p.url("/"), 200, "hello")
	if strings.TrimSpace(shell(t, p.dir, "curl -s http://"+p.metrics+"/metrics | grep ^sentinel_up")) != "sentinel_up 1" {
		t.Error("the metrics aren't served")
	}
	if err := syscall.Kill(third, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := reap(t, third); code != 0 {
		t.Errorf("exit code of the last process = %d, want 0", code)
	}
	for _, name := range []string{"sentinel.pid", "admin.sock"} {
		if _, err := os.Lstat(filepath.Join(p.dir, name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
}

// reap waits for a child that the test hasn't started itself and returns its exit code.
func reap(t *testing.T, pid int) int {
	t.Helper()
	var status syscall.WaitStatus
	await(t, "process "+strconv.Itoa(pid)+" ends", func() bool {
		got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
		if err != nil {
			t.Fatalf("process %d: %v", pid, err)
		}
		return got == pid
	})
	return status.ExitStatus()
}
