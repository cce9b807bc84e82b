package main

import (
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	connsMax    = 1 << 17 // file descriptors above this are refused
	eventsMax   = 256
	readBytes   = 64 << 10
	listenQueue = 4096
)

// loop owns the process: every descriptor it waits for and every connection.
// All of it runs on one thread, so nothing is locked.
type loop struct {
	epoll, timer int
	listens      []bool // by file descriptor
	answers      *answers
	conns        []*conn // by file descriptor; records are kept after a close
	buf          []byte  // what one read returns, with room for a kept head before it
}

// newLoop returns a loop that listens on all of addrs.
func newLoop(addrs []netip.AddrPort) (*loop, error) {
	l := &loop{
		listens: make([]bool, connsMax),
		answers: newAnswers(time.Now()),
		conns:   make([]*conn, connsMax),
		buf:     make([]byte, headBytesMax+readBytes),
	}
	var err error
	if l.timer, err = secondTimer(); err != nil {
		return nil, err
	}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	for _, addr := range addrs {
		fd, err := listen(addr)
		if err != nil {
			return nil, err
		}
		l.listens[fd] = true
		if err := l.watch(fd, unix.EPOLLIN, unix.EPOLL_CTL_ADD); err != nil {
			return nil, err
		}
	}
	return l, l.watch(l.timer, unix.EPOLLIN, unix.EPOLL_CTL_ADD)
}

func listen(addr netip.AddrPort) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return 0, fmt.Errorf("reuse address: %w", err)
	}
	sa := &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	if err := unix.Bind(fd, sa); err != nil {
		return 0, fmt.Errorf("bind %v: %w", addr, err)
	}
	if err := unix.Listen(fd, listenQueue); err != nil {
		return 0, fmt.Errorf("listen on %v: %w", addr, err)
	}
	return fd, nil
}

// secondTimer returns a descriptor that becomes readable every second, when the
// Date fields are due.
func secondTimer() (int, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("timer: %w", err)
	}
	every := unix.Timespec{Sec: 1}
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
		return 0, fmt.Errorf("timer: %w", err)
	}
	return fd, nil
}

func (l *loop) watch(fd int, events uint32, op int) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(l.epoll, op, fd, &ev); err != nil {
		return fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	return nil
}

// run serves until waiting fails.
func (l *loop) run() error {
	var events [eventsMax]unix.EpollEvent
	for {
		n, errno := wait(l.epoll, &events)
		if errno != 0 && errno != unix.EINTR {
			return fmt.Errorf("wait: %w", errno)
		}
		for i := range max(n, 0) {
			switch fd := int(events[i].Fd); {
			case l.listens[fd]:
				l.accept(fd)
			case fd == l.timer:
				l.tick()
			default:
				l.serve(fd, events[i].Events)
			}
		}
	}
}

func (l *loop) tick() {
	var expirations [8]byte
	rawRead(l.timer, expirations[:])
	l.answers.setDate(time.Now())
}

// accept takes every connection that waits at a listener.
func (l *loop) accept(listener int) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		if fd >= connsMax || unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) != nil ||
			l.watch(fd, unix.EPOLLIN, unix.EPOLL_CTL_ADD) != nil {
			unix.Close(fd)
			continue
		}
		if l.conns[fd] == nil {
			l.conns[fd] = &conn{fd: fd}
		}
	}
}

// serve moves one connection on. While an answer is unsent the connection is
// watched for writing only, so a client that does not read is not read either.
func (l *loop) serve(fd int, events uint32) {
	c := l.conns[fd]
	wasBlocked := len(c.unsent) > 0
	ok := true
	if wasBlocked {
		ok = c.flush()
	} else {
		ok = c.read(l.buf, l.answers)
	}
	if ok && wasBlocked && len(c.unsent) == 0 {
		ok = c.handle(c.takeKept(l.buf), l.answers)
	}
	if !ok || events&unix.EPOLLERR != 0 {
		unix.Close(fd)
		c.reset()
		return
	}
	if blocked := len(c.unsent) > 0; blocked != wasBlocked {
		interest := uint32(unix.EPOLLIN)
		if blocked {
			interest = unix.EPOLLOUT
		}
		if l.watch(fd, interest, unix.EPOLL_CTL_MOD) != nil {
			unix.Close(fd)
			c.reset()
		}
	}
}

// The calls below go around the scheduler: the loop is alone in its process,
// so nothing gains from being told that this thread waits.

func wait(epoll int, events *[eventsMax]unix.EpollEvent) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(events)), eventsMax, ^uintptr(0), 0, 0)
	return int(n), errno
}

func rawRead(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

func rawWrite(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}
