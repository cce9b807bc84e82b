package lifecycle

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// notifier tells the service manager about the process (sd_notify(3)). Without one it
// does nothing.
type notifier struct{ socket string }

// notifySeconds bounds how long a message waits for a service manager that doesn't read.
const notifySeconds = 1

// newNotifier takes the socket from NOTIFY_SOCKET and hides it from children.
func newNotifier() notifier {
	defer os.Unsetenv("NOTIFY_SOCKET")
	return notifier{os.Getenv("NOTIFY_SOCKET")}
}

// send sends assignments such as "READY=1". Errors are of no use to anybody.
func (n notifier) send(assignments ...string) { n.deliver(nil, assignments) }

// sendSocket sends assignments with a descriptor of a socket.
func (n notifier) sendSocket(socket syscall.Conn, assignments ...string) {
	if raw, err := socket.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { n.deliver(unix.UnixRights(int(fd)), assignments) })
	}
}

// deliver sends one message with the rights that go with it.
func (n notifier) deliver(rights []byte, assignments []string) {
	if n.socket == "" {
		return
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: notifySeconds})
	// A leading @ is an abstract socket to both.
	unix.Sendmsg(fd, []byte(strings.Join(assignments, "\n")), rights, &unix.SockaddrUnix{Name: n.socket}, 0)
}

func (n notifier) ready(status string) { n.send("READY=1", "STATUS="+status) }

func (n notifier) reloading() {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	n.send("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(ts.Nano()/1000, 10))
}

// stopping says that the process drains, which may take as long as limit.
func (n notifier) stopping(status string, limit time.Duration) {
	n.send("STOPPING=1", "STATUS="+status, "EXTEND_TIMEOUT_USEC="+strconv.FormatInt(limit.Microseconds(), 10))
}
