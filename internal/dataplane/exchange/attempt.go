package exchange

import (
	"io"
	"strconv"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/transport"
	"sentinel/internal/dataplane/upstream"
)

// attempt is one try at one target. A connection from the pool that turns out to be dead
// before it brought a byte is no try: the target had closed it while it lay idle.
func (x *exchange) attempt() fault.Kind {
	x.tries++
	x.sentAt, x.headAt, x.phases.answer = x.at, 0, 0
	if err := x.upstream.Pick(&x.choice, x.sentAt); err != nil {
		return kindOf(err, fault.NoTarget)
	}
	x.target = x.choice.Target
	for fresh := false; ; fresh = true {
		k := x.exchangeOn(fresh)
		if fresh || !x.diedUnused(k) {
			return k
		}
		x.giveBack()
	}
}

// exchangeOn sends the request on a connection to the target and waits for the final head.
func (x *exchange) exchangeOn(fresh bool) fault.Kind {
	x.buffer.introduction = x.introduction(x.buffer.introduction, x.upstream)
	conn, err := x.target.Pool.Get(transport.Want{
		Fresh: fresh, Alive: !x.whole || !x.req.Head.Method.Idempotent(), Now: x.at, By: x.deadline, Header: x.buffer.introduction,
	})
	if err != nil {
		x.look()
		return x.whichDeadline(kindOf(err, fault.UpstreamUnreachable))
	}
	x.conn = conn
	if conn.Reused {
		x.upstream.Metrics.Reused(x.req.Client.Cell)
	} else {
		x.look()
	}
	x.phases.answer = x.at
	conn.SetReadDeadline(x.responseDeadline())
	if x.whole {
		x.watch(conn, x.at)
	}
	switch {
	case x.hedges():
		err = x.sendHedged()
	case x.whole:
		err = x.sendWhole()
	default:
		err = x.sendStreaming()
	}
	x.look()
	if err != nil {
		return x.whichDeadline(kindOf(x.interruptedBy(err, fault.ClientClosed), fault.Internal))
	}
	x.headAt = x.at
	return fault.None
}

// diedUnused reports whether a connection ended before any byte of the response, and the
// request may be repeated: the target has most likely closed it while it was idle, or has
// taken leave before it saw the request.
func (x *exchange) diedUnused(k fault.Kind) bool {
	if x.conn == nil || x.conn.Received() {
		return false
	}
	if k == fault.UpstreamRefusedStream {
		return !x.conn.Open() && (x.whole || !x.req.Content.Started())
	}
	ended := k == fault.UpstreamClosed || k == fault.UpstreamReset || k == fault.UpstreamWriteFailed
	return ended && x.whole && x.conn.Reused && !x.conn.Open() && x.req.Head.Method.Idempotent()
}

// settle ends the try in hand: its connection goes back, and the target is told what became
// of it.
func (x *exchange) settle(k fault.Kind) {
	if x.choice.Target == nil {
		x.giveBack()
		return
	}
	outcome := x.outcome(k)
	x.giveBack()
	latency := x.at - x.sentAt
	if x.headAt > 0 {
		latency = x.headAt - x.sentAt
	}
	if outcome != upstream.OK && outcome != upstream.Nothing {
		x.upstream.Metrics.Failed()
	}
	x.choice.Done(x.at, latency, outcome)
	x.upstream.Learn(x.at, latency, outcome)
}

// outcome is what the try in hand says of its target.
func (x *exchange) outcome(k fault.Kind) upstream.Outcome {
	switch {
	case k != fault.None && k.Side() == fault.SideUpstream:
		return upstream.Failed
	case k != fault.None && (x.conn == nil || x.headAt == 0):
		return upstream.Nothing
	}
	return outcomeOf(x.conn.Head.Status)
}

// outcomeOf is what a whole response with this status says of its target.
func outcomeOf(status int) upstream.Outcome {
	switch {
	case status >= 502 && status <= 504:
		return upstream.GatewayError
	case status >= 500:
		return upstream.ServerError
	}
	return upstream.OK
}

// giveBack returns the lent connection to its pool.
func (x *exchange) giveBack() {
	if x.conn != nil {
		x.endUpload()
		x.unwatch()
		x.target.Pool.Put(x.conn, x.at)
		x.conn = nil
	}
}

