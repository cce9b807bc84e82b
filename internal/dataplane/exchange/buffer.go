package exchange

import "sync"

// copyBytes is the size of the buffers that content is relayed through.
const copyBytes = 64 << 10

type copyBuffer [copyBytes]byte

var copyBuffers = sync.Pool{New: func() any { return new(copyBuffer) }}

func newCopyBuffer() *copyBuffer { return copyBuffers.Get().(*copyBuffer) }

func (b *copyBuffer) free() { copyBuffers.Put(b) }
