package lifecycle

import (
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// notifier tells the service manager about the process (sd_notify(3)). Without one it
// does nothing.
type notifier struct{ socket string }

// newNotifier takes the socket from NOTIFY_SOCKET and hides it from children.
func newNotifier() notifier {
	defer os.Unsetenv("NOTIFY_SOCKET")
	return notifier{os.Getenv("NOTIFY_SOCKET")}
}

// send sends assignments such as "READY=1". Errors are of no use to anybody.
func (n notifier) send(assignments ...string) {
	if n.socket == "" {
		return
	}
	c, err := net.Dial("unixgram", n.socket) // a leading @ is an abstract socket to both
	if err != nil {
		return
	}
	defer c.Close()
	c.Write([]byte(strings.Join(assignments, "\n")))
}

func (n notifier) ready(status string) { n.send("READY=1", "STATUS="+status) }

func (n notifier) reloading() {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	n.send("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(ts.Nano()/1000, 10))
}

func (n notifier) stopping(status string) { n.send("STOPPING=1", "STATUS="+status) }
