package netio

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// CanTransfer reports whether Transfer between the two stays inside the kernel. Where a layer
// is in between there is no Transfer at all.
func CanTransfer(dst, src *Conn) bool {
	return dst.tcp != nil && src.tcp != nil && dst.layer == nil && src.layer == nil
}

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

const (
	// batchBytes is how many bytes a transfer waits for before it moves them: a source that
	// is quicker than we are else wakes everybody for every piece.
	batchBytes = 256 << 10
	// batchPatience is how long it waits for so many. A source that is slower is followed
	// byte by byte from then on.
	batchPatience = 50 * time.Millisecond
)

// Transfer moves n bytes from src to dst, inside the kernel where both are TCP. It returns
// how many bytes were moved and which side failed: readErr is io.EOF when src ended early.
//
// It ends with ErrTimeout of src when that exhausts wait.
func Transfer(dst, src *Conn, n int64, wait Patience) (total int64, readErr, writeErr error) {
	r := &dst.source
	r.R = src.nc
	defer func() { r.R = nil }()
	dst.startWaitingForRoom()
	defer dst.write.deadline.Store(0)
	batch := newBatch(src, n)
	defer batch.end()
	quiet := src.clock.Now()
	for total < n {
		r.N = batch.next(n - total)
		src.SetReadDeadline(batch.deadline(wait.from(quiet)))
		k, err := dst.readFrom(r)
		total += k
		if k > 0 {
			quiet = src.clock.Now()
		}
		switch {
		case err == nil && r.N > 0:
			return total, io.EOF, nil
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			if dst.failed(src, err) {
				return total, nil, err
			}
			return total, err, nil
		case dst.expired(&dst.write):
			return total, nil, dst.woken(&dst.write, err)
		case batch.impatient():
			if err = src.woken(&src.read, err); err != nil && err != ErrTimeout {
				return total, err, nil
			}
		default:
			if err = src.woken(&src.read, err); err != nil && (err != ErrTimeout || k == 0 || wait.over(src.clock.Now())) {
				return total, err, nil
			}
		}
	}
	return total, nil, nil
}

// batch makes the kernel wake a transfer only when many bytes are there. The last of them
// are moved without: what is waited for must still be to come.
type batch struct {
	src *Conn
	on  bool
}

func newBatch(src *Conn, n int64) batch {
	b := batch{src: src}
	if src.tcp != nil && n >= 2*batchBytes {
		b.set(true)
	}
	return b
}

// set begins or ends batching.
func (b *batch) set(on bool) {
	b.on = on
	low := 1
	if on {
		low = batchBytes
	}
	unix.SetsockoptInt(int(b.src.fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, low)
}

// next returns how many of the bytes left to move at once.
func (b *batch) next(left int64) int64 {
	if b.on && left > batchBytes {
		return left - batchBytes
	}
	b.end()
	return left
}

// deadline returns the earlier of at and the end of our patience.
func (b *batch) deadline(at time.Duration) time.Duration {
	if !b.on {
		return at
	}
	return min(at, b.src.clock.Now()+batchPatience)
}

// impatient ends batching after a wait that was too long, and reports whether there was any.
func (b *batch) impatient() bool {
	if !b.on {
		return false
	}
	b.set(false)
	return true
}

func (b *batch) end() {
	if b.on {
		b.set(false)
	}
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
