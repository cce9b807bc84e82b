package diagnose

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/pki"
)

// TestWell asks a healthy proxy under load, again and again: there must be no false alarm.
func TestWell(t *testing.T) {
	w := newWorld(t)
	w.start(fmt.Sprintf(`routes {
		route "fine" { matches { path "/fine" }; respond 200 "x" }
		route "r" { upstream "u"; policies { rate-limit { requests-per-second 1000; key "client_ip" } } } }
		upstreams { upstream "u" { target %q; target %q; %s; circuit-breaker { failure-threshold 5 } } }
		limits { max-connections 1000; max-connections-per-client 100 }`, well(w), well(w), checked))
	w.load(5*time.Millisecond, "/", home)
	w.load(20*time.Millisecond, "/fine", crowd)
	w.sends(100)
	times := 20
	if testing.Short() {
		times = 5
	}
	for i := range times {
		if i == times/2 && !w.reloadAsItIs() {
			t.Fatal("the reload failed")
		}
		r := w.diagnose()
		if r.Exit != 0 || len(r.Findings) != 0 {
			t.Fatalf("false alarm %d: %s", i, r)
		}
		for _, u := range r.Unseen { // the kernel's log isn't asked for while all is well
			t.Errorf("unseen: %s", u)
		}
	}
}

// TestClientCertificates asks a proxy whose only listener wants certificates of clients: that it
// refuses us is no fault.
func TestClientCertificates(t *testing.T) {
	w := newWorld(t)
	w.certify(pki.Server("localhost"))
	ca := pki.New(w, "clients").Write(w, w.dir, "clients")
	w.start(strings.Replace(secured, "cert-file", fmt.Sprintf("client-auth \"require\"; ca-file %q; cert-file", ca), 1))
	r := w.diagnose()
	if r.Exit != 0 || len(r.Unseen) != 1 || !strings.Contains(r.Unseen[0], "client certificate") {
		t.Errorf("diagnose = %s, want it well, and /health unseen", r)
	}
}

func (w *world) reloadAsItIs() bool {
	o, err := w.admin().Reload(w.Context())
	return err == nil && o.OK
}

// TestOutput reads what a person sees.
func TestOutput(t *testing.T) {
	w := newWorld(t)
	w.start(twoRoutes(well(w), "target \"127.0.0.1:1\"; "+checked))
	out, err := w.shell("sentinel diagnose --config " + w.config() + "; echo exit $?")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out, "\n")
	if !strings.HasPrefix(lines[0], "SEV2: upstream bad: connections are refused") || !strings.Contains(out, "\nDo, for 1. upstream-refused:\n") || !strings.HasSuffix(out, "exit 3\n") {
		t.Errorf("diagnose printed\n%s", out)
	}
	for _, l := range lines {
		if len(l) > 80 && strings.Contains(strings.TrimSpace(l), " ") && !strings.Contains(l, w.dir) {
			t.Errorf("a line has %d columns: %s", len(l), l)
		}
	}
}

// TestUsage has an exit code that no severity has.
func TestUsage(t *testing.T) {
	w := newWorld(t)
	w.write(answering)
	for _, args := range []string{"now", "--nope"} {
		if out, _ := w.shell("sentinel diagnose " + args + " 2>&1; echo exit $?"); !strings.HasSuffix(out, "exit 64\n") {
			t.Errorf("diagnose %s = %q, want exit 64", args, out)
		}
	}
}

// TestFewerRights asks as a user who may neither open the admin socket nor see the process.
func TestFewerRights(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("setpriv is missing: install the Debian package util-linux")
	}
	w := newWorld(t)
	w.start(twoRoutes(well(w), "target \"127.0.0.1:1\"; "+checked))
	for dir := w.dir; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755)
	}
	os.Chmod(programs, 0o755)
	out, err := w.shell("setpriv --reuid 65534 --regid 65534 --clear-groups " + filepath.Join(programs, "sentinel") + " diagnose --config " + w.config() + "; echo exit $?")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"SEV2: upstream bad: connections are refused", "Not seen:\n", "permission denied", "exit 3\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("diagnose as nobody printed\n%s\nwant %q in it", out, want)
		}
	}
}
