package machine

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/machine"
)

func moved(addresses string) string {
	return "listeners { listener \"http\" { " + addresses + " } }\nroutes { route \"hello\" { matches { path-prefix \"/\" }; respond 200 \"hello\" } }\n"
}

// refused reports whether nobody listens on an address.
func refused(m *machine.Machine, address string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := m.Dial(ctx, "tcp4", address)
	if err == nil {
		c.Close()
	}
	return err != nil
}

// TestKeptSocketsFollowTheConfiguration removes and moves listeners by reload and by restart:
// a socket that nobody accepts from must not stay open with the service manager, where clients
// would hang.
func TestKeptSocketsFollowTheConfiguration(t *testing.T) {
	m := machine.Boot(t)
	m.Start(binary(), moved(`address "0.0.0.0:8080"; address "127.0.0.1:8081"`))
	for _, c := range []struct {
		verb, addresses string
		kept            string
		open, closed    []string
	}{
		{"reload", `address "0.0.0.0:8080"`, "2", []string{"127.0.0.1:8080"}, []string{"127.0.0.1:8081"}},
		{"reload", `address "0.0.0.0:8080"; address "127.0.0.1:8082"`, "3", []string{"127.0.0.1:8080", "127.0.0.1:8082"}, nil},
		{"restart", `address "127.0.0.1:8080"; address "127.0.0.1:8083"`, "3", []string{"127.0.0.1:8080", "127.0.0.1:8083"}, []string{"127.0.0.1:8082"}},
		{"restart", `address "[::]:8080"`, "2", []string{"127.0.0.1:8080"}, []string{"127.0.0.1:8083"}},
		{"restart", `address "0.0.0.0:8080"`, "2", []string{"127.0.0.1:8080"}, nil},
		{"upgrade", `address "127.0.0.1:8084"`, "2", []string{"127.0.0.1:8084"}, []string{"127.0.0.1:8080"}},
	} {
		m.Write(machine.Config, moved(c.addresses), 0o644)
		if c.verb == "upgrade" {
			m.Run("sentinel", "upgrade")
			m.Await("test $(pgrep -xc sentinel) = 1")
		} else {
			m.Run("systemctl", c.verb, "sentinel")
		}
		if got := property(m, "NFileDescriptorStore"); got != c.kept {
			t.Errorf("%s with %s: %s descriptors kept, want %s", c.verb, c.addresses, got, c.kept)
		}
		for _, address := range c.open {
			get(t, m, "http://"+address+"/")
		}
		for _, address := range c.closed {
			if !refused(m, address) {
				t.Errorf("%s with %s: %s is open", c.verb, c.addresses, address)
			}
		}
	}
	m.Run("systemctl", "stop", "sentinel")
	if !refused(m, "127.0.0.1:8084") {
		t.Error("the socket is open after a stop")
	}
}

// TestSocketActivation starts the service by the first connection.
func TestSocketActivation(t *testing.T) {
	m := machine.Boot(t)
	m.InstallSentinel(binary(), small)
	m.Run("systemctl", "start", "sentinel.socket")
	if got, _ := m.Try("systemctl", "is-active", "sentinel"); strings.TrimSpace(got) != "inactive" {
		t.Fatalf("service = %s, want it inactive", got)
	}
	inode := socketOf(m)
	for _, step := range []string{"", "restart", "upgrade", "stop"} {
		switch step {
		case "upgrade":
			m.Run("sentinel", "upgrade")
		case "":
		default:
			m.Run("systemctl", step, "sentinel")
		}
		if code, body := get(t, m, "http://127.0.0.1:8080/"); code != http.StatusOK || body != "hello" {
			t.Errorf("after %q: %d %q", step, code, body)
		}
		if got := socketOf(m); got != inode {
			t.Errorf("socket after %q = %s, want that of the socket unit, %s", step, got, inode)
		}
	}
	if got := m.Shell("journalctl -u sentinel | grep 'has no listener'"); got != "" {
		t.Errorf("the journal warns: %s", got)
	}
}

// TestReloadStates looks how the unit stands while a reload runs, and after one that failed.
func TestReloadStates(t *testing.T) {
	m := machine.Boot(t)
	m.Start(binary(), small)
	m.Write(machine.Config, "listeners {", 0o644)
	m.Run("systemctl", "reload", "sentinel")
	m.Await("journalctl --sync; journalctl -u sentinel | grep 'Configuration reload failed'")
	if got := property(m, "ActiveState") + " " + property(m, "StatusText"); got != "active serving, generation 1" {
		t.Errorf("after a reload that failed: %s", got)
	}
	m.Write(machine.Config, small, 0o644)
	m.Run("systemctl", "reload", "sentinel")
	m.Await("systemctl show sentinel -P StatusText | grep 'generation 2'")
	if got := property(m, "ActiveState"); got != "active" {
		t.Errorf("state = %s, want active", got)
	}
}
