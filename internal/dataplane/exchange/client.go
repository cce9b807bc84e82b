package exchange

import (
	"bytes"
	"net/netip"

	"sentinel/internal/dataplane/message"
)

// identifyClient finds out who the client is: the peer of the connection or, where that is
// a trusted proxy, the one that it and the trusted proxies before it name in
// X-Forwarded-For. The field is read from its end: what stands further left than the first
// address that isn't trusted, anybody may have written.
func (x *exchange) identifyClient() {
	c := x.req.Client
	x.client, x.clientText = c.Addr.Addr(), c.Text
	if !x.trusted || !x.req.Head.Forwarded {
		return
	}
	h := &x.req.Head
	for i := len(h.Fields) - 1; i >= 0; i-- {
		if h.Fields[i].ID == message.FieldXForwardedFor && !x.believe(h.FieldValue(i)) {
			return
		}
	}
}

// believe reads one line of the field from its end. It reports whether the line before it
// is to be read, too.
func (x *exchange) believe(list []byte) bool {
	for len(list) > 0 {
		at := bytes.LastIndexByte(list, ',')
		item := message.TrimSpace(list[at+1:])
		list = list[:max(at, 0)]
		addr, ok := parseAddr(item)
		if !ok {
			return false
		}
		x.client = addr
		x.clientText = addr.AppendTo(x.buffer.client[:0])
		x.buffer.client = x.clientText
		if !trusted(x.s, addr) {
			return false
		}
	}
	return true
}

// addrBytesMax is the longest text of an address: IPv6 with a zone is not accepted.
const addrBytesMax = 47

// parseAddr reads an address as proxies write it: bare, or with a port, IPv6 then in
// brackets.
func parseAddr(b []byte) (netip.Addr, bool) {
	if len(b) == 0 || len(b) > addrBytesMax {
		return netip.Addr{}, false
	}
	if b[0] == '[' || bytes.Count(b, []byte(":")) == 1 {
		p, err := netip.ParseAddrPort(string(b))
		return p.Addr().Unmap(), err == nil
	}
	a, err := netip.ParseAddr(string(b))
	return a.Unmap(), err == nil && a.Zone() == ""
}
