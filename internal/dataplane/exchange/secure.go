package exchange

import (
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/listen"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/route"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/dataplane/tlsedge"
	"sentinel/internal/observe/accesslog"
	"sentinel/internal/observe/metric"
)

// secure takes the handshake of a connection whose listener speaks TLS. It reports whether
// requests may come.
func (p *Proxy) secure(c *listen.Conn, client *message.Client, l *snapshot.Listener) bool {
	if l.TLS == nil {
		return true
	}
	settled, err := l.TLS.Accept(c.Net)
	if err != nil {
		if err != tlsedge.ErrLeft {
			p.handshakeFailed(c, client, l, settled, fault.Of(err))
		}
		return false
	}
	outcome := metric.HandshakeFull
	if settled.Resumed {
		outcome = metric.HandshakeResumed
	}
	l.Metrics.Handshake(client.Cell, outcome)
	client.Secure, client.TLS = true, settled
	return true
}

// handshakeFailed counts and logs a connection that doesn't get as far as a request.
func (p *Proxy) handshakeFailed(c *listen.Conn, client *message.Client, l *snapshot.Listener, settled *message.TLS, k fault.Kind) {
	l.Metrics.Handshake(client.Cell, metric.HandshakeFailed)
	unrouted, took := p.current.Load().NoRoute, p.opt.Clock.Now()-c.Accepted
	unrouted.Fault(k)
	if k == fault.Unencrypted { // which has been answered
		unrouted.Observe(client.Cell, k.Status(), took)
	}
	if p.opt.Log == nil || !p.opt.Log.Wants(k.Status(), k) {
		return
	}
	p.opt.Log.Record(client.Cell, &accesslog.Entry{
		Time: p.opt.Clock.Time(c.Accepted), Client: client.Addr.Addr(), Host: []byte(settled.ServerName),
		Listener: l.Name, Status: k.Status(), Fault: k, Total: took,
	})
}

// directed reports a request that may not come over its connection: what is asked of clients
// for its host isn't what was asked when the connection was made. It ends the connection: the
// client is to make another one.
func (x *exchange) directed() fault.Kind {
	c := x.req.Client
	if !x.ownListener() || x.ln.TLS == nil && c.TLS == nil {
		return fault.None
	}
	k := fault.None
	switch {
	case x.ln.TLS == nil: // a reload has made it a plain one
	case c.TLS == nil:
		k = fault.Misdirected
	default:
		if !x.ln.TLS.Uniform() {
			x.buffer.host = route.AppendHost(x.buffer.host[:0], x.req.Head.Bytes(x.req.Head.Authority))
		}
		if !x.ln.TLS.Serves(x.buffer.host, c.TLS.Policy) {
			k = fault.Misdirected
		}
	}
	if k != fault.None {
		x.req.LastOnConnection = true
	}
	return k
}

// ownListener reports whether the listener of the connection is still in the configuration.
func (x *exchange) ownListener() bool {
	i := x.req.Client.Listener
	return i < len(x.s.Listeners) && x.s.Listeners[i] == x.ln
}

// disbelieve drops the fields by which only this proxy says who a client is.
func (x *exchange) disbelieve() {
	h := &x.req.Head
	for i := range h.Fields {
		if x.vouched(h.FieldName(i)) {
			h.Fields[i].Dropped = true
		}
	}
}

// vouched reports whether a field is one of those; underscores count as hyphens, as they do
// for many servers.
func (x *exchange) vouched(name []byte) bool {
	for _, v := range x.s.Vouched {
		if len(v) == len(name) && sameField(name, v) {
			return true
		}
	}
	return false
}

func sameField(name []byte, lower string) bool {
	for i, c := range name {
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != lower[i] && (c != '_' || lower[i] != '-') {
			return false
		}
	}
	return true
}

var certYes, certNo = []byte("yes"), []byte("no")

// addCertificate says who the client is by its certificate.
func (x *exchange) addCertificate() {
	t := x.req.Client.TLS
	if t == nil {
		return
	}
	for _, f := range x.ln.CertFields {
		if v := certPart(t.Client, f.Part); len(v) > 0 {
			x.req.Head.Add(f.Name, v)
		}
	}
}

// certPart returns a part of who a client is; nil for nothing.
func certPart(id *message.Identity, p snapshot.CertPart) []byte {
	switch {
	case p == snapshot.CertVerified && id != nil:
		return certYes
	case p == snapshot.CertVerified:
		return certNo
	case id == nil:
		return nil
	}
	return [...][]byte{
		snapshot.CertSubject: id.Subject, snapshot.CertIssuer: id.Issuer, snapshot.CertSerial: id.Serial,
		snapshot.CertNames: id.Names, snapshot.CertFingerprint: id.Fingerprint, snapshot.CertItself: id.Certificate,
	}[p]
}

// believed returns a trailer section unless it holds a field by which only this proxy says
// who a client is.
func (x *exchange) believed(trailers []byte) []byte {
	if len(x.s.Vouched) == 0 {
		return trailers
	}
	for rest := trailers; len(rest) > 0; {
		end := 0
		for rest[end] != '\n' {
			end++
		}
		colon := 0
		for rest[colon] != ':' {
			colon++
		}
		if x.vouched(rest[:colon]) {
			return nil
		}
		rest = rest[end+1:]
	}
	return trailers
}
