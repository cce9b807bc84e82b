package exchange

import (
	"net/netip"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/limit"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/route"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/observe/metric"
)

// admit asks whether the client is kept out, and what bounds requests whether there is room
// for one more: memory, the requests in progress, whether the client has passed its
// challenge, then the rate limits that hold. The first that refuses the request names the
// refusal.
func (x *exchange) admit() fault.Kind {
	if k := x.screen(); k != fault.None {
		return k
	}
	if x.route.Disabled != nil {
		x.remember()
		return fault.RouteDisabled
	}
	if k := x.afford(); k != fault.None {
		return k
	}
	if !x.count() {
		return fault.RequestLimit
	}
	x.tryBounds()
	x.remember()
	if k := x.challenge(); k != fault.None {
		x.charge()
		return k
	}
	return x.takeAll(false)
}

// limits returns the rate limits that hold for the request: those of the nearest place, and
// those that hold beside them.
func (x *exchange) limits() [3][]*snapshot.RateLimit {
	nearest := x.route.RateLimits
	if nearest == nil {
		nearest = x.ln.RateLimits
	}
	return [...][]*snapshot.RateLimit{x.ln.AddedLimits, nearest, x.route.AddedLimits}
}

// takeAll asks the limits of one of two kinds: by what is known of every request, or, named,
// by who a policy has found the client to be.
func (x *exchange) takeAll(named bool) fault.Kind {
	for _, list := range x.limits() {
		for _, l := range list {
			if l.Named != named {
				continue
			}
			if k := x.take(l); k != fault.None {
				return k
			}
		}
	}
	return fault.None
}

// charge counts a request that is refused already, so that it doesn't come for free.
func (x *exchange) charge() {
	for _, list := range x.limits() {
		for _, l := range list {
			if l.Named {
				continue
			}
			key, _ := l.Key.Sum(l.Seed, x)
			l.Table.Take(key, x.at, 1)
		}
	}
}

// count makes the request one of those in progress.
func (x *exchange) count() bool {
	for i, g := range [...]*queue.Gate{x.s.Requests, x.ln.Requests} {
		if g == nil {
			continue
		}
		if _, err := g.Enter(0, 0, queue.Normal); err != nil {
			return false
		}
		x.requests[i] = g
	}
	return true
}

// uncount takes it out of them.
func (x *exchange) uncount() {
	for i, g := range x.requests {
		if g != nil {
			g.Leave()
			x.requests[i] = nil
		}
	}
}

// take asks one limit, and does what it says to a request too many.
func (x *exchange) take(l *snapshot.RateLimit) fault.Kind {
	key, _ := l.Key.Sum(l.Seed, x) // those without a part share one count
	patience := l.Patience
	if l.Shadow {
		patience = 0
	}
	d := l.Table.Reserve(key, x.at, 1, patience)
	switch {
	case d.Allowed && d.RetryAfter == 0:
		return fault.None
	case l.Shadow:
		l.Metrics.Count(metric.LimitShadowed)
	case l.LogOnly:
		l.Metrics.Count(metric.LimitLogged)
		x.limited = l.Name
	case d.Allowed:
		l.Metrics.Count(metric.LimitDelayed)
		return x.rest(d.RetryAfter)
	default:
		l.Metrics.Count(metric.LimitBlocked)
		x.limited, x.refusal, x.refusedBy = l.Name, d, l
		return fault.RateLimited
	}
	return fault.None
}

// addLimitFields tells a client that was refused when to come back, and by what it was
// measured.
func (x *exchange) addLimitFields(h *message.Head) {
	h.Extra = append(h.Extra, "Retry-After: "...)
	h.Extra = limit.AppendRetryAfter(h.Extra, x.refusal.RetryAfter)
	h.Extra = append(h.Extra, "\r\nRateLimit-Policy: "...)
	h.Extra = append(h.Extra, x.refusedBy.Policy...)
	h.Extra = append(h.Extra, "\r\nRateLimit: "...)
	h.Extra = limit.AppendLimit(h.Extra, x.refusedBy.Name, x.refusal)
	h.Extra = append(h.Extra, '\r', '\n')
}

// KeyAddr implements limit.Source.
func (x *exchange) KeyAddr() netip.Addr { return x.client }

// KeyPart implements limit.Source.
func (x *exchange) KeyPart(p limit.Part, name string) []byte {
	h := &x.req.Head
	switch p {
	case limit.PartHeader:
		if i := h.FindName(name); i >= 0 {
			return h.FieldValue(i)
		}
	case limit.PartCookie:
		if v, ok := cookie(h, name); ok {
			return v
		}
	case limit.PartPath:
		return x.matched
	case limit.PartRoute:
		return x.route.Key
	case limit.PartHost:
		x.buffer.host = route.AppendHost(x.buffer.host[:0], h.Bytes(h.Authority))
		return x.buffer.host
	case limit.PartMethod:
		return h.Bytes(h.MethodAt)
	case limit.PartListener:
		return x.ln.Key
	case limit.PartUser:
		return x.user
	case limit.PartClaim:
		if x.token != nil {
			return x.token.Claim(name)
		}
	}
	return nil
}
