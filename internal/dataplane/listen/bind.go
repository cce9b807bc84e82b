package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// keepAliveIdle and keepAliveEvery tell the kernel when to probe a silent peer: a
	// connection whose other end is gone ends after idle + count * every.
	keepAliveIdle  = 60 * time.Second
	keepAliveEvery = 15 * time.Second
	keepAliveCount = 4
)

// BindError is an address that could not be bound.
type BindError struct {
	Listener string
	At       string // where the listener stands in the configuration
	Address  string
	Err      error
}

// Error returns one line that names the listener, its place and what is in the way.
func (e *BindError) Error() string {
	where := fmt.Sprintf("listener %q", e.Listener)
	if e.At != "" {
		where += " at " + e.At
	}
	_, port, _ := net.SplitHostPort(e.Address)
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return fmt.Sprintf("%s: address in use: %s is taken by another socket; 'ss -ltnp sport = :%s' shows whose", where, e.Address, port)
	case errors.Is(e.Err, syscall.EACCES):
		return fmt.Sprintf("%s: permission denied for %s: ports below 1024 need CAP_NET_BIND_SERVICE", where, e.Address)
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("%s: no interface of this host has the address of %s", where, e.Address)
	}
	return fmt.Sprintf("%s: can't listen on %s: %v", where, e.Address, e.Err)
}

// Unwrap returns the cause.
func (e *BindError) Unwrap() error { return e.Err }

// bind opens a listening socket with the system's longest queue (somaxconn). shared lets
// it take an address that overlaps one whose socket allows that too.
func bind(network, address string, shared bool) (*net.TCPListener, error) {
	cfg := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error {
		return tuneSocket(raw, shared)
	}}
	cfg.SetMultipathTCP(false) // its listener makes every handshake dearer
	ln, err := cfg.Listen(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}

// tuneSocket sets on the listening socket what accepted ones inherit from it, which
// saves four system calls for each of them. Go sets TCP_NODELAY by itself.
func tuneSocket(raw syscall.RawConn, shared bool) error {
	var err error
	set := func(fd, level, opt, value int) {
		if err == nil {
			err = unix.SetsockoptInt(fd, level, opt, value)
		}
	}
	controlErr := raw.Control(func(p uintptr) {
		fd := int(p)
		set(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
		set(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(keepAliveIdle/time.Second))
		set(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(keepAliveEvery/time.Second))
		set(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveCount)
		if shared {
			set(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}
	})
	return errors.Join(controlErr, err)
}

// setShared lets another socket of this process take an address that overlaps that of
// ln, or ends that.
func setShared(ln *net.TCPListener, shared bool) {
	value := 0
	if shared {
		value = 1
	}
	if raw, err := ln.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, value) })
	}
}
