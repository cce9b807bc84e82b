package compile

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/transport"
)

// pemBytesMax bounds a file of certificates or keys. A bundle of all public authorities is
// about a quarter of a megabyte.
const pemBytesMax = 4 << 20

// upstreamTLS returns how connections to the targets of u are secured; nil for plain text.
// What can't be read is refused, since nothing may be trusted in its place.
func (b *builder) upstreamTLS(u *schema.Upstream) *transport.TLS {
	t := u.TLS
	if t == nil {
		return nil
	}
	config := &tls.Config{ServerName: t.SNI.V, MinVersion: tlsVersion(t.MinVersion.V), InsecureSkipVerify: t.InsecureSkipVerify.V}
	switch protocol(u) {
	case transport.HTTP2:
		config.NextProtos = []string{"h2"}
	case transport.Auto:
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	id := sha256.New()
	fmt.Fprintf(id, "%q %d %t\n", t.SNI.V, config.MinVersion, config.InsecureSkipVerify)
	if t.CACert.IsSet() {
		config.RootCAs = b.authorities(t.CACert, id)
	}
	if t.ClientCert.IsSet() {
		config.Certificates = b.clientCertificate(t, id)
	}
	return transport.NewTLS(config, hex.EncodeToString(id.Sum(nil)))
}

// tlsVersion returns the number of a version that the schema knows.
func tlsVersion(word string) uint16 {
	if word == "1.3" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// authorities reads a file of certificates of authorities.
func (b *builder) authorities(file schema.Value[string], id io.Writer) *x509.CertPool {
	text, err := readPEM(file.V)
	if err != nil {
		b.problem(file.From, "the authorities can't be read: %v", err)
		return nil
	}
	certs, err := parseCertificates(text)
	if err != nil {
		b.problem(file.From, "the authorities in %s are wrong: %v", file.V, err)
		return nil
	}
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	id.Write(text)
	return pool
}

// clientCertificate reads the certificate that targets are shown, and its key.
func (b *builder) clientCertificate(t *schema.UpstreamTLS, id io.Writer) []tls.Certificate {
	chain, err := readPEM(t.ClientCert.V)
	if err != nil {
		b.problem(t.ClientCert.From, "the client certificate can't be read: %v", err)
		return nil
	}
	if _, err := parseCertificates(chain); err != nil {
		b.problem(t.ClientCert.From, "the client certificate in %s is wrong: %v", t.ClientCert.V, err)
		return nil
	}
	key, err := readPEM(t.ClientKey.V)
	if err != nil {
		b.problem(t.ClientKey.From, "the key of the client certificate can't be read: %v", err)
		return nil
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		b.problem(t.ClientKey.From, "%s is no key for %s: %s", t.ClientKey.V, t.ClientCert.V, strings.TrimPrefix(err.Error(), "tls: "))
		return nil
	}
	id.Write(chain)
	id.Write(key)
	return []tls.Certificate{pair}
}

// readPEM reads a file of certificates or keys.
func readPEM(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, pemBytesMax+1))
	if len(text) > pemBytesMax {
		err = fmt.Errorf("%s is larger than %d bytes", path, pemBytesMax)
	}
	return text, errors.Join(err, f.Close())
}

// parseCertificates returns the certificates of a PEM text, at least one. Whatever else is
// there, such as keys, is passed over.
func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %s", len(certs)+1, strings.TrimPrefix(err.Error(), "x509: "))
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in PEM form")
	}
	return certs, nil
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
