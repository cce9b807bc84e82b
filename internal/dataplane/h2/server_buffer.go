package h2

import "sync"

const (
	// readBytes is the size of a connection's read buffer: one frame of the usual size.
	readBytes = frameHeadBytes + frameBytesMaxLow + 503 // 16.5 KiB
	// outBytesMax is how many bytes may wait to be written before streams wait.
	outBytesMax = 64 << 10
	// outBytes is the size of a write buffer: what may wait and one frame more.
	outBytes = outBytesMax + frameBytesMaxLow + 512
	// sectionBytesUsual is room for most encoded field sections.
	sectionBytesUsual = 1 << 10
)

var readBuffers = sync.Pool{New: func() any { return new([readBytes]byte) }}

// outBuffers holds write buffers, which only a burst of small frames outgrows.
var outBuffers = sync.Pool{New: func() any { return new([outBytes]byte) }}

func newOut() []byte { return outBuffers.Get().(*[outBytes]byte)[:0] }

func freeOut(b []byte) {
	if cap(b) == outBytes {
		outBuffers.Put((*[outBytes]byte)(b[:outBytes]))
	}
}

// borrow makes sure that there is a buffer with room for need bytes behind what is unread.
func (c *conn) borrow(need int) {
	if c.buf == nil {
		if need <= readBytes {
			c.buf = readBuffers.Get().(*[readBytes]byte)[:]
		} else {
			c.buf = make([]byte, need)
		}
	}
}

// release gives the buffer back; nothing may be unread.
func (c *conn) release() {
	if len(c.buf) == readBytes {
		readBuffers.Put((*[readBytes]byte)(c.buf))
	}
	c.buf, c.begin, c.end = nil, 0, 0
}

// makeRoom makes sure that what is unread can become need bytes long.
func (c *conn) makeRoom(need int) {
	if c.begin == c.end {
		c.begin, c.end = 0, 0
	}
	if len(c.buf)-c.begin >= need && c.end < len(c.buf) {
		return
	}
	unread := c.buf[c.begin:c.end]
	if need > len(c.buf) {
		grown := make([]byte, need)
		copy(grown, unread)
		c.begin = c.end // nothing of the old one is left
		n := len(unread)
		c.release()
		c.buf, c.end = grown, n
		return
	}
	c.end = copy(c.buf, unread)
	c.begin = 0
}
