package notify_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/notify"
)

const patience = 10 * time.Second

func TestMessagesInOrder(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "n"), fmt.Sprintf("@notify-test-%d", os.Getpid())} {
		s, err := notify.Listen(name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("unixgram", name)
		if err != nil {
			t.Fatal(err)
		}
		// More than the kernel holds for a reader who doesn't read.
		c.SetDeadline(time.Now().Add(patience))
		for i := range 2000 {
			if _, err := fmt.Fprintf(c, "N=%d", i); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		if m, err := s.Next(patience); err != nil || m != "N=0" {
			t.Errorf("Next = %q, %v, want N=0", m, err)
		}
		if err := s.Await("N=100", patience); err != nil {
			t.Error(err)
		}
		if m, err := s.Next(patience); err != nil || m != "N=101" {
			t.Errorf("Next after Await = %q, %v, want N=101", m, err)
		}
		if err := s.Await("N=1999", patience); err != nil {
			t.Error(err)
		}
		if err := s.Await("N=2000", time.Millisecond); err == nil || !strings.Contains(err.Error(), "N=2000") {
			t.Errorf("Await of what never comes = %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := s.Next(patience); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Next after Close = %v, want %v", err, net.ErrClosed)
		}
	}
}
