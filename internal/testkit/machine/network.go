package machine

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Inside calls f in the network of the machine, for many sockets at a time: those that f opens
// itself, not by goroutines that it starts, are there.
func (m *Machine) Inside(f func()) error {
	return m.inNetwork(func() error { f(); return nil })
}

// inNetwork calls f, which opens sockets without starting goroutines, in the network of the
// machine.
func (m *Machine) inNetwork(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Not unlocked: a thread that was in another network ends with its goroutine.
		runtime.LockOSThread()
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", m.pid))
		if err != nil {
			done <- err
			return
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// Dial connects to an address in the machine, given as numbers.
func (m *Machine) Dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	var d net.Dialer
	if nsErr := m.inNetwork(func() error { c, err = d.DialContext(ctx, network, address); return nil }); nsErr != nil {
		return nil, nsErr
	}
	return c, err
}

// Listen opens a socket in the machine on which the test's process serves, an origin for
// instance. It is closed when the test ends.
func (m *Machine) Listen(address string) net.Listener {
	m.tb.Helper()
	var ln net.Listener
	var err error
	if nsErr := m.inNetwork(func() error { ln, err = net.Listen("tcp", address); return nil }); nsErr != nil {
		err = nsErr
	}
	if err != nil {
		m.tb.Fatal(err)
	}
	m.tb.Cleanup(func() { ln.Close() })
	return ln
}

// Client returns a client that connects in the machine, anew for each request.
func (m *Machine) Client() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: m.Dial, DisableKeepAlives: true}}
}
