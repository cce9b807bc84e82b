package h2

import (
	"encoding/binary"
	"io"
	"time"

	"golang.org/x/net/http2/hpack"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
)

// emptyFramesMax is how many frames in a row may carry nothing.
const emptyFramesMax = 100

// clientReader is what the goroutine that reads a connection knows.
type clientReader struct {
	c       *Client
	decoder *hpack.Decoder
	section answerSection
	window  receiveWindow
	empty   int // frames in a row that carried nothing
}

// upstreamFailure is why a connection can't go on: what the peer is told, and what the exchanges are.
type upstreamFailure struct {
	code code
	kind fault.Kind
}

func (f *upstreamFailure) Error() string { return f.kind.Error() }

var (
	errUpstreamProtocol  = &upstreamFailure{codeProtocol, fault.UpstreamBadResponse}
	errUpstreamFrameSize = &upstreamFailure{codeFrameSize, fault.UpstreamBadResponse}
	errUpstreamFlow      = &upstreamFailure{codeFlowControl, fault.UpstreamBadResponse}
	errUpstreamTable     = &upstreamFailure{codeCompression, fault.UpstreamBadResponse}
	errUpstreamFlood     = &upstreamFailure{codeEnhanceCalm, fault.UpstreamBadResponse}
)

// run reads the connection to its end.
func (c *Client) run() {
	buf := make([]byte, clientReadBytes)
	begin, end := 0, 0
	var err error
	for err == nil {
		var used int
		if used, err = c.in.frames(buf[begin:end]); err != nil {
			break
		}
		if begin += used; begin == end {
			begin, end = 0, 0
		} else if end == len(buf) {
			end = copy(buf, buf[begin:end])
			begin = 0
		}
		var n int
		if n, err = c.net.Read(buf[end:]); err == netio.ErrTimeout {
			err = c.overdue()
		}
		end += n
		if n > 0 {
			c.mu.Lock()
			c.mu.heard = c.net.Clock().Now()
			c.mu.Unlock()
		}
	}
	c.end(err)
}

// end closes the connection. What is left to be written gets a moment.
func (c *Client) end(err error) {
	k := upstreamReadFault(err)
	c.mu.Lock()
	if f, ok := err.(*upstreamFailure); ok {
		c.mu.out = appendGoAway(c.mu.out, 0, f.code)
	}
	c.flushLocked()
	c.mu.ended = true
	for _, s := range c.mu.streams {
		s.endLocked(k)
	}
	rouse(&c.mu.settling)
	if c.mu.flushing {
		w := netio.NewWaiter()
		c.mu.parting = w
		c.mu.Unlock()
		if !w.Wait(partingTimeout) {
			c.fail(k)
			w.Await()
		}
		w.Free()
		c.mu.Lock()
	}
	c.failLocked(k)
	c.mu.Unlock()
	c.net.Close()
	if c.Ended != nil {
		c.Ended(c)
	}
}

// partingTimeout bounds the write of what is left when a connection ends.
const partingTimeout = time.Second

func upstreamReadFault(err error) fault.Kind {
	switch e := err.(type) {
	case *upstreamFailure:
		return e.kind
	case fault.Kind:
		return e
	}
	if err == io.EOF || err == errLeft {
		return fault.UpstreamClosed
	}
	return fault.UpstreamReset
}

// errLeft ends the reading of a connection that nobody needs any more.
var errLeft = &upstreamFailure{codeNone, fault.UpstreamClosed}

// overdue wakes the exchanges whose deadline has passed and tries a silent connection. It
// returns why the connection ends, if it does.
func (c *Client) overdue() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.failed != fault.None {
		return c.mu.failed
	}
	if c.mu.leaving && c.mu.places == 0 {
		return errLeft
	}
	now := c.net.Clock().Now()
	c.mu.armed = 0
	next := c.pingLocked(now)
	if c.mu.pinged > 0 && now-c.mu.pinged >= c.limits.PingTimeout {
		return fault.UpstreamReset
	}
	for _, s := range c.mu.streams {
		next = sooner(next, s.overdueLocked(now))
	}
	if next == 0 {
		c.net.SetReadDeadline(0)
	}
	c.armLocked(next)
	return nil
}

