package h2

import (
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// conn is one client connection. Its fields are those of the reading goroutine and those that
// all tasks share, which the mutex guards; what never changes stands first.
type conn struct {
	srv    *Server
	net    *netio.Conn
	life   Life
	client *message.Client
	set    *Settings // in force when the connection began: told to the peer

	reader
	mu shared
}

// reader is what belongs to the reading goroutine alone.
type reader struct {
	buf        []byte // nil while nothing is unread
	begin, end int    // unread bytes
	now        time.Duration
	prefaced   bool // the preface has come
	greeted    bool // and the first SETTINGS
	frames     uint64
	partial    partial
	table      *hpack.Decoder
	section    section
	data       dataFrame
	starting   []*stream // opened in the turn in hand
	early      earlyPriorities
}

// partial is something that has begun and whose rest is due.
type partial struct {
	since time.Duration // 0 when there is nothing
	frame uint64        // which frame it was
}

// shared is what several goroutines use.
type shared struct {
	sync.Mutex
	streams streamTable
	active  int // streams that a task serves or will serve
	served  int
	maxID   uint32 // the last stream that the peer has opened
	reset   resetRing
	conduct conduct

	out      []byte // frames to be written
	flushing bool   // a task writes
	tabled   bool   // the peer knows that our encoder has no table
	window   sendWindow
	sent     uint64 // bytes of content
	queue    sendQueue
	receive  receiveWindow

	peerStreamWindow  int64
	peerFrameBytesMax int
	acked             bool // the peer knows our settings

	going   goingAway
	broken  error         // why nothing is sent any more
	waiting *netio.Waiter // of finish, for the last task
	idleAt  time.Duration // since when no stream is active
	partial time.Duration // reader.partial.since
}

func newConn(s *Server, nc *netio.Conn, life Life, client *message.Client) *conn {
	set := s.Settings(client)
	c := &conn{srv: s, net: nc, life: life, client: client, set: set}
	c.table = hpack.NewDecoder(tableBytes, c.field)
	c.now = max(nc.Clock().Now(), 1)
	c.partial.since, c.mu.partial = c.now, c.now
	c.mu.conduct = newConduct(c.now, set)
	c.mu.window = windowInitial
	c.mu.peerStreamWindow, c.mu.peerFrameBytesMax = windowInitial, frameBytesMaxLow
	c.mu.receive = newReceiveWindow(max(set.ConnectionWindow, windowInitial))
	c.mu.idleAt = c.now
	nc.SetWritePace(set.WriteTimeout, set.WriteRateMin)
	nc.SetReadDeadline(c.now + set.HeadTimeout)
	return c
}

// greet sends our half of the preface (RFC 9113 section 3.4).
func (c *conn) greet() {
	set := c.set
	c.mu.Lock()
	defer c.mu.Unlock()
	b := appendFrameHead(c.outLocked(), frameHead{kind: frameSettings})
	b = appendSetting(b, settingStreamsMax, uint32(set.StreamsMax))
	b = appendSetting(b, settingStreamWindow, uint32(set.StreamWindow))
	b = appendSetting(b, settingFrameBytesMax, uint32(set.FrameBytesMax))
	b = appendSetting(b, settingFieldBytesMax, uint32(set.HeadBytesMax+32*set.FieldsMax))
	b = appendSetting(b, settingNoOldPriorities, 1)
	b = appendSetting(b, settingConnectProtocol, 1)
	b[2] = byte(len(b) - frameHeadBytes)
	if by := c.mu.receive.size - windowInitial; by > 0 {
		b = appendWindowUpdate(b, 0, uint32(by))
		c.mu.receive.left = c.mu.receive.size
	}
	c.mu.out = b
	c.kickLocked()
}

// turn reads what is there and does what it says. It runs inside netio's callback.
func (c *conn) turn() netio.Verdict {
	for {
		c.borrow(1)
		room := c.buf[c.end:]
		n, err := c.net.TryRead(room)
		if err == netio.ErrAgain {
			return c.park()
		}
		if err != nil {
			c.waitFailed(err)
			return netio.Leave
		}
		c.end += n
		c.now = c.net.Clock().Now()
		if c.work() == netio.Leave {
			return netio.Leave
		}
		// A short read spares the one that finds nothing. It doesn't show a FIN that came
		// along: the clock looks for that.
		if n < len(room) {
			return c.park()
		}
	}
}

// work takes in what lies in the buffer and starts the streams that it opened.
func (c *conn) work() netio.Verdict {
	if err := c.takeFrames(); err != nil {
		c.fail(err)
		c.start()
		return netio.Leave
	}
	c.start()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kickLocked()
	if c.mu.going.over(c.mu.active) {
		return netio.Leave
	}
	return netio.Park
}

// park ends a turn.
func (c *conn) park() netio.Verdict {
	if c.begin == c.end {
		c.release()
	}
	if since := c.pending(); since != c.partial.since {
		c.partial.since = since
		c.mu.Lock()
		c.mu.partial = since
		c.armLocked()
		c.mu.Unlock()
	}
	c.net.Waiting(int64(c.now))
	return netio.Park
}

// pending returns since when something has begun whose rest is due; 0 when nothing has.
func (c *conn) pending() time.Duration {
	switch {
	case !c.greeted:
		return c.partial.since
	case c.section.open:
		return c.section.since
	case c.begin == c.end:
		return 0
	case c.partial.since != 0 && c.partial.frame == c.frames:
		return c.partial.since
	}
	c.partial.frame = c.frames
	return c.now
}

// armLocked sets when the wait for bytes ends: for the rest of something that has begun, or
// for the next request.
func (c *conn) armLocked() {
	switch set := c.srv.Settings(c.client); {
	case c.mu.partial != 0:
		c.net.SetReadDeadline(c.mu.partial + set.HeadTimeout)
	case c.mu.active > 0:
		c.net.SetReadDeadline(0)
	default:
		c.net.SetReadDeadline(c.mu.idleAt + set.IdleTimeout)
	}
}

// waitFailed ends a connection whose wait for bytes has ended.
func (c *conn) waitFailed(err error) {
	switch {
	case err == netio.ErrTimeout && c.heading():
		c.fail(connectionError{codeEnhanceCalm, fault.HeadTimeout})
	case err == netio.ErrTimeout, err == netio.ErrInterrupted:
		c.quit(codeNone, netio.ErrInterrupted)
	default:
		c.mu.Lock()
		c.breakLocked(fault.ClientAborted)
		c.mu.Unlock()
	}
}

// heading reports whether a part of a preface or of a request head has come.
func (c *conn) heading() bool {
	b := c.buf[c.begin:c.end]
	return c.section.open || !c.greeted && len(b) > 0 || len(b) > 3 && b[3] == frameHeaders
}

// connectionError ends a connection (RFC 9113 section 5.4.1).
type connectionError struct {
	code code
	kind fault.Kind // who did what, for log and metrics
}

// Error implements error.
func (e connectionError) Error() string { return e.kind.Error() }

func violation(c code) error { return connectionError{c, fault.ProtocolViolation} }

// fail ends the connection for what its peer did, and says so to peer and operator.
func (c *conn) fail(err error) {
	e, ok := err.(connectionError)
	if !ok {
		e = connectionError{codeInternal, fault.Internal}
	}
	c.quit(e.code, fault.ClientAborted)
	c.blame(e.kind)
}

// quit says that the connection ends, and why; why is what its streams end with.
func (c *conn) quit(code code, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.broken == nil && (code != codeNone || !c.mu.going.final) {
		c.mu.out = appendGoAway(c.outLocked(), c.mu.maxID, code)
		c.mu.going.final = true
		c.kickLocked()
	}
	c.breakLocked(why)
}

// breakLocked ends everything that streams wait for.
func (c *conn) breakLocked(why error) {
	if c.mu.broken != nil {
		return
	}
	c.mu.broken = why
	for s := range c.mu.streams.all() {
		s.endLocked(why, why)
	}
}

// blame has a fault of the connection counted and logged.
func (c *conn) blame(k fault.Kind) {
	r := message.Request{Client: c.client, Received: c.now, Content: nothing{}, LastOnConnection: true}
	r.Head.Reset(nil)
	r.Head.Major = 2
	c.srv.Handler.Refuse(&r, nothing{}, k)
}

// nothing is content without bytes and an answer that nobody gets.
type nothing struct{}

func (nothing) Whole() ([]byte, bool)                     { return nil, true }
func (nothing) Read([]byte) (int, error)                  { return 0, fault.ClientAborted }
func (nothing) Started() bool                             { return false }
func (nothing) Respond(*message.Head, []byte, bool) error { return nil }
func (nothing) Write([]byte, bool) error                  { return nil }
func (nothing) Interim(*message.Head) error               { return nil }

// finish lets the peer read what was said last and waits for the tasks of the connection.
func (c *conn) finish() {
	c.mu.Lock()
	c.restLocked(func() bool { return !c.mu.flushing })
	gone := c.mu.broken == fault.ClientAborted && !c.mu.going.final
	c.mu.Unlock()
	if !gone {
		c.linger()
	}
	c.end = c.begin
	c.release()
	c.mu.Lock()
	c.restLocked(func() bool { return !c.mu.flushing && c.mu.active == 0 })
	c.mu.Unlock()
}

// restLocked waits without the mutex until rested says that it need not.
func (c *conn) restLocked(rested func() bool) {
	for !rested() {
		w := netio.NewWaiter()
		c.mu.waiting = w
		c.mu.Unlock()
		w.Wait(time.Hour)
		c.mu.Lock()
		c.mu.waiting = nil
		w.Free()
	}
}

// restedLocked wakes finish when a task has ended.
func (c *conn) restedLocked() {
	if c.mu.waiting != nil {
		c.mu.waiting.Wake()
		c.mu.waiting = nil
	}
}

const (
	// lingerTimeout and lingerBytesMax bound what is read and dropped after the last frame,
	// so that a reset doesn't overtake it.
	lingerTimeout  = time.Second
	lingerBytesMax = 256 << 10
)

func (c *conn) linger() {
	c.net.CloseWrite()
	c.net.ResumeReads()
	c.net.SetReadDeadline(c.net.Clock().Now() + lingerTimeout)
	c.borrow(1)
	for taken := 0; taken < lingerBytesMax; {
		n, err := c.net.Read(c.buf)
		if err != nil {
			return
		}
		taken += n
	}
}
