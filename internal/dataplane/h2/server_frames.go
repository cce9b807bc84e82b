package h2

import (
	"encoding/binary"

	"sentinel/internal/dataplane/fault"
)

// controlBytesMax bounds the payload of frames that are taken in whole.
const controlBytesMax = 64 << 10

// takeFrames takes in the frames that lie in the buffer. What is left is a part of one.
func (c *conn) takeFrames() error {
	for {
		if c.data.busy() {
			if done, err := c.takeContent(); err != nil || !done {
				return err
			}
			continue
		}
		if !c.prefaced {
			if ready, err := c.takePreface(); !ready {
				return err
			}
		}
		b := c.buf[c.begin:c.end]
		if len(b) < frameHeadBytes {
			c.makeRoom(frameHeadBytes)
			return nil
		}
		f := parseFrameHead(b)
		if err := c.check(f); err != nil {
			return err
		}
		need := frameHeadBytes + f.length
		if f.kind == frameData {
			need = frameHeadBytes + min(f.length, 1) // the length of padding
		}
		if len(b) < need {
			c.makeRoom(need)
			return nil
		}
		c.frames++
		if err := c.take(f, b[frameHeadBytes:need]); err != nil {
			return err
		}
	}
}

func (c *conn) takePreface() (ready bool, err error) {
	yes, more := IsPreface(c.buf[c.begin:c.end])
	switch {
	case yes:
		c.prefaced = true
		c.begin += len(preface)
		return true, nil
	case more:
		c.makeRoom(len(preface))
		return false, nil
	}
	return false, violation(codeProtocol)
}

// check refuses what a frame's head tells to be wrong, before its payload is waited for.
func (c *conn) check(f frameHead) error {
	switch {
	case f.length > c.set.FrameBytesMax:
		return violation(codeFrameSize)
	case !c.greeted && (f.kind != frameSettings || f.has(flagAck)):
		return violation(codeProtocol)
	case c.section.open && (f.kind != frameContinuation || f.stream != c.section.id):
		return violation(codeProtocol)
	}
	wrong := false
	switch f.kind {
	case framePriority:
		wrong = f.length != priorityBytes
	case frameReset, frameWindowUpdate:
		wrong = f.length != 4
	case framePing:
		wrong = f.length != pingBytes
	case frameGoAway:
		wrong = f.length < 8 || f.length > controlBytesMax
	case frameSettings:
		wrong = f.length%settingBytes != 0 || f.has(flagAck) && f.length > 0 || f.length > controlBytesMax
	case frameHeaders, frameContinuation, frameData:
	default:
		wrong = f.length > controlBytesMax
	}
	if wrong {
		return violation(codeFrameSize)
	}
	if (f.kind == frameHeaders || f.kind == frameContinuation) && len(c.section.block)+f.length > c.blockBytesMax() {
		return connectionError{codeEnhanceCalm, fault.HeaderFlood}
	}
	return nil
}

