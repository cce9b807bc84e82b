package h2

import (
	"time"

	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// Settings are what a server keeps to on a connection. Those that a peer is told of hold for
// the life of a connection; the others are read anew, so that a reload takes effect on open
// connections.
type Settings struct {
	HeadBytesMax   int // of a request head, decoded; at most message.HeadBytesMax
	FieldsMax      int // cookie crumbs count
	TargetBytesMax int
	RequestsMax    int // requests on one connection; 0 is no limit

	HeadTimeout    time.Duration // for a whole request head, from its first byte
	IdleTimeout    time.Duration // without a request
	ContentTimeout time.Duration // between two reads of content
	WriteTimeout   time.Duration // for an answer without progress
	WriteRateMin   int64         // bytes a second that the client takes of an answer that waits; 0 is any
	ContentRateMin int64         // bytes a second of request content, after a ContentTimeout of grace; 0 is none

	StreamsMax       int   // exchanges at once on one connection; told to the peer
	StreamWindow     int64 // bytes of content that one of them may have unread; told to the peer
	ConnectionWindow int64 // the same for all of them; told to the peer
	FrameBytesMax    int   // payload of a frame that the peer may send; told to the peer
}

// Life is how a connection's owner follows it.
type Life interface {
	Busy()                  // a request has begun
	Idle(now time.Duration) // none is in hand
	MustClose() bool        // no further request is wanted
	// OnDrain has told called when no further request is wanted, by any goroutine, any number
	// of times, until it is given nil.
	OnDrain(told func())
}

// Server serves client connections.
type Server struct {
	Handler message.Handler
	// Settings returns the settings in force for a client.
	Settings func(*message.Client) *Settings
	// Panicked is told of a panic outside of the handler, which costs only its connection.
	Panicked func(value any)
}

// Serve serves requests on nc until it ends. The caller closes nc.
func (s *Server) Serve(nc *netio.Conn, life Life, client *message.Client) {
	c := newConn(s, nc, life, client)
	c.greet()
	life.OnDrain(c.drain)
	defer life.OnDrain(nil)
	if err := nc.Turns(c.turn); err != nil {
		c.waitFailed(err)
	}
	c.finish()
}

// PrefaceBytes is how long the preface of an HTTP/2 connection is.
const PrefaceBytes = len(preface)

// IsPreface reports whether b begins an HTTP/2 connection (RFC 9113 section 3.4); more says
// that b is too short to tell.
func IsPreface(b []byte) (yes, more bool) {
	n := min(len(b), len(preface))
	same := string(b[:n]) == preface[:n]
	return same && n == len(preface), same && n < len(preface)
}
