package lifecycle

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/notify"
)

// notifySocket listens as a service manager does until the test ends.
func notifySocket(t *testing.T, name string) *notify.Socket {
	t.Helper()
	t.Setenv(notify.Variable, name)
	s, err := notify.Listen(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// expectMessage takes the next message and compares its beginning.
func expectMessage(t *testing.T, from *notify.Socket, want string) {
	t.Helper()
	if got, err := from.Next(10 * time.Second); err != nil || !strings.HasPrefix(got, want) {
		t.Errorf("message = %q, %v, want %q", got, err, want)
	}
}

func next[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("no %s within 10 s", what)
		panic("unreachable")
	}
}

func TestNotify(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), fmt.Sprintf("@lifecycle-test-%d", os.Getpid())} {
		messages := notifySocket(t, name)
		n := newNotifier()
		if os.Getenv("NOTIFY_SOCKET") != "" {
			t.Error("NOTIFY_SOCKET is left to children")
		}
		n.ready("serving")
		n.reloading()
		n.stopping("draining", 31*time.Second)
		for _, want := range []string{"READY=1\nSTATUS=serving", "RELOADING=1\nMONOTONIC_USEC=", "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=31000000"} {
			expectMessage(t, messages, want)
		}
	}
}

func TestNotifyWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	newNotifier().ready("nobody listens")
	notifier{}.ready("nobody at all")
}
