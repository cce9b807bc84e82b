package netio

import (
	"io"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawRead is recv(2) on the non-blocking descriptor, without telling the scheduler: it
// can't block. Of a socket it is cheaper than read(2), which goes through the file layer.
func (c *Conn) rawRead(p []byte) (int, error) {
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, c.fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			syscall.MSG_DONTWAIT, 0, 0)
		switch {
		case e == 0 && n > 0:
			return int(n), nil
		case e == 0:
			return 0, io.EOF
		case e == syscall.EAGAIN:
			return 0, ErrAgain
		case e != syscall.EINTR:
			return 0, e
		}
	}
}

// rawWrite is send(2) likewise; it writes what there is room for.
func (c *Conn) rawWrite(p []byte) (int, error) {
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, c.fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
		switch e {
		case 0:
			return int(n), nil
		case syscall.EAGAIN:
			return 0, nil
		case syscall.EINTR:
		default:
			return 0, e
		}
	}
}

// Alive looks without waiting whether the connection can carry a new request: no FIN,
// no error and no unasked-for byte has come. The owner calls it before it uses a
// connection that has lain idle. It says true of connections it can't look into.
func (c *Conn) Alive() bool {
	if c.tcp == nil {
		return true
	}
	if c.beneath != nil && c.beneath.unseen {
		return false
	}
	if c.layer != nil { // bytes of the layer's own, such as tickets, are no answer; it may hold others
		_, err := c.tryLayer(c.beneath.probe[:])
		return err == ErrAgain
	}
	n, e := peek(c.fd)
	return n < 0 && e == syscall.EAGAIN
}

// PeerGone reports whether the peer has closed the connection, or its own direction of it.
// Bytes that wait are no reason to think so. Any goroutine may call it. It says false of
// connections it can't look into.
func (c *Conn) PeerGone() bool {
	gone := false
	if c.raw != nil {
		c.raw.Control(func(fd uintptr) {
			n, e := peek(fd)
			gone = n == 0 || n < 0 && e != syscall.EAGAIN && e != syscall.EINTR
		})
	}
	return gone
}

func peek(fd uintptr) (int, syscall.Errno) {
	var b [1]byte
	n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b[0])), 1,
		syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	return int(n), e
}

// peerReads reports whether the peer has acknowledged enough bytes since the clock last
// asked, which is a window ago if it has asked during this write: one, or what its rate asks.
func (c *Conn) peerReads() bool {
	if c.raw == nil {
		return false
	}
	var acked uint64
	c.raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			acked = info.Bytes_acked
		}
	})
	moved := acked - c.write.progress
	c.write.progress = acked
	least := c.write.rate.Load() * (c.write.window.Load() / int64(time.Millisecond)) / 1000
	return moved >= uint64(max(least, 1))
}
