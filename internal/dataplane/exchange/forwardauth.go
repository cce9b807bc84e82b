package exchange

import (
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/dataplane/transport"
	"sentinel/internal/dataplane/upstream"
)

// sideCall is what a question to a service needs; it is filled before it is read, and keeps
// its memory.
type sideCall struct {
	choice   upstream.Choice
	head     message.Head
	question message.Outgoing
}

// serviceTries is how many targets a service is asked at, where one hasn't seen the question.
const serviceTries = 2

// askService asks the service of forward-auth, within its time. Where it refuses, its answer
// stands in x.local and x.buffer.body.
func (x *exchange) askService(f *snapshot.ForwardAuth) fault.Kind {
	by := x.at + f.Timeout
	waited, err := f.Upstream.Gate.EnterFor(x, x.at, by, x.route.Priority)
	if waited || err != nil {
		x.look()
	}
	if err == queue.ErrGone {
		return fault.ClientClosed
	}
	if err != nil {
		f.Upstream.Refused(x.at)
		return fault.AuthUnavailable
	}
	defer f.Upstream.Gate.Leave()
	x.side.choice = upstream.Choice{Key: x.affinity(&f.Upstream.HashBy)}
	for try := 1; ; try++ {
		k, again := x.askTarget(f, by, try > 1)
		if !again || try == serviceTries || x.at >= by {
			x.side.choice = upstream.Choice{}
			return k
		}
	}
}

// askTarget asks one target of the service. again says that none has seen the question.
func (x *exchange) askTarget(f *snapshot.ForwardAuth, by time.Duration, fresh bool) (k fault.Kind, again bool) {
	u, c := f.Upstream, &x.side.choice
	if u.Pick(c, x.at) != nil {
		return fault.AuthUnavailable, false
	}
	target, sentAt := c.Target, x.at
	x.buffer.introduction = x.introduction(x.buffer.introduction, u)
	conn, err := target.Pool.Get(transport.Want{Fresh: fresh, Alive: true, Now: sentAt, By: by, Header: x.buffer.introduction})
	if err != nil {
		x.look()
		c.Done(x.at, 0, upstream.Failed)
		return fault.AuthUnavailable, kindOf(err, fault.UpstreamUnreachable).Row().Unsent
	}
	if conn.Reused {
		u.Metrics.Reused(x.req.Client.Cell)
	}
	conn.SetReadDeadline(by)
	x.conn = conn // what a client that leaves interrupts
	x.watch(conn, sentAt)
	err = conn.Exchange(x.questionFor(f, target.Address))
	for err == nil && conn.Head.Status < 200 && conn.Head.Status != 101 {
		err = conn.ReadHead()
	}
	latency := x.look() - sentAt
	outcome := upstream.Failed
	switch {
	case err == fault.ClientClosed || err == netio.ErrInterrupted:
		k, outcome = fault.ClientClosed, upstream.Nothing
	case err != nil:
		k, again = fault.AuthUnavailable, conn.Reused && !conn.Received()
	default:
		outcome = outcomeOf(conn.Head.Status)
		k = x.takeAnswer(f, conn)
		u.Metrics.Observe(x.req.Client.Cell, x.look()-sentAt)
	}
	x.unwatch()
	x.conn = nil
	target.Pool.Put(conn, x.at)
	c.Done(x.at, latency, outcome)
	u.Learn(x.at, latency, outcome)
	return k, again
}

// questionFor returns the question for a target: what is asked for, who asks, and the fields that
// the service is to get.
func (x *exchange) questionFor(f *snapshot.ForwardAuth, host string) *message.Outgoing {
	h, from := &x.side.head, &x.req.Head
	h.Reset(f.Method)
	h.Method, h.MethodAt = message.ParseMethod(f.Method), message.Span{End: uint16(len(f.Method))}
	h.Minor, h.HasQuery = 1, f.HasQuery
	h.Add("Host", []byte(host))
	h.Add("X-Forwarded-Method", from.Bytes(from.MethodAt))
	proto := schemeHTTP
	if x.req.Client.Secure {
		proto = schemeHTTPS
	}
	h.Add("X-Forwarded-Proto", proto)
	h.Add("X-Forwarded-Host", from.Bytes(from.Authority))
	h.Extra = append(append(h.Extra, "X-Forwarded-Uri: "...), x.matched...)
	if from.HasQuery {
		h.Extra = append(append(h.Extra, '?'), from.Bytes(from.Query)...)
	}
	h.Extra = append(h.Extra, '\r', '\n')
	h.Add("X-Forwarded-For", x.clientText)
	h.Add(x.s.Identity.RequestIDField, x.id)
	for _, name := range f.Sent {
		for i := range from.Fields {
			if !from.Fields[i].Dropped && message.EqualFold(from.FieldName(i), name) {
				h.Extra = append(h.Extra, from.FieldName(i)...)
				h.Extra = append(append(h.Extra, ": "...), from.FieldValue(i)...)
				h.Extra = append(h.Extra, '\r', '\n')
			}
		}
	}
	framing := message.NoContent
	if h.Method == message.MethodPost {
		framing = message.Length // of nothing: some servers insist (RFC 9110 section 8.6)
	}
	q := &x.side.question
	*q = message.Outgoing{Head: h, Path: f.Path, Query: f.Query, Framing: framing, Scratch: q.Scratch}
	return q
}

