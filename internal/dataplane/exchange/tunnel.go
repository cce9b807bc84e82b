package exchange

import (
	"bytes"

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
	h.Extra = append(h.Extra[:0], "Upgrade: "...)
	h.Extra = append(h.Extra, token...)
	h.Extra = append(h.Extra, '\r', '\n')
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
	return i >= 0 && bytes.EqualFold(h.FieldValue(i), []byte(token))
}

// pipe passes bytes both ways until the tunnel ends.
func (x *exchange) pipe(client *netio.Conn, early []byte) {
	x.conn.Net().WaitFor(nil, 0)
	t := tunnel.Tunnel{Client: client, Upstream: x.conn.Net(), FromClient: early, FromUpstream: x.conn.Early(), Idle: x.route.TunnelIdle}
	t.Run()
	x.received, x.sent = t.In.Load(), t.Out.Load()
}
