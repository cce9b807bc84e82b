package machine

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/machine"
)

// upstreamed sends everything to an origin that the test serves.
const upstreamed = `listeners { listener "http" { address "0.0.0.0:8080" } }
routes { route "all" { matches { path-prefix "/" }; upstream "origin" } }
upstreams { upstream "origin" { target { address "127.0.0.1:8000" } } }
`

// connect opens a connection and sends a request.
func connect(t *testing.T, m *machine.Machine, path string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := m.Dial(t.Context(), "tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: crash.test\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// TestCrash kills the process outright: what it had in hand is lost, and what waited to be
// accepted is served by the next one.
func TestCrash(t *testing.T) {
	m := machine.Boot(t)
	held, release := make(chan struct{}), make(chan struct{})
	origin := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			held <- struct{}{}
			<-release
		}
		io.WriteString(w, "answer")
	})}
	go origin.Serve(m.Listen("127.0.0.1:8000"))
	defer origin.Close()
	defer close(release)
	m.Start(binary(), upstreamed)
	pid := property(m, "MainPID")
	_, lost := connect(t, m, "/held")
	<-held
	m.Run("kill", "-STOP", pid) // so that nothing that follows is accepted
	var waiting []*bufio.Reader
	for range 50 {
		_, in := connect(t, m, "/waits")
		waiting = append(waiting, in)
	}
	m.Run("kill", "-KILL", pid)
	if resp, err := http.ReadResponse(lost, nil); err == nil {
		t.Errorf("the request in hand = %d, want it lost", resp.StatusCode)
	}
	for i, in := range waiting {
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("waiting request %d: %v, %v, want it served", i, resp, err)
		}
	}
	if got := property(m, "NRestarts"); got != "1" {
		t.Errorf("restarts = %s, want 1", got)
	}
}

// TestWatchdog has the process hang: the service manager ends it and starts the next.
func TestWatchdog(t *testing.T) {
	m := machine.Boot(t)
	m.InstallSentinel(binary(), small)
	m.Write("/etc/systemd/system/sentinel.service.d/fast.conf", "[Service]\nWatchdogSec=600ms\nTimeoutAbortSec=1\n", 0o644)
	m.Run("systemctl", "daemon-reload")
	m.Run("systemctl", "start", "sentinel")
	pid := property(m, "MainPID")
	time.Sleep(1500 * time.Millisecond) // more than the limit: it is told that the process lives
	if got := property(m, "MainPID"); got != pid || property(m, "NRestarts") != "0" {
		t.Fatalf("main process = %s, want %s, which lives", got, pid)
	}
	m.Run("kill", "-STOP", pid)
	m.Await("test $(systemctl show sentinel -P NRestarts) = 1 && systemctl is-active -q sentinel")
	if code, _ := get(t, m, "http://127.0.0.1:8080/"); code != http.StatusOK {
		t.Errorf("after the watchdog: %d, want 200", code)
	}
	if got := m.Shell("journalctl -u sentinel | grep -c 'Watchdog timeout'"); strings.TrimSpace(got) != "1" {
		t.Errorf("the journal tells of %s watchdog timeouts, want 1", got)
	}
}

// TestCrashAfterAnUpgrade kills the process that an upgrade has started, while the former one
// still drains: the service manager sees it end, as it would any other.
func TestCrashAfterAnUpgrade(t *testing.T) {
	m := machine.Boot(t)
	held, release := make(chan struct{}), make(chan struct{})
	origin := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		held <- struct{}{}
		<-release
	})}
	go origin.Serve(m.Listen("127.0.0.1:8000"))
	defer origin.Close()
	defer close(release)
	m.Start(binary(), upstreamed)
	former := property(m, "MainPID")
	connect(t, m, "/held")
	<-held
	m.Run("sentinel", "upgrade")
	m.Run("kill", "-KILL", property(m, "MainPID"))
	m.Await("test $(systemctl show sentinel -P NRestarts) = 1 && systemctl is-active -q sentinel && curl -sf localhost:8080/health")
	if got := strings.TrimSpace(m.Shell("pgrep -xc sentinel; test -e /proc/" + former + " && echo former")); got != "1" {
		t.Errorf("processes: %q, want the new one alone", got)
	}
	if got := m.Shell("journalctl -u sentinel | grep 'Watchdog timeout'"); got != "" {
		t.Errorf("only the watchdog has noticed: %s", got)
	}
}

// TestLongDrain stops the service while a request takes longer than the unit says a stop may:
// the process has told the service manager how long it drains.
func TestLongDrain(t *testing.T) {
	m := machine.Boot(t)
	held, release := make(chan struct{}), make(chan struct{})
	origin := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		held <- struct{}{}
		<-release
		io.WriteString(w, "late")
	})}
	go origin.Serve(m.Listen("127.0.0.1:8000"))
	defer origin.Close()
	m.InstallSentinel(binary(), upstreamed)
	m.Write("/etc/systemd/system/sentinel.service.d/short.conf", "[Service]\nTimeoutStopSec=1\n", 0o644)
	m.Run("systemctl", "daemon-reload")
	m.Run("systemctl", "start", "sentinel")
	_, in := connect(t, m, "/held")
	<-held
	m.Run("systemctl", "stop", "--no-block", "sentinel")
	m.Await("test $(systemctl show sentinel -P ActiveState) = deactivating")
	if got := m.Shell("sentinel status"); !strings.Contains(got, "draining") {
		t.Errorf("status while it drains = %s", got)
	}
	time.Sleep(2 * time.Second) // past the time of the unit
	close(release)
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the request in hand: %v, %v, want it answered", resp, err)
	}
	m.Await("test $(systemctl show sentinel -P ActiveState) = inactive")
	if got := property(m, "Result"); got != "success" {
		t.Errorf("result = %s, want success", got)
	}
}
