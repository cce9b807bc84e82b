package exchange

import (
	"sentinel/internal/dataplane/message"
)

// askedFor takes the field by which a sender asks to have its request kept whole. A token that
// is good has it kept whatever becomes of it; any other one is ignored. Nobody else sees the
// field: no route's condition, no upstream.
func (x *exchange) askedFor() {
	value, only := x.onlyField(message.FieldSentinelExplain)
	x.asked = only && x.p.opt.Asked != nil && x.p.opt.Asked.Valid(value, x.unixSeconds())
	x.req.Head.Drop(message.FieldSentinelExplain)
}

// tellID tells a client that has asked the id of its request, by which it is found.
func (x *exchange) tellID(h *message.Head) {
	if !x.asked {
		return
	}
	h.DropName(x.s.Identity.RequestIDLower)
	h.DropExtra(x.s.Identity.RequestIDLower)
	h.Add(x.s.Identity.RequestIDField, x.id)
}
