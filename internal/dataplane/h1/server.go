package h1

import (
	"errors"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// Settings are what a server keeps to on a connection; they are read anew for every
// request, so that a reload takes effect on open connections.
type Settings struct {
	HeadBytesMax   int // of a request head, at most message.HeadBytesMax
	FieldsMax      int
	TargetBytesMax int
	RequestsMax    int // requests on one connection; 0 is no limit

	HeadTimeout    time.Duration // for a whole request head, from its first byte
	IdleTimeout    time.Duration // between two requests
	ContentTimeout time.Duration // between two reads of content
	WriteTimeout   time.Duration // for a write without progress
	WriteRateMin   int64         // bytes a second that the client takes of a write that waits; 0 is any
	ContentRateMin int64         // bytes a second of request content, after a ContentTimeout of grace; 0 is none
}

// Life is how a connection's owner follows it.
type Life interface {
	Busy()                  // a request has begun
	Idle(now time.Duration) // it waits for the next one
	MustClose() bool        // the answer in hand is the last one
}

// Server serves client connections.
type Server struct {
	Handler message.Handler
	// Settings returns the settings in force for a client.
	Settings func(*message.Client) *Settings
}

// conn is one client connection. What a request needs is borrowed as work while one is
// in hand, so that an idle connection is small.
type conn struct {
	srv    *Server
	net    *netio.Conn
	life   Life
	client *message.Client
	w      *work

	served  int
	started time.Duration // when the head in hand began to arrive, 0 when none does
	state   state
	fresh   bool // no park has followed a request yet
}

// state is where a connection stands between turns.
type state uint8

const (
	reading   state = iota // heads
	streaming              // the request in w needs the reading side: leave the turns
	ended
)

// Serve serves requests on nc until it ends. The caller closes nc.
func (s *Server) Serve(nc *netio.Conn, life Life, client *message.Client) {
	c := &conn{srv: s, net: nc, life: life, client: client, fresh: true}
	now := nc.Clock().Now()
	set := s.Settings(client)
	nc.SetWritePace(set.WriteTimeout, set.WriteRateMin)
	nc.SetReadDeadline(now + set.HeadTimeout)
	c.started = now
	defer c.release()
	for c.state != ended {
		if err := nc.Turns(c.turn); err != nil {
			c.waitFailed(err)
			return
		}
		if c.state == streaming {
			c.serveStreaming()
		}
	}
}

// turn reads what is there and serves every request that can be served without reading
// on. It runs inside netio's callback.
func (c *conn) turn() netio.Verdict {
	for {
		c.borrow()
		w := c.w
		room := w.buf[w.end:]
		n, err := c.net.TryRead(room)
		if err == netio.ErrAgain {
			return c.park()
		}
		if err != nil {
			return c.readFailed(err)
		}
		w.end += n
		c.serveBuffered()
		if c.state != reading {
			return netio.Leave
		}
		// A short read spares the one that finds nothing, but it doesn't show a FIN that
		// came along. Between requests the clock looks for one; within a head we do.
		if n < len(room) && !c.fresh && w.begin == w.end {
			return c.park()
		}
		c.fresh = false
	}
}

// park ends a turn: the connection is idle, or waits for the rest of a head.
func (c *conn) park() netio.Verdict {
	if c.w.begin < c.w.end {
		return netio.Park
	}
	c.release()
	if c.served > 0 {
		now := c.net.Clock().Now()
		c.started = 0
		c.life.Idle(now)
		c.net.SetReadDeadline(now + c.srv.Settings(c.client).IdleTimeout)
		c.net.Waiting(int64(now))
	}
	return netio.Park
}

func (c *conn) readFailed(err error) netio.Verdict {
	c.state = ended
	if err == netio.ErrTimeout {
		c.waitFailed(err)
	}
	return netio.Leave
}

// waitFailed ends a connection whose wait has ended. A client that sent part of a head is
// told that its time is over; one that was idle is not (RFC 9110 section 15.5.9).
func (c *conn) waitFailed(err error) {
	c.state = ended
	if errors.Is(err, netio.ErrTimeout) && c.w != nil && c.w.begin < c.w.end {
		c.refuse(fault.HeadTimeout)
	}
}

// serveBuffered serves the requests that lie in the buffer, in order.
func (c *conn) serveBuffered() {
	w := c.w
	for w.begin < w.end && c.state == reading {
		c.begin()
		if !c.skipEmptyLine() {
			return
		}
		done, err := parseRequest(w.buf[w.begin:w.end], &w.req.Head, &w.limits)
		switch {
		case err != nil:
			c.refuse(err)
		case !done && w.begin > 0:
			w.compact()
			return
		case !done:
			return
		case !w.startContent() || w.req.Head.Upgrade:
			c.state = streaming
		default:
			c.serve()
		}
	}
}

// begin takes note of a request's first byte.
func (c *conn) begin() {
	w := c.w
	if w.begun {
		return
	}
	w.begun = true
	c.life.Busy()
	w.req.Received = c.net.Clock().Now()
	if c.started == 0 {
		c.started = w.req.Received
		c.net.SetReadDeadline(c.started + w.settings.HeadTimeout)
	}
}

// skipEmptyLine passes over one empty line before a request (RFC 9112 section 2.2). It
// reports whether anything is left to parse.
func (c *conn) skipEmptyLine() bool {
	w := c.w
	if w.buf[w.begin] != '\r' {
		return true
	}
	if w.end-w.begin < 2 {
		return false
	}
	if w.buf[w.begin+1] == '\n' && !w.skipped {
		w.skipped = true
		w.begin += 2
	}
	return w.begin < w.end
}

// serveStreaming serves the request in hand outside the turns: its content is still to be
// read, or its connection may become a tunnel.
func (c *conn) serveStreaming() {
	for c.state == streaming {
		c.state = reading
		c.serve()
		if c.state == reading && c.w != nil {
			c.serveBuffered()
		}
	}
}

// serve hands the parsed request to the handler and readies the connection for the next.
func (c *conn) serve() {
	w := c.w
	c.served++
	c.net.SetReadDeadline(0)
	persists := w.req.Head.PersistsAfter()
	w.req.LastOnConnection = !persists || c.life.MustClose() || w.settings.RequestsMax > 0 && c.served >= w.settings.RequestsMax
	err := c.srv.Handler.ServeExchange(&w.req, w)
	c.started = 0
	if err != nil || !w.finished || w.tunnelled {
		c.state = ended
		if err != nil && w.responded && !w.finished {
			c.net.Reset() // the client must not take a broken message for a whole one
		}
		return
	}
	if w.closing || w.req.LastOnConnection || !w.discardContent() {
		c.close()
		return
	}
	w.next()
}

// refuse answers a request that could not be accepted and ends the connection.
func (c *conn) refuse(reason error) {
	w := c.w
	c.served++
	w.req.LastOnConnection = true
	w.req.Content = w
	c.srv.Handler.Refuse(&w.req, w, reason)
	c.close()
}

// close ends the connection so that the client can read the answer: it says that nothing
// more comes, and takes in for a while what the client still sends.
func (c *conn) close() {
	c.state = ended
	if c.w.begin == c.w.end && c.w.contentDone() {
		return
	}
	c.w.lingering = true
}

// linger is close's second half, outside the turns.
func (c *conn) linger() {
	c.net.CloseWrite()
	c.net.ResumeReads()
	deadline := c.net.Clock().Now() + lingerTimeout
	c.net.SetReadDeadline(deadline)
	for taken := 0; taken < lingerBytesMax; {
		n, err := c.net.Read(c.w.buf)
		if err != nil {
			return
		}
		taken += n
	}
}

const (
	// lingerTimeout and lingerBytesMax bound what is read and dropped after the last
	// answer, so that a reset does not overtake it (RFC 9112 section 9.6).
	lingerTimeout  = time.Second
	lingerBytesMax = 256 << 10
	// discardBytesMax is how much unread content is read over to keep a connection.
	discardBytesMax = 64 << 10
)

func (c *conn) borrow() {
	if c.w == nil {
		c.w = newWork(c)
	}
}

func (c *conn) release() {
	if c.w == nil {
		return
	}
	if c.w.lingering {
		c.linger()
	}
	c.w.free()
	c.w = nil
}
