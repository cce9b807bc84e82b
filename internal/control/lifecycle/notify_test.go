package lifecycle

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// notifySocket listens as a service manager does and returns its messages.
func notifySocket(t *testing.T, name string) <-chan string {
	t.Helper()
	t.Setenv("NOTIFY_SOCKET", name)
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	messages := make(chan string, 16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			messages <- string(buf[:n])
		}
	}()
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	return messages
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
		n.stopping("draining")
		for _, want := range []string{"READY=1\nSTATUS=serving", "RELOADING=1\nMONOTONIC_USEC=", "STOPPING=1\nSTATUS=draining"} {
			if got := next(t, messages, "message"); !strings.HasPrefix(got, want) {
				t.Errorf("%s: message = %q, want %q", name, got, want)
			}
		}
	}
}

func TestNotifyWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	newNotifier().ready("nobody listens")
	notifier{}.ready("nobody at all")
}
