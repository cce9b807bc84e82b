package machine

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/machine"
)

// repeats returns how often a test under load does its deed, and how many requests a second
// come meanwhile: SENTINEL_RESTARTS asks for the long run.
func repeats(t *testing.T) (times, perSecond int) {
	t.Helper()
	if n, err := strconv.Atoi(os.Getenv("SENTINEL_RESTARTS")); err == nil {
		return n, 2000
	}
	return 5, 1000
}

// quietLog keeps the load out of the journal.
const quiet = small + "observability { logging { access-log { enabled #false } } }\n"

func TestRestartsUnderLoad(t *testing.T) {
	times, perSecond := repeats(t)
	m := machine.Boot(t)
	m.Start(binary(), quiet)
	l := startLoad(m, perSecond)
	for range times {
		m.Run("systemctl", "reset-failed", "sentinel") // more starts than anybody makes by hand
		m.Run("systemctl", "restart", "sentinel")
		time.Sleep(100 * time.Millisecond) // of load
	}
	l.end(t)
	if got := property(m, "NFileDescriptorStore"); got != "2" {
		t.Errorf("descriptors kept = %s, want 2", got)
	}
}

func TestUpgradesUnderLoad(t *testing.T) {
	times, perSecond := repeats(t)
	m := machine.Boot(t)
	m.Start(binary(), quiet)
	l := startLoad(m, perSecond)
	for range times {
		before := property(m, "MainPID")
		m.Run("sentinel", "upgrade")
		if after := property(m, "MainPID"); after == before {
			t.Fatalf("main process is %s still", after)
		}
		time.Sleep(100 * time.Millisecond) // of load
	}
	l.end(t)
	m.Await("test $(pgrep -xc sentinel) = 1") // the former ones have drained
	for name, want := range map[string]string{"NFileDescriptorStore": "2", "ActiveState": "active", "NRestarts": "0"} {
		if got := property(m, name); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
}

// TestReloadsUnderLoad reloads by the service manager, which waits for the outcome.
func TestReloadsUnderLoad(t *testing.T) {
	times, perSecond := repeats(t)
	m := machine.Boot(t)
	m.Start(binary(), quiet)
	l := startLoad(m, perSecond)
	for range times {
		m.Run("systemctl", "reload", "sentinel")
	}
	l.end(t)
	if got := property(m, "StatusText"); !strings.HasPrefix(got, "serving, generation ") || property(m, "ActiveState") != "active" {
		t.Errorf("status = %q, want it to serve", got)
	}
}
