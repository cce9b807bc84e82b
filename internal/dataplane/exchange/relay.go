package exchange

import (
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
)

// transferBytesMin is from how much content on it is moved inside the kernel.
const transferBytesMin = 64 << 10

// relay sends the upstream's response to the client.
func (x *exchange) relay() error {
	h := &x.conn.Head
	if h.Status == 101 {
		return x.tunnel()
	}
	x.conn.Frame(x.req.Head.Method == message.MethodHead)
	h.Extra = h.Extra[:0]
	if x.route.ResponseEdits != nil {
		x.fillVars()
		x.route.ResponseEdits.Apply(h, &x.vars)
	}
	content, end, err := x.conn.Buffered()
	if err != nil {
		return x.fail(kindOf(err, fault.Internal))
	}
	if h.Framing == message.NoContent {
		end = true
	}
	x.status = h.Status
	if err := x.w.Respond(h, content, end); err != nil {
		return x.broke(err)
	}
	x.sent += int64(len(content))
	if !end {
		err = x.relayRest()
	}
	if err == nil {
		x.observeUpstream()
		x.release()
	}
	return err
}

// relayRest relays the content that was not at hand with the head.
func (x *exchange) relayRest() error {
	if t, ok := x.w.(message.Transferrer); ok && x.conn.Left() >= transferBytesMin && t.CanTransferFrom(x.conn.Net) {
		return x.transfer(t)
	}
	buf := newCopyBuffer()
	defer buf.free()
	for {
		x.conn.Net.SetReadDeadline(x.p.opt.Clock.Now() + x.silence())
		content, end, err := x.conn.ReadContent(buf[:])
		if err != nil {
			return x.broke(err)
		}
		if len(content) > 0 || end {
			if err := x.w.Write(content, end); err != nil {
				return x.broke(err)
			}
		}
		x.sent += int64(len(content))
		if end {
			return nil
		}
	}
}

func (x *exchange) transfer(t message.Transferrer) error {
	x.conn.Net.SetReadDeadline(x.p.opt.Clock.Now() + x.silence())
	moved, readErr, writeErr := t.TransferFrom(x.conn.Net, x.conn.Left(), x.silence())
	x.conn.Moved(moved)
	x.sent += moved
	switch {
	case writeErr != nil:
		return x.broke(writeErr)
	case readErr != nil:
		return x.broke(fault.UpstreamTruncated)
	}
	return nil
}

// broke ends an exchange whose answer has begun and can't be completed: the client's
// connection is cut, so that it can't take the part for the whole.
func (x *exchange) broke(err error) error {
	x.fault = kindOf(err, fault.Internal)
	return x.fault
}

func (x *exchange) observeUpstream() {
	x.upstream.Metrics.Observe(x.req.Client.Cell, x.p.opt.Clock.Now()-x.sentAt)
}
