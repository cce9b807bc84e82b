package netio

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrAgain is returned by TryRead when no byte is there.
var ErrAgain = errors.New("no bytes yet")

// ErrTimeout is returned when a deadline of the connection has passed.
var ErrTimeout = errors.New("deadline passed")

// ErrInterrupted is returned by waits of a connection that was interrupted.
var ErrInterrupted = errors.New("connection interrupted")

// Conn is a connection that one goroutine reads and writes in straight-line code.
// At most one further goroutine (a Task) may use the other direction meanwhile.
type Conn struct {
	clock *Clock
	nc    net.Conn
	tcp   *net.TCPConn    // nil when nc is served by its own Read and Write
	raw   syscall.RawConn // of tcp
	fd    uintptr         // of tcp; valid until Close, which only the owner calls
	layer Layer           // what reads and writes go through; nil for none
	// beneath is what the layer stands on; nil for none.
	beneath *transport
	cut     bool // Reset was called

	read, write direction
	interrupted atomic.Bool
	// waitingSince is when Turns began to wait, 0 while a turn runs or after the clock
	// has looked whether the peer is still there.
	waitingSince atomic.Int64
	watch        watch

	turn    func() Verdict
	verdict Verdict
	onTurn  func(uintptr) bool // turnReady, bound once
	onPair  func(uintptr) bool // pairReady, bound once
	pair    writeThenRead
	source  io.LimitedReader // of the Transfer into this connection

	wheel struct {
		next, prev *Conn // guarded by Clock.mu, as all of wheel
		slot       int32
		visiting   bool
		closed     bool
		armed      atomic.Int64
	}
}

// direction is the deadline state of one direction of a connection.
type direction struct {
	deadline atomic.Int64 // on the clock, in nanoseconds; 0 for none
	window   atomic.Int64 // writes only: how long a write may wait without progress
	rate     atomic.Int64 // writes only: how much progress is one, in bytes a second
	// interrupted makes every wait of the direction end.
	interrupted atomic.Bool
	progress    uint64 // writes only: bytes acknowledged when the clock last looked; the clock's
}

// NewConn wraps an open connection. A *net.TCPConn is driven by its descriptor.
func NewConn(clock *Clock, nc net.Conn) *Conn {
	c := &Conn{clock: clock, nc: nc}
	c.wheel.armed.Store(never)
	if tcp, ok := nc.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			c.tcp, c.raw = tcp, raw
			raw.Control(func(fd uintptr) { c.fd = fd })
		}
	}
	return c
}

// NetConn returns the wrapped connection.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Clock returns the clock of the connection.
func (c *Conn) Clock() *Clock { return c.clock }

// Close closes the connection. Only its owner may call it.
func (c *Conn) Close() error {
	c.farewell()
	c.clock.disarm(c)
	return c.nc.Close()
}

// CloseWrite sends a FIN where the transport has one, behind the farewell of a layer.
func (c *Conn) CloseWrite() error {
	if c.layer != nil {
		c.layer.CloseWrite() // fails only where the next line does
	}
	if h, ok := c.nc.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return nil
}

// Reset makes Close send a reset instead of a FIN, so that the peer can't mistake a
// broken message for a complete one.
func (c *Conn) Reset() {
	c.cut = true
	if c.tcp != nil {
		c.tcp.SetLinger(0)
	}
}

// Interrupt makes all waits of the connection return ErrInterrupted, now and later.
// Any goroutine may call it.
func (c *Conn) Interrupt() {
	c.interrupted.Store(true)
	c.nc.SetDeadline(longAgo)
}

// Interrupted reports whether Interrupt was called.
func (c *Conn) Interrupted() bool { return c.interrupted.Load() }

// InterruptReads and InterruptWrites make one direction's wait, and all later ones, end with ErrTimeout. Any goroutine may call them.
func (c *Conn) InterruptReads() {
	c.read.interrupted.Store(true)
	c.nc.SetReadDeadline(longAgo)
}

// ResumeReads lets reads wait again. Only the owner may call it.
func (c *Conn) ResumeReads() { c.read.interrupted.Store(false) }

// ResumeWrites is ResumeReads for writing.
func (c *Conn) ResumeWrites() { c.write.interrupted.Store(false) }

// InterruptWrites is InterruptReads for writing.
func (c *Conn) InterruptWrites() {
	c.write.interrupted.Store(true)
	c.nc.SetWriteDeadline(longAgo)
}

var longAgo = time.Unix(1, 0)

// SetReadDeadline sets when a wait for bytes ends with ErrTimeout; 0 is never.
func (c *Conn) SetReadDeadline(at time.Duration) { c.setDeadline(&c.read, at) }

