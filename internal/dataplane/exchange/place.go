package exchange

import (
	"net/netip"

	"sentinel/internal/dataplane/geo"
	"sentinel/internal/observe/accesslog"
)

// Locate implements block.Locator for the client of the exchange. It is asked for when a list
// wants to know: the peer of the connection once for all its exchanges, whom a trusted proxy
// names once for each.
func (x *exchange) Locate(a netip.Addr) geo.Place {
	switch {
	case x.located:
	case a == x.req.Client.Addr.Addr():
		x.place = x.req.Client.Place.Locate(x.s.Places, a)
	default:
		x.place = x.s.Places.Locate(a)
	}
	x.located = true
	return x.place
}

// describePlace tells the access log where the client is.
func (x *exchange) describePlace(e *accesslog.Entry) {
	if !x.s.LogPlaces {
		return
	}
	p := x.Locate(x.client)
	e.Country, e.ASN = p.Country.String(), p.ASN
}
