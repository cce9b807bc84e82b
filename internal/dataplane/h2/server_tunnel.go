package h2

import (
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// A client opens a tunnel by an extended CONNECT (RFC 8441). What follows sees a GET with an
// Upgrade field, as HTTP/1.1 has it, and answers 101, which goes out as 200. From then on the
// stream is a pipe.

// websocket is the only protocol that a tunnel may carry.
const websocket = "websocket"

// connects reports whether the section is of an extended CONNECT for a protocol that is known.
func (h *headReader) connects() bool {
	return h.seen&seenProtocol != 0 && h.method == "CONNECT" && message.EqualFold([]byte(h.protocol), websocket)
}

// checkConnect checks a request with :protocol (RFC 8441 section 4). Of the other pseudo fields
// all must be there: there is no tunnel to just an authority.
func (h *headReader) checkConnect() fault.Kind {
	const all_ = seenMethod | seenScheme | seenPath | seenAuthority | seenProtocol
	switch {
	case h.method != "CONNECT", h.seen != all_, !all(h.protocol, isToken|isName):
		return fault.BadRequest
	case !h.s.req.Head.Connect:
		return fault.ConnectRefused
	}
	return fault.None
}

// accept answers an extended CONNECT by h, which has status 101. Any other answer of success
// would make the client take for a tunnel what is none.
func (s *stream) accept(h *message.Head) error {
	if h.Status != 101 {
		return fault.Internal
	}
	s.left = -1
	s.scratch = s.appendDate(appendSectionOf(appendStatus(s.scratch[:0], 200), h), h)
	return s.send(s.scratch, nil, false)
}

// Tunnel implements message.Tunneller.
func (s *stream) Tunnel() (netio.Pipe, []byte) { return (*tunnel)(s), nil }

// tunnel is a stream as a pipe.
type tunnel stream

// Read implements netio.Pipe.
func (t *tunnel) Read(p []byte) (int, error) {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	return (*stream)(t).readLocked(p)
}

// Write implements netio.Pipe. That the client takes nothing is counted anew for each piece:
// between two of them a tunnel may rest.
func (t *tunnel) Write(p []byte) (int, error) {
	t.c.mu.Lock()
	t.stall = stall{}
	t.c.mu.Unlock()
	if err := (*stream)(t).send(nil, p, false); err != nil {
		return 0, err
	}
	return len(p), nil
}

// CloseWrite implements netio.Pipe. The stream may go on for long, so that the end is written
// at once and not with what closes the stream.
func (t *tunnel) CloseWrite() error {
	err := (*stream)(t).send(nil, nil, true)
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	t.c.kickLocked()
	return err
}

// Reset implements netio.Pipe (RFC 8441 section 5).
func (t *tunnel) Reset() {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	if !t.localEnd {
		(*stream)(t).resetLocked(codeCancel)
	}
}

// Interrupt implements netio.Pipe.
func (t *tunnel) Interrupt() {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	(*stream)(t).endLocked(netio.ErrInterrupted, netio.ErrInterrupted)
}

// Clock implements netio.Pipe.
func (t *tunnel) Clock() *netio.Clock { return t.c.net.Clock() }

// SetReadDeadline implements netio.Pipe. It holds from the next read on.
func (t *tunnel) SetReadDeadline(at time.Duration) {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	t.tunnelBy = at
}

// tunnelDeadline is when the wait for bytes of a tunnel ends.
func (s *stream) tunnelDeadline(now time.Duration) time.Duration {
	if s.tunnelBy == 0 {
		return now + time.Hour // it is told again and goes on
	}
	return s.tunnelBy
}

// endTunnelLocked ends a tunnel that has been closed and not been reset.
func (s *stream) endTunnelLocked() {
	s.localEnd = true
	s.c.mu.out = appendFrameHead(s.c.mu.out, frameHead{kind: frameData, flags: flagEndStream, stream: s.id})
	if !s.ended {
		s.resetLocked(codeNone)
	}
}
