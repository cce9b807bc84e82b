package main

import "golang.org/x/sys/unix"

// conn is the state of one connection between two events.
type conn struct {
	fd      int
	kept    []byte // received, not yet consumed
	unsent  []byte // rest of the answer being written
	answer  []byte // what to write once the request content is consumed
	content int64  // bytes of request content still to come
	chunks  chunkReader
	state   state
	closes  bool // close after the answer being written
}

// state says what the next received byte belongs to.
type state uint8

const (
	inHead state = iota
	inContent
	inChunks
)

// reset makes the record ready for the next connection with this descriptor.
func (c *conn) reset() {
	*c = conn{fd: c.fd, kept: c.kept[:0]}
}

// read takes what has arrived and handles it. It reports false when the
// connection is over.
func (c *conn) read(buf []byte, a *answers) bool {
	kept := copy(buf, c.kept)
	n, errno := rawRead(c.fd, buf[kept:])
	if n <= 0 {
		return errno == unix.EAGAIN || errno == unix.EINTR
	}
	c.kept = c.kept[:0]
	return c.handle(buf[:kept+n], a)
}

// takeKept moves what was kept into buf.
func (c *conn) takeKept(buf []byte) []byte {
	n := copy(buf, c.kept)
	c.kept = c.kept[:0]
	return buf[:n]
}

// handle consumes b: every complete request in it is answered, the rest is
// kept. It stops early when an answer does not fit into the socket.
func (c *conn) handle(b []byte, a *answers) bool {
	for len(b) > 0 && len(c.unsent) == 0 {
		var complete, ok bool
		before := len(b)
		b, complete, ok = c.consume(b, a)
		if !ok {
			return false
		}
		if complete {
			c.unsent = c.answer
			if !c.flush() {
				return false
			}
		} else if len(b) == before {
			break // needs more than b
		}
	}
	c.kept = append(c.kept, b...)
	return c.state != inHead || len(c.kept) <= headBytesMax || len(c.unsent) > 0
}

// consume takes one step through b: a head or a piece of content. complete
// reports that a request has ended and c.answer is due.
func (c *conn) consume(b []byte, a *answers) (rest []byte, complete, ok bool) {
	switch c.state {
	case inContent:
		n := min(c.content, int64(len(b)))
		c.content -= n
		rest, complete, ok = b[n:], c.content == 0, true
	case inChunks:
		rest, complete, ok = c.chunks.skip(b)
	default:
		return c.consumeHead(b, a)
	}
	if complete {
		c.state = inHead
	}
	return rest, complete, ok
}

func (c *conn) consumeHead(b []byte, a *answers) (rest []byte, complete, ok bool) {
	head, rest, whole := cutHead(b)
	if !whole {
		return b, false, true
	}
	req, ok := parseHead(head)
	if !ok {
		return nil, false, false
	}
	c.answer, c.closes = a.forRequest(req), req.closes
	switch {
	case req.chunked:
		c.state = inChunks
	case req.contentLength > 0:
		c.state, c.content = inContent, req.contentLength
	default:
		complete = true
	}
	return rest, complete, true
}

// flush writes what is unsent. It reports false when the connection is over,
// by an error or because the answer was the last one.
func (c *conn) flush() bool {
	for len(c.unsent) > 0 {
		n, errno := rawWrite(c.fd, c.unsent)
		if errno == unix.EAGAIN {
			return true
		}
		if errno != 0 && errno != unix.EINTR {
			return false
		}
		c.unsent = c.unsent[max(n, 0):]
	}
	return !c.closes
}
