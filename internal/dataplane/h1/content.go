package h1

import (
	"io"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// content is the state of the content of the request in hand.
type content struct {
	at      int   // where in the buffer its unread bytes begin
	left    int64 // Length: bytes still to come
	decoder chunkDecoder
	ready   []byte // Chunked: decoded bytes not yet handed out, a part of the buffer
	chunked bool
	started bool
	asked   bool          // 100 Continue was sent
	since   time.Duration // when its first wait began
	got     int64
}

// startContent readies the content of the request just parsed. It reports whether all of
// it is in the buffer.
func (w *work) startContent() bool {
	h, k := &w.req.Head, &w.content
	keep := k.decoder.keep
	*k = content{at: w.begin + h.End}
	k.decoder.keep = keep
	switch h.Framing {
	case message.Length:
		k.left = h.ContentLength
		return int64(w.end-k.at) >= k.left
	case message.Chunked:
		k.chunked = true
		k.decoder.reset()
		return w.decodeBuffered() == nil && k.decoder.done()
	}
	return true
}

// decodeBuffered takes the framing off the buffered bytes, in place. The decoded bytes
// become ready; what follows the message stays where it is.
func (w *work) decodeBuffered() error {
	k := &w.content
	b := w.buf[k.at:w.end]
	n, used, ok := k.decoder.decode(b, b)
	if !ok {
		return fault.BadChunk
	}
	k.ready = b[:n]
	k.at += used
	return nil
}

func (w *work) contentDone() bool {
	k := &w.content
	if k.chunked {
		return k.decoder.done() && len(k.ready) == 0
	}
	return k.left == 0
}

// Whole implements message.Content.
func (w *work) Whole() ([]byte, bool) {
	k := &w.content
	if k.chunked {
		if !k.decoder.done() {
			return nil, false
		}
		b := k.ready
		k.ready = nil
		return b, true
	}
	if int64(w.end-k.at) < k.left {
		return nil, false
	}
	b := w.buf[k.at : k.at+int(k.left)]
	k.at += int(k.left)
	k.left = 0
	return b, true
}

// Abandon implements message.Abandoner. The failed Read makes the connection end after the
// answer.
func (w *work) Abandon() { w.c.net.InterruptReads() }

// Resume implements message.Resumer.
func (w *work) Resume() { w.c.net.ResumeReads() }

// Trailers implements message.Trailered.
func (w *work) Trailers() []byte { return w.content.decoder.trailers() }

// Started implements message.Content.
func (w *work) Started() bool { return w.content.started }

// Read implements message.Content.
func (w *work) Read(p []byte) (int, error) {
	k := &w.content
	k.started = true
	for {
		if n := copy(p, k.ready); n > 0 {
			k.ready = k.ready[n:]
			return n, nil
		}
		if w.contentDone() {
			return 0, io.EOF
		}
		if n := w.takeBuffered(p); n > 0 {
			return n, nil
		}
		if k.chunked && w.end > k.at {
			if err := w.decodeBuffered(); err != nil {
				return 0, w.broken(err)
			}
			continue
		}
		n, err := w.receive(p)
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// takeBuffered copies buffered bytes of content with a length.
func (w *work) takeBuffered(p []byte) int {
	k := &w.content
	if k.chunked {
		return 0
	}
	n := copy(p[:min(int64(len(p)), k.left)], w.buf[k.at:w.end])
	k.at += n
	k.left -= int64(n)
	return n
}

// receive waits for more of the content: with a length straight into p, otherwise into
// the buffer behind the head.
func (w *work) receive(p []byte) (int, error) {
	k := &w.content
	if err := w.AskForContent(); err != nil {
		return 0, w.broken(err)
	}
	now := w.c.net.Clock().Now()
	if k.since == 0 {
		k.since = now
	}
	w.c.net.SetReadDeadline(w.contentDeadline(now))
	into := p
	if k.chunked {
		k.at, w.end = w.begin+w.req.Head.End, w.begin+w.req.Head.End
		if w.end == len(w.buf) {
			return 0, w.broken(fault.Internal)
		}
		into = w.buf[w.end:]
	} else {
		into = p[:min(int64(len(p)), k.left)]
	}
	n, err := w.c.net.Read(into)
	if err != nil {
		return 0, w.broken(w.contentFault(err))
	}
	k.got += int64(n)
	if k.chunked {
		w.end += n
		return 0, nil
	}
	k.left -= int64(n)
	return n, nil
}

// contentDeadline is when the wait for content ends: after a silence, when the least rate
// isn't kept, or when the handler wants it to.
func (w *work) contentDeadline(now time.Duration) time.Duration {
	set, k := w.settings, &w.content
	at := now + set.ContentTimeout
	if set.ContentRateMin > 0 {
		at = min(at, k.since+set.ContentTimeout+time.Duration(float64(k.got)/float64(set.ContentRateMin)*float64(time.Second)))
	}
	if by := w.req.ContentBy; by > 0 {
		at = min(at, by)
	}
	return at
}

func (w *work) contentFault(err error) error {
	switch err {
	case netio.ErrTimeout:
		if by := w.req.ContentBy; by > 0 && w.c.net.Clock().Now() >= by {
			return fault.RequestDeadline
		}
		if w.content.got > 0 && w.settings.ContentRateMin > 0 {
			return fault.ContentTooSlow
		}
		return fault.ContentTimeout
	case netio.ErrInterrupted:
		return err
	}
	return fault.ContentTruncated
}

// broken makes the connection end after the answer: what follows can't be framed.
func (w *work) broken(err error) error {
	w.closing = true
	return err
}

// AskForContent implements message.Asker: it sends 100 Continue to a client that waits for
// it, once.
func (w *work) AskForContent() error {
	k := &w.content
	if !w.req.Head.Continue || k.asked || w.responded {
		return nil
	}
	k.asked = true
	_, err := w.c.net.Write(continueLine)
	return err
}

var continueLine = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// discardContent reads over what the handler left of the content, if that is little. It
// reports whether the connection can go on.
func (w *work) discardContent() bool {
	if w.contentDone() {
		return true
	}
	if _, ok := w.Whole(); ok {
		return true
	}
	k := &w.content
	if w.req.Head.Continue && !k.asked && !k.started || k.left > discardBytesMax {
		return false // whether the client sends it now is unknown, or it is too much
	}
	return w.readOver()
}

// readOver reads and drops the rest of the content, up to discardBytesMax.
func (w *work) readOver() bool {
	scrap := make([]byte, 4<<10)
	for dropped := 0; dropped <= discardBytesMax; {
		n, err := w.Read(scrap)
		if err != nil {
			return err == io.EOF
		}
		dropped += n
	}
	return false
}
