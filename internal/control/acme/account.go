package acme

import (
	"crypto/x509"
	"time"
)

// Account says whom certificates are ordered from and how it is shown that a name is ours.
type Account struct {
	Directory string // URL of the authority's directory
	Email     string // where the authority writes to; may be empty
	// Roots are the authorities by which Directory itself is believed; nil for the system's.
	Roots   *x509.CertPool
	Storage string // folder of accounts, keys and certificates; proxies may share one
	KeyType string // of the certificates: "p256", "p384", "rsa2048" or "rsa4096"

	HTTP bool // prove by http-01 (RFC 8555 section 8.3)
	ALPN bool // prove by tls-alpn-01 (RFC 8737)
	DNS  *Webhook

	// KeyID and MACKey bind the account to one that exists at the authority (RFC 8555
	// section 7.3.4); the key is base64url. Both are empty where none is asked for.
	KeyID, MACKey string
}

// Webhook sets and removes the records of dns-01 (RFC 8555 section 8.4).
type Webhook struct {
	URL   string
	Token string        // sent as a bearer token; empty for none
	Wait  time.Duration // until the authority can see a record
}

// Name is a server name for which a certificate is wanted.
type Name struct {
	Host string // in lower case; a wildcard needs Account.DNS
	// Replace puts a certificate in the place of the one that clients are shown.
	Replace func(*Certificate)
}

// Ports are where the listeners by which names are proven are bound ("host:port"); empty
// where there is none.
type Ports struct {
	HTTP, TLS string
}

// equal reports whether two accounts are the same in all that matters to certificates.
func (a *Account) equal(b *Account) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.DNS, y.DNS, x.Roots, y.Roots = nil, nil, nil, nil
	sameDNS := a.DNS == b.DNS || a.DNS != nil && b.DNS != nil && *a.DNS == *b.DNS
	sameRoots := a.Roots == b.Roots || a.Roots != nil && b.Roots != nil && a.Roots.Equal(b.Roots)
	return x == y && sameDNS && sameRoots
}
