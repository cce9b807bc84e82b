package exchange

import (
	"errors"
	"math/rand/v2"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/retry"
	"sentinel/internal/dataplane/upstream"
)

// forward has the request answered by the route's upstream or, where that can't, by its
// fallback. It returns when the final response head is there.
func (x *exchange) forward() fault.Kind {
	own := x.route.Forward.Pick(x.splitKey())
	x.upstream = own
	x.setDeadline()
	x.phases.content = x.at
	if k := x.takeContent(); k != fault.None {
		return k
	}
	x.phases.queue = x.at
	x.mirrorRequest()
	k := x.ask(own)
	other := x.route.Fallback
	switch {
	case other == nil:
	case x.mayFailOver(k) && other.Usable():
		x.noteTry(k)
		x.settle(k)
		x.leave()
		x.route.Metrics.FailedOver()
		x.route.Failover.Used(own, other, x.reason(k), x.at)
		return x.ask(other)
	case k == fault.None:
		x.route.Failover.Unused(own, other, x.at)
	}
	return k
}

// reason says in fixed words why the fallback is used.
func (x *exchange) reason(k fault.Kind) string {
	if k == fault.None {
		return "upstream answered with a retryable status"
	}
	return k.Error()
}

// ask sends the request to targets of u, one after the other, until one answers.
func (x *exchange) ask(u *upstream.Upstream) fault.Kind {
	x.upstream = u
	if k := x.enter(u); k != fault.None {
		return k
	}
	if x.phases.retry == 0 {
		x.phases.retry = x.at
	}
	u.Budget.Request(x.at)
	x.choice = upstream.Choice{Key: x.affinity(&u.HashBy), Sticky: x.stickyTarget(u)}
	for try := 1; ; try++ {
		k := x.attempt()
		pause, again := x.again(k, try)
		if !again {
			return k
		}
		x.noteTry(k)
		x.settle(k)
		u.Metrics.Retried()
		if gone := x.rest(pause); gone != fault.None {
			return gone
		}
	}
}

// look reads the clock. What comes between two waits happens at one time, x.at.
func (x *exchange) look() time.Duration {
	x.at = x.p.opt.Clock.Now()
	return x.at
}

// pause is how long to wait after try number try before another one: not at all where a
// target is left that may be better and none has seen anything of the request.
func (x *exchange) pause(k fault.Kind, try int) time.Duration {
	if k != fault.None && k.Row().Unsent && x.choice.Untried() {
		return 0
	}
	return x.route.Retry.Delay(try, rand.Uint64())
}

// enter takes a place among the requests in progress at u, waiting for it in u's queue.
func (x *exchange) enter(u *upstream.Upstream) fault.Kind {
	waited, err := u.Gate.EnterFor(x, x.at, x.deadline, x.route.Priority)
	if waited {
		x.look()
	}
	if err != nil {
		switch err {
		case queue.ErrDeadline:
			return fault.RequestDeadline
		case queue.ErrGone:
			return fault.ClientClosed
		}
		u.Refused(x.look())
		return kindOf(err, fault.QueueFull)
	}
	x.gate = u.Gate
	return fault.None
}

// leave gives the place back.
func (x *exchange) leave() {
	if x.gate != nil {
		x.gate.Leave()
		x.gate = nil
	}
}

// again reports whether the request is to be sent once more after try number try ended
// with k, or with a response, and after which pause: not where that outlasts the deadline.
// What it says yes to is taken out of the retry budget, unless no target has seen anything
// of the request.
func (x *exchange) again(k fault.Kind, try int) (pause time.Duration, yes bool) {
	p := x.route.Retry
	if try >= p.Attempts || x.choice.Refused() || !x.mayRepeat(k) {
		return 0, false
	}
	pause = x.pause(k, try)
	switch unsent := k != fault.None && k.Row().Unsent; {
	case x.at+pause >= x.deadline:
		return 0, false
	case k == fault.UpstreamRefusedStream: // it is busy: that multiplies what it gets
		return pause, p.On&retry.RefusedStream != 0 && x.upstream.Budget.TryRetry(x.at)
	case unsent:
		return pause, p.On&retry.ConnectFailure != 0
	}
	return pause, x.upstream.Budget.TryRetry(x.at)
}

// mayFailOver reports whether the fallback may have the request.
func (x *exchange) mayFailOver(k fault.Kind) bool {
	return x.mayRepeat(k) && x.at < x.deadline
}

// mayRepeat reports whether the request may be sent to another target after k, or after the
// response in hand when k is None.
func (x *exchange) mayRepeat(k fault.Kind) bool {
	if k != fault.None && k.Row().Unsent {
		return k.Side() == fault.SideUpstream && (x.whole || !x.req.Content.Started())
	}
	p := x.route.Retry
	if !x.whole || int64(len(x.content)) > p.BodyBytesMax {
		return false
	}
	if k == fault.None && x.callFailed() {
		return true
	}
	if !p.NonIdempotent && !x.req.Head.Method.Idempotent() {
		return false
	}
	if k == fault.None {
		return p.Status(x.conn.Head.Status)
	}
	return p.On&condition(k) != 0
}

// condition returns which of the conditions to try again k is; 0 for none.
func condition(k fault.Kind) retry.Condition {
	switch k {
	case fault.UpstreamReset, fault.UpstreamClosed, fault.UpstreamWriteFailed:
		return retry.Reset
	case fault.UpstreamResponseTimeout, fault.UpstreamWriteTimeout:
		return retry.Timeout
	}
	return 0
}

// setDeadline sets when the whole exchange must have ended: the nearest of what says so,
// route, upstream, listener. One that was configured covers the content both ways; the
// default ends with the response head, since a long download is no fault.
func (x *exchange) setDeadline() {
	timeout, hard := x.ln.RequestTimeout, x.ln.RequestTimeoutSet
	switch {
	case x.route.Timeout > 0:
		timeout, hard = x.route.Timeout, true
	case x.upstream.RequestTimeout > 0:
		timeout, hard = x.upstream.RequestTimeout, true
	}
	x.deadline, x.covers = x.req.Received+timeout, hard
	if hard {
		x.req.ContentBy = x.deadline
	}
	x.limitCall()
}

// contentDeadline is when a wait for content ends that may be silent for so long.
func (x *exchange) contentDeadline(silence time.Duration) time.Duration {
	at := x.p.opt.Clock.Now() + silence
	if x.covers {
		at = min(at, x.deadline)
	}
	return at
}

// responseDeadline is when the wait for a response head ends: by silence, with the try, or
// with the whole exchange.
func (x *exchange) responseDeadline() time.Duration {
	return min(x.at+x.headWait(), x.deadline)
}

// headWait is how long a try may wait for the response head once its request is sent.
func (x *exchange) headWait() time.Duration {
	if t := x.route.Retry.PerTry; t > 0 {
		return min(x.silence(), t)
	}
	return x.silence()
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

// whichDeadline tells the deadline of the exchange from that of a wait that has just ended.
func (x *exchange) whichDeadline(k fault.Kind) fault.Kind {
	switch k {
	case fault.UpstreamConnectTimeout, fault.UpstreamResponseTimeout, fault.UpstreamReadTimeout:
		if x.at >= x.deadline {
			return fault.RequestDeadline
		}
	}
	return k
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
