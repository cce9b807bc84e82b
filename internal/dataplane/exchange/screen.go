package exchange

import (
	"net/netip"

	"sentinel/internal/dataplane/block"
	"sentinel/internal/dataplane/fault"
)

// The addresses from which a machine asks itself. Their connections are always accepted, so
// that /health and /ready answer; their requests are judged like those of others.
var (
	home4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	home6 = netip.IPv6Loopback()
)

// Screen returns why a peer may not connect to the listener in a slot; None when it may. A
// ban holds for everybody but the machine itself. An access list holds where no route has
// one of its own, which could let the peer in, and not for trusted proxies: what counts of
// these is whom they speak for.
// sender says that the peer speaks for others by the PROXY protocol, so that a list isn't
// about it.
func (p *Proxy) Screen(slot int, peer netip.Addr, sender bool) fault.Kind {
	if peer == home4 || peer == home6 {
		return fault.None
	}
	if e := p.opt.Bans.Find(peer); e != nil {
		e.Hit()
		return fault.ClientBanned
	}
	s := p.current.Load()
	if e := p.opt.Bans.FindShadow(peer); e != nil && s != nil {
		e.Hit()
		s.Shadowed.Count(fault.ClientBanned)
	}
	if sender || s == nil || slot >= len(s.Listeners) || s.Listeners[slot] == nil {
		return fault.None
	}
	if l := s.Listeners[slot]; !l.PeerAccess.Allows(peer) && !trusted(s, peer) {
		return fault.AccessDenied
	}
	return fault.None
}

// screen returns why the client of the request is kept out, by the ban or the access list
// that is nearest.
func (x *exchange) screen() fault.Kind {
	if e := x.p.opt.Bans.Find(x.client); e != nil {
		e.Hit()
		return fault.ClientBanned
	}
	if e := x.p.opt.Bans.FindShadow(x.client); e != nil {
		e.Hit()
		x.wouldRefuse(fault.ClientBanned)
	}
	list := x.accessList()
	if !list.AllowsFrom(x.client, x) {
		if list.Shadow {
			x.wouldRefuse(fault.AccessDenied)
			return fault.None
		}
		return fault.AccessDenied
	}
	return fault.None
}

// accessList returns the list that holds for the request; nil lets everybody in.
func (x *exchange) accessList() *block.List {
	if x.route.Access != nil {
		return x.route.Access
	}
	return x.ln.Access
}