// sooner returns the earlier of two times; 0 is never.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// overdueLocked ends the waits of a stream that have lasted long enough, and returns when to
// look again; 0 is never.
func (s *Stream) overdueLocked(now time.Duration) (next time.Duration) {
	if s.reading != nil && s.client != nil {
		if s.lookAt <= now {
			s.lookAt = now + netio.LookAgain
			s.gone = s.client.PeerGone()
		}
		next = s.lookAt
	}
	switch {
	case s.reading == nil:
	case s.gone:
		rouse(&s.reading)
	case s.deadline == 0:
	case s.deadline > now:
		next = sooner(next, s.deadline)
	default:
		rouse(&s.reading)
		if s.c.mu.heard < s.sentAt { // nothing at all since then: is the peer still there?
			next = sooner(next, s.c.sendPingLocked(now))
		}
	}
	if s.writing != nil && s.writeBy != 0 {
		if s.writeBy > now {
			return sooner(next, s.writeBy)
		}
		rouse(&s.writing)
	}
	return next
}

// pingLocked sends a ping where the connection is idle and has been silent for long, and
// returns when to look again; 0 is never.
func (c *Client) pingLocked(now time.Duration) time.Duration {
	after := c.limits.PingAfter
	switch {
	case c.mu.pinged > 0:
		return c.mu.pinged + c.limits.PingTimeout
	case after == 0 || c.mu.places > 0:
		return 0
	case now-c.mu.heard >= after:
		return c.sendPingLocked(now)
	}
	return c.mu.heard + after
}

// sendPingLocked sends a ping, unless one is under way, and returns when it is overdue.
func (c *Client) sendPingLocked(now time.Duration) time.Duration {
	if c.mu.pinged == 0 {
		c.mu.pinged = now
		c.mu.out = appendPing(c.mu.out, 0, make([]byte, pingBytes))
		c.flushLocked()
	}
	return c.mu.pinged + c.limits.PingTimeout
}

// frames takes the whole frames at the front of b and returns their length.
func (r *clientReader) frames(b []byte) (used int, err error) {
	for len(b)-used >= frameHeadBytes {
		f := parseFrameHead(b[used:])
		if f.length > frameBytesMaxLow {
			return used, errUpstreamFrameSize
		}
		if len(b)-used < frameHeadBytes+f.length {
			return used, nil
		}
		payload := b[used+frameHeadBytes:][:f.length]
		used += frameHeadBytes + f.length
		if err := r.frame(f, payload); err != nil {
			return used, err
		}
	}
	return used, nil
}

// frame takes one frame.
func (r *clientReader) frame(f frameHead, payload []byte) error {
	if !r.c.mu.settled && (f.kind != frameSettings || f.has(flagAck)) {
		return errUpstreamProtocol // RFC 9113 section 3.4
	}
	if r.section.open && (f.kind != frameContinuation || f.stream != r.section.stream) {
		return errUpstreamProtocol
	}
	if f.kind != frameData || f.length > 0 {
		r.empty = 0
	}
	switch f.kind {
	case frameData:
		return r.data(f, payload)
	case frameHeaders:
		return r.headers(f, payload)
	case frameContinuation:
		return r.continuation(f, payload)
	case frameReset:
		return r.reset(f, payload)
	case frameSettings:
		return r.settings(f, payload)
	case framePing:
		return r.ping(f, payload)
	case frameGoAway:
		return r.goAway(f, payload)
	case frameWindowUpdate:
		return r.windowUpdate(f, payload)
	case framePushPromise:
		return errUpstreamProtocol // switched off (RFC 9113 section 8.4)
	}
	return nil // RFC 9113 section 5.5
}

