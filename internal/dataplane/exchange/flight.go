package exchange

import (
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/observe/flight"
	"sentinel/internal/observe/metric"
	"sentinel/internal/observe/series"
)

// phases are when parts of an exchange began, by readings of the clock that are made anyway;
// 0 where it hasn't come to that. Others are in the exchange already: Received, sentAt, headAt.
type phases struct {
	admit   time.Duration
	content time.Duration
	queue   time.Duration
	retry   time.Duration // a place at the upstream was taken
	answer  time.Duration // the try in hand has its connection
}

// notable reports whether the exchange may be one that somebody asks about.
func (x *exchange) notable(m *metric.Route, took time.Duration) bool {
	return x.fault != fault.None || x.status >= 500 || x.asked || m.MaySlow(took)
}

// keep has the flight recorder keep the exchange. It comes once for each exchange, at its end.
func (x *exchange) keep(m *metric.Route, took time.Duration) {
	f := x.p.opt.Flight
	if f == nil {
		return
	}
	class := x.class()
	if class == flight.Failed {
		x.noteCause()
	}
	if x.asked {
		class = flight.Asked
	}
	if class == flight.Slow && (x.status == 101 || !m.Slow(took)) { // a tunnel lasts as long as its client likes
		return
	}
	var q flight.Request
	x.account(&q)
	f.Note(x.req.Client.Cell, class, &q)
}

// class says why the exchange would be kept.
func (x *exchange) class() flight.Class {
	switch {
	case x.fault != fault.None && x.fault.Side() == fault.SideClient:
		return flight.Refused
	case x.fault != fault.None || x.status >= 500:
		return flight.Failed
	}
	return flight.Slow
}

// noteCause counts the failure of the exchange.
func (x *exchange) noteCause() {
	if x.p.opt.Causes == nil {
		return
	}
	c := series.Cause{Route: metric.RouteNone, Fault: x.fault, Status: x.status}
	if x.route != nil {
		c.Route = x.route.Name
	}
	if x.upstream != nil {
		c.Upstream = x.upstream.Name
	}
	if x.target != nil {
		c.Target = x.target.Address
	}
	x.p.opt.Causes.Note(&c, x.at)
}

// account fills q.
func (x *exchange) account(q *flight.Request) {
	h := &x.req.Head
	q.Client, q.Status, q.Fault, q.Done = x.client, x.status, x.fault, x.at
	q.Listener, q.Limit, q.Shadowed = x.ln.Name, x.limited, x.shadowed
	q.BytesIn, q.BytesOut, q.Tries = x.received, x.sent, x.tries
	if x.route != nil {
		q.Route = x.route.Name
	}
	if x.upstream != nil {
		q.Upstream = x.upstream.Name
	}
	if x.target != nil {
		q.Target = x.target.Address
	}
	q.Marks = flight.Marks{
		flight.Head: x.req.Received, flight.Admit: x.phases.admit, flight.Content: x.phases.content, flight.Queue: x.phases.queue,
		flight.Retry: x.phases.retry, flight.Connect: x.sentAt, flight.Answer: x.phases.answer, flight.Relay: x.headAt,
	}
	q.Method, q.Host, q.Query, q.ID = h.Bytes(h.MethodAt), h.Bytes(h.Authority), h.Bytes(h.Query), x.id
	if q.Path = x.matched; q.Path == nil {
		q.Path = h.Bytes(h.Path)
	}
	if i := h.Find(message.FieldUserAgent); i >= 0 {
		q.Agent = h.FieldValue(i)
	}
	q.Tried = x.tried[:x.triedCount]
}

// noteTry remembers a try that another one follows; k is what it failed with, None where its
// response is not wanted.
func (x *exchange) noteTry(k fault.Kind) {
	if x.choice.Target == nil {
		return
	}
	t := flight.Try{Upstream: x.upstream.Name, Target: x.choice.Target.Address, Began: x.sentAt, Took: x.at - x.sentAt, Fault: k}
	if k == fault.None && x.conn != nil {
		t.Status = x.conn.Head.Status
	}
	if x.p.opt.Causes != nil {
		x.p.opt.Causes.Note(&series.Cause{Route: x.route.Name, Upstream: t.Upstream, Target: t.Target, Fault: k, Status: t.Status, Retried: true}, x.at)
	}
	if x.triedCount < len(x.tried) {
		x.tried[x.triedCount] = t
		x.triedCount++
	}
}
