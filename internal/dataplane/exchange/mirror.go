package exchange

import (
	"math/rand/v2"
	"time"

	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/dataplane/transport"
	"sentinel/internal/dataplane/upstream"
	"sentinel/internal/observe/metric"
)

// duplicate is a copy of a request that goes to another upstream beside the original. It
// has nothing in common with its exchange any more; what becomes of it is only counted.
type duplicate struct {
	p       *Proxy
	mirror  *snapshot.Mirror
	metrics *metric.Route
	cell    int
	key     uint64
	toHead  bool
	request *message.Outgoing
	timeout time.Duration
	header  []byte // PROXY header; nil for none
}

// mirrorRequest sends a copy of the request to the route's mirror, if it is one of the
// share. The original doesn't wait for it: where too many copies are under way, or the
// content isn't at hand or too large, there is none.
func (x *exchange) mirrorRequest() {
	m := x.route.Mirror
	if m == nil || rand.IntN(100) >= m.Percent {
		return
	}
	if x.p.pressureIs(NoLuxury) || !x.whole || int64(len(x.content)) > m.BodyBytesMax || x.upgradeToken() != "" || !m.Enter() {
		x.route.Metrics.Mirrored(metric.MirrorSkipped)
		return
	}
	d := &duplicate{
		p: x.p, mirror: m, metrics: x.route.Metrics, cell: x.req.Client.Cell, key: x.affinity(&m.Upstream.HashBy),
		toHead:  x.req.Head.Method == message.MethodHead,
		request: x.wholeRequest().Clone(), timeout: x.deadline - x.req.Received,
		header: x.introduction(nil, m.Upstream),
	}
	go d.run()
}

func (d *duplicate) run() {
	defer d.mirror.Leave()
	outcome := metric.MirrorSent
	if d.send() != upstream.OK {
		outcome = metric.MirrorFailed
	}
	d.metrics.Mirrored(outcome)
}

// send sends the copy to one target and reads the answer to its end.
func (d *duplicate) send() upstream.Outcome {
	clock, u := d.p.opt.Clock, d.mirror.Upstream
	began := clock.Now()
	choice := upstream.Choice{Key: d.key}
	if u.Pick(&choice, began) != nil {
		return upstream.Failed
	}
	target := choice.Target
	outcome := upstream.Failed
	latency := time.Duration(0)
	defer func() { choice.Done(clock.Now(), latency, outcome) }()
	conn, err := target.Pool.Get(transport.Want{Alive: true, Now: began, By: began + d.timeout, Header: d.header})
	if err != nil {
		return outcome
	}
	defer func() { target.Pool.Put(conn, clock.Now()) }()
	conn.SetReadDeadline(began + d.timeout)
	err = conn.Exchange(d.request)
	for err == nil && conn.Head.Status < 200 {
		err = conn.ReadHead()
	}
	if err != nil {
		return outcome
	}
	latency = clock.Now() - began
	conn.Frame(d.toHead)
	if drain(conn) == nil {
		outcome = outcomeOf(conn.Head.Status)
		u.Metrics.Observe(d.cell, clock.Now()-began)
	}
	return outcome
}

// drain reads and drops the content of an answer.
func drain(conn *transport.Conn) error {
	_, end, err := conn.Buffered()
	buf := newCopyBuffer()
	defer buf.free()
	for err == nil && !end {
		_, end, err = conn.ReadContent(buf[:])
	}
	return err
}
