package exchange

import (
	"sentinel/internal/dataplane/limit"
	"sentinel/internal/observe/demand"
)

// remember notes a request that rate limits are about to see, for who asks later what other
// limits would make of it.
func (x *exchange) remember() {
	d := x.p.opt.Demand
	if d == nil {
		return
	}
	d.Note(x.req.Client.Cell, &demand.Request{
		Client: x.client, Listener: x.ln.Demand, Route: x.route.Demand,
		Path: d.Hash(x.matched), Host: d.Hash(x.KeyPart(limit.PartHost, "")), Method: uint8(x.req.Head.Method),
	}, x.at)
}
