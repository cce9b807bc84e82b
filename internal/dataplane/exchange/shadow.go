package exchange

import "sentinel/internal/dataplane/fault"

// wouldRefuse notes that something in shadow mode would have refused the request by k. The
// log names the first one, which would have answered.
func (x *exchange) wouldRefuse(k fault.Kind) {
	x.s.Shadowed.Count(k)
	if x.shadowed == "" {
		x.shadowed = k.String()
	}
}

// tryBounds asks the bounds of the listener that are in shadow mode about the request's head
// and about the requests in progress, itself among them.
func (x *exchange) tryBounds() {
	h, b := &x.req.Head, x.ln.Shadow
	switch {
	case b == nil:
	case b.TargetBytes > 0 && int(h.Target.End-h.Target.Start) > b.TargetBytes:
		x.wouldRefuse(fault.TargetTooLong)
	case b.HeadBytes > 0 && h.End > b.HeadBytes:
		x.wouldRefuse(fault.HeadTooLarge)
	case b.Fields > 0 && len(h.Fields) > b.Fields:
		x.wouldRefuse(fault.TooManyFields)
	}
	for i, max := range [...]int{x.s.ShadowRequests, x.ln.ShadowRequests} {
		if max > 0 && x.requests[i] != nil && x.requests[i].InProgress() > max {
			x.wouldRefuse(fault.RequestLimit)
			return
		}
	}
}

// tryContent asks the bound of content that is in shadow mode, once it is known how much there
// was, or was said to be.
func (x *exchange) tryContent() {
	var max int64
	if x.ln.Shadow != nil {
		max = x.ln.Shadow.BodyBytes
	}
	if x.route != nil && x.route.ShadowBodyBytes >= 0 {
		max = x.route.ShadowBodyBytes
	}
	if max > 0 && (x.received > max || x.upstream != nil && x.req.Head.ContentLength > max) {
		x.wouldRefuse(fault.ContentTooLarge)
	}
}
