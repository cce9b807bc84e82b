package exchange

import (
	"strconv"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/route"
)

// rewrite changes the path as the route says. The result is canonical again, or refused;
// a rewrite that makes dot segments never leads out of what was matched. What was matched
// is logged and stays as it is: the result goes to a buffer of its own.
func (x *exchange) rewrite() fault.Kind {
	for _, r := range x.route.Rewrites {
		x.buffer.rewritten = r.Apply(x.buffer.rewritten[:0], x.path)
		out, err := route.Canonicalise(x.buffer.out[:0], x.buffer.rewritten, &x.ln.RewrittenPaths)
		if err != nil {
			return fault.PathRefused
		}
		x.buffer.sent = append(x.buffer.sent[:0], out...)
		x.path = x.buffer.sent
	}
	return fault.None
}

// checkContent refuses content that is too large before any upstream sees the request.
func (x *exchange) checkContent() fault.Kind {
	limit := x.bodyBytesMax()
	if limit > 0 && x.req.Head.ContentLength > limit {
		return fault.ContentTooLarge
	}
	return fault.None
}

// address makes the request's fields those of a forwarded request: hop-by-hop fields are
// gone, who the client is is said by us, the configured edits are made.
func (x *exchange) address() {
	h := &x.req.Head
	h.DropHopByHop()
	h.Drop(message.FieldXRequestID)
	h.DropName(x.s.Identity.RequestIDLower)
	h.Drop(message.FieldVia)
	h.Drop(message.FieldExpect)
	x.dropForwarded()
	h.Extra = h.Extra[:0]
	x.addHost()
	x.addForwarded()
	x.addCertificate()
	h.Add(x.s.Identity.RequestIDField, x.id)
	x.addCallType()
	x.addWebSocketKey()
	h.Extra = append(h.Extra, x.buffer.identity...)
	if x.route.RequestEdits != nil {
		x.fillVars()
		x.route.RequestEdits.Apply(h, &x.vars)
	}
	x.extraEnd = len(h.Extra)
}

// addHost puts the host of an absolute-form target of a 1.0 request into Host.
func (x *exchange) addHost() {
	h := &x.req.Head
	if h.Find(message.FieldHost) < 0 {
		h.Add("Host", h.Bytes(h.Authority))
	}
}

// dropForwarded removes what the client claims to be. Of a trusted peer only what is
// written anew, together with its value, is replaced; look-alikes never pass.
func (x *exchange) dropForwarded() {
	h := &x.req.Head
	if !h.Forwarded {
		return
	}
	for i := range h.Fields {
		f := &h.Fields[i]
		if !f.ID.InForwardedFamily() {
			continue
		}
		keep := x.trusted && (f.ID == message.FieldXForwardedHost || f.ID == message.FieldXForwardedProto || f.ID == message.FieldXForwardedPort)
		f.Dropped = !keep
	}
}

// addForwarded says who the client is, from the true peer, behind what a trusted peer has
// said: X-Forwarded-For, -Host and -Proto, Forwarded (RFC 7239), Via.
func (x *exchange) addForwarded() {
	h, c := &x.req.Head, x.req.Client
	proto := "http"
	if c.Secure {
		proto = "https"
	}
	host := h.Bytes(h.Authority)
	if x.s.Identity.XForwarded {
		x.addXForwarded(host, proto)
	}
	if x.s.Identity.Forwarded {
		h.Extra = append(h.Extra, "Forwarded: "...)
		x.appendClaims(message.FieldForwarded)
		h.Extra = append(h.Extra, "for="...)
		h.Extra = append(h.Extra, c.AddrQuoted...)
		h.Extra = append(h.Extra, ";proto="...)
		h.Extra = append(h.Extra, proto...)
		if len(host) > 0 {
			h.Extra = append(h.Extra, ";host=\""...)
			h.Extra = append(h.Extra, host...)
			h.Extra = append(h.Extra, '"')
		}
		h.Extra = append(h.Extra, '\r', '\n')
	}
	x.addVia()
}

func (x *exchange) addXForwarded(host []byte, proto string) {
	h := &x.req.Head
	h.Extra = append(h.Extra, "X-Forwarded-For: "...)
	x.appendClaims(message.FieldXForwardedFor)
	h.Extra = append(h.Extra, x.req.Client.Text...)
	if len(host) > 0 && h.Find(message.FieldXForwardedHost) < 0 {
		h.Extra = append(h.Extra, "\r\nX-Forwarded-Host: "...)
		h.Extra = append(h.Extra, host...)
	}
	h.Extra = append(h.Extra, '\r', '\n')
	if h.Find(message.FieldXForwardedProto) < 0 {
		h.Extra = append(h.Extra, "X-Forwarded-Proto: "...)
		h.Extra = append(h.Extra, proto...)
		h.Extra = append(h.Extra, '\r', '\n')
	}
}

// addVia names this hop (RFC 9110 section 7.6.3) behind those before it.
func (x *exchange) addVia() {
	h := &x.req.Head
	h.Extra = append(h.Extra, "Via: "...)
	for i := range h.Fields {
		if h.Fields[i].ID == message.FieldVia {
			h.Extra = append(h.Extra, h.FieldValue(i)...)
			h.Extra = append(h.Extra, ", "...)
		}
	}
	if h.Major == 2 {
		h.Extra = append(h.Extra, "2.0"...)
	} else {
		h.Extra = append(h.Extra, '1', '.', '0'+h.Minor)
	}
	h.Extra = append(h.Extra, " sentinel\r\n"...)
}

// appendClaims appends what a trusted peer has said in a list field.
func (x *exchange) appendClaims(id message.FieldID) {
	h := &x.req.Head
	if !x.trusted || !h.Forwarded {
		return
	}
	for i := range h.Fields {
		if h.Fields[i].ID == id && h.Fields[i].Value.End > h.Fields[i].Value.Start {
			h.Extra = append(h.Extra, h.FieldValue(i)...)
			h.Extra = append(h.Extra, ", "...)
		}
	}
}

// fillVars sets what templates may read.
func (x *exchange) fillVars() {
	h, c := &x.req.Head, x.req.Client
	v := &x.vars
	v.ClientIP, v.Host, v.Method, v.Path, v.Query = x.clientText, h.Bytes(h.Authority), h.Bytes(h.MethodAt), x.path, h.Bytes(h.Query)
	v.ClientPort = strconv.AppendUint(v.ClientPort[:0], uint64(c.Addr.Port()), 10)
	v.Scheme = schemeHTTP
	if c.Secure {
		v.Scheme = schemeHTTPS
	}
	v.RequestID, v.Route, v.Head = x.id, x.route.Name, h
	v.Listener = x.ln.Name
	if x.upstream != nil {
		v.Upstream = x.upstream.Name
	}
}

var schemeHTTP, schemeHTTPS = []byte("http"), []byte("https")
