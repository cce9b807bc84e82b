package admin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync/atomic"

	"sentinel/internal/observe/event"
)

// Gate is what the servers of one process ask about those who ask them. Its methods are
// called from any goroutine.
type Gate struct {
	access atomic.Pointer[Access]
	cert   atomic.Pointer[tls.Certificate]
	audit  *Audit
	held   atomic.Bool
}

// NewGate returns a gate that lets root and the user of the process do all, and records
// changes in audit, which may be nil.
func NewGate(audit *Audit) *Gate {
	g := &Gate{audit: audit}
	g.access.Store(&Access{})
	return g
}

// Set makes a hold for each request from now on, on open connections too. cert is what is
// shown to clients on a network; nil where there are none.
func (g *Gate) Set(a *Access, cert *tls.Certificate) {
	g.access.Store(a)
	g.cert.Store(cert)
}

// Hold refuses changes, or no longer: another process has read what is kept of them and may
// go on in place of this one.
func (g *Gate) Hold(on bool) { g.held.Store(on) }

// TLS returns the settings of the listener for clients on a network: a client without a
// certificate of one of the authorities gets no connection.
func (g *Gate) TLS() *tls.Config {
	settings := func(*tls.ClientHelloInfo) (*tls.Config, error) {
		access, cert := g.access.Load(), g.cert.Load()
		if access.Clients == nil || cert == nil {
			return nil, errors.New("the admin API isn't for this network any more")
		}
		return &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*cert}, NextProtos: []string{"http/1.1"},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: access.Clients, SessionTicketsDisabled: true,
		}, nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: settings}
}

// leaf returns the certificate that is shown on a network; nil where none is.
func (g *Gate) leaf() *x509.Certificate {
	if c := g.cert.Load(); c != nil {
		return c.Leaf
	}
	return nil
}

// Share has s ask g in place of its own gate. It is called before Serve.
func (s *Server) Share(g *Gate) { s.gate = g }

// denied tells the events of a request that was refused for want of a role.
func denied(by Actor, what, why string) event.Event {
	return event.Event{Kind: event.KindAudit, Worse: true, To: "refused", Cause: why, Detail: what + ", asked by " + by.String()}
}