// take does what one frame says. Of DATA the payload is still to come.
func (c *conn) take(f frameHead, payload []byte) error {
	if f.kind == frameData {
		return c.takeData(f, payload)
	}
	c.begin += frameHeadBytes + f.length
	switch f.kind {
	case frameHeaders:
		return c.takeHeaders(f, payload)
	case frameContinuation:
		return c.takeContinuation(f, payload)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch f.kind {
	case frameReset:
		return c.takeReset(f, payload)
	case frameWindowUpdate:
		return c.takeWindowUpdate(f, payload)
	}
	// What is left carries no content. A peer may send only so much of it.
	if !c.mu.conduct.frame(c) || len(c.mu.out) > outBytesMax+controlBytesMax {
		return connectionError{codeEnhanceCalm, fault.FrameFlood}
	}
	switch f.kind {
	case frameSettings:
		return c.takeSettings(f, payload)
	case framePing:
		return c.takePing(f, payload)
	case framePriority:
		if f.stream == 0 || binary.BigEndian.Uint32(payload)&streamIDMax == f.stream {
			return violation(codeProtocol)
		}
	case framePriorityUpdate:
		return c.takePriorityUpdate(f, payload)
	case frameGoAway:
		if f.stream != 0 {
			return violation(codeProtocol)
		}
	case framePushPromise:
		return violation(codeProtocol)
	}
	return nil
}

// takeSettings takes over the peer's settings (RFC 9113 section 6.5). Only the last value
// counts, so that a frame full of window sizes costs no more than one.
func (c *conn) takeSettings(f frameHead, payload []byte) error {
	if f.stream != 0 {
		return violation(codeProtocol)
	}
	if f.has(flagAck) {
		c.mu.acked = true
		return nil
	}
	window := c.mu.peerStreamWindow
	for ; len(payload) > 0; payload = payload[settingBytes:] {
		v := binary.BigEndian.Uint32(payload[2:])
		switch binary.BigEndian.Uint16(payload) {
		case settingPush:
			if v > 1 {
				return violation(codeProtocol)
			}
		case settingStreamWindow:
			if v > windowMax {
				return violation(codeFlowControl)
			}
			window = int64(v)
		case settingFrameBytesMax:
			if v < frameBytesMaxLow || v > frameBytesMaxHigh {
				return violation(codeProtocol)
			}
			c.mu.peerFrameBytesMax = int(v)
		}
	}
	c.greeted = true
	if by := window - c.mu.peerStreamWindow; by != 0 {
		c.mu.peerStreamWindow = window
		for s := range c.mu.streams.all() {
			if !s.window.grow(by) {
				return violation(codeFlowControl)
			}
			s.wakeSenderLocked()
		}
	}
	c.mu.out = appendFrameHead(c.outLocked(), frameHead{kind: frameSettings, flags: flagAck})
	return nil
}

func (c *conn) takePing(f frameHead, payload []byte) error {
	if f.stream != 0 {
		return violation(codeProtocol)
	}
	if !f.has(flagAck) {
		c.mu.out = appendPing(c.outLocked(), flagAck, payload)
	} else if string(payload) == drainPing {
		c.goneLocked()
	}
	return nil
}

// takeReset ends a stream that the peer gives up (RFC 9113 section 6.4). Its exchange goes
// on until it notices, and counts among those in progress as long.
func (c *conn) takeReset(f frameHead, _ []byte) error {
	if f.stream == 0 || f.stream&1 == 0 || f.stream > c.mu.maxID {
		return violation(codeProtocol)
	}
	s := c.mu.streams.find(f.stream)
	if s == nil || s.localEnd || s.gone {
		if !c.mu.conduct.frame(c) {
			return connectionError{codeEnhanceCalm, fault.FrameFlood}
		}
		if s != nil {
			s.gone = true
		}
		if s != nil && s.connect { // it has said all it had to say and still reads
			s.endLocked(fault.ContentTruncated, fault.ClientAborted)
		}
		return nil
	}
	s.gone = true
	s.endLocked(fault.ContentTruncated, fault.ClientAborted)
	return c.offenceLocked()
}

// offenceLocked counts a stream that came to nothing by the peer's doing.
func (c *conn) offenceLocked() error {
	if !c.mu.conduct.reset(c) {
		return connectionError{codeEnhanceCalm, fault.StreamResets}
	}
	return nil
}

// takeWindowUpdate lets more content be sent (RFC 9113 section 6.9).
func (c *conn) takeWindowUpdate(f frameHead, payload []byte) error {
	by := int64(binary.BigEndian.Uint32(payload) & streamIDMax)
	if by == 0 {
		return violation(codeProtocol)
	}
	if !c.mu.conduct.frame(c) {
		return connectionError{codeEnhanceCalm, fault.FrameFlood}
	}
	if f.stream == 0 {
		if !c.mu.window.grow(by) {
			return violation(codeFlowControl)
		}
		c.wakeQueueLocked()
		return nil
	}
	if f.stream > c.mu.maxID || f.stream&1 == 0 {
		return violation(codeProtocol)
	}
	if s := c.mu.streams.find(f.stream); s != nil {
		if !s.window.grow(by) {
			s.resetLocked(codeFlowControl)
			s.endLocked(fault.ContentTruncated, fault.ClientAborted)
			return c.offenceLocked()
		}
		s.wakeSenderLocked()
	}
	return nil
}
