package exchange

import (
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/filter"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// transferBytesMin is from how much content on it is moved inside the kernel.
const transferBytesMin = 64 << 10

// relay sends the upstream's response to the client.
func (x *exchange) relay() error {
	h := x.conn.Head
	if h.Status == 101 {
		return x.tunnel()
	}
	if x.req.Head.Connect && h.Status < 300 { // the client would take it for a tunnel
		return x.fail(fault.UpstreamBadUpgrade)
	}
	x.conn.Frame(x.req.Head.Method == message.MethodHead)
	h.Extra = h.Extra[:0]
	x.secure(h)
	if x.route.ResponseEdits != nil {
		x.fillVars()
		x.route.ResponseEdits.Apply(h, &x.vars)
	}
	x.addStickyCookie(h)
	x.tellID(h)
	content, end, err := x.conn.Buffered()
	if err != nil {
		return x.fail(kindOf(err, fault.Internal))
	}
	if h.Framing == message.NoContent {
		end = true
	}
	x.status = h.Status
	trailed := end && len(x.responseTrailers()) > 0
	if err := x.w.Respond(h, content, end && !trailed); err != nil {
		return x.broke(err)
	}
	x.sent += int64(len(content))
	if trailed {
		err = x.endContent(nil)
	} else if !end {
		err = x.relayRest()
	}
	if err == nil {
		x.look()
		x.relayed = true
		x.upstream.Metrics.Observe(x.req.Client.Cell, x.at-x.sentAt)
		x.settle(fault.None)
	}
	return err
}

// relayRest relays the content that was not at hand with the head.
func (x *exchange) relayRest() error {
	if t, ok := x.w.(message.Transferrer); ok && x.conn.Left() >= transferBytesMin && t.CanTransferFrom(x.conn.Net()) {
		x.conn.WaitFor(nil, 0) // bytes flow: by them it is noticed that a client has gone
		return x.transfer(t)
	}
	buf := newCopyBuffer()
	defer buf.free()
	for {
		x.conn.SetReadDeadline(x.contentDeadline(x.silence()))
		content, end, err := x.conn.ReadContent(buf[:])
		if err == fault.UpstreamReadTimeout && x.uploads() {
			continue
		}
		if err != nil {
			return x.broke(err)
		}
		x.sent += int64(len(content))
		if end {
			return x.endContent(content)
		}
		if len(content) == 0 {
			continue
		}
		if err := x.w.Write(content, false); err != nil {
			return x.broke(err)
		}
	}
}

// uploads reports whether the silence of the upstream is that of a receiver: content has gone
// to it meanwhile.
func (x *exchange) uploads() bool {
	now := x.look()
	return x.upload != nil && !x.upload.Done() && now-time.Duration(x.pumpedAt.Load()) < x.silence() && (!x.covers || now < x.deadline)
}

// endContent writes the last part of the content, with the trailers that are allowed.
func (x *exchange) endContent(content []byte) error {
	lines := x.responseTrailers()
	t, ok := x.w.(message.TrailerWriter)
	if !ok || len(lines) == 0 {
		if err := x.w.Write(content, true); err != nil {
			return x.broke(err)
		}
		return nil
	}
	if len(content) > 0 {
		if err := x.w.Write(content, false); err != nil {
			return x.broke(err)
		}
	}
	if err := t.WriteTrailers(lines); err != nil {
		return x.broke(err)
	}
	return nil
}

// responseTrailers returns the trailers of the response that go to the client.
func (x *exchange) responseTrailers() []byte {
	if !x.passesTrailers() {
		return nil
	}
	return x.conn.Trailers()
}

// requestTrailers returns the trailers of the request that go upstream, once its content
// has been read.
func (x *exchange) requestTrailers() []byte {
	if t, ok := x.req.Content.(message.Trailered); ok && x.passesTrailers() {
		return filter.StripLines(x.believed(t.Trailers()), x.s.Reserved)
	}
	return nil
}

func (x *exchange) transfer(t message.Transferrer) error {
	wait := netio.Patience{Silence: x.silence()}
	if x.covers {
		wait.Until = x.deadline
	}
	moved, readErr, writeErr := t.TransferFrom(x.conn.Net(), x.conn.Left(), wait)
	x.conn.Moved(moved)
	x.sent += moved
	switch {
	case writeErr != nil:
		return x.broke(writeErr)
	case readErr == netio.ErrTimeout:
		return x.broke(fault.UpstreamReadTimeout)
	case readErr != nil:
		return x.broke(fault.UpstreamTruncated)
	}
	return nil
}

// broke ends an exchange whose answer has begun and can't be completed: the client's
// connection is cut, so that it can't take the part for the whole.
func (x *exchange) broke(err error) error {
	err = x.interruptedBy(err, fault.ClientAborted)
	x.look()
	x.fault = x.whichDeadline(kindOf(err, fault.Internal))
	return x.fault
}
