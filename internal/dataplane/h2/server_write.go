package h2

import (
	"runtime"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
)

// waits says what a stream that has something to send waits for.
type waits uint8

const (
	waitsNot    waits = iota
	waitsWindow       // its own
	waitsRoom         // in the buffer, for a field section
	waitsTurn         // in the buffer and the window of the connection, for content
)

// send sends a field section, content or both, in frames; end says that nothing follows.
// Where there is no room it waits.
func (s *stream) send(section, content []byte, end bool) error {
	if malformed(s.refusal) {
		end = false // an error ends the stream
	}
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.wakeQueueLocked()
	for {
		if s.sendErr != nil {
			return s.sendErr
		}
		if c.mu.broken != nil {
			return c.mu.broken
		}
		for_ := waitsRoom
		if section == nil {
			for_ = s.putLocked(&content, end)
		} else if len(c.mu.out) < outBytesMax {
			s.putSectionLocked(section, end && len(content) == 0)
			section = nil
			continue
		}
		if for_ == waitsNot {
			if !s.localEnd { // close flushes what is sent last
				c.kickLocked()
			}
			return nil
		}
		if err := s.awaitRoomLocked(for_); err != nil {
			return err
		}
	}
}

func (s *stream) putSectionLocked(section []byte, end bool) {
	c := s.c
	flags := uint8(0)
	if end {
		flags = flagEndStream
		s.localEnd = true
	}
	if !c.mu.tabled {
		c.mu.tabled = true
		section = append([]byte{tableOff}, section...)
	}
	c.mu.out = appendSection(c.outLocked(), s.id, flags, section, c.mu.peerFrameBytesMax)
}

// putLocked sends as much of the content as there is room for, and says what the rest waits
// for.
func (s *stream) putLocked(content *[]byte, end bool) waits {
	c := s.c
	for {
		n := len(*content)
		if n == 0 && (s.localEnd || !end) {
			return waitsNot
		}
		if n > 0 {
			switch {
			case s.window <= 0:
				return waitsWindow
			case c.mu.window <= 0 || c.mu.queue.before(s):
				return waitsTurn
			}
			n = min(n, int(s.window), int(c.mu.window), frameBytesMaxLow)
		}
		if len(c.mu.out) >= outBytesMax {
			if n == 0 { // the last frame needs no window
				return waitsRoom
			}
			return waitsTurn
		}
		f := frameHead{length: n, kind: frameData, stream: s.id}
		if end && n == len(*content) {
			f.flags = flagEndStream
			s.localEnd = true
		}
		c.mu.out = append(appendFrameHead(c.outLocked(), f), (*content)[:n]...)
		*content = (*content)[n:]
		s.window -= sendWindow(n)
		c.mu.window -= sendWindow(n)
		s.sent += uint64(n)
		c.mu.sent += uint64(n)
		if n > 0 {
			c.mu.conduct.sent(n)
		}
	}
}

// awaitRoomLocked waits without the mutex until it may be worth to go on. It fails when the
// peer takes next to nothing for the time of a write.
func (s *stream) awaitRoomLocked(for_ waits) error {
	c := s.c
	now := c.net.Clock().Now()
	set := c.srv.Settings(c.client)
	limit := set.WriteTimeout
	if s.stall.since == 0 || s.moved(for_, set) {
		s.stall = stall{since: max(now, 1), sent: s.sent, both: c.mu.sent}
	}
	left := time.Hour
	if limit > 0 {
		if left = s.stall.since + limit - now; left <= 0 {
			return c.stalledLocked(s, for_)
		}
	}
	w := netio.NewWaiter()
	s.sender, s.waits = w, for_
	if for_ != waitsWindow {
		c.mu.queue.add(s)
	}
	c.kickLocked()
	c.wakeQueueLocked()
	c.mu.Unlock()
	w.Wait(left)
	c.mu.Lock()
	if s.sender == w {
		s.sender = nil
		c.mu.queue.remove(s)
	}
	s.waits = waitsNot
	w.Free()
	return nil
}

// moved reports whether enough was sent since the stall began: of the stream where it waits
// for its window, else of the connection, whose room others may have used.
func (s *stream) moved(for_ waits, set *Settings) bool {
	enough := max(stallBytes, uint64(float64(set.WriteRateMin)*set.WriteTimeout.Seconds()))
	if for_ == waitsWindow {
		return s.sent-s.stall.sent >= enough
	}
	return s.c.mu.sent-s.stall.both >= enough
}

