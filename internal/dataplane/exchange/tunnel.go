package exchange

import (
	"bytes"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/tunnel"
)

// upgradeToken returns the protocol that the client asks to upgrade to, if the route
// allows it; the request is otherwise forwarded without the wish (RFC 9110 section 7.8).
func (x *exchange) upgradeToken() string {
	h := &x.req.Head
	if !h.Upgrade || len(x.route.Upgrades) == 0 {
		return ""
	}
	for i := range h.Fields {
		if h.Fields[i].ID != message.FieldUpgrade {
			continue
		}
		for _, t := range x.route.Upgrades {
			if message.EqualFold(h.FieldValue(i), t) {
				return t
			}
		}
	}
	return ""
}

// refusesTunnel refuses a request for a tunnel, by extended CONNECT, that the route doesn't
// allow. A wish to upgrade in HTTP/1.1 is just not passed on; this is all that was asked for.
func (x *exchange) refusesTunnel() fault.Kind {
	if x.req.Head.Connect && x.upgradeToken() == "" {
		return fault.UpgradeRefused
	}
	return fault.None
}

// tunnel follows a 101 response: only the protocol that was asked for, only where it is
// allowed. From then on bytes pass both ways until one side ends.
func (x *exchange) tunnel() error {
	token := x.upgradeToken()
	t, ok := x.w.(message.Tunneller)
	if token == "" || !ok || !x.confirms(token) {
		return x.fail(fault.UpstreamBadUpgrade)
	}
	h := x.conn.Head
	h.DropHopByHop()
	h.Extra = h.Extra[:0]
	if x.req.Head.Connect {
		h.DropName("sec-websocket-accept")
	} else {
		h.Extra = append(h.Extra, "Upgrade: "...)
		h.Extra = append(h.Extra, token...)
		h.Extra = append(h.Extra, '\r', '\n')
	}
	x.tellID(h)
	x.status = 101
	if err := x.w.Respond(h, nil, true); err != nil {
		return x.broke(err)
	}
	client, early := t.Tunnel()
	x.pipe(client, early)
	x.conn.Break()
	return nil
}

// confirms reports whether the response in hand upgrades to token and nothing else.
func (x *exchange) confirms(token string) bool {
	h := x.conn.Head
	i := h.Find(message.FieldUpgrade)
	return i >= 0 && bytes.EqualFold(h.FieldValue(i), []byte(token)) && (!x.req.Head.Connect || x.accepted(h))
}

// pipe passes bytes both ways until the tunnel ends.
func (x *exchange) pipe(client netio.Pipe, early []byte) {
	x.unwatch() // the tunnel notices itself when its client goes
	up := x.conn.Net()
	up.WaitFor(nil, 0)
	t := tunnel.Tunnel{Client: client, Upstream: up, FromClient: early, FromUpstream: x.conn.Early(), Idle: x.tunnelIdle()}
	t.Run()
	x.received, x.sent = t.In.Load(), t.Out.Load()
}

// tunnelIdle is how long a tunnel may be silent.
func (x *exchange) tunnelIdle() time.Duration {
	if x.route.TunnelIdle > 0 {
		return x.route.TunnelIdle
	}
	return x.ln.TunnelIdle
}
