package exchange

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/auth"
	"sentinel/internal/dataplane/challenge"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/filter"
	"sentinel/internal/dataplane/geo"
	"sentinel/internal/dataplane/limit"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/dataplane/transport"
	"sentinel/internal/dataplane/upstream"
	"sentinel/internal/observe/accesslog"
	"sentinel/internal/observe/flight"
)

// exchange is all that one request knows. It is pooled: what is of one request alone is
// cleared, buffers and what is filled before it is read stay.
type exchange struct {
	request

	vars     filter.Vars      // filled by fillVars
	outgoing message.Outgoing // filled by outgoingHead
	// interruptTries ends the waits of the tries in hand, for a client that has gone.
	interruptTries func()
	facts          challenge.Facts             // filled by gatherFacts
	local          message.Head                // of answers made here
	entry          accesslog.Entry             // cleared by finish
	tried          [flight.TriesMax]flight.Try // the first of triedCount are those of the request
	web            web                         // cleared by restore
	// credentials are parsed before they are read.
	credentials auth.Credentials
	side        sideCall
	buffer      struct {
		path, rewritten, sent, out, body, location, content, client, host, identity, user, introduction []byte
		id                                                                                              [32]byte
		websocketKey                                                                                    [websocketKeyBytes]byte
	}
}

