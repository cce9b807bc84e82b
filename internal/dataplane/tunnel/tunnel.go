// Package tunnel passes bytes between two pipes, both ways, until they end: what is
// left of HTTP after an upgrade, and streams that were never HTTP.
package tunnel

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/netio"
)

const (
	// bufferBytes is the size of the buffers that bytes pass through. Between bare
	// connections one is borrowed only when bytes are there.
	bufferBytes = 64 << 10
	// bulkBytes is how many bytes are moved inside the kernel at once; in between they are
	// counted.
	bulkBytes = 4 << 20
	// bulkSilence ends a move inside the kernel, so that small pieces pass without delay.
	bulkSilence = time.Second
)

var buffers = sync.Pool{New: func() any { return new([bufferBytes]byte) }}

// End says why a tunnel has ended.
type End uint32

// The ends; the first cause counts.
const (
	Closed       End = iota // both sides have said that they are done
	Idle                    // nothing passed for too long
	ClientLost              // reset, or it took no more bytes
	UpstreamLost            // likewise
	Interrupted             // by somebody else: a drain, a ban
)

// Tunnel is one tunnel. It is used once.
type Tunnel struct {
	Client, Upstream netio.Pipe
	// FromClient and FromUpstream were read from either side before the tunnel began.
	FromClient, FromUpstream []byte
	// Idle ends a tunnel through which nothing has passed for so long; 0 is never.
	Idle time.Duration
	// In and Out count what has passed from and to the client, while it passes.
	In, Out atomic.Int64

	last atomic.Int64 // when something passed, on the clock
	end  atomic.Uint32
}

// Run passes bytes until the tunnel ends. A FIN is passed on, and the other way goes on until
// its own FIN.
func (t *Tunnel) Run() End {
	t.touch()
	in := way{t: t, src: t.Client, dst: t.Upstream, early: t.FromClient, moved: &t.In, srcLost: ClientLost, dstLost: UpstreamLost}
	out := way{t: t, src: t.Upstream, dst: t.Client, early: t.FromUpstream, moved: &t.Out, srcLost: UpstreamLost, dstLost: ClientLost}
	task := netio.Go(func() error { in.pass(); return nil })
	out.pass()
	task.Wait()
	return End(t.end.Load())
}

func (t *Tunnel) touch() { t.last.Store(int64(t.Client.Clock().Now())) }

// over reports whether nothing has passed for too long.
func (t *Tunnel) over() bool {
	return t.Idle > 0 && t.Client.Clock().Now() >= time.Duration(t.last.Load())+t.Idle
}

// cut ends both ways. What broke off on one side breaks off on the other.
func (t *Tunnel) cut(why End) {
	if t.end.CompareAndSwap(uint32(Closed), uint32(why)) {
		switch why {
		case ClientLost:
			t.Upstream.Reset()
		case UpstreamLost:
			t.Client.Reset()
		}
	}
	t.Client.Interrupt()
	t.Upstream.Interrupt()
}

// way is one direction of a tunnel.
type way struct {
	t                *Tunnel
	src, dst         netio.Pipe
	early            []byte
	moved            *atomic.Int64
	srcLost, dstLost End
}

// pass passes bytes until src ends.
func (w *way) pass() {
	if len(w.early) > 0 && !w.write(w.early) {
		return
	}
	dst, bareTo := w.dst.(*netio.Conn)
	src, bareFrom := w.src.(*netio.Conn)
	if bareTo && bareFrom && netio.CanTransfer(dst, src) {
		w.passBare(dst, src)
		return
	}
	b := buffers.Get().(*[bufferBytes]byte)
	defer buffers.Put(b)
	for {
		w.arm()
		n, err := w.src.Read(b[:])
		if n > 0 && !w.write(b[:n]) || err != nil && !w.goesOn(err) {
			return
		}
	}
}

// passBare is pass between two TCP connections: it holds no memory while it waits, and has the
// kernel move what comes in bulk.
func (w *way) passBare(dst, src *netio.Conn) {
	var one [1]byte
	for {
		w.arm()
		if _, err := src.Peek(one[:], 1); err != nil {
			if !w.goesOn(err) {
				return
			}
			continue
		}
		b := buffers.Get().(*[bufferBytes]byte)
		n, err := src.TryRead(b[:])
		written := n == 0 || w.write(b[:n])
		buffers.Put(b)
		if !written || err != nil && err != netio.ErrAgain && !w.goesOn(err) {
			return
		}
		if n == bufferBytes && !w.bulk(dst, src) {
			return
		}
	}
}

// bulk moves bytes inside the kernel for as long as they keep coming. It reports whether the
// way goes on.
func (w *way) bulk(dst, src *netio.Conn) bool {
	for {
		n, readErr, writeErr := netio.Transfer(dst, src, bulkBytes, netio.Patience{Silence: bulkSilence})
		if n > 0 {
			w.moved.Add(n)
			w.t.touch()
		}
		switch {
		case writeErr != nil:
			w.lost(writeErr, w.dstLost)
			return false
		case readErr == netio.ErrTimeout:
			return true
		case readErr != nil:
			return w.goesOn(readErr)
		}
	}
}

// arm sets when src has been silent for too long.
func (w *way) arm() {
	if w.t.Idle > 0 {
		w.src.SetReadDeadline(time.Duration(w.t.last.Load()) + w.t.Idle)
	} else {
		w.src.SetReadDeadline(0)
	}
}

// write reports whether all of b went out.
func (w *way) write(b []byte) bool {
	n, err := w.dst.Write(b)
	w.moved.Add(int64(n))
	w.t.touch()
	if err != nil {
		w.lost(err, w.dstLost)
		return false
	}
	return true
}

// goesOn reports whether the way goes on after a read that failed.
func (w *way) goesOn(err error) bool {
	switch {
	case err == netio.ErrTimeout && !w.t.over():
		return true // the other way isn't idle
	case err == netio.ErrTimeout:
		w.t.cut(Idle)
	case err == io.EOF:
		w.dst.CloseWrite()
	default:
		w.lost(err, w.srcLost)
	}
	return false
}

func (w *way) lost(err error, side End) {
	if err == netio.ErrInterrupted {
		side = Interrupted
	}
	w.t.cut(side)
}
