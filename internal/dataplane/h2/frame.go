package h2

import "encoding/binary"

// The frame types of RFC 9113 section 6 and RFC 9218 section 7.1.
const (
	frameData           = 0x0
	frameHeaders        = 0x1
	framePriority       = 0x2
	frameReset          = 0x3
	frameSettings       = 0x4
	framePushPromise    = 0x5
	framePing           = 0x6
	frameGoAway         = 0x7
	frameWindowUpdate   = 0x8
	frameContinuation   = 0x9
	framePriorityUpdate = 0x10
)

// The flags of frames; what a bit means depends on the type.
const (
	flagEndStream  = 0x1 // DATA, HEADERS
	flagAck        = 0x1 // SETTINGS, PING
	flagEndHeaders = 0x4 // HEADERS, CONTINUATION
	flagPadded     = 0x8 // DATA, HEADERS
	flagPriority   = 0x20
)

// The settings of RFC 9113 section 6.5.2, RFC 8441 section 3 and RFC 9218 section 2.1.
const (
	settingTableSize         = 0x1
	settingPush              = 0x2
	settingStreamsMax        = 0x3
	settingStreamWindow      = 0x4
	settingFrameBytesMax     = 0x5
	settingFieldBytesMax     = 0x6
	settingConnectProtocol   = 0x8
	settingNoOldPriorities   = 0x9
	settingBytes             = 6
	frameBytesMaxLow         = 1 << 14
	frameBytesMaxHigh        = 1<<24 - 1
	windowInitial            = 1<<16 - 1
	windowMax                = 1<<31 - 1
	streamIDMax              = 1<<31 - 1
	frameHeadBytes           = 9
	preface                  = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	tableBytes               = 4096 // the dynamic table that a peer's encoder may fill here
	pingBytes, priorityBytes = 8, 5
)

// code is an error code of RFC 9113 section 7.
type code uint32

// The error codes.
const (
	codeNone           code = 0x0
	codeProtocol       code = 0x1
	codeInternal       code = 0x2
	codeFlowControl    code = 0x3
	codeStreamClosed   code = 0x5
	codeFrameSize      code = 0x6
	codeRefused        code = 0x7
	codeCancel         code = 0x8
	codeCompression    code = 0x9
	codeEnhanceCalm    code = 0xb
	codeHTTP11Required code = 0xd
)

// frameHead is the fixed part that each frame begins with (RFC 9113 section 4.1).
type frameHead struct {
	length int // of the payload, in bytes
	kind   uint8
	flags  uint8
	stream uint32 // 0 is the connection
}

// parseFrameHead reads a frame's head from the first frameHeadBytes of b.
func parseFrameHead(b []byte) frameHead {
	return frameHead{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		kind:   b[3], flags: b[4],
		stream: binary.BigEndian.Uint32(b[5:]) & streamIDMax,
	}
}

func (f frameHead) has(flag uint8) bool { return f.flags&flag != 0 }

func appendFrameHead(dst []byte, f frameHead) []byte {
	return append(dst, byte(f.length>>16), byte(f.length>>8), byte(f.length), f.kind, f.flags,
		byte(f.stream>>24), byte(f.stream>>16), byte(f.stream>>8), byte(f.stream))
}

func appendSetting(dst []byte, id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(dst, id), value)
}

func appendReset(dst []byte, stream uint32, c code) []byte {
	dst = appendFrameHead(dst, frameHead{length: 4, kind: frameReset, stream: stream})
	return binary.BigEndian.AppendUint32(dst, uint32(c))
}

func appendWindowUpdate(dst []byte, stream, by uint32) []byte {
	dst = appendFrameHead(dst, frameHead{length: 4, kind: frameWindowUpdate, stream: stream})
	return binary.BigEndian.AppendUint32(dst, by)
}

func appendPing(dst []byte, flags uint8, data []byte) []byte {
	dst = appendFrameHead(dst, frameHead{length: pingBytes, kind: framePing, flags: flags})
	return append(dst, data[:pingBytes]...)
}

func appendGoAway(dst []byte, last uint32, c code) []byte {
	dst = appendFrameHead(dst, frameHead{length: 8, kind: frameGoAway})
	dst = binary.BigEndian.AppendUint32(dst, last)
	return binary.BigEndian.AppendUint32(dst, uint32(c))
}

// appendSection appends a field section as one HEADERS frame and, where it is longer than
// the peer's frames may be, CONTINUATION frames behind it. flags are those of the HEADERS
// frame without END_HEADERS.
func appendSection(dst []byte, stream uint32, flags uint8, section []byte, frameBytesMax int) []byte {
	kind := uint8(frameHeaders)
	for {
		n := min(len(section), frameBytesMax)
		if n == len(section) {
			flags |= flagEndHeaders
		}
		dst = appendFrameHead(dst, frameHead{length: n, kind: kind, flags: flags, stream: stream})
		dst = append(dst, section[:n]...)
		if section = section[n:]; len(section) == 0 {
			return dst
		}
		kind, flags = frameContinuation, 0
	}
}

// unpad takes the padding off the payload of a padded frame (RFC 9113 section 6.1). ok is
// false when there is more padding than payload.
func unpad(f frameHead, payload []byte) (rest []byte, ok bool) {
	if !f.has(flagPadded) {
		return payload, true
	}
	if len(payload) == 0 || int(payload[0]) >= len(payload) {
		return nil, false
	}
	return payload[1 : len(payload)-int(payload[0])], true
}
