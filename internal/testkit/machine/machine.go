// Package machine boots a machine for tests: a real systemd with its journal as process 1 of
// namespaces of its own, so that units, packages and what an operator types can be tried as
// they are. Its files are a throw-away layer over those of the host, which it never writes;
// its network is a loopback of its own, so that the well-known ports are free.
//
//	m := machine.Boot(t)
//	m.Write("/etc/sentinel/config.kdl", text, 0o644)
//	m.Run("systemctl", "start", "sentinel")
//	resp, err := m.Client().Get("http://127.0.0.1:8080/health")
//
// It wants root, a second hierarchy of cgroups that may be written, and systemd on the host.
package machine

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

const (
	systemd = "/lib/systemd/systemd"
	// bootLimit bounds how long a machine may take until it runs services.
	bootLimit = time.Minute
	// endLimit bounds how long it may take until nothing of it is left.
	endLimit = 20 * time.Second
	// logTail is how much of the journal a failed test shows.
	logTail = "200"
)

// requiredVariable makes a test fail, not skip, on a host that lacks what could be installed.
const requiredVariable = "SENTINEL_CONFORMANCE_REQUIRED"

//go:embed boot.sh
var bootScript string

// Machine is a running machine. Its methods fail the test when something of the machine
// itself doesn't work.
type Machine struct {
	tb     testing.TB
	pid    int // of its process 1, as the host counts
	group  string
	output bytes.Buffer  // of the boot
	ended  chan struct{} // closed when process 1 and all others are gone
	err    error         // of process 1, valid when ended is closed
}

// Boot starts a machine and waits until it runs services. It ends with the test, whatever
// becomes of that. The test is skipped where no machine can be had.
func Boot(tb testing.TB) *Machine {
	tb.Helper()
	if why := missing(); why != "" {
		if os.Getenv(requiredVariable) != "" && os.Geteuid() == 0 {
			tb.Fatalf("no machine: %s", why)
		}
		tb.Skipf("no machine: %s", why)
	}
	group, err := newGroup()
	if err != nil {
		tb.Skipf("no machine: %v", err)
	}
	m := &Machine{tb: tb, group: group, ended: make(chan struct{})}
	if err := m.start(tb.TempDir()); err != nil {
		removeGroup(group)
		tb.Skipf("no machine: namespaces of its own are refused: %v", err)
	}
	tb.Cleanup(m.powerOff)
	m.awaitBoot()
	return m
}

// missing says what the host lacks for a machine.
func missing() string {
	if os.Geteuid() != 0 {
		return "it wants root"
	}
	if _, err := os.Stat(systemd); errors.Is(err, fs.ErrNotExist) {
		return "the host has no systemd: install the Debian package systemd"
	}
	for _, name := range []string{"nsenter", "pivot_root", "mount"} {
		if _, err := exec.LookPath(name); err != nil {
			return name + " is missing: install the Debian packages mount and util-linux"
		}
	}
	return ""
}

// start starts process 1. The kernel kills it, and with it all others, when the test's
// process dies.
func (m *Machine) start(scratch string) error {
	group, err := os.Open(m.group)
	if err != nil {
		return err
	}
	defer group.Close()
	cmd := exec.Command("/bin/sh", "-c", bootScript, "boot", scratch)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Stdout, cmd.Stderr = &m.output, &m.output
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC |
			syscall.CLONE_NEWNET | syscall.CLONE_NEWCGROUP,
		UseCgroupFD: true, CgroupFD: int(group.Fd()), Pdeathsig: syscall.SIGKILL, Setsid: true,
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig means the death of the thread
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			m.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			m.err = cmd.Wait()
			close(m.ended)
		}
	}()
	return <-started
}

// awaitBoot waits until services can be started. A host that refuses a mount skips the test.
func (m *Machine) awaitBoot() {
	m.tb.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(bootLimit); ; {
		select {
		case <-m.ended:
			m.tb.Skipf("no machine: its files can't be laid out: %v\n%s", m.err, m.output.String())
		case <-tick.C:
		}
		// The script has handed over once process 1 is systemd.
		if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", m.pid)); filepath.Base(exe) == "systemd" {
			if _, err := m.Try("systemctl", "is-active", "--quiet", "machine.target"); err == nil {
				return
			}
		}
		if time.Now().After(deadline) {
			state, _ := m.Try("systemctl", "list-jobs")
			m.tb.Fatalf("the machine doesn't boot within %v\n%s\n%s", bootLimit, m.output.String(), state)
		}
	}
}

// powerOff ends everything in the machine and removes what the host has of it.
func (m *Machine) powerOff() {
	if m.tb.Failed() {
		log, _ := m.Try("journalctl", "--no-pager", "-n", logTail)
		m.tb.Logf("journal of the machine:\n%s", log)
	}
	syscall.Kill(m.pid, syscall.SIGKILL) // ends all processes of its namespace
	select {
	case <-m.ended:
	case <-time.After(endLimit):
		m.tb.Errorf("the machine doesn't end within %v", endLimit)
		return
	}
	if err := removeGroup(m.group); err != nil {
		m.tb.Errorf("left behind: %v", err)
	}
}
