package exchange

import (
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/observe/accesslog"
)

// finish counts and logs the exchange.
func (x *exchange) finish() {
	if !x.relayed {
		x.look()
	}
	m := x.s.NoRoute
	if x.route != nil {
		m = x.route.Metrics
	}
	x.tryContent()
	took := x.at - x.req.Received
	m.Observe(x.req.Client.Cell, x.status, took)
	if x.fault != fault.None {
		m.Fault(x.fault)
	}
	if x.p.opt.Talkers != nil {
		x.p.opt.Talkers.note(x)
	}
	if x.notable(m, took) {
		x.keep(m, took)
	}
	if x.p.opt.Log == nil || !x.p.opt.Log.Wants(x.status, x.fault) {
		return
	}
	e := &x.entry
	x.describe(e)
	e.Total = took
	e.Time = x.p.opt.Clock.Time(x.req.Received)
	x.p.opt.Log.Record(x.req.Client.Cell, e)
	*e = accesslog.Entry{}
}

// protocols are the names of HTTP/1.Minor.
var protocols = [...]string{"HTTP/1.0", "HTTP/1.1"}

// protocol is the name of the version that the client speaks.
func protocol(h *message.Head) string {
	if h.Major == 2 {
		return "HTTP/2"
	}
	return protocols[h.Minor&1]
}

func (x *exchange) describe(e *accesslog.Entry) {
	h := &x.req.Head
	e.Client, e.Method, e.Host = x.client, h.Bytes(h.MethodAt), h.Bytes(h.Authority)
	e.Path, e.Query, e.Protocol = x.matched, h.Bytes(h.Query), protocol(h)
	e.Listener, e.Limit = x.ln.Name, x.limited
	e.User, e.Shadowed = x.user, x.shadowed
	if e.Path == nil {
		e.Path = h.Bytes(h.Path)
	}
	x.describePlace(e)
	e.Status, e.Fault, e.RequestID = x.status, x.fault, x.id
	e.BytesIn, e.BytesOut, e.Tries = x.received, x.sent, x.tries
	if x.route != nil {
		e.Route = x.route.Name
	}
	if x.upstream != nil {
		e.Upstream = x.upstream.Name
	}
	if x.target != nil {
		e.Target = x.target.Address
	}
	if x.headAt > 0 {
		e.FirstByte = x.headAt - x.sentAt
	}
	if i := h.Find(message.FieldUserAgent); i >= 0 {
		e.UserAgent = h.FieldValue(i)
	}
	if i := h.Find(message.FieldReferer); i >= 0 {
		e.Referer = h.FieldValue(i)
	}
}