// stalledLocked gives up an answer that the peer doesn't take, and the connection where that
// is as a whole.
func (c *conn) stalledLocked(s *stream, for_ waits) error {
	if for_ != waitsWindow || !c.mu.conduct.stalled() {
		c.mu.out = appendGoAway(c.outLocked(), c.mu.maxID, codeEnhanceCalm)
		c.mu.going.final = true
		c.kickLocked()
		c.breakLocked(fault.ClientStalled)
		c.net.InterruptReads()
	}
	s.sendErr = fault.ClientStalled
	return fault.ClientStalled
}

func (s *stream) wakeSenderLocked() {
	if s.sender != nil {
		s.c.mu.queue.remove(s)
		s.sender.Wake()
		s.sender = nil
	}
}

// wakeQueueLocked lets the first stream that can go on do so; it wakes the next one in turn.
func (c *conn) wakeQueueLocked() {
	if len(c.mu.out) >= outBytesMax {
		return
	}
	for s := c.mu.queue.first; s != nil; s = s.after {
		if s.waits == waitsRoom || c.mu.window > 0 {
			s.wakeSenderLocked()
			return
		}
	}
}

// sendQueue holds the streams that wait for room, those first that are to go first.
type sendQueue struct{ first *stream }

// goesBefore reports whether a goes before b: the more urgent one, of equals the older one
// unless both share (RFC 9218 section 10).
func (s *stream) goesBefore(b *stream) bool {
	if s.priority.urgency != b.priority.urgency {
		return s.priority.urgency < b.priority.urgency
	}
	return !s.priority.incremental && !b.priority.incremental && s.id < b.id
}

// before reports whether a stream that waits goes before s.
func (q *sendQueue) before(s *stream) bool {
	return q.first != nil && q.first != s && q.first.waits == waitsTurn && q.first.window > 0 && !s.goesBefore(q.first)
}

func (q *sendQueue) add(s *stream) {
	at := &q.first
	for *at != nil && (s.waits != waitsRoom || (*at).waits == waitsRoom) && !s.goesBefore(*at) {
		at = &(*at).after
	}
	s.after, *at = *at, s
}

func (q *sendQueue) remove(s *stream) {
	for at := &q.first; *at != nil; at = &(*at).after {
		if *at == s {
			*at, s.after = s.after, nil
			return
		}
	}
}

// resort puts s, whose priority has changed, in its place.
func (q *sendQueue) resort(s *stream) {
	if s.sender != nil && s.waits != waitsWindow {
		q.remove(s)
		q.add(s)
	}
}

// kickLocked has what is to be written be written by a task of its own.
func (c *conn) kickLocked() {
	if c.takeFlushLocked() {
		c.net.Clock().Crew().Go((*writer)(c))
	}
}

// takeFlushLocked reports whether the caller must call flush.
func (c *conn) takeFlushLocked() bool {
	if c.mu.flushing || len(c.mu.out) == 0 {
		return false
	}
	c.mu.flushing = true
	return true
}

// writer is the task that flushes.
type writer conn

// Run is the task.
func (w *writer) Run() { (*conn)(w).flush() }

// flush writes until nothing is left to be written. It lets others run first, so that what
// is ready at the same time leaves in one piece.
func (c *conn) flush() {
	c.mu.Lock()
	for len(c.mu.out) > 0 {
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
		b := c.mu.out
		c.mu.out = nil
		c.mu.Unlock()
		_, err := c.net.Write(b)
		freeOut(b)
		c.mu.Lock()
		if err != nil {
			c.writeFailedLocked(err)
		}
		c.wakeQueueLocked()
	}
	c.mu.flushing = false
	c.restedLocked()
	c.mu.Unlock()
}

// outLocked is what frames are appended to. It is borrowed as late as can be and given back
// once it is written, so that a connection without anything to say holds none.
func (c *conn) outLocked() []byte {
	if c.mu.out == nil {
		c.mu.out = newOut()
	}
	return c.mu.out
}

func (c *conn) writeFailedLocked(err error) {
	why := fault.ClientAborted
	if err == netio.ErrTimeout {
		why = fault.ClientStalled
	}
	c.breakLocked(why)
	freeOut(c.mu.out)
	c.mu.out = nil
	c.net.Interrupt()
}
