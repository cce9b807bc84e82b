package h1

import "sync"

const (
	// readBufferBytes is the size of a connection's read buffer unless the limit of the
	// head asks for more.
	readBufferBytes = 16 << 10
	// contentBytesMin is the least room for content behind a head in a read buffer.
	contentBytesMin = 4 << 10
	// writeBufferBytesMax is the largest write buffer that is kept for reuse.
	writeBufferBytesMax = 128 << 10
)

// buffers keeps read buffers of the usual size. A larger one is made for a connection
// whose head limit needs it and is left to the collector.
var buffers = sync.Pool{New: func() any { return new([readBufferBytes]byte) }}

func newReadBuffer(headBytesMax int) []byte {
	if need := headBytesMax + contentBytesMin; need > readBufferBytes {
		return make([]byte, need)
	}
	return buffers.Get().(*[readBufferBytes]byte)[:]
}

func freeReadBuffer(b []byte) {
	if len(b) == readBufferBytes {
		buffers.Put((*[readBufferBytes]byte)(b))
	}
}

// outBuffer is memory that a message is put together in.
type outBuffer struct{ b []byte }

var outBuffers = sync.Pool{New: func() any { return new(outBuffer) }}

func newOutBuffer() *outBuffer { return outBuffers.Get().(*outBuffer) }

func (o *outBuffer) free() {
	if cap(o.b) <= writeBufferBytesMax {
		outBuffers.Put(o)
	}
}
