package exchange

import (
	"bytes"
	"io"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
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

// pipe passes bytes both ways. A FIN is passed on and the other way goes on until its own
// FIN or the idle timeout.
func (x *exchange) pipe(client *netio.Conn, early []byte) {
	up := x.conn.Net()
	client.SetReadDeadline(0)
	up.SetReadDeadline(0)
	up.WaitFor(nil, 0)
	var in int64
	task := netio.Go(func() error {
		in = copyWay(up, client, early, x.route.TunnelIdle)
		return nil
	})
	x.sent = copyWay(client, up, x.conn.Early(), x.route.TunnelIdle)
	task.Wait()
	x.received = in
}

// copyWay passes bytes from src to dst until src ends, and returns how many.
func copyWay(dst, src *netio.Conn, early []byte, idle time.Duration) (total int64) {
	b := newCopyBuffer()
	defer b.free()
	n := copy(b[:], early)
	for {
		if n > 0 {
			if _, err := dst.Write(b[:n]); err != nil {
				src.Interrupt()
				return total
			}
			total += int64(n)
		}
		if idle > 0 {
			src.SetReadDeadline(src.Clock().Now() + idle)
		}
		var err error
		if n, err = src.Read(b[:]); err != nil {
			dst.CloseWrite()
			if err != io.EOF {
				dst.Interrupt()
			}
			return total
		}
	}
}