// SetWriteTimeout sets for how long a write may wait without the peer acknowledging a
// byte before it ends with ErrTimeout; 0 is for ever.
func (c *Conn) SetWriteTimeout(window time.Duration) { c.SetWritePace(window, 0) }

// SetWritePace is SetWriteTimeout where the peer must acknowledge so many bytes a second of a
// write that waits, looked at once a window. It may be called for each request.
func (c *Conn) SetWritePace(window time.Duration, rate int64) {
	w := &c.write
	if w.window.Load() != int64(window) || w.rate.Load() != rate {
		w.window.Store(int64(window))
		w.rate.Store(rate)
	}
}

func (c *Conn) setDeadline(d *direction, at time.Duration) {
	d.deadline.Store(int64(at))
	if at != 0 && int64(at) < c.wheel.armed.Load() {
		c.clock.arm(c, int64(at))
	}
}

// startWaitingForRoom sets the deadline of a write that has to wait.
func (c *Conn) startWaitingForRoom() {
	if w := c.write.window.Load(); w != 0 {
		c.setDeadline(&c.write, c.clock.Now()+time.Duration(w))
	}
}

// earliest returns when the clock must look at c at the latest.
func (c *Conn) earliest() int64 {
	at := never
	for _, d := range [...]int64{c.read.deadline.Load(), c.write.deadline.Load()} {
		if d != 0 {
			at = min(at, d)
		}
	}
	if since := c.waitingSince.Load(); since != 0 {
		at = min(at, since+int64(verifyAfter))
	}
	return min(at, c.watch.at())
}

// visit is called by the clock: it wakes the waits whose deadline has passed.
func (c *Conn) visit(now int64) {
	if d := c.read.deadline.Load(); d != 0 && now >= d {
		c.nc.SetReadDeadline(longAgo)
	}
	if d := c.write.deadline.Load(); d != 0 && now >= d {
		if w := c.write.window.Load(); w != 0 && c.peerReads() {
			c.write.deadline.CompareAndSwap(d, now+w)
		} else {
			c.nc.SetWriteDeadline(longAgo)
		}
	}
	if since := c.waitingSince.Load(); since != 0 && now-since >= int64(verifyAfter) {
		c.waitingSince.CompareAndSwap(since, 0)
		if c.PeerGone() {
			c.nc.SetReadDeadline(longAgo)
		}
	}
	c.watch.visit(c, now)
}

// woken turns the error of a wait that the clock or Interrupt has ended into ours. It
// returns nil when the deadline was moved meanwhile and the wait should go on.
func (c *Conn) woken(d *direction, err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	if c.interrupted.Load() {
		return ErrInterrupted
	}
	if d.interrupted.Load() {
		return ErrTimeout
	}
	if d == &c.read {
		c.nc.SetReadDeadline(time.Time{})
	} else {
		c.nc.SetWriteDeadline(time.Time{})
	}
	if at := d.deadline.Load(); at != 0 && int64(c.clock.Now()) >= at {
		return ErrTimeout
	}
	if d == &c.read && c.watch.clientGone() {
		return ErrClientGone
	}
	if c.interrupted.Load() { // it came between the two lines above
		c.nc.SetDeadline(longAgo)
		return ErrInterrupted
	}
	return nil
}

// Read waits until at least one byte is there. It returns io.EOF after the peer's FIN.
func (c *Conn) Read(p []byte) (int, error) {
	if c.layer != nil {
		return c.readLayer(p)
	}
	return c.readTransport(p)
}

func (c *Conn) readTransport(p []byte) (int, error) {
	for {
		n, err := c.nc.Read(p)
		if n > 0 || err == nil {
			return n, nil
		}
		if err == io.EOF {
			return 0, io.EOF
		}
		if err = c.woken(&c.read, err); err != nil {
			return 0, err
		}
	}
}

// TryRead reads what is there. On TCP it never waits and returns ErrAgain when there is
// nothing; other connections wait.
func (c *Conn) TryRead(p []byte) (int, error) {
	switch {
	case c.tcp == nil:
		return c.Read(p)
	case c.layer != nil:
		return c.tryLayer(p)
	}
	return c.rawRead(p)
}

// Write writes all of p, waiting for room as needed. written says how much went out
// before an error.
func (c *Conn) Write(p []byte) (written int, err error) {
	if c.layer != nil {
		written, err = c.layer.Write(p)
		return written, plain(err)
	}
	return c.writeTransport(p)
}

func (c *Conn) writeTransport(p []byte) (written int, err error) {
	if c.tcp != nil {
		n, err := c.rawWrite(p)
		if err != nil || n == len(p) {
			return n, err
		}
		written = n
	}
	c.startWaitingForRoom()
	defer c.write.deadline.Store(0)
	for written < len(p) {
		n, err := c.nc.Write(p[written:])
		written += n
		if err != nil {
			if err = c.woken(&c.write, err); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}
