package exchange

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/cespare/xxhash/v2"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/h1"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/snapshot"
)

// attemptsMax bounds the tries of one exchange: connections that could not be opened, and
// reused ones that died before a byte came back.
const attemptsMax = 3

// forward sends the request to a target and waits for the final response head.
func (x *exchange) forward() fault.Kind {
	x.upstream = x.route.Forward.Pick(x.splitKey())
	x.deadline = x.req.Received + x.timeout()
	content, whole := x.req.Content.Whole()
	if whole {
		x.received = int64(len(content))
		if limit := x.bodyBytesMax(); limit > 0 && x.received > limit {
			return fault.ContentTooLarge
		}
	}
	for fresh := false; ; {
		x.tries++
		k := x.attempt(content, whole, fresh)
		if k == fault.None || x.tries >= attemptsMax || x.p.opt.Clock.Now() >= x.deadline {
			return k
		}
		switch {
		case k.Row().Unsent && x.conn == nil && !x.req.Content.Started(): // no connection was opened
			if x.target == nil || len(x.upstream.Targets) < 2 {
				return k
			}
		case x.diedUnused(k, whole):
			fresh = true
		default:
			return k
		}
		x.release()
	}
}

// diedUnused reports whether a reused connection ended before any byte of the response, and
// the request may be repeated: the target has most likely closed it while it was idle.
func (x *exchange) diedUnused(k fault.Kind, whole bool) bool {
	ended := k == fault.UpstreamClosed || k == fault.UpstreamReset || k == fault.UpstreamWriteFailed
	return ended && whole && x.conn != nil && x.conn.Reused && !x.conn.Received() && x.req.Head.Method.Idempotent()
}

// attempt is one try at one target.
func (x *exchange) attempt(content []byte, whole, fresh bool) fault.Kind {
	if x.target = x.upstream.Pick(x.target); x.target == nil {
		return fault.NoTarget
	}
	conn, err := x.target.Pool.Get(fresh, !whole || !x.req.Head.Method.Idempotent())
	if err != nil {
		return kindOf(err, fault.UpstreamUnreachable)
	}
	x.conn = conn
	x.sentAt = x.p.opt.Clock.Now()
	x.conn.Net.SetReadDeadline(x.responseDeadline(x.sentAt))
	if whole {
		err = x.sendWhole(content)
	} else {
		err = x.sendStreaming()
	}
	if err == nil {
		err = x.passInterims()
	}
	if err != nil {
		return x.whichDeadline(kindOf(err, fault.Internal))
	}
	return fault.None
}

// sendWhole sends head and content in one write and waits for the head of the response.
func (x *exchange) sendWhole(content []byte) error {
	framing, length := x.req.Head.Framing, int64(len(content))
	trailers := x.requestTrailers()
	if framing == message.Chunked && len(trailers) == 0 {
		framing = message.Length
	}
	out := x.appendHead(x.buffer.out[:0], framing, length)
	if framing == message.Chunked {
		out = h1.AppendLastChunk(h1.AppendChunk(out, content), trailers)
	} else {
		out = append(out, content...)
	}
	x.buffer.out = out
	_, err := x.conn.Exchange(x.buffer.out)
	return err
}

// appendHead appends the request's head as it goes upstream.
func (x *exchange) appendHead(dst []byte, f message.Framing, length int64) []byte {
	h := &x.req.Head
	upgrade := x.upgradeToken()
	mark := len(h.Extra)
	if upgrade != "" {
		h.Extra = append(h.Extra, "Connection: Upgrade\r\nUpgrade: "...)
		h.Extra = append(h.Extra, upgrade...)
		h.Extra = append(h.Extra, '\r', '\n')
	}
	dst = h1.AppendRequestHead(dst, h, x.path, h.Bytes(h.Query), f, length)
	h.Extra = h.Extra[:mark]
	return dst
}

// sendStreaming sends the head, and the content beside the wait for the response: an
// upstream may answer before it has read everything. While content flows the wait for the
// response has no deadline of its own; the flow has (the client's rate, the upstream's
// progress). It starts when the last byte is out.
func (x *exchange) sendStreaming() error {
	h := &x.req.Head
	x.buffer.out = x.appendHead(x.buffer.out[:0], h.Framing, h.ContentLength)
	if err := x.conn.Send(x.buffer.out); err != nil {
		return err
	}
	if a, ok := x.req.Content.(message.Asker); ok {
		if err := a.AskForContent(); err != nil {
			return err
		}
	}
	x.conn.Net.SetReadDeadline(0)
	var pumped int64
	pump := netio.Go(func() error { return x.pump(&pumped) })
	err := x.conn.ReadHead()
	for err == nil && x.conn.Head.Status == 100 {
		err = x.conn.ReadHead()
	}
	if !pump.Done() { // an early response, or an upstream that is gone: nobody wants the rest
		x.abandonContent()
	}
	pumpErr := pump.Wait()
	x.received = pumped
	if pumpErr != nil {
		x.conn.Break()
	}
	if pumpErr != nil && err != nil {
		return preferClient(pumpErr, err)
	}
	return err
}

