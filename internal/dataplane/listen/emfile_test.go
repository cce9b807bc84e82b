package listen

import (
	"bufio"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"sentinel/internal/dataplane/fault"

	"golang.org/x/sys/unix"
)

// TestOutOfDescriptors runs in a child, whose limit of open files it lowers.
func TestOutOfDescriptors(t *testing.T) {
	if os.Getenv("LISTEN_TEST_CHILD") != "" {
		outOfDescriptorsChild(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestOutOfDescriptors$", "-test.v")
	cmd.Env = append(os.Environ(), "LISTEN_TEST_CHILD=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("child: %v\n%s", err, out)
	}
}

func outOfDescriptorsChild(t *testing.T) {
	e := newEcho()
	failed := make(chan error, 1024)
	r := newTestRegistry(t, Options{Handler: e, AcceptFailed: func(_ *Listener, err error) { failed <- err }})
	r.local = localBut127002
	apply(t, r, one("http", "127.0.0.1:0"))
	address := addressOf(t, r, "http")
	say(t, dial(t, address), "warm up")
	<-e.accepted

	client := rawSocket(t) // opened while there are descriptors
	second := rawSocket(t)
	remote := rawSocket(t)
	if err := unix.Bind(remote, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 2}}); err != nil {
		t.Fatal(err)
	}
	hog := useUpDescriptors(t)
	defer hog()

	// A connection from the loopback is let in at the expense of the reserve.
	c := connectRaw(t, client, address)
	if got := rawSay(t, c, "a\n"); got != "last a\n" {
		t.Errorf("echo without descriptors = %q, want %q", got, "last a\n")
	}
	if conn := <-e.accepted; !conn.HealthOnly {
		t.Error("HealthOnly without descriptors = false, want true")
	}
	// It works again and again: the reserve is refilled.
	c = connectRaw(t, second, address)
	if got := rawSay(t, c, "b\n"); got != "last b\n" {
		t.Errorf("second echo without descriptors = %q, want %q", got, "last b\n")
	}
	if n := len(failed); n > 100 {
		t.Errorf("accept failed %d times, want a pause between two", n)
	}
	c = connectRaw(t, remote, address)
	if got := rawSay(t, c, "GET / HTTP/1.1\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "S06") {
		t.Errorf("answer to a remote client without descriptors = %q, want 503 with S06", got)
	}
}

func rawSocket(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	tv := unix.NsecToTimeval(5e9)
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
	return fd
}

func connectRaw(t *testing.T, fd int, address string) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	return fd
}

func rawSay(t *testing.T, fd int, line string) string {
	t.Helper()
	if _, err := unix.Write(fd, []byte(line)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 256)
	n, err := unix.Read(fd, buf)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return string(buf[:n])
}

// useUpDescriptors takes every descriptor that is left. The returned function gives them
// back.
func useUpDescriptors(t *testing.T) func() {
	t.Helper()
	var fds []int
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}); err != nil {
		t.Fatal(err)
	}
	for {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			break
		}
		fds = append(fds, fd)
	}
	return func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

// localBut127002 takes 127.0.0.2 for a remote client.
func localBut127002(a netip.Addr) bool { return a != netip.AddrFrom4([4]byte{127, 0, 0, 2}) }

func TestRemoteClientAtTheLimitGetsAnAnswer(t *testing.T) {
	refused := make(chan fault.Kind, 1)
	r := newTestRegistry(t, Options{Handler: newEcho(), Refused: func(_ *Listener, _ netip.Addr, k fault.Kind) { refused <- k }})
	r.local = localBut127002
	p := one("http", "127.0.0.1:0")
	p.MaxConnections = 1
	apply(t, r, p)
	say(t, dial(t, addressOf(t, r, "http")), "a")
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	c, err := d.Dial("tcp", addressOf(t, r, "http"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 503 {
		t.Fatalf("answer at the limit = %v, %v, want 503", resp, err)
	}
	if k := <-refused; k != fault.ConnectionLimit {
		t.Errorf("Refused(%v), want %v", k, fault.ConnectionLimit)
	}
	if l := r.Listeners()[0]; l.Refused() != 1 || l.Open() != 1 {
		t.Errorf("Refused() = %d, Open() = %d, want 1 and 1", l.Refused(), l.Open())
	}
}
