package listen

import (
	"net"
	"net/http"
	"strconv"
	"syscall"

	"sentinel/internal/dataplane/fault"

	"golang.org/x/sys/unix"
)

// refusals holds the complete answer for each fault that is answered before a byte of
// the request was read.
type refusals map[fault.Kind][]byte

func newRefusals() refusals {
	r := make(refusals)
	for _, k := range [...]fault.Kind{fault.ConnectionLimit, fault.ClientConnectionLimit, fault.DescriptorLimit, fault.MemoryLimit} {
		r[k] = cannedAnswer(k)
	}
	return r
}

// cannedAnswer returns an HTTP/1.1 response (RFC 9112 section 4) that closes.
func cannedAnswer(k fault.Kind) []byte {
	row := k.Row()
	body := fault.AppendBody(nil, k, row.Status, "", fault.FormJSON)
	b := append([]byte("HTTP/1.1 "), strconv.Itoa(row.Status)...)
	b = append(b, ' ')
	b = append(b, http.StatusText(row.Status)...)
	b = append(b, "\r\nConnection: close\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nRetry-After: "...)
	b = strconv.AppendInt(b, int64(max(row.RetryAfter, 1)), 10)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, body...)
}

// refusalAlert tells a client that waits for a handshake that there will be none: a fatal
// internal_error (RFC 8446 section 6.2), in a record that every version understands.
var refusalAlert = []byte{21, 3, 1, 0, 2, 2, 80}

// answer writes the canned answer for k and closes nc.
func (r refusals) answer(nc *net.TCPConn, k fault.Kind) { farewell(nc, r[k]) }

// farewell writes a few last bytes and closes nc, all without waiting: a new
// connection has room for it. What the client has sent by now is thrown away, because
// a close with unread bytes is a reset, which may overtake the answer.
func farewell(nc *net.TCPConn, text []byte) {
	defer nc.Close()
	raw, err := nc.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		if _, err := unix.Write(int(fd), text); err != nil {
			return
		}
		unix.Shutdown(int(fd), unix.SHUT_WR)
		var sink [512]byte
		for range discardReadsMax {
			n, _, err := unix.Recvfrom(int(fd), sink[:], syscall.MSG_DONTWAIT)
			if err != nil || n < len(sink) {
				return
			}
		}
	})
}

// reset closes nc by a reset: the cheapest end there is, for us (no TIME_WAIT) and not for
// the client, who gets no answer.
func reset(nc *net.TCPConn) {
	nc.SetLinger(0) // fails only for a connection that is gone
	nc.Close()
}

// discardReadsMax bounds how many reads are spent on a client that is refused.
const discardReadsMax = 16