// takeAnswer reads the answer of a service and returns what it means.
func (x *exchange) takeAnswer(f *snapshot.ForwardAuth, conn *transport.Conn) fault.Kind {
	h := conn.Head
	if h.Status == 101 {
		conn.Break()
		return fault.AuthUnavailable
	}
	conn.Frame(string(f.Method) == "HEAD")
	if k := x.readAnswer(f, conn); k != fault.None {
		conn.Break()
		return k
	}
	switch status := h.Status; {
	case status < 300:
		if !f.Shadow {
			x.copyAnswer(f, h)
		}
		if i := h.FindName(f.UserField); f.UserField != "" && i >= 0 && len(h.FieldValue(i)) > 0 {
			x.buffer.user = append(x.buffer.user[:0], h.FieldValue(i)...)
			x.user = x.buffer.user
		}
		return fault.None
	case status == 401, status == 403, status < 400 && status != 304:
		x.relayRefusal(h)
		return fault.AuthRefused
	}
	return fault.AuthUnavailable
}

// readAnswer reads the content of an answer into x.buffer.body.
func (x *exchange) readAnswer(f *snapshot.ForwardAuth, conn *transport.Conn) fault.Kind {
	content, end, err := conn.Buffered()
	x.buffer.body = append(x.buffer.body[:0], content...)
	if err == nil && !end && conn.Head.Framing != message.NoContent {
		buf := newCopyBuffer()
		defer buf.free()
		for err == nil && !end && len(x.buffer.body) <= f.ContentBytesMax {
			content, end, err = conn.ReadContent(buf[:])
			x.buffer.body = append(x.buffer.body, content...)
		}
	}
	switch {
	case err == fault.ClientAborted || err == fault.ClientClosed || err == netio.ErrInterrupted:
		return fault.ClientClosed
	case err != nil || len(x.buffer.body) > f.ContentBytesMax:
		return fault.AuthUnavailable
	}
	return fault.None
}

// copyAnswer keeps the fields of an answer that the upstream gets.
func (x *exchange) copyAnswer(f *snapshot.ForwardAuth, h *message.Head) {
	for _, name := range f.Copied {
		for i := range h.Fields {
			if !h.Fields[i].Dropped && message.EqualFold(h.FieldName(i), name.Lower) {
				x.tellUpstream(name.Name, h.FieldValue(i))
			}
		}
	}
}

// refusalFields are the fields of a refusal that go to the client.
var refusalFields = [...]snapshot.FieldName{
	{Name: "Location", Lower: "location"},
	{Name: "WWW-Authenticate", Lower: "www-authenticate"},
	{Name: "Set-Cookie", Lower: "set-cookie"},
	{Name: "Content-Type", Lower: "content-type"},
	{Name: "Content-Encoding", Lower: "content-encoding"},
	{Name: "Cache-Control", Lower: "cache-control"},
}

// relayRefusal readies the answer of a service for the client.
func (x *exchange) relayRefusal(from *message.Head) {
	h := x.localHead(from.Status)
	for _, name := range refusalFields {
		for i := range from.Fields {
			if !from.Fields[i].Dropped && message.EqualFold(from.FieldName(i), name.Lower) {
				h.Extra = appendLine(h.Extra, name.Name, from.FieldValue(i))
			}
		}
	}
	if from.FindName("cache-control") < 0 {
		h.Add("Cache-Control", noStore)
	}
	h.Add(x.s.Identity.RequestIDField, x.id)
}
