package admin

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// peerMax bounds the open connections of one user of this machine, or one address, root
	// and the user of the process aside.
	peerMax = 32
	// peersMax bounds all of them at one listener.
	peersMax = 512
)

// bounded is a listener on which nobody can take all connections.
type bounded struct {
	net.Listener
	mu struct {
		sync.Mutex
		open map[string]int
		all  int
	}
}

func newBounded(ln net.Listener) *bounded {
	b := &bounded{Listener: ln}
	b.mu.open = make(map[string]int)
	return b
}

// Accept implements net.Listener. Connections too many are closed at once.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		key := peerKey(c)
		if b.take(key) {
			return &countedConn{Conn: c, gone: sync.OnceFunc(func() { b.give(key) })}, nil
		}
		c.Close()
	}
}

func (b *bounded) take(key string) bool {
	if key == "" {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.open[key] >= peerMax || b.mu.all >= peersMax {
		return false
	}
	b.mu.open[key]++
	b.mu.all++
	return true
}

func (b *bounded) give(key string) {
	if key == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.all--
	if b.mu.open[key]--; b.mu.open[key] == 0 {
		delete(b.mu.open, key)
	}
}

// peerKey names who has opened a connection; "" is who has no bound.
func peerKey(c net.Conn) string {
	unixConn, ok := c.(*net.UnixConn)
	if !ok {
		if at, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
			return at.Addr().String()
		}
		return c.RemoteAddr().String()
	}
	raw, err := unixConn.SyscallConn()
	if err != nil {
		return "?"
	}
	uid := -1
	raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid = int(cred.Uid)
		}
	})
	if uid == 0 || uid == os.Geteuid() {
		return ""
	}
	return strconv.Itoa(uid)
}

// countedConn is a connection that its listener counts.
type countedConn struct {
	net.Conn
	gone func()
}

// Close closes the connection.
func (c *countedConn) Close() error {
	c.gone()
	return c.Conn.Close()
}
