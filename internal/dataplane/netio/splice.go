package netio

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// CanTransfer reports whether Transfer between the two stays inside the kernel.
func CanTransfer(dst, src *Conn) bool { return dst.tcp != nil && src.tcp != nil }

// Patience is how long a transfer may wait for its source.
type Patience struct {
	Silence time.Duration // between two bytes; looked at once a Silence
	Until   time.Duration // on the clock, whatever comes; 0 is for ever
}

func (p Patience) from(now time.Duration) time.Duration {
	if at := now + p.Silence; p.Until == 0 || at < p.Until {
		return at
	}
	return p.Until
}

func (p Patience) over(now time.Duration) bool { return p.Until > 0 && now >= p.Until }

// Transfer moves n bytes from src to dst, inside the kernel where both are TCP. It returns
// how many bytes were moved and which side failed: readErr is io.EOF when src ended early.
//
// It ends with ErrTimeout of src when that exhausts wait.
func Transfer(dst, src *Conn, n int64, wait Patience) (total int64, readErr, writeErr error) {
	r := &dst.source
	r.R = src.nc
	defer func() { r.R = nil }()
	src.SetReadDeadline(wait.from(src.clock.Now()))
	dst.startWaitingForRoom()
	defer dst.write.deadline.Store(0)
	for total < n {
		r.N = n - total
		k, err := dst.readFrom(r)
		total += k
		switch {
		case err == nil && total < n:
			return total, io.EOF, nil
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			if dst.failed(src, err) {
				return total, nil, err
			}
			return total, err, nil
		case dst.expired(&dst.write):
			return total, nil, dst.woken(&dst.write, err)
		default:
			err = src.woken(&src.read, err)
			if err != nil && (err != ErrTimeout || k == 0 || wait.over(src.clock.Now())) {
				return total, err, nil
			}
			src.SetReadDeadline(wait.from(src.clock.Now()))
		}
	}
	return total, nil, nil
}

func (c *Conn) readFrom(r *io.LimitedReader) (int64, error) {
	if c.tcp != nil {
		return c.tcp.ReadFrom(r)
	}
	return io.Copy(c.nc, r)
}

// expired reports whether a deadline of c has passed or c was interrupted.
func (c *Conn) expired(d *direction) bool {
	at := d.deadline.Load()
	return c.interrupted.Load() || at != 0 && int64(c.clock.Now()) >= at
}

// failed reports whether an error of a transfer from src into c is c's: the kernel's
// splice says only that one of the two failed.
func (c *Conn) failed(src *Conn, err error) bool {
	if errors.Is(err, syscall.EPIPE) || src.tcp == nil {
		return true
	}
	info, err := unix.GetsockoptTCPInfo(int(src.fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	return err == nil && info.State != tcpClose
}

// tcpClose is TCP_CLOSE of the kernel's TCP states: reset or fully closed.
const tcpClose = 7