// takeContent takes the content that is at hand. Where the route keeps content for another
// try, it waits for what isn't, if that is little.
func (x *exchange) takeContent() fault.Kind {
	x.content, x.whole = x.req.Content.Whole()
	if h := &x.req.Head; !x.whole && x.keepsContent() && h.Framing == message.Length && h.ContentLength <= x.route.Retry.BodyBytesMax {
		err := x.readContent(int(h.ContentLength))
		x.look()
		if err != nil {
			return kindOf(err, fault.ContentTruncated)
		}
	}
	if x.whole {
		x.received = int64(len(x.content))
		if limit := x.bodyBytesMax(); limit > 0 && x.received > limit {
			return fault.ContentTooLarge
		}
	}
	return fault.None
}

// keepsContent reports whether another try could have use of content that was kept.
func (x *exchange) keepsContent() bool {
	p := x.route.Retry
	return p.Attempts > 1 && p.BodyBytesMax > 0 && !x.p.pressureIs(NoLuxury) && (p.NonIdempotent || x.req.Head.Method.Idempotent() || x.repeatsCalls())
}

// readContent reads content of a known length.
func (x *exchange) readContent(length int) error {
	if cap(x.buffer.content) < length {
		x.buffer.content = make([]byte, length)
	}
	b := x.buffer.content[:length]
	for n := 0; n < length; {
		k, err := x.req.Content.Read(b[n:])
		if err != nil {
			return err
		}
		n += k
	}
	x.content, x.whole = b, true
	return nil
}

// sendWhole sends head and content at once and waits for the head of the response.
func (x *exchange) sendWhole() error {
	if err := x.conn.Exchange(x.wholeRequest()); err != nil {
		return err
	}
	return x.passInterims()
}

// wholeRequest returns the request with all of its content, as it goes upstream.
func (x *exchange) wholeRequest() *message.Outgoing {
	framing, length := x.req.Head.Framing, int64(len(x.content))
	trailers := x.requestTrailers()
	if framing == message.Chunked && len(trailers) == 0 {
		framing = message.Length
	}
	o := x.outgoingHead(framing, length)
	o.Content, o.Trailers = x.content, trailers
	return o
}

// outgoingHead returns the request as it goes upstream, without its content.
func (x *exchange) outgoingHead(f message.Framing, length int64) *message.Outgoing {
	h := &x.req.Head
	h.Extra = h.Extra[:x.extraEnd] // what an earlier try has added
	if name := x.upstream.PassDeadline; name != "" {
		h.DropName(x.upstream.PassedLower) // the client doesn't say how much time there is
		h.Extra = append(append(h.Extra, name...), ": "...)
		h.Extra = strconv.AppendInt(h.Extra, max(0, (x.deadline-x.sentAt).Milliseconds()), 10)
		h.Extra = append(h.Extra, '\r', '\n')
	}
	x.outgoing = message.Outgoing{
		Head: h, Path: x.path, Query: h.Bytes(h.Query), Upgrade: x.upgradeToken(), WantsTrailers: x.passesTrailers(),
		Framing: f, Length: length, Scratch: x.outgoing.Scratch,
	}
	return &x.outgoing
}

// sendStreaming sends the head, and the content beside the wait for the response: an
// upstream may answer before it has read everything. While content flows the wait for the
// response has no deadline but that of the exchange; the flow has (the client's rate, the
// upstream's progress). It starts when the last byte is out.
func (x *exchange) sendStreaming() error {
	h := &x.req.Head
	if err := x.conn.SendHead(x.outgoingHead(h.Framing, h.ContentLength)); err != nil {
		return err
	}
	if a, ok := x.req.Content.(message.Asker); ok {
		if err := a.AskForContent(); err != nil {
			return err
		}
	}
	var during time.Duration
	if x.covers {
		during = x.deadline
	}
	x.conn.SetReadDeadline(during)
	x.pumped.Store(0)
	x.buffer.content, x.kept = x.buffer.content[:0], x.repeatsCalls() && x.keepsContent()
	x.upload = netio.Go(x.pump)
	err := x.conn.ReadHead()
	if err == nil {
		err = x.passInterims()
	}
	if err == nil && x.duplex() && !x.upload.Done() && !x.callFailed() {
		return nil
	}
	abandoned := !x.upload.Done()
	pumpErr := x.endUpload()
	if pumpErr != nil && err != nil && (!abandoned || err == netio.ErrInterrupted) {
		return preferClient(pumpErr, err)
	}
	if err == nil && pumpErr == nil && x.kept { // all that a call has to say
		x.content, x.whole = x.buffer.content, true
	}
	return err // not what the pump says: its wait ended because we ended it
}