// settings takes over the peer's settings (RFC 9113 section 6.5).
func (r *clientReader) settings(f frameHead, payload []byte) error {
	c := r.c
	switch {
	case f.stream != 0:
		return errUpstreamProtocol
	case f.has(flagAck) && f.length > 0 || f.length%settingBytes != 0:
		return errUpstreamFrameSize
	case f.has(flagAck):
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; len(payload) > 0; payload = payload[settingBytes:] {
		if err := c.settingLocked(binary.BigEndian.Uint16(payload), binary.BigEndian.Uint32(payload[2:])); err != nil {
			return err
		}
	}
	c.mu.settled = true
	rouse(&c.mu.settling)
	c.controlLocked(appendFrameHead(nil, frameHead{kind: frameSettings, flags: flagAck}))
	c.wakeWritersLocked()
	return nil
}

func (c *Client) settingLocked(id uint16, value uint32) error {
	switch id {
	case settingStreamsMax:
		c.mu.streamsMax = int(min(int64(value), int64(max(1, c.limits.StreamsMax))))
	case settingStreamWindow:
		if value > windowMax {
			return errUpstreamFlow
		}
		change := int64(value) - c.mu.streamWindow
		c.mu.streamWindow = int64(value)
		for _, s := range c.mu.streams {
			if !s.window.grow(change) {
				return errUpstreamFlow
			}
		}
	case settingFrameBytesMax:
		if value < frameBytesMaxLow || value > frameBytesMaxHigh {
			return errUpstreamProtocol
		}
		// Our frames are never longer than what every peer takes.
	}
	return nil
}

func (r *clientReader) ping(f frameHead, payload []byte) error {
	c := r.c
	switch {
	case f.stream != 0:
		return errUpstreamProtocol
	case f.length != pingBytes:
		return errUpstreamFrameSize
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.has(flagAck) {
		c.mu.pinged = 0
		return nil
	}
	var frame [frameHeadBytes + pingBytes]byte
	c.controlLocked(appendPing(frame[:0], flagAck, payload))
	return nil
}

// goAway takes leave: the streams that the peer hasn't looked at end, the others go on.
func (r *clientReader) goAway(f frameHead, payload []byte) error {
	c := r.c
	switch {
	case f.stream != 0:
		return errUpstreamProtocol
	case f.length < 8:
		return errUpstreamFrameSize
	}
	last := binary.BigEndian.Uint32(payload) & streamIDMax
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.leaving = true
	for _, s := range c.mu.streams {
		if s.id > last {
			s.endLocked(fault.UpstreamRefusedStream)
		}
	}
	c.partLocked()
	return nil
}

// reset ends a stream (RFC 9113 section 6.4).
func (r *clientReader) reset(f frameHead, payload []byte) error {
	c := r.c
	switch {
	case f.length != 4:
		return errUpstreamFrameSize
	case !r.known(f.stream):
		return errUpstreamProtocol
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := c.findLocked(f.stream); i >= 0 {
		c.mu.streams[i].resetLocked(code(binary.BigEndian.Uint32(payload)))
	}
	return nil
}

// known reports whether a stream with that identifier is, or was, one of ours.
func (r *clientReader) known(id uint32) bool {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return id%2 == 1 && id < r.c.mu.nextID
}

func (r *clientReader) windowUpdate(f frameHead, payload []byte) error {
	c := r.c
	switch {
	case f.length != 4:
		return errUpstreamFrameSize
	case f.stream != 0 && !r.known(f.stream):
		return errUpstreamProtocol
	}
	by := int64(binary.BigEndian.Uint32(payload) & windowMax)
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.stream == 0 {
		if by == 0 {
			return errUpstreamProtocol
		}
		if !c.mu.window.grow(by) {
			return errUpstreamFlow
		}
		c.wakeWritersLocked()
		return nil
	}
	if i := c.findLocked(f.stream); i >= 0 {
		s := c.mu.streams[i]
		if by == 0 || !s.window.grow(by) {
			s.refuseLocked(codeProtocol, fault.UpstreamBadResponse)
		}
		rouse(&s.writing)
	}
	return nil
}

// data takes response content (RFC 9113 section 6.1).
func (r *clientReader) data(f frameHead, payload []byte) error {
	if !r.known(f.stream) {
		return errUpstreamProtocol
	}
	if f.length == 0 && !f.has(flagEndStream) {
		if r.empty++; r.empty > emptyFramesMax {
			return errUpstreamFlood
		}
	}
	content, ok := unpad(f, payload)
	if !ok {
		return errUpstreamProtocol
	}
	if !r.window.take(f.length) {
		return errUpstreamFlow
	}
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if by := r.window.release(f.length); by > 0 {
		var frame [frameHeadBytes + 4]byte
		c.controlLocked(appendWindowUpdate(frame[:0], 0, by))
	}
	if i := c.findLocked(f.stream); i >= 0 {
		c.mu.streams[i].dataLocked(content, f.length-len(content), f.has(flagEndStream))
	}
	return nil
}