// request is the part of an exchange that is of one request alone.
type request struct {
	p   *Proxy
	s   *snapshot.Snapshot
	ln  *snapshot.Listener
	req *message.Request
	w   message.Responder

	trusted    bool
	grpc       bool       // it is a call of gRPC
	client     netip.Addr // behind trusted proxies
	clientText []byte
	place      geo.Place // of client, once it is located
	located    bool
	requests   [2]*queue.Gate // that bound the requests in progress, passed by this one
	limited    string         // the rate limit that found the request too many
	refusal    limit.Decision
	refusedBy  *snapshot.RateLimit // nil unless it was refused by one
	route      *snapshot.Route
	reserved   bool               // the path is that of challenges
	verdict    challenge.Decision // where the client is challenged
	path       []byte             // canonical, then rewritten
	matched    []byte             // canonical, as it was matched and is logged
	id         []byte             // request id
	extraEnd   int                // of the fields that every try adds to the head
	deadline   time.Duration      // of the whole exchange, on the clock

	covers  bool   // deadline covers the content, too
	content []byte // of the request, when it is whole
	whole   bool   // content is all of it

	identity
	preflights bool // the request asks whether another one may be sent

	upstream   *upstream.Upstream
	gate       *queue.Gate // a place among the requests in progress there is taken
	choice     upstream.Choice
	target     *upstream.Target
	conn       *transport.Conn // lent for the try in hand
	beside     *transport.Conn // lent for a second try beside it; nil for none
	watched    bool            // the client's engine tells when it has gone
	upload     *netio.Task     // sends content while the response is relayed; nil for none
	pumped     atomic.Int64    // content that the upload has read
	pumpedAt   atomic.Int64    // when it last did, on the clock
	kept       bool            // content that the upload has read is in buffer.content, all of it
	tries      int
	at         time.Duration // now: when the clock was last read
	relayed    bool          // the response has been relayed to its end; at is when that was
	sentAt     time.Duration // when the try in hand began
	headAt     time.Duration // when its final response head was there; 0 before
	phases     phases
	triedCount int
	asked      bool // the sender has asked for a record, and may

	status   int // answered; 0 while nothing is
	fault    fault.Kind
	received int64 // content from the client
	sent     int64 // content to the client
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// ServeExchange implements message.Handler.
func (p *Proxy) ServeExchange(r *message.Request, w message.Responder) (err error) {
	x := p.begin(r, w)
	defer x.free()
	defer func() {
		if v := recover(); v != nil {
			err = x.recovered(v)
		}
	}()
	err = x.serve()
	x.finish()
	return err
}

// serve walks the request.
func (x *exchange) serve() error {
	if answered, err := x.answerProbe(); answered {
		return err
	}
	if k := x.directed(); k != fault.None {
		return x.fail(k)
	}
	if answered, err := x.answerProof(); answered {
		return err
	}
	if k := x.match(); k != fault.None {
		return x.fail(k)
	}
	if x.reserved {
		return x.answerReserved()
	}
	x.translate()
	if k := x.admit(); k == fault.ChallengeFailed {
		return x.sendChallenge()
	} else if k != fault.None {
		return x.fail(k)
	}
	if answered, err := x.authorize(); answered {
		return err
	}
	if k := x.refusesTunnel(); k != fault.None {
		return x.fail(k)
	}
	if k := x.rewrite(); k != fault.None {
		return x.fail(k)
	}
	switch {
	case x.route.Answer != nil:
		return x.answer(x.route.Answer)
	case x.route.Redirect != nil:
		return x.redirect(x.route.Redirect)
	}
	if k := x.checkContent(); k != fault.None {
		return x.fail(k)
	}
	x.address()
	if k := x.forward(); k != fault.None {
		return x.fail(k)
	}
	return x.relay()
}

// Refuse implements message.Handler.
func (p *Proxy) Refuse(r *message.Request, w message.Responder, reason error) {
	x := p.begin(r, w)
	defer x.free()
	k, ok := reason.(fault.Kind)
	if !ok {
		k = fault.BadRequest
	}
	x.fail(k)
	x.finish()
}

func (p *Proxy) begin(r *message.Request, w message.Responder) *exchange {
	x := exchanges.Get().(*exchange)
	x.p, x.s, x.req, x.w = p, p.current.Load(), r, w
	x.ln = p.listener(x.s, r.Client)
	x.trusted = len(x.s.Trusted) > 0 && trusted(x.s, r.Client.Addr.Addr())
	x.phases.admit = x.look()
	if len(x.s.Vouched) > 0 {
		x.disbelieve()
	}
	x.identify()
	x.identifyClient()
	if r.Head.Find(message.FieldSentinelExplain) >= 0 {
		x.askedFor()
	}
	x.grpc = !r.Head.Connect && isGRPC(&r.Head)
	return x
}

// free gives x back; its buffers keep their memory.
func (x *exchange) free() {
	x.settle(x.fault)
	x.leave()
	x.uncount()
	x.web.restore(x.req)
	x.request = request{}
	x.outgoing = message.Outgoing{Scratch: x.outgoing.Scratch}
	exchanges.Put(x)
}

// recovered makes a panic cost this exchange only.
func (x *exchange) recovered(v any) error {
	if x.p.opt.Panicked != nil {
		x.p.opt.Panicked(v)
	}
	x.req.LastOnConnection = true
	err := error(fault.Internal)
	if x.status == 0 {
		x.fail(fault.Internal)
	}
	x.finish()
	return err
}

const hexDigits = "0123456789abcdef"

// requestIDBytesMax bounds a request id that a trusted peer brings.
const requestIDBytesMax = 64

// identify gives the request its id: the one that a trusted peer brings, if it is one, or
// a new random one.
func (x *exchange) identify() {
	if x.trusted && x.s.Identity.AcceptIDs {
		if i := x.req.Head.FindName(x.s.Identity.RequestIDLower); i >= 0 {
			if id := x.req.Head.FieldValue(i); validID(id) {
				x.id = id
				return
			}
		}
	}
	hi, lo := rand.Uint64(), rand.Uint64()
	for i := range 16 {
		x.buffer.id[i] = hexDigits[hi>>(60-4*i)&15]
		x.buffer.id[16+i] = hexDigits[lo>>(60-4*i)&15]
	}
	x.id = x.buffer.id[:]
}

func validID(b []byte) bool {
	if len(b) == 0 || len(b) > requestIDBytesMax {
		return false
	}
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
