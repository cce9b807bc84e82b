package transport

import (
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
)

// Dial opens a connection that its caller has to itself: bare, without TLS, never pooled. It
// counts as one of the pool's until Hangup. Errors are faults.
func (p *Pool) Dial(w Want) (*netio.Conn, error) {
	p.mu.Lock()
	l := p.mu.limits
	if l.ConnectionsMax > 0 && p.mu.open >= l.ConnectionsMax {
		p.mu.Unlock()
		return nil, fault.UpstreamConnectionLimit
	}
	p.mu.open++
	p.mu.Unlock()
	nc, _, err := p.connect(&l, nil, w.Header, w.Now, w.Now+min(l.ConnectTimeout, w.By-w.Now))
	if err != nil {
		p.forget(1)
		return nil, err
	}
	if p.Opened != nil {
		p.Opened()
	}
	return nc, nil
}

// Hangup closes a connection that Dial has opened.
func (p *Pool) Hangup(nc *netio.Conn) {
	nc.Close()
	p.forget(1)
}
