package h2

import (
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
)

// ClientLimits bound what an upstream may send, and how much it is asked at once.
type ClientLimits struct {
	HeadBytesMax int           // of a response head, and of a trailer section
	FieldsMax    int           // lines of either
	InterimMax   int           // informational responses before the final one
	StreamsMax   int           // exchanges at once on one connection; the upstream may want fewer
	WriteTimeout time.Duration // how long content may wait for the upstream to make room; 0: for ever
	Secure       bool          // the connection is by TLS
	PingAfter    time.Duration // after such a silence an idle connection is tried; 0: never
	PingTimeout  time.Duration // how long that may go unanswered
}

// DefaultClientLimits are generous: an upstream may set many cookies.
func DefaultClientLimits() ClientLimits {
	return ClientLimits{HeadBytesMax: 32 << 10, FieldsMax: 200, InterimMax: 16, StreamsMax: 100, PingAfter: 30 * time.Second, PingTimeout: 5 * time.Second}
}

const (
	// clientStreamWindow is how much content of one response may lie here unread.
	clientStreamWindow = 256 << 10
	// clientWindow is how much content may be under way to all streams of a connection. It is
	// given back as content comes in, so that an exchange that doesn't read holds up no other.
	clientWindow = 4 << 20
	// clientReadBytes is the size of a connection's read buffer: two of the largest frames.
	clientReadBytes = 2 * (frameHeadBytes + frameBytesMaxLow)
	// suspectAfter is how long a ping may go unanswered before the connection takes no more
	// exchanges.
	suspectAfter = time.Second
)

// Client is a connection to an upstream that carries many exchanges at once. A goroutine of
// its own reads it and wakes the exchanges; they write by appending to one buffer.
//
//	upstream -> read -> Stream: heads, content, trailers -> exchange
//	exchange -> out (whole frames) -> flush -> upstream
type Client struct {
	// Ended is told once, from the connection's goroutine, that the connection is closed.
	// It is set before Start.
	Ended func(*Client)

	net    *netio.Conn
	limits ClientLimits
	flush  func() // flushOut, bound once

	in clientReader // belongs to the goroutine that reads

	mu struct {
		sync.Mutex
		streams []*Stream // those with an identifier, ascending
		places  int       // taken, by streams and by those that have sent nothing yet
		nextID  uint32

		streamsMax   int   // what both sides allow
		streamWindow int64 // of the peer, for new streams
		window       sendWindow
		out, spare   []byte // whole frames, for the peer; spare is being written or empty
		flushing     bool
		tableOff     bool // our encoder has said that it uses no table
		settled      bool // the peer's first settings are here
		leaving      bool // no new streams: a side has said so
		failed       fault.Kind
		ended        bool          // the connection's goroutine is at its end
		settling     *netio.Waiter // of Start
		parting      *netio.Waiter // of the connection's goroutine, for the last flush
		armed        time.Duration // when the reader is woken at the latest; 0: never
		heard        time.Duration // when bytes last came
		pinged       time.Duration // when the ping was sent that is unanswered; 0: none is
		idle         time.Duration // since when there is no stream; 0 while there is
		used         bool          // it has carried an exchange
	}
}

// NewClient returns a client over an open connection; Start has it speak.
func NewClient(nc *netio.Conn, l *ClientLimits) *Client {
	c := &Client{net: nc, limits: *l}
	c.flush = c.flushOut
	c.in.c = c
	c.in.decoder = hpack.NewDecoder(tableBytes, c.in.field)
	c.in.decoder.SetMaxStringLength(answerBytesMax)
	c.in.window = newReceiveWindow(clientWindow)
	c.mu.nextID, c.mu.streamWindow, c.mu.window = 1, windowInitial, windowInitial
	c.mu.streamsMax = max(1, l.StreamsMax)
	return c
}

// Start begins the connection and waits for the peer's settings until by, on the clock, so
// that nothing is sent to a peer that doesn't speak HTTP/2. Errors are faults; after one the
// connection closes by itself.
func (c *Client) Start(by time.Duration) error {
	w := netio.NewWaiter()
	defer w.Free()
	now := c.net.Clock().Now()
	c.mu.Lock()
	c.mu.settling, c.mu.heard, c.mu.idle = w, now, now
	c.mu.out = append(c.mu.out, preface...)
	c.mu.out = appendClientSettings(c.mu.out, &c.limits)
	c.flushLocked()
	c.mu.Unlock()
	go c.run()
	if !w.Wait(max(by-now, time.Millisecond)) {
		c.fail(fault.UpstreamConnectTimeout)
		w.Await() // the end of the connection's goroutine, at the latest
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.mu.failed == fault.UpstreamConnectTimeout:
		return fault.UpstreamConnectTimeout
	case c.mu.failed != fault.None || c.mu.ended:
		return fault.UpstreamProtocol
	}
	return nil
}

