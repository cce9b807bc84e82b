// Package origin is an upstream for tests that does exactly what a script
// says, valid or not: it can answer, stall, half close, reset, or send bytes
// that are no HTTP. It records every byte it receives and counts connections
// and requests.
//
// A script runs once for each accepted connection, in a goroutine of its own,
// and the connection is closed when it returns:
//
//	o := origin.Start(t, func(c *origin.Conn) {
//		if _, err := c.ReadRequest(); err == nil {
//			c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
//			c.Reset()
//		}
//	})
package origin

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Script serves one connection.
type Script func(c *Conn)

// Origin is a listening upstream.
type Origin struct {
	listener net.Listener
	done     chan struct{} // closed by Close
	running  sync.WaitGroup
	requests atomic.Int64
	mu       struct {
		sync.Mutex
		script Script
		conns  []*Conn // all ever accepted
		closed bool
	}
}

// Start listens on a free port of 127.0.0.1 and closes the origin when the
// test ends.
func Start(tb testing.TB, script Script) *Origin {
	tb.Helper()
	o, err := Listen("127.0.0.1:0", script)
	if err != nil {
		tb.Fatalf("origin: %v", err)
	}
	tb.Cleanup(o.Close)
	return o
}

// Listen listens on a TCP address: one that an earlier origin had, for a test
// where the upstream comes back. The caller closes the origin.
func Listen(address string, script Script) (*Origin, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return Serve(l, script), nil
}

// Serve runs script for every connection that l accepts, until Close.
func Serve(l net.Listener, script Script) *Origin {
	o := &Origin{listener: l, done: make(chan struct{})}
	o.mu.script = script
	o.running.Go(o.accept)
	return o
}

func (o *Origin) accept() {
	for {
		conn, err := o.listener.Accept()
		if err != nil {
			return
		}
		c, script := o.admit(conn)
		if c == nil {
			conn.Close()
			return
		}
		o.running.Go(func() {
			defer c.conn.Close()
			script(c)
		})
	}
}

// admit records conn; it returns nil when the origin is closed.
func (o *Origin) admit(conn net.Conn) (*Conn, Script) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mu.closed {
		return nil, nil
	}
	c := newConn(o, conn)
	o.mu.conns = append(o.mu.conns, c)
	return c, o.mu.script
}

// Addr is the host:port the origin listens on.
func (o *Origin) Addr() string { return o.listener.Addr().String() }

// SetScript changes what the connections accepted from now on do.
func (o *Origin) SetScript(script Script) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.script = script
}

// Conns returns every connection accepted so far, ended ones too, in order.
func (o *Origin) Conns() []*Conn {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]*Conn(nil), o.mu.conns...)
}

// Connections is the number of connections accepted so far.
func (o *Origin) Connections() int { return len(o.Conns()) }

// Requests is the number of request heads that scripts have read completely.
func (o *Origin) Requests() int64 { return o.requests.Load() }

// Received returns everything received on all connections, one connection
// after the other in the order they were accepted.
func (o *Origin) Received() []byte {
	var all []byte
	for _, c := range o.Conns() {
		all = append(all, c.Received()...)
	}
	return all
}

// StopListening refuses new connections and leaves the open ones alone.
func (o *Origin) StopListening() { o.listener.Close() }

// CloseConns resets every open connection and goes on listening.
func (o *Origin) CloseConns() {
	for _, c := range o.Conns() {
		c.Reset()
	}
}

// Close kills the origin: it stops listening, resets every connection and
// waits for the scripts to return. It may be called again.
func (o *Origin) Close() {
	o.mu.Lock()
	first := !o.mu.closed
	o.mu.closed = true
	o.mu.Unlock()
	if first {
		close(o.done)
	}
	o.StopListening()
	o.CloseConns()
	o.running.Wait()
}
