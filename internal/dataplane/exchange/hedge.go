package exchange

import (
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/transport"
	"sentinel/internal/dataplane/upstream"
)

// hedge is a second try beside the first one, at another target: whichever target answers
// first serves the request.
type hedge struct {
	choice upstream.Choice
	target *upstream.Target
	conn   *transport.Conn
	sentAt time.Duration
}

// hedges reports whether a second try may be sent beside the one in hand.
func (x *exchange) hedges() bool {
	p := x.route.Retry
	return p.HedgeAfter > 0 && !x.p.pressureIs(NoLuxury) && x.whole && x.upgradeToken() == "" && x.choice.Untried() &&
		(p.NonIdempotent || x.req.Head.Method.Idempotent())
}

// sendHedged sends the request and, when no answer has begun after a while, sends it to
// another target too. It is counted as a retry and taken out of the same budget.
func (x *exchange) sendHedged() error {
	end := x.responseDeadline()
	x.conn.SetReadDeadline(min(x.p.opt.Clock.Now()+x.route.Retry.HedgeAfter, end))
	err := x.conn.Exchange(x.wholeRequest())
	if err == fault.UpstreamResponseTimeout && !x.conn.Received() && x.p.opt.Clock.Now() < end {
		x.conn.SetReadDeadline(end)
		if h, ok := x.openHedge(end); ok {
			err = x.race(h)
		} else {
			err = x.conn.Await()
		}
	}
	if err != nil {
		return err
	}
	return x.passInterims()
}

// openHedge takes a place at another target and a connection to it, which must stand within
// the time that the hedge was waited for: the first try isn't listened to meanwhile.
func (x *exchange) openHedge(end time.Duration) (*hedge, bool) {
	now := x.p.opt.Clock.Now()
	if !x.upstream.Budget.TryRetry(now) {
		return nil, false
	}
	h := &hedge{choice: x.choice.Beside(), sentAt: now}
	if x.upstream.Pick(&h.choice, now) != nil {
		return nil, false
	}
	h.target = h.choice.Target
	conn, err := h.target.Pool.Get(transport.Want{Alive: true, Now: now, By: min(end, now+x.route.Retry.HedgeAfter), Header: x.buffer.introduction})
	if err != nil {
		h.choice.Done(now, 0, upstream.Failed)
		return nil, false
	}
	h.conn = conn
	x.unwatch()
	x.beside = conn
	conn.SetReadDeadline(end)
	x.watch(conn, now)
	x.tries++
	x.upstream.Metrics.Retried()
	return h, true
}

// race waits for the first of the two tries to bring a response head. The other one is
// stopped; it says nothing of its target.
func (x *exchange) race(h *hedge) error {
	first := func() error { return x.conn.Await() }
	second := func() error { return h.conn.Exchange(&x.outgoing) } // all of the first is written
	won, errFirst, errSecond := netio.First(first, second, x.conn.Interrupt, h.conn.Interrupt)
	x.unwatch()
	x.beside = nil
	x.choice.Joined(&h.choice)
	if won == 1 && errSecond == nil {
		x.swap(h)
		errFirst, errSecond = errSecond, errFirst
	}
	x.drop(h, errFirst, errSecond)
	x.watch(x.conn, x.p.opt.Clock.Now())
	return errFirst
}

// swap makes the second try the one in hand.
func (x *exchange) swap(h *hedge) {
	x.choice, h.choice = h.choice, x.choice
	x.target, h.target = h.target, x.target
	x.conn, h.conn = h.conn, x.conn
	x.sentAt, h.sentAt = h.sentAt, x.sentAt
}

// drop ends the try that isn't used: stopped because the other one had won, or failed.
func (x *exchange) drop(h *hedge, won, lost error) {
	h.conn.Break()
	h.target.Pool.Put(h.conn, x.p.opt.Clock.Now())
	now, outcome := x.p.opt.Clock.Now(), upstream.Failed
	if won == nil && kindOf(lost, fault.Draining) == fault.Draining {
		outcome = upstream.Nothing
	}
	h.choice.Done(now, now-h.sentAt, outcome)
}