// abandonContent ends both waits of the pump.
func (x *exchange) abandonContent() {
	if a, ok := x.req.Content.(message.Abandoner); ok {
		a.Abandon()
	}
	x.conn.Net.InterruptWrites()
}

// preferClient picks which of two failures of one upload to report: what the client did
// wrong explains the upstream's reaction.
func preferClient(pump, read error) error {
	if k, ok := pump.(fault.Kind); ok && k.Side() == fault.SideClient {
		return pump
	}
	return read
}

// pump sends the content to the upstream, framed anew. When the client fails it, the wait
// for the response ends too: the upstream must not take a part for the whole.
func (x *exchange) pump(moved *int64) error {
	in := newCopyBuffer()
	defer in.free()
	chunked := x.req.Head.Framing == message.Chunked
	var out []byte
	for {
		n, err := x.req.Content.Read(in[:])
		if err == io.EOF {
			break
		}
		*moved += int64(n)
		if limit := x.bodyBytesMax(); err == nil && limit > 0 && *moved > limit {
			err = fault.ContentTooLarge
		}
		if err != nil {
			x.conn.Net.Interrupt()
			return err
		}
		b := in[:n]
		if chunked {
			out = h1.AppendChunk(out[:0], b)
			b = out
		}
		if _, err := x.conn.Net.Write(b); err != nil {
			return fault.UpstreamWriteFailed
		}
	}
	if chunked {
		if _, err := x.conn.Net.Write(h1.AppendLastChunk(out[:0], x.requestTrailers())); err != nil {
			return fault.UpstreamWriteFailed
		}
	}
	x.conn.Net.SetReadDeadline(x.p.opt.Clock.Now() + min(x.silence(), x.timeout()))
	return nil
}

// passInterims relays informational responses until the final head is there.
func (x *exchange) passInterims() error {
	h := &x.conn.Head
	for h.Status < 200 && h.Status != 101 {
		x.conn.DropHopByHop()
		if h.Status != 100 { // we never asked for one: Expect is answered here
			if err := x.w.Interim(h); err != nil {
				return err
			}
		}
		if err := x.conn.ReadHead(); err != nil {
			return err
		}
	}
	x.firstByte = x.p.opt.Clock.Now()
	return nil
}

// responseDeadline is when the wait for a response head ends: by silence, or with the whole
// exchange.
func (x *exchange) responseDeadline(now time.Duration) time.Duration {
	at := now + x.silence()
	return min(at, x.deadline)
}

// timeout is how long a response may take to begin, the nearest of what says so: route,
// upstream, listener.
func (x *exchange) timeout() time.Duration {
	switch {
	case x.route.Timeout > 0:
		return x.route.Timeout
	case x.upstream.RequestTimeout > 0:
		return x.upstream.RequestTimeout
	}
	return x.ln.RequestTimeout
}

// bodyBytesMax is how much content the request may have; 0 is no limit.
func (x *exchange) bodyBytesMax() int64 {
	if x.route.BodyBytesMax >= 0 {
		return x.route.BodyBytesMax
	}
	return x.ln.BodyBytesMax
}

// silence is how long the upstream may say nothing.
func (x *exchange) silence() time.Duration {
	if x.route.ReadTimeout > 0 {
		return x.route.ReadTimeout
	}
	return x.upstream.ResponseTimeout
}

// whichDeadline tells the deadline of the exchange from that of the response.
func (x *exchange) whichDeadline(k fault.Kind) fault.Kind {
	if k == fault.UpstreamResponseTimeout && x.p.opt.Clock.Now() >= x.deadline {
		return fault.RequestDeadline
	}
	return k
}

// release gives the lent connection back to its pool.
func (x *exchange) release() {
	if x.conn != nil {
		x.target.Pool.Put(x.conn)
		x.conn = nil
	}
}

// splitKey is what the choice among split upstreams is made by.
func (x *exchange) splitKey() uint64 {
	h := &x.req.Head
	switch x.route.Sticky.Kind {
	case snapshot.StickyClient:
		return xxhash.Sum64(x.req.Client.Text)
	case snapshot.StickyField:
		if i := h.FindName(x.route.Sticky.Name); i >= 0 {
			return xxhash.Sum64(h.FieldValue(i))
		}
	case snapshot.StickyCookie:
		if v, ok := cookie(h, x.route.Sticky.Name); ok {
			return xxhash.Sum64(v)
		}
	}
	return x.p.splits.Add(1)
}

// cookie returns the value of a cookie (RFC 6265 section 5.4).
func cookie(h *message.Head, name string) ([]byte, bool) {
	for i := range h.Fields {
		if h.Fields[i].ID != message.FieldCookie {
			continue
		}
		rest := h.FieldValue(i)
		for len(rest) > 0 {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte(";"))
			k, v, ok := bytes.Cut(message.TrimSpace(pair), []byte("="))
			if ok && string(k) == name {
				return v, true
			}
		}
	}
	return nil, false
}

// kindOf returns the fault that err is.
func kindOf(err error, otherwise fault.Kind) fault.Kind {
	if k, ok := err.(fault.Kind); ok {
		return k
	}
	if errors.Is(err, netio.ErrInterrupted) {
		return fault.Draining
	}
	return otherwise
}