// appendClientSettings appends what a client says first (RFC 9113 sections 3.4 and 6.5.2).
func appendClientSettings(dst []byte, l *ClientLimits) []byte {
	dst = appendFrameHead(dst, frameHead{length: 3 * settingBytes, kind: frameSettings})
	dst = appendSetting(dst, settingPush, 0)
	dst = appendSetting(dst, settingStreamWindow, clientStreamWindow)
	dst = appendSetting(dst, settingFieldBytesMax, uint32(l.HeadBytesMax))
	return appendWindowUpdate(dst, 0, clientWindow-windowInitial)
}

// Open takes a place for an exchange, whose stream s becomes; s is in its zero state or has
// been Finished. It reports whether there was one.
func (c *Client) Open(s *Stream) (reused, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.takesLocked() {
		return false, false
	}
	reused = c.mu.used
	c.mu.used = true
	c.mu.places++
	c.mu.idle = 0
	s.begin(c)
	return reused, true
}

// Room returns how many more exchanges the connection takes now.
func (c *Client) Room() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.takesLocked() {
		return 0
	}
	return c.mu.streamsMax - c.mu.places
}

func (c *Client) takesLocked() bool {
	if c.mu.leaving || c.mu.failed != fault.None || c.mu.ended || c.mu.places >= c.mu.streamsMax {
		return false
	}
	return c.mu.pinged == 0 || c.net.Clock().Now()-c.mu.pinged < suspectAfter
}

// Idle reports since when the connection has carried no exchange; ok is false while it
// carries one.
func (c *Client) Idle() (since time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.idle, c.mu.places == 0
}

// Leaving reports whether a side has said that no new exchange is let in.
func (c *Client) Leaving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.leaving || c.mu.ended || c.mu.failed != fault.None
}

// Leave lets no new exchange in and closes the connection once the last one has ended.
func (c *Client) Leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.leaving = true
	c.partLocked()
}

// partLocked ends a connection that nobody needs any more.
func (c *Client) partLocked() {
	if c.mu.leaving && c.mu.places == 0 && !c.mu.ended {
		c.net.InterruptReads()
	}
}

// release gives back the place of a stream, which the reader doesn't know any more.
func (c *Client) releaseLocked(s *Stream) {
	if i := c.findLocked(s.id); i >= 0 && c.mu.streams[i] == s {
		c.mu.streams = append(c.mu.streams[:i], c.mu.streams[i+1:]...)
		c.mu.streams[:len(c.mu.streams)+1][len(c.mu.streams)] = nil
	}
	if c.mu.places--; c.mu.places == 0 {
		c.mu.idle = c.net.Clock().Now()
		if c.limits.PingAfter > 0 {
			c.armLocked(c.mu.heard + c.limits.PingAfter)
		}
	}
	c.partLocked()
}

// findLocked returns where the stream with that identifier stands, or -1.
func (c *Client) findLocked(id uint32) int {
	lo, hi := 0, len(c.mu.streams)
	for lo < hi {
		mid := (lo + hi) / 2
		if c.mu.streams[mid].id < id {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(c.mu.streams) && c.mu.streams[lo].id == id {
		return lo
	}
	return -1
}

// armLocked makes sure that the reader looks at the deadlines no later than at.
func (c *Client) armLocked(at time.Duration) {
	if at != 0 && (c.mu.armed == 0 || at < c.mu.armed) {
		c.mu.armed = at
		c.net.SetReadDeadline(at)
	}
}

// fail ends the connection and all of its exchanges because of k.
func (c *Client) fail(k fault.Kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(k)
}

func (c *Client) failLocked(k fault.Kind) {
	if c.mu.failed != fault.None {
		return
	}
	c.mu.failed = k
	for _, s := range c.mu.streams {
		s.endLocked(k)
	}
	c.net.Interrupt()
}

// appendLocked appends a frame that answers the peer. One that asks for more answers than it
// takes away is cut off.
func (c *Client) controlLocked(frame []byte) {
	c.mu.out = append(c.mu.out, frame...)
	if len(c.mu.out) > outBytesMax+controlBytesMax {
		c.failLocked(fault.UpstreamBadResponse)
	}
	c.flushLocked()
}
