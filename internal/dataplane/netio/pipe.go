package netio

import "time"

// Pipe is a stream of bytes both ways: a connection, or a stream of one. A goroutine may read
// while another one writes.
type Pipe interface {
	// Read waits for at least one byte. It returns io.EOF when the peer has said that no more
	// come, and ErrTimeout, after which reading may go on, when the deadline has passed.
	Read(p []byte) (int, error)
	// Write writes all of p.
	Write(p []byte) (int, error)
	// CloseWrite tells the peer that no more bytes come.
	CloseWrite() error
	// Reset has the peer told, when the pipe is closed, that it broke off and didn't end.
	Reset()
	// Interrupt ends all waits, now and later.
	Interrupt()
	// SetReadDeadline sets when a read ends, on the clock; 0 is never.
	SetReadDeadline(at time.Duration)
	// Clock returns the clock of the pipe.
	Clock() *Clock
}
