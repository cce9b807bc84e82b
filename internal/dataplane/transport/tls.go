package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
)

// sessionsMax is how many sessions a pool keeps for its next handshakes: all its connections
// are to one server, so that one is as good as many.
const sessionsMax = 1

// TLS says how the connections to the targets of an upstream are secured.
type TLS struct {
	config *tls.Config
	id     string
}

// NewTLS returns TLS by a configuration that nobody changes any more. Without a ServerName in
// it each target must have a certificate for its own name. Connections and sessions of one id
// are worth the same: a pool gives up what it has when it gets TLS with another id.
func NewTLS(config *tls.Config, id string) *TLS { return &TLS{config: config, id: id} }

// Config returns the configuration, which must not be changed.
func (t *TLS) Config() *tls.Config { return t.config }

// same reports whether connections by t are worth what those by u are.
func (t *TLS) same(u *TLS) bool {
	if t == nil || u == nil {
		return t == u
	}
	return t.id == u.id
}

// configFor returns the configuration for connections to the target called name, with
// sessions of its own.
func (t *TLS) configFor(name string) *tls.Config {
	if t == nil {
		return nil
	}
	c := t.config.Clone()
	if c.ServerName == "" {
		c.ServerName = name
	}
	if len(c.NextProtos) == 0 {
		c.NextProtos = []string{"http/1.1"}
	}
	c.ClientSessionCache = tls.NewLRUClientSessionCache(sessionsMax)
	return c
}

// secure lays TLS over a new connection; by is when it must be done, on the clock. What the
// target has sent before its part of the handshake makes that fail, and is never taken for
// an answer. It returns the protocol that was agreed on. Errors are faults; after one the
// connection must be closed.
func secure(nc *netio.Conn, config *tls.Config, by time.Duration) (agreed string, err error) {
	conn := tls.Client(nc.Transport(), config)
	nc.SetReadDeadline(by)
	if err := conn.Handshake(); err != nil {
		return "", handshakeFault(err)
	}
	nc.SetReadDeadline(0)
	nc.Secure(&secured{Conn: conn})
	return conn.ConnectionState().NegotiatedProtocol, nil
}

// secured is TLS towards a target. With TLS 1.3 a target refuses a client after the client
// has ended its handshake, so that the refusal comes in place of the first answer.
type secured struct {
	*tls.Conn
	heard bool // a byte has come
}

// Read implements netio.Layer.
func (s *secured) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 {
		s.heard = true
	} else if !s.heard && refusesClient(err) {
		return 0, fault.UpstreamTLSRefused
	}
	return n, err
}

// refusals are the alerts by which a server refuses its client's certificate, or the lack of
// one (RFC 8446 section 6.2). Before the first answer they can only be about the handshake.
var refusals = [...]tls.AlertError{
	40,  // handshake_failure
	42,  // bad_certificate
	43,  // unsupported_certificate
	44,  // certificate_revoked
	45,  // certificate_expired
	46,  // certificate_unknown
	48,  // unknown_ca
	49,  // access_denied
	51,  // decrypt_error
	116, // certificate_required
}

// refusesClient reports whether err is one of the refusals. crypto/tls doesn't export the
// type of an alert that has come, only its text.
func refusesClient(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return false
	}
	text := op.Err.Error()
	for _, a := range refusals {
		if a.Error() == text {
			return true
		}
	}
	return false
}

// handshakeFault names why a handshake failed.
func handshakeFault(err error) error {
	var (
		verification *tls.CertificateVerificationError
		op           *net.OpError
	)
	switch {
	case netio.Unwrapped(err) == netio.ErrTimeout:
		return fault.UpstreamTLSTimeout
	case errors.As(err, &verification):
		return certificateFault(verification)
	case errors.As(err, &op) && op.Op == "remote error":
		return fault.UpstreamTLSRefused
	}
	return fault.UpstreamTLS
}

// certificateFault names what is wrong with a target's certificate.
func certificateFault(err error) error {
	var (
		invalid   x509.CertificateInvalidError
		host      x509.HostnameError
		authority x509.UnknownAuthorityError
		roots     x509.SystemRootsError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fault.UpstreamCertificateExpired
	case errors.As(err, &host):
		return fault.UpstreamCertificateName
	case errors.As(err, &authority), errors.As(err, &roots):
		return fault.UpstreamCertificateAuthority
	}
	return fault.UpstreamCertificate
}
