package stream

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/proxyproto"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/transport"
	"sentinel/internal/dataplane/upstream"
)

const (
	// triesMax is how many targets of one upstream are tried: nothing has been sent to any of
	// those that refused, so that the next one is always safe.
	triesMax = 3
	// connectMax bounds the time until a stream has reached an upstream, queue and all tries.
	connectMax = 30 * time.Second
)

// connect reaches a target of the route's upstream, else of its fallback.
func (x *stream) connect() fault.Kind {
	by := x.look() + connectMax
	own, other := x.route.Upstream, x.route.Fallback
	x.series = x.route.Series
	k := x.ask(own, by)
	switch {
	case other == nil:
	case k != fault.None && k.Row().Unsent && other.Usable():
		x.leave()
		x.route.Metrics.FailedOver()
		x.route.Failover.Used(own, other, k.Error(), x.at)
		x.series = x.route.FallbackSeries
		return x.ask(other, by)
	case k == fault.None:
		x.route.Failover.Unused(own, other, x.at)
	}
	return k
}

func (x *stream) leave() {
	if x.gate != nil {
		x.gate.Leave()
		x.gate = nil
	}
}

// ask reaches a target of u.
func (x *stream) ask(u *upstream.Upstream, by time.Duration) fault.Kind {
	x.up = u
	waited, err := u.Gate.Enter(x.at, by, queue.Normal)
	if waited {
		x.look()
	}
	if err != nil {
		if errors.Is(err, queue.ErrDeadline) {
			return fault.QueueTimeout
		}
		u.Refused(x.look())
		return kindOf(err, fault.QueueFull)
	}
	x.gate = u.Gate
	x.choice = upstream.Choice{}
	if u.HashBy.By == upstream.ByClient {
		x.choice.Key = keyOf(x.client.Text)
	}
	for try := 1; ; try++ {
		k, picked := x.attempt(u, by)
		if k == fault.None || try == triesMax || !picked || !k.Row().Unsent || !x.choice.Untried() || x.at >= by {
			return k
		}
		u.Metrics.Retried()
	}
}

// attempt connects to one target, if one is picked, and tells it who the client is.
func (x *stream) attempt(u *upstream.Upstream, by time.Duration) (k fault.Kind, picked bool) {
	if err := u.Pick(&x.choice, x.at); err != nil {
		return kindOf(err, fault.NoTarget), false
	}
	x.tries++
	x.target = x.choice.Target
	began := x.at
	w := transport.Want{Now: began, By: by}
	if u.ProxyHeader > 0 {
		w.Header = x.appendHeader(nil, u.ProxyHeader)
	}
	conn, err := x.target.Pool.Dial(w)
	x.took = x.look() - began
	if err != nil {
		x.choice.Done(x.at, x.took, upstream.Failed)
		u.Learn(x.at, x.took, upstream.Failed)
		return kindOf(err, fault.UpstreamUnreachable), true
	}
	x.conn = conn
	x.choice.Connected(x.at, x.took)
	u.Learn(x.at, x.took, upstream.OK)
	return fault.None, true
}

// appendHeader appends the PROXY header for the target: the client, where it has connected to,
// and what a header from before us has added.
func (x *stream) appendHeader(dst []byte, version int) []byte {
	var destination netip.AddrPort
	if a, ok := x.c.Net.NetConn().LocalAddr().(*net.TCPAddr); ok {
		destination = a.AddrPort()
	}
	var tlvs []byte
	if h := x.c.Header; h != nil && !h.Local {
		destination, tlvs = h.Destination, h.TLVs
	}
	return proxyproto.Append(dst, version, x.client.Addr, destination, tlvs)
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
