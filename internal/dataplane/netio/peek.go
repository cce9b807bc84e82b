package netio

import (
	"errors"
	"io"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrNoPeek is returned by Peek on connections other than TCP.
var ErrNoPeek = errors.New("connection can't be looked into")

// Peek waits until at least that many bytes lie in the socket and copies what is there into
// p; the bytes stay. It returns io.EOF, with what there is, when the peer ended before.
func (c *Conn) Peek(p []byte, least int) (n int, err error) {
	if c.tcp == nil {
		return 0, ErrNoPeek
	}
	for {
		wait := c.raw.Read(func(uintptr) bool {
			n, err = c.peekInto(p, least)
			return n >= least || err != nil
		})
		if wait == nil {
			return n, err
		}
		if wait = c.woken(&c.read, wait); wait != nil {
			return n, wait
		}
	}
}

// peekInto copies what is there. The poller tells of new bytes but not of an end that came
// with those that are known, so that one is asked for.
func (c *Conn) peekInto(p []byte, least int) (int, error) {
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, c.fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
		switch {
		case e == syscall.EINTR:
		case e == syscall.EAGAIN:
			return 0, nil
		case e != 0:
			return 0, e
		case int(n) < least && c.peerEnded():
			return int(n), io.EOF
		default:
			return int(n), nil
		}
	}
}

// peerEnded reports whether the peer's FIN or a reset has come, even behind bytes that
// nobody has read yet.
func (c *Conn) peerEnded() bool {
	poll := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(poll, 0)
	return err == nil && n > 0 && poll[0].Revents&(unix.POLLRDHUP|unix.POLLERR|unix.POLLHUP) != 0
}

// Discard takes n bytes, which Peek has shown, out of the socket.
func (c *Conn) Discard(n int) error {
	for n > 0 {
		k, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, c.fd, 0, uintptr(n), syscall.MSG_TRUNC|syscall.MSG_DONTWAIT, 0, 0)
		switch {
		case e == syscall.EINTR:
		case e != 0:
			return e
		case k == 0:
			return io.EOF
		default:
			n -= int(k)
		}
	}
	return nil
}
