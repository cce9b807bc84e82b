package tlsedge

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"sync/atomic"

	"sentinel/internal/dataplane/message"
)

// Mode says whether clients are asked for certificates.
type Mode uint8

// The modes. A certificate that is given must be valid in both of the last two.
const (
	AuthNone    Mode = iota // clients aren't asked
	AuthRequest             // they may have one
	AuthRequire             // they must have one
)

// Auth is what is asked of clients.
type Auth struct {
	Mode Mode
	// Authorities are those whose certificates are believed, in DER. They matter where Mode
	// isn't AuthNone.
	Authorities []*x509.Certificate
	// Revoked lists certificates that aren't believed any more; nil where nobody says.
	Revoked *Revocations
}

// Policy tells apart what is asked of clients: equal policies ask the same. It is the same in
// every process, and doesn't change with what is revoked.
type Policy = message.Policy

// policy returns the policy of a.
func (a *Auth) policy() Policy {
	h := sha256.New()
	h.Write([]byte{byte(a.Mode)})
	if a.Mode != AuthNone {
		var sums [][sha256.Size]byte
		for _, c := range a.Authorities {
			sums = append(sums, sha256.Sum256(c.Raw))
		}
		slices.SortFunc(sums, func(x, y [sha256.Size]byte) int { return bytes.Compare(x[:], y[:]) })
		for _, sum := range slices.Compact(sums) {
			h.Write(sum[:])
		}
	}
	return Policy(h.Sum(nil)[:len(Policy{})])
}

// Site is what a client gets under some names.
type Site struct {
	names  []string
	certs  atomic.Pointer[[]*tls.Certificate]
	auth   Auth
	policy Policy
	config *tls.Config
}

// NewSite returns a site. Names are in lower case; "*.example" stands for one label before it.
// Of several certificates a client gets the first one that it can use, those with RSA keys last.
// A site without one, such as one whose certificate is still to be issued, refuses handshakes.
func NewSite(names []string, auth Auth, certs ...*tls.Certificate) *Site {
	s := &Site{names: names, auth: auth, policy: auth.policy()}
	s.Replace(certs)
	return s
}

// Names returns the names of the site.
func (s *Site) Names() []string { return s.names }

// Policy returns what is asked of clients.
func (s *Site) Policy() Policy { return s.policy }

// Certificates returns what is shown to clients now, with the leaf parsed. It must not be
// changed; Replace puts others in place.
func (s *Site) Certificates() []*tls.Certificate { return *s.certs.Load() }

// Replace has handshakes that begin from now on show other certificates.
func (s *Site) Replace(certs []*tls.Certificate) {
	certs = slices.Clone(certs)
	slices.SortStableFunc(certs, func(a, b *tls.Certificate) int { return rank(a) - rank(b) })
	s.certs.Store(&certs)
}

// Staple has the status of a certificate shown with it (RFC 6066 section 8); nil for none. It
// does nothing when the certificate isn't in use any more.
func (s *Site) Staple(leaf *x509.Certificate, status []byte) {
	for {
		old := s.certs.Load()
		i := slices.IndexFunc(*old, func(c *tls.Certificate) bool { return c.Leaf.Equal(leaf) })
		if i < 0 || bytes.Equal((*old)[i].OCSPStaple, status) {
			return
		}
		c := *(*old)[i]
		c.OCSPStaple = status
		next := slices.Clone(*old)
		next[i] = &c
		if s.certs.CompareAndSwap(old, &next) {
			return
		}
	}
}

// rank puts keys that are slow to sign with behind others.
func rank(c *tls.Certificate) int {
	if _, slow := c.PrivateKey.(*rsa.PrivateKey); slow {
		return 1
	}
	return 0
}

// certificate implements tls.Config.GetCertificate.
func (s *Site) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	certs := *s.certs.Load()
	if len(certs) > 1 {
		for _, c := range certs {
			if hello.SupportsCertificate(c) == nil {
				return c, nil
			}
		}
	}
	if len(certs) == 0 {
		return nil, nil // crypto/tls says unrecognized_name
	}
	return certs[0], nil
}

// configure completes the configuration of handshakes for s.
func (s *Site) configure(c *tls.Config, t *Tickets) {
	c.GetCertificate = s.certificate
	switch s.auth.Mode {
	case AuthRequest:
		c.ClientAuth = tls.VerifyClientCertIfGiven
	case AuthRequire:
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if s.auth.Mode != AuthNone {
		c.ClientCAs = x509.NewCertPool()
		for _, a := range s.auth.Authorities {
			c.ClientCAs.AddCert(a)
		}
		c.VerifyConnection = s.verify
	}
	if t != nil {
		c.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
			return t.wrap(s.policy, cs.ServerName, ss)
		}
		c.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
			return t.unwrap(s.policy, cs.ServerName, ticket), nil
		}
	}
	s.config = c
}

// errCertificate marks handshakes that fail by what a client's certificate says.
var errCertificate = errors.New("client certificate refused")

// verify implements tls.Config.VerifyConnection: it looks, at resumptions too, for what has
// been revoked. crypto/tls has checked the rest.
func (s *Site) verify(cs tls.ConnectionState) error {
	if s.auth.Revoked == nil || len(cs.PeerCertificates) == 0 {
		return nil
	}
	if err := s.auth.Revoked.check(cs.VerifiedChains); err != nil {
		return errors.Join(errCertificate, err)
	}
	return nil
}
