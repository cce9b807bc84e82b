package stream

import (
	"io"
	"sync"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/hello"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/route"
	"sentinel/internal/dataplane/snapshot"
)

// choose finds the route. None without a route is a client that has left before it said
// anything.
func (x *stream) choose() fault.Kind {
	t := x.ln.Streams
	if t.Table == nil {
		x.route = t.Default
		return fault.None
	}
	x.c.Net.SetReadDeadline(x.look() + t.HelloTimeout)
	err := x.readName()
	x.c.Net.SetReadDeadline(0)
	switch err {
	case nil, hello.ErrNotTLS:
	case io.EOF, netio.ErrInterrupted:
		return fault.None
	case netio.ErrTimeout:
		return fault.HelloTimeout
	case hello.ErrMalformed:
		return fault.BadHello
	default:
		return fault.ClientClosed
	}
	x.route = x.find(t)
	if x.route == nil {
		return fault.NoRoute
	}
	return fault.None
}

// find returns the route for the server name.
func (x *stream) find(t *snapshot.Streams) *snapshot.Stream {
	if len(x.name) > 0 {
		if r, ok := t.Table.Match(&route.Input{Host: x.name, Path: rootPath}); ok {
			return r
		}
	}
	return t.Default
}

var rootPath = []byte("/")

var helloBuffers = sync.Pool{New: func() any { return new([hello.BytesMax]byte) }}

// readName looks for the server name in the bytes that the connection begins with, and leaves
// them where they are.
func (x *stream) readName() error {
	var first [1]byte
	if _, err := x.c.Net.Peek(first[:], 1); err != nil {
		return err
	}
	b := helloBuffers.Get().(*[hello.BytesMax]byte)
	defer helloBuffers.Put(b)
	for least := 1; ; {
		n, err := x.c.Net.Peek(b[:], least)
		if err == io.EOF && n > 0 {
			return hello.ErrMalformed
		}
		if err != nil {
			return err
		}
		name, need, err := hello.ServerName(b[:n])
		if need == 0 {
			x.secure, x.peeked = err == nil, n
			x.name = append(x.name, name...)
			return err
		}
		least = need
	}
}
