package lifecycle

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// predecessorVariable holds the descriptor of a socket over which a process talks with the
// one it replaces. What is said is a line each:
//
//	former: "ready" or "not ready"      what it is itself
//	next:   "ready VERSION"             all is prepared, nothing is felt yet; or
//	        "failed TEXT"
//	former: "serve"
//	next:   "serving"                   it accepts and has the pid file, metrics, admin socket
//	former: "main"                      the service manager knows; then it drains
//
// Until "serving" the former process goes on as if nothing were, whatever becomes of the
// next. One that hears the socket end instead of "serve" or "main" is alone and serves.
const predecessorVariable = "SENTINEL_PREDECESSOR"

const (
	// checkLimit bounds how long a new binary may check the configuration.
	checkLimit = 30 * time.Second
	// readyLimit bounds how long a new process may take until it is ready, and warmLimit how
	// much of that it waits for the first look at its upstreams.
	readyLimit = 40 * time.Second
	warmLimit  = 30 * time.Second
	// stepLimit bounds each step after that.
	stepLimit = 10 * time.Second
	// lineMax is how long a line may be.
	lineMax = 4 << 10
)

// talk is one end of the conversation of two processes.
type talk struct {
	conn *net.UnixConn
	in   *bufio.Reader
}

func newTalk(f *os.File) (*talk, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("no unix socket")
	}
	return &talk{u, bufio.NewReaderSize(u, lineMax)}, nil
}

// talkPair returns one end, and the other as a file for a new process.
func talkPair() (*talk, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "next")
	t, err := newTalk(os.NewFile(uintptr(fds[0]), "former"))
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return t, theirs, nil
}

func (t *talk) say(line string) {
	line = strings.ReplaceAll(line, "\n", "; ")
	t.conn.SetWriteDeadline(time.Now().Add(stepLimit))
	t.conn.Write([]byte(line[:min(len(line), lineMax-1)] + "\n")) // who doesn't hear it has gone
}

// hear returns the next line. The error is io.EOF when the other process has gone.
func (t *talk) hear(limit time.Duration) (string, error) {
	t.conn.SetReadDeadline(time.Now().Add(limit))
	line, err := t.in.ReadSlice('\n')
	return strings.TrimSuffix(string(line), "\n"), err
}

func (t *talk) close() { t.conn.Close() }

// predecessor is the process that this one replaces.
type predecessor struct {
	*talk
	pid   int
	ready bool // it was
}

// findPredecessor returns the process that has started this one to be replaced by it; nil for
// none. What the environment says of it is cleared.
func findPredecessor() *predecessor {
	value := os.Getenv(predecessorVariable)
	os.Unsetenv(predecessorVariable)
	fd, err := strconv.Atoi(value)
	if err != nil {
		return nil
	}
	peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil || int(peer.Uid) != os.Geteuid() || int(peer.Pid) == os.Getpid() {
		return nil // the variable is of somebody else
	}
	t, err := newTalk(os.NewFile(uintptr(fd), "former"))
	if err != nil {
		return nil
	}
	first, err := t.hear(stepLimit)
	if err != nil {
		t.close()
		return nil
	}
	return &predecessor{t, int(peer.Pid), first == "ready"}
}

// id returns the process id of the predecessor; 0 without one.
func (b *predecessor) id() int {
	if b == nil {
		return 0
	}
	return b.pid
}

// failed tells the predecessor why it has to go on.
func (b *predecessor) failed(err error) {
	if b != nil {
		d := describe(err)
		b.say(fmt.Sprintf("failed %s: %s", d.kind, strings.Join(d.lines[:min(len(d.lines), detailsMax)], "; ")))
		b.close()
	}
}
