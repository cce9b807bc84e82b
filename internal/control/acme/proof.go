package acme

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
)

const (
	// Path is where an authority asks for the proof of http-01 (RFC 8555 section 8.3); behind
	// it comes the token.
	Path = "/.well-known/acme-challenge/"
	// tokenBytesMax bounds a token; authorities give 43 bytes.
	tokenBytesMax = 128
)

// Answer returns what an authority wants to read under Path for a host; nothing where the
// token isn't of an order under way. It may read files: proxies that share a storage prove
// names for each other.
func (k *Keeper) Answer(host, token string) []byte {
	if bare, _, err := net.SplitHostPort(host); err == nil {
		host = bare
	}
	host = strings.ToLower(host)
	k.mu.Lock()
	issuer := k.mu.issuer
	_, ours := k.mu.names[host]
	k.mu.Unlock()
	if issuer == nil || !ours || len(token) > tokenBytesMax {
		return nil
	}
	r := &http.Request{Method: http.MethodGet, Host: host, URL: &url.URL{Path: Path + token}, Header: http.Header{}}
	var w page
	if !issuer.HandleHTTPChallenge(&w, r.WithContext(context.Background())) || w.failed {
		return nil
	}
	return w.text
}

// page keeps what is written as a response.
type page struct {
	fields http.Header
	text   []byte
	failed bool
}

func (p *page) Header() http.Header {
	if p.fields == nil {
		p.fields = make(http.Header)
	}
	return p.fields
}

func (p *page) WriteHeader(status int) { p.failed = status != http.StatusOK }

func (p *page) Write(b []byte) (int, error) {
	p.text = append(p.text, b...)
	return len(b), nil
}

// Prove returns the certificate that proves a server name by tls-alpn-01; nil where no order
// for it is under way. It may read files.
func (k *Keeper) Prove(hello *tls.ClientHelloInfo) *tls.Certificate {
	host := strings.ToLower(hello.ServerName)
	k.mu.Lock()
	_, ours := k.mu.names[host]
	config := k.mu.config
	k.mu.Unlock()
	if !ours || config == nil {
		return nil
	}
	if c, ok := certmagic.GetACMEChallenge(host); ok {
		if cert, err := acmez.TLSALPN01ChallengeCert(c.Challenge); err == nil {
			return cert
		}
	}
	cert, err := config.GetCertificate(hello) // finds the orders of others
	if err != nil {
		return nil
	}
	return cert
}
