package message

import (
	"net/netip"
	"time"

	"sentinel/internal/dataplane/geo"
	"sentinel/internal/dataplane/netio"
)

// Request is one request as an engine hands it to a handler. It is valid until the
// handler returns.
type Request struct {
	Head    Head
	Content Content
	Client  *Client
	// Received is when the first byte of the request was read, on the clock of the
	// connection (netio.Clock).
	Received time.Duration
	// ContentBy is when the content must have come at the latest, on the same clock; 0 is no
	// bound. The handler sets it before it reads.
	ContentBy time.Duration
	// ContentSilence is how long the client may send nothing within the content where it isn't
	// as long as elsewhere; there is no least rate then. 0 is as elsewhere. The handler sets it
	// before it reads.
	ContentSilence time.Duration
	// LastOnConnection is true when the answer must close the connection whatever the head
	// says: the engine reached a limit or is draining. The handler may set it before Respond.
	LastOnConnection bool
}

// Client is what is known of the peer of a connection; it lives as long as the
// connection does.
type Client struct {
	Addr netip.AddrPort // the true peer of the connection
	// Text is Addr's address as text, without port; AddrQuoted is the same in the form
	// that the Forwarded field wants (RFC 7239 section 6).
	Text       []byte
	AddrQuoted []byte
	Secure     bool     // TLS
	TLS        *TLS     // what its handshake has settled; nil without TLS
	Trusted    bool     // a configured proxy: its forwarded fields are believed
	Listener   int      // slot of the listener, stable across reloads
	HealthOnly bool     // only /health and /ready may be answered
	Cell       int      // metric cell of the connection's worker
	Place      geo.Memo // of Addr
	// Local is where the client has connected to, by a PROXY header if there was one, and TLVs
	// what that has added.
	Local netip.AddrPort
	TLVs  []byte
}

// TLS is what a handshake has settled.
type TLS struct {
	ServerName string // as the client sent it; empty for none
	Protocol   string // chosen by ALPN (RFC 7301); empty for none
	Version    uint16
	Resumed    bool
	// Policy is what was asked of the client.
	Policy Policy
	// Client says who the client is by the certificate that it has shown and that was
	// verified; nil for none.
	Client *Identity
}

// Policy tells apart what is asked of clients in handshakes: equal ones ask the same.
type Policy [16]byte

// Identity is who a client is by its certificate, each as a field value.
type Identity struct {
	Subject, Issuer []byte // distinguished names (RFC 2253)
	Serial          []byte // in lower-case hexadecimal
	Fingerprint     []byte // SHA-256 of the certificate, likewise
	Names           []byte // alternative names such as "DNS:a.example, email:b@c.example"
	Certificate     []byte // the certificate as a byte sequence (RFC 9440 section 2.2)
}

// Content reads the content of a request, freed from its framing.
type Content interface {
	// Whole returns all content that is still to come when it is at hand without
	// waiting; ok is false when reading on would wait.
	Whole() (content []byte, ok bool)
	// Read waits for at least one byte and returns io.EOF at the end of a complete
	// message. Errors are faults.
	Read(p []byte) (int, error)
	// Started reports whether any byte of content has been consumed by Read.
	Started() bool
}

// Asker is a Content whose client may wait for a go-ahead (RFC 9110 section 10.1.1).
type Asker interface {
	// AskForContent tells such a client to go ahead. It writes to the client and may not be
	// called while something else does.
	AskForContent() error
}

// Trailered is a Content that knows trailer fields (RFC 9110 section 6.5).
type Trailered interface {
	// Trailers returns the trailer section of content that has been read to its end, as
	// complete field lines; nothing where there is none that may be passed on.
	Trailers() []byte
}

// TrailerWriter is a Responder that can end content with trailer fields.
type TrailerWriter interface {
	// WriteTrailers ends the content with complete field lines; where the client's framing
	// has no place for them they are left out.
	WriteTrailers(lines []byte) error
}

// Abandoner is a Content that can be given up while another goroutine reads it.
type Abandoner interface {
	// Abandon makes the Read in progress and all later ones fail.
	Abandon()
}

// Resumer is an Abandoner whose connection carries more than this content.
type Resumer interface {
	// Resume undoes Abandon where the content turned out to have been read to its end.
	Resume()
}

// Responder writes the answer of one exchange, whatever the protocol. An answer is
// any number of Interim heads, one Respond, then Writes until one ends it.
type Responder interface {
	// Respond writes the final head. h.Framing and h.ContentLength say how much content
	// follows: the engine frames it in its own way and leaves it out where the request or
	// the status allows none. content is its first part; end says there is no more.
	Respond(h *Head, content []byte, end bool) error
	// Write writes further content; end says there is no more.
	Write(content []byte, end bool) error
	// Interim writes an informational head (1xx).
	Interim(h *Head) error
}

// Transferrer is a Responder that can move response content from an upstream connection
// to the client without carrying it through the process.
type Transferrer interface {
	// TransferFrom moves the last n bytes of the content from src, as long as wait lets it.
	// moved tells how much went out.
	// CanTransferFrom reports whether that is possible for the answer begun.
	CanTransferFrom(src *netio.Conn) bool
	TransferFrom(src *netio.Conn, n int64, wait netio.Patience) (moved int64, readErr, writeErr error)
}

// Watched is a Responder whose client can be looked at while the request waits.
type Watched interface {
	// Peer returns the connection of the client.
	Peer() *netio.Conn
}

// Departing is a Responder whose client can give up one exchange and stay connected.
type Departing interface {
	// Gone reports whether it has.
	Gone() bool
	// OnGone has f called when it does, once, by any goroutine, and at once where it has. f
	// may not wait. After OnGone(nil) no call is under way, and none comes.
	OnGone(f func())
}

// Duplex is a Responder whose request content may be read, by another goroutine, while the
// answer is written.
type Duplex interface {
	Duplex()
}

// Tunneller is a Responder that can become a pipe. Its head for that has status 101; an engine
// whose protocol has no such status sends the one that means it there.
type Tunneller interface {
	// Tunnel returns the pipe after such a head was sent, and the bytes already read from it.
	// The engine closes it when the handler returns.
	Tunnel() (pipe netio.Pipe, early []byte)
}

// Handler serves one exchange. It must answer by w before it returns, or return an
// error, after which the engine ends the connection or stream.
type Handler interface {
	ServeExchange(r *Request, w Responder) error
	// Refuse answers a request that the engine could not accept. h holds what could be
	// read of its head and may be empty. The connection is closed afterwards.
	Refuse(r *Request, w Responder, reason error)
}
