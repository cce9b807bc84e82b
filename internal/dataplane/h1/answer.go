package h1

import (
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// answer is the state of the response to the request in hand.
type answer struct {
	out       []byte // borrowed from scratch while something is written
	scratch   *outBuffer
	closing   bool // the connection ends after it
	responded bool // its final head is out
	finished  bool
	tunnelled bool
	lingering bool
	mute      bool // the request or the status allows no content
	chunking  bool
	left      int64 // of a Content-Length; -1 without one
}

func (a *answer) reset() { *a = answer{} }

// borrowOut borrows the memory that a write is put together in. It is borrowed as late and
// given back as early as can be: what was used last is still in the processor's cache, and a
// request that waits holds none.
func (w *work) borrowOut() {
	w.scratch = newOutBuffer()
	w.out = w.scratch.b[:0]
}

func (w *work) returnOut() {
	w.scratch.b = w.out
	w.scratch.free()
	w.scratch, w.out = nil, nil
}

// Interim implements message.Responder.
func (w *work) Interim(h *message.Head) error {
	if w.req.Head.Minor == 0 || h.Status == 100 && !w.req.Head.Continue {
		return nil
	}
	if h.Status == 100 {
		if w.content.asked {
			return nil
		}
		w.content.asked = true
	}
	w.borrowOut()
	defer w.returnOut()
	w.out = appendStatusLine(w.out, h)
	w.out = h.AppendFields(w.out)
	w.out = append(w.out, '\r', '\n')
	return w.write(w.out)
}

// Respond implements message.Responder.
func (w *work) Respond(h *message.Head, content []byte, end bool) error {
	w.responded = true
	w.closing = w.closing || w.req.LastOnConnection
	w.borrowOut()
	defer w.returnOut()
	w.out = appendStatusLine(w.out, h)
	w.out = h.AppendFields(w.out)
	if h.Find(message.FieldDate) < 0 && h.Status != 101 {
		w.out = append(w.out, "Date: "...)
		w.out = w.c.net.Clock().AppendDate(w.out)
		w.out = append(w.out, '\r', '\n')
	}
	w.frameAnswer(h, len(content), end)
	w.appendConnection(h)
	w.out = append(w.out, '\r', '\n')
	if w.mute {
		w.finished = true
		return w.write(w.out)
	}
	return w.writeContent(content, end)
}

// frameAnswer decides how the content is delimited for this client (RFC 9112 section 6).
func (w *work) frameAnswer(h *message.Head, have int, end bool) {
	w.left = -1
	toHead := w.req.Head.Method == message.MethodHead
	w.mute = toHead || h.Status == 204 || h.Status == 304 || h.Status == 101
	switch {
	case h.Status == 204 || h.Status == 101:
	case h.ContentLength >= 0:
		w.left = h.ContentLength
		w.out = appendFraming(w.out, message.Length, h.ContentLength)
	case w.mute:
	case end:
		w.left = int64(have)
		w.out = appendFraming(w.out, message.Length, int64(have))
	case w.req.Head.Minor == 1:
		w.chunking = true
		w.out = appendFraming(w.out, message.Chunked, 0)
	default:
		w.closing = true
	}
}

func (w *work) appendConnection(h *message.Head) {
	switch {
	case h.Status == 101:
		w.out = append(w.out, "Connection: Upgrade\r\n"...)
	case w.closing:
		w.out = append(w.out, "Connection: close\r\n"...)
	case w.req.Head.Minor == 0:
		w.out = append(w.out, "Connection: keep-alive\r\n"...)
	}
}

// Write implements message.Responder.
func (w *work) Write(content []byte, end bool) error {
	if w.mute {
		w.finished = w.finished || end
		return nil
	}
	w.borrowOut()
	defer w.returnOut()
	return w.writeContent(content, end)
}

// writeContent writes what out holds and content in one go where that is cheaper than two
// system calls.
func (w *work) writeContent(content []byte, end bool) error {
	if w.left >= 0 {
		if int64(len(content)) > w.left {
			return fault.Internal
		}
		w.left -= int64(len(content))
		if end && w.left > 0 {
			return fault.UpstreamTruncated
		}
	}
	if w.chunking {
		w.out = AppendChunk(w.out, content)
		if end {
			w.out = AppendLastChunk(w.out, nil)
		}
		content = nil
	} else if len(content) <= readBufferBytes {
		w.out = append(w.out, content...)
		content = nil
	}
	if len(w.out) > 0 {
		if err := w.write(w.out); err != nil {
			return err
		}
	}
	if len(content) > 0 {
		if err := w.write(content); err != nil {
			return err
		}
	}
	w.finished = end
	return nil
}

// WriteTrailers ends chunked content with trailer fields, complete lines each; where the
// client's framing has none they are left out.
func (w *work) WriteTrailers(lines []byte) error {
	if !w.chunking {
		w.finished = true
		return nil
	}
	w.borrowOut()
	defer w.returnOut()
	w.out = AppendLastChunk(w.out, lines)
	w.finished = true
	return w.write(w.out)
}

// TransferFrom implements message.Transferrer.
func (w *work) TransferFrom(src *netio.Conn, n int64, wait netio.Patience) (int64, error, error) {
	moved, readErr, writeErr := netio.Transfer(w.c.net, src, n, wait)
	if w.left >= 0 {
		w.left -= moved
	}
	w.finished = readErr == nil && writeErr == nil
	if writeErr != nil {
		writeErr = writeFault(writeErr)
	}
	return moved, readErr, writeErr
}

// CanTransferFrom implements message.Transferrer.
func (w *work) CanTransferFrom(src *netio.Conn) bool {
	return !w.chunking && !w.mute && netio.CanTransfer(w.c.net, src)
}

// Peer implements message.Watched.
func (w *work) Peer() *netio.Conn { return w.c.net }

// Tunnel implements message.Tunneller.
func (w *work) Tunnel() (netio.Pipe, []byte) {
	w.tunnelled = true
	return w.c.net, w.buf[w.content.at:w.end]
}

func (w *work) write(b []byte) error {
	if _, err := w.c.net.Write(b); err != nil {
		return writeFault(err)
	}
	return nil
}

func writeFault(err error) error {
	switch err {
	case netio.ErrTimeout:
		return fault.ClientStalled
	case netio.ErrInterrupted:
		return err
	}
	return fault.ClientAborted
}
