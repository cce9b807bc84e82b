package netio

import (
	"errors"
	"io"
	"net"
	"time"
)

// Layer is a protocol between a connection and its transport: TLS. Its methods are those of
// *tls.Conn.
type Layer interface {
	io.ReadWriter
	CloseWrite() error
}

// Transport returns the bare connection beneath a layer that is yet to come. It waits and is
// interrupted like c, whose deadlines hold; its own do nothing.
//
// While c tries to read without waiting, a read that finds nothing ends with an error that
// is temporary, after which the layer goes on where it was.
func (c *Conn) Transport() net.Conn {
	if c.beneath == nil {
		c.beneath = &transport{c: c}
	}
	return c.beneath
}

// Secure makes l, which stands on c.Transport(), what all later reads and writes go through.
func (c *Conn) Secure(l Layer) { c.layer = l }

// transport is a connection as its layer sees it.
type transport struct {
	c *Conn
	// trying is true while TryRead is under way: a read may not wait then. short says that
	// one of its reads has emptied the socket. Both belong to the reader.
	trying, short bool
	parting       bool // Close is under way: a write may not wait
	// unseen is true when bytes have been handed out and the end that came with them has not.
	unseen bool
	probe  [1]byte // what Alive finds, which makes the connection useless
}

// Read implements net.Conn.
func (t *transport) Read(p []byte) (n int, err error) {
	switch {
	case !t.trying || t.c.tcp == nil:
		n, err = t.c.readTransport(p)
	case t.short:
		return 0, errAgain
	default:
		n, err = t.c.rawRead(p)
		t.short = n < len(p)
	}
	return n, passing(err)
}

// Write implements net.Conn.
func (t *transport) Write(p []byte) (int, error) {
	if t.parting && t.c.tcp != nil {
		return t.c.rawWrite(p)
	}
	return t.c.writeTransport(p)
}

// Close implements net.Conn and does nothing: the owner of the connection closes it.
func (t *transport) Close() error { return nil }

// LocalAddr implements net.Conn.
func (t *transport) LocalAddr() net.Addr { return t.c.nc.LocalAddr() }

// RemoteAddr implements net.Conn.
func (t *transport) RemoteAddr() net.Addr { return t.c.nc.RemoteAddr() }

// SetDeadline implements net.Conn and does nothing.
func (t *transport) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn and does nothing.
func (t *transport) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn and does nothing.
func (t *transport) SetWriteDeadline(time.Time) error { return nil }

// passingError is an error after which a layer may read on: crypto/tls keeps all others.
type passingError struct{ err error }

func (e *passingError) Error() string   { return e.err.Error() }
func (e *passingError) Unwrap() error   { return e.err }
func (e *passingError) Timeout() bool   { return e.err == ErrTimeout }
func (e *passingError) Temporary() bool { return true }

var (
	errAgain       = &passingError{ErrAgain}
	errTimeout     = &passingError{ErrTimeout}
	errInterrupted = &passingError{ErrInterrupted}
)

func passing(err error) error {
	switch err {
	case ErrAgain:
		return errAgain
	case ErrTimeout:
		return errTimeout
	case ErrInterrupted:
		return errInterrupted
	}
	return err
}

// plain undoes passing.
func plain(err error) error {
	if p, ok := err.(*passingError); ok {
		return p.err
	}
	return err
}

// readLayer is Read through the layer.
func (c *Conn) readLayer(p []byte) (int, error) {
	n, err := c.layer.Read(p)
	if n > 0 {
		return n, nil // the layer says it again
	}
	return 0, plain(err)
}

// tryLayer is TryRead through the layer. A read of a layer ends with its record, so that a
// short one says little; this one is short only when nothing more is there.
func (c *Conn) tryLayer(p []byte) (n int, err error) {
	t := c.beneath
	t.trying, t.short = true, false
	for n < len(p) && err == nil {
		var k int
		k, err = c.layer.Read(p[n:])
		n += k
	}
	t.trying = false
	t.unseen = n > 0 && err != nil && err != errAgain
	if n > 0 {
		return n, nil
	}
	return 0, plain(err)
}

// farewell has the layer say that no more comes. It is left out where the peer must not
// take what it has for the whole, and where something stands in the way of a few bytes.
func (c *Conn) farewell() {
	if c.layer == nil || c.cut {
		return
	}
	c.beneath.parting = true
	c.layer.CloseWrite()
}

// Unwrapped returns what a layer's error is for netio: ErrTimeout, ErrInterrupted or io.EOF
// where that is what happened to the transport, else the error itself.
func Unwrapped(err error) error {
	for _, own := range [...]error{ErrTimeout, ErrInterrupted} {
		if errors.Is(err, own) {
			return own
		}
	}
	return err
}