// duplex reports whether content goes on to be sent while the response is relayed: both sides
// must be able to.
func (x *exchange) duplex() bool {
	_, ok := x.engine().(message.Duplex)
	return ok && x.conn.Duplex()
}

// endUpload ends the upload, if one is under way, and returns its error. After an early
// response, or when the upstream is gone, nobody wants the rest.
func (x *exchange) endUpload() error {
	if x.upload == nil {
		return nil
	}
	abandoned := !x.upload.Done()
	if abandoned {
		x.abandonContent()
	}
	err := x.upload.Wait()
	x.upload, x.received = nil, x.pumped.Load()
	switch {
	case err != nil:
		x.conn.Break()
	case abandoned: // the last byte was out when it was told to stop
		x.resumeContent()
	}
	return err
}

// abandonContent ends both waits of the pump.
func (x *exchange) abandonContent() {
	if a, ok := x.req.Content.(message.Abandoner); ok {
		a.Abandon()
	}
	x.conn.InterruptWrites()
}

// resumeContent undoes abandonContent, so that both connections go on.
func (x *exchange) resumeContent() {
	if r, ok := x.req.Content.(message.Resumer); ok {
		r.Resume()
	}
	x.conn.ResumeWrites()
}

// preferClient picks which of two failures of one upload to report: what the client did
// wrong explains the upstream's reaction, and a wait that was interrupted, or came to
// the end of answerGrace, says only that the pump has failed.
func preferClient(pump, read error) error {
	if read == netio.ErrInterrupted || read == fault.UpstreamResponseTimeout {
		return pump
	}
	if k, ok := pump.(fault.Kind); ok && k.Side() == fault.SideClient {
		return pump
	}
	return read
}

// pump sends the content to the upstream, framed anew. When the client fails it, the wait
// for the response ends too: the upstream must not take a part for the whole.
func (x *exchange) pump() error {
	in := newCopyBuffer()
	defer in.free()
	for {
		n, err := x.req.Content.Read(in[:])
		if err == io.EOF {
			break
		}
		moved := x.pumped.Add(int64(n))
		if limit := x.bodyBytesMax(); err == nil && limit > 0 && moved > limit {
			err = fault.ContentTooLarge
		}
		if err != nil {
			x.conn.Interrupt()
			return err
		}
		x.kept = x.kept && x.keepContent(in[:n])
		if err := x.conn.SendContent(in[:n]); err != nil {
			return x.sendFailed(err)
		}
		x.pumpedAt.Store(int64(x.p.opt.Clock.Now()))
	}
	if err := x.conn.EndContent(x.requestTrailers()); err != nil {
		return x.sendFailed(err)
	}
	wait := x.headWait()
	if x.duplex() { // the response may have begun; none of this can be tried again
		wait = x.silence()
	}
	x.conn.SetReadDeadline(x.contentDeadline(min(wait, x.deadline-x.req.Received)))
	x.watch(x.conn, x.p.opt.Clock.Now())
	return nil
}

// answerGrace is how long an upstream that has stopped taking content may still take to say
// why: it may have answered before it has read everything.
const answerGrace = time.Second

// sendFailed names why content can't be sent, and bounds the wait for the response, which had
// no deadline while content flowed.
func (x *exchange) sendFailed(err error) error {
	x.conn.SetReadDeadline(x.contentDeadline(answerGrace))
	if err == netio.ErrTimeout || err == fault.UpstreamWriteTimeout {
		return fault.UpstreamWriteTimeout
	}
	return fault.UpstreamWriteFailed
}

// passInterims relays informational responses until the final head is there.
func (x *exchange) passInterims() error {
	h := x.conn.Head
	for h.Status < 200 && h.Status != 101 {
		h.DropHopByHop()
		if h.Status != 100 { // we never asked for one: Expect is answered here
			if err := x.w.Interim(h); err != nil {
				return err
			}
		}
		if err := x.conn.ReadHead(); err != nil {
			return err
		}
	}
	return nil
}
