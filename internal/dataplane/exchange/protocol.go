package exchange

import (
	"sentinel/internal/dataplane/h2"
	"sentinel/internal/dataplane/listen"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/tlsedge"
)

// speak serves a connection in the protocol that its client speaks.
func (p *Proxy) speak(c *listen.Conn, client *message.Client) {
	if p.speaksH2(c, client) {
		p.h2.Serve(c.Net, c, client)
		return
	}
	p.engine.Serve(c.Net, c, client)
}

// speaksH2 reports whether a connection is one of HTTP/2: by the handshake, or without TLS by
// how it begins.
func (p *Proxy) speaksH2(c *listen.Conn, client *message.Client) bool {
	l := p.listener(p.current.Load(), client)
	if client.TLS != nil {
		return l.H2Only || client.TLS.Protocol == tlsedge.HTTP2
	}
	return l.H2C && (l.H2Only || p.beginsH2(c, client))
}

// beginsH2 waits for so much of a connection that it tells whether it is an HTTP/2 one. What
// it has seen is still to be read.
func (p *Proxy) beginsH2(c *listen.Conn, client *message.Client) bool {
	var b [h2.PrefaceBytes]byte
	c.Net.SetReadDeadline(p.opt.Clock.Now() + p.settings(client).HeadTimeout)
	for least := 1; ; {
		n, err := c.Net.Peek(b[:], least)
		yes, more := h2.IsPreface(b[:n])
		if !more || err != nil {
			return yes
		}
		least = n + 1
	}
}

// settingsH2 returns what the HTTP/2 engine keeps to for a client.
func (p *Proxy) settingsH2(c *message.Client) *h2.Settings {
	return &p.listener(p.current.Load(), c).H2
}
