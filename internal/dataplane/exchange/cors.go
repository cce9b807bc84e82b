package exchange

import (
	"sentinel/internal/dataplane/cors"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/route"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/observe/metric"
)

// preflightRoute returns the route of the request that a preflight asks about, if it has a
// policy: that may be a route that doesn't take OPTIONS. What it finds is answered here and
// goes nowhere.
func (x *exchange) preflightRoute(in route.Input) (*snapshot.Route, bool) {
	if !x.s.Preflights {
		return nil, false
	}
	method, ok := preflightMethod(&x.req.Head)
	if !ok {
		return nil, false
	}
	in.Method = method
	r, ok := x.s.Table.Match(&in)
	return r, ok && r.Policies != nil && r.Policies.CORS != nil
}

// preflightMethod returns the method that a preflight asks about; ok is false where the
// request is none (Fetch standard, section 3.3.2).
func preflightMethod(h *message.Head) (method []byte, ok bool) {
	if h.Method != message.MethodOptions || h.FindName("origin") < 0 {
		return nil, false
	}
	i := h.FindName("access-control-request-method")
	if i < 0 {
		return nil, false
	}
	return h.FieldValue(i), true
}

// preflight answers a request that is a preflight.
func (x *exchange) preflight(p *cors.Policy) (answered bool, err error) {
	h := &x.req.Head
	method, ok := preflightMethod(h)
	if !ok {
		x.countOrigin(p)
		return false, nil
	}
	x.preflights = true
	origin := x.origin()
	allowed := p.Allows(origin) && p.AllowsRequest(method, nil)
	for i := range h.Fields {
		if allowed && message.EqualFold(h.FieldName(i), "access-control-request-headers") {
			allowed = p.AllowsRequest(method, h.FieldValue(i))
		}
	}
	if !allowed {
		x.route.Metrics.Decided(metric.CORS, metric.Denied)
		return true, x.fail(fault.PreflightRefused)
	}
	x.route.Metrics.Decided(metric.CORS, metric.Allowed)
	answer := x.localHead(204)
	answer.Extra = p.AppendPreflight(answer.Extra, origin)
	return true, x.send(answer, nil)
}

// countOrigin counts whether a request of another origin may be read.
func (x *exchange) countOrigin(p *cors.Policy) {
	if origin := x.origin(); origin != nil {
		d := metric.Denied
		if p.Allows(origin) {
			d = metric.Allowed
		}
		x.route.Metrics.Decided(metric.CORS, d)
	}
}

// origin returns the origin of the request; nil where it has none, or several.
func (x *exchange) origin() (origin []byte) {
	h := &x.req.Head
	for i := range h.Fields {
		if message.EqualFold(h.FieldName(i), "origin") {
			if origin != nil {
				return nil
			}
			origin = h.FieldValue(i)
		}
	}
	return origin
}

// secure makes the head of an upstream's response one that browsers are careful with, and
// says who may read it.
func (x *exchange) secure(h *message.Head) {
	if s := x.route.SecurityFields; s != nil {
		s.Apply(h, x.req.Client.Secure)
	}
	if p := x.corsPolicy(); p != nil {
		varied := false
		for i := range h.Fields {
			f := &h.Fields[i]
			if cors.Owns(h.Bytes(f.Name)) {
				f.Dropped = true
			}
			varied = varied || message.EqualFold(h.Bytes(f.Name), "vary") && cors.ListsOrigin(h.Bytes(f.Value))
		}
		x.addOrigin(h, p, varied)
	}
}

// secureLocal is secure for a response of the proxy itself.
func (x *exchange) secureLocal(h *message.Head) {
	s := x.s.Security
	if x.route != nil {
		s = x.route.SecurityFields
	}
	if s != nil {
		s.Complete(h, x.req.Client.Secure)
	}
	if p := x.corsPolicy(); p != nil {
		x.addOrigin(h, p, false)
	}
}

func (x *exchange) corsPolicy() *cors.Policy {
	if x.route == nil || x.route.Policies == nil {
		return nil
	}
	return x.route.Policies.CORS
}

// addOrigin says which origin may read the response, and that another one may get another
// response. The answer to a preflight has said the former.
func (x *exchange) addOrigin(h *message.Head, p *cors.Policy, varied bool) {
	switch {
	case x.preflights:
		h.Extra = append(h.Extra, "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n"...)
		return
	case p.Varies() && !varied:
		h.Extra = append(h.Extra, "Vary: Origin\r\n"...)
	}
	if origin := x.origin(); p.Allows(origin) {
		h.Extra = p.AppendActual(h.Extra, origin)
	}
}
