package lifecycle

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/listen"
)

// badBinary writes a script that checks every configuration and then does what follows.
func badBinary(t *testing.T, does string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sentinel")
	script := "#!/bin/sh\ncase \"$*\" in *--validate*) exit 0;; esac\n" + does + "\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestStopDuringAnUpgrade asks to stop while a new process doesn't answer.
func TestStopDuringAnUpgrade(t *testing.T) {
	f := newFixture(t)
	started := filepath.Join(f.dir, "started")
	f.opt.Binary = badBinary(t, "echo $$ > "+started+".new; mv "+started+".new "+started+"; exec sleep 60")
	f.start()
	f.signals.usr2 <- syscall.SIGUSR2
	pid := 0
	for deadline := time.Now().Add(10 * time.Second); pid == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the new process doesn't start")
		}
		if b, err := os.ReadFile(started); err == nil {
			pid, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		}
	}
	client := admin.NewClient(filepath.Join(f.dir, "admin.sock"), 10*time.Second)
	if _, err := client.Upgrade(t.Context()); err == nil || !strings.Contains(err.Error(), "an upgrade is under way") {
		t.Errorf("a change meanwhile = %v, want it refused", err)
	}
	f.signals.stop <- syscall.SIGTERM
	f.log("Upgrade failed", "new process not ready", "terminated came meanwhile")
	f.log("stopping")
	f.log("stopped")
	f.expectEnd(nil)
	for deadline := time.Now().Add(10 * time.Second); !dead(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the new process %d lives on", pid)
		}
	}
}

// dead reports whether a process has ended, whoever its parent is.
func dead(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z")
}

func TestTalk(t *testing.T) {
	ours, theirs, err := talkPair()
	if err != nil {
		t.Fatal(err)
	}
	other, err := newTalk(theirs)
	if err != nil {
		t.Fatal(err)
	}
	ours.say("serve")
	ours.say("failed a\nb " + strings.Repeat("x", 2*lineMax))
	if got, err := other.hear(time.Second); got != "serve" || err != nil {
		t.Errorf("hear() = %q, %v, want serve", got, err)
	}
	if got, err := other.hear(time.Second); !strings.HasPrefix(got, "failed a; b xx") || len(got) != lineMax-1 || err != nil {
		t.Errorf("hear() = %d bytes, %v, want one line of %d", len(got), err, lineMax-1)
	}
	if _, err := other.hear(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("hear() of nothing = %v, want it to end", err)
	}
	ours.close()
	if _, err := other.hear(time.Second); err == nil {
		t.Error("hear() after the other's end = no error")
	}
}

// TestPredecessorIsBelieved only if the descriptor that the environment names is a socket of
// another process of the same user.
func TestPredecessorIsBelieved(t *testing.T) {
	ours, theirs, err := talkPair() // of this very process
	if err != nil {
		t.Fatal(err)
	}
	defer ours.close()
	defer theirs.Close()
	for _, value := range []string{"", "x", "-1", "1048575", "0", strconv.Itoa(int(theirs.Fd()))} {
		t.Setenv(predecessorVariable, value)
		if got := findPredecessor(); got != nil {
			t.Errorf("findPredecessor() with %q = process %d, want none", value, got.pid)
		}
		if _, set := os.LookupEnv(predecessorVariable); set {
			t.Errorf("the variable %q is left to children", value)
		}
	}
}

func TestKeepsafe(t *testing.T) {
	messages := notifySocket(t, filepath.Join(t.TempDir(), "notify"))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	passable := func(name string) listen.Passable { return listen.Passable{Name: name, Conn: ln.(*net.TCPListener)} }
	k := keepsafe{notify: newNotifier()}
	k.sync([]listen.Passable{passable("a"), passable("b")})
	k.sync([]listen.Passable{passable("b"), passable("c")})
	k.sync(nil)
	for _, want := range []string{
		"FDSTORE=1\nFDNAME=a", "FDSTORE=1\nFDNAME=b",
		"FDSTORE=1\nFDNAME=c", "FDSTOREREMOVE=1\nFDNAME=a",
		"FDSTOREREMOVE=1\nFDNAME=b", "FDSTOREREMOVE=1\nFDNAME=c",
	} {
		expectMessage(t, messages, want)
	}
}

func TestWatchdog(t *testing.T) {
	messages := notifySocket(t, filepath.Join(t.TempDir(), "notify"))
	t.Setenv("WATCHDOG_USEC", "30000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	looks := make(chan []string)
	defer close(looks)
	logs := make(chan string, 8)
	n := newNotifier()
	w := newWatchdog(n, func() []string { return <-looks }, newLineLogger(logs))
	if w.every != 10*time.Millisecond {
		t.Errorf("every = %v, want a third of the limit", w.every)
	}
	go w.run(t.Context())
	looks <- nil
	expectMessage(t, messages, "WATCHDOG=1")
	looks <- []string{"the clock is late"}
	looks <- []string{"the clock is late"}
	if got := next(t, logs, "log line"); !strings.Contains(got, "the clock is late") || len(logs) != 0 {
		t.Errorf("log = %q and %d more, want one line", got, len(logs))
	}
	looks <- nil
	expectMessage(t, messages, "WATCHDOG=1") // nothing was told in between

	t.Setenv("WATCHDOG_PID", "1")
	if w := newWatchdog(n, func() []string { return nil }, nil); w.every != 0 {
		t.Errorf("every = %v for another process, want 0", w.every)
	}
}
