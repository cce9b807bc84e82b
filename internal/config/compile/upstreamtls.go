package compile

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"

	"sentinel/internal/config/certguard"
	"sentinel/internal/config/keypair"
	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/transport"
)

// upstreamTLS returns how connections to the targets of u are secured; nil for plain text.
// What can't be read is refused, since nothing may be trusted in its place.
func (b *builder) upstreamTLS(u *schema.Upstream) *transport.TLS {
	t := u.TLS
	if t == nil {
		return nil
	}
	config := &tls.Config{ServerName: t.SNI.V, MinVersion: version(t.MinVersion.V), InsecureSkipVerify: t.InsecureSkipVerify.V}
	switch protocol(u) {
	case transport.HTTP2:
		config.NextProtos = []string{"h2"}
	case transport.Auto:
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	id := sha256.New()
	fmt.Fprintf(id, "%q %d %t\n", t.SNI.V, config.MinVersion, config.InsecureSkipVerify)
	if t.CACert.IsSet() {
		config.RootCAs = b.trusted(u, id)
	}
	if t.ClientCert.IsSet() {
		config.Certificates = b.clientCertificate(u, id)
	}
	return transport.NewTLS(config, hex.EncodeToString(id.Sum(nil)))
}

// trusted reads who the targets of u are believed by.
func (b *builder) trusted(u *schema.Upstream, id io.Writer) *x509.CertPool {
	file := u.TLS.CACert
	certs, problem := keypair.LoadTrusted(resolve(file))
	if problem != nil {
		b.fileProblem(file.From, problem)
		return nil
	}
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
		id.Write(c.Raw)
	}
	b.inUse(InUse{Side: sideUpstream, Name: u.Name.V, Role: certguard.Authority, File: resolve(file), Chain: certs, At: file.From})
	return pool
}

// clientCertificate reads the certificate that targets of u are shown, and its key.
func (b *builder) clientCertificate(u *schema.Upstream, id io.Writer) []tls.Certificate {
	cert, key := u.TLS.ClientCert, u.TLS.ClientKey
	pair, problem := keypair.Load(resolve(cert), resolve(key))
	if problem != nil {
		at := cert.From
		if problem.File == resolve(key) && problem.File != resolve(cert) {
			at = key.From
		}
		b.fileProblem(at, problem)
		return nil
	}
	for _, der := range pair.Certificate.Certificate {
		id.Write(der)
	}
	b.inUse(InUse{
		Side: sideUpstream, Name: u.Name.V, Role: certguard.Client,
		File: pair.CertFile, KeyFile: pair.KeyFile, Chain: chainOf(pair), At: cert.From,
	})
	return []tls.Certificate{*pair.Certificate}
}

// hostOf returns the host of "host:port", as certificates name it.
func hostOf(authority string) string {
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		host = authority
	}
	return strings.TrimSuffix(host, ".")
}

// UpstreamTLS returns how connections to the targets of an upstream of the generation that
// serves are secured; nil for plain text. It must not be changed.
func (l *Live) UpstreamTLS(name string) *tls.Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.mu.plans {
		if p.up.Name == name && p.limits.TLS != nil {
			return p.limits.TLS.Config()
		}
	}
	return nil
}
