// Package authority issues certificates for tests: servers', clients', expired and revoked
// ones, and lists of the latter.
//
//	ca := authority.New(t, "Test CA")
//	cert, key := ca.Write(t, dir, "server", authority.Names("a.example"))
package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority issues certificates.
type Authority struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// Option changes what a certificate says.
type Option func(*x509.Certificate)

// Names makes it one for server names.
func Names(names ...string) Option { return func(c *x509.Certificate) { c.DNSNames = names } }

// Until makes it end at t.
func Until(t time.Time) Option { return func(c *x509.Certificate) { c.NotAfter = t } }

// Subject sets the common name.
func Subject(name string) Option { return func(c *x509.Certificate) { c.Subject.CommonName = name } }

// Responder names where the status of the certificate can be asked for.
func Responder(url string) Option { return func(c *x509.Certificate) { c.OCSPServer = []string{url} } }

// RSA asks for an RSA key instead of an ECDSA one.
func RSA() Option { return func(c *x509.Certificate) { c.PublicKeyAlgorithm = x509.RSA } }

// New returns an authority that signs its own certificate.
func New(tb testing.TB, name string) *Authority {
	tb.Helper()
	key := newKey(tb, false)
	c := template(tb, name)
	c.IsCA, c.BasicConstraintsValid = true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	c.ExtKeyUsage = nil
	return &Authority{Cert: sign(tb, c, c, key.Public(), key), Key: key}
}

// Intermediate returns an authority below a.
func (a *Authority) Intermediate(tb testing.TB, name string) *Authority {
	tb.Helper()
	key := newKey(tb, false)
	c := template(tb, name)
	c.IsCA, c.BasicConstraintsValid = true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	c.ExtKeyUsage = nil
	return &Authority{Cert: sign(tb, c, a.Cert, key.Public(), a.Key), Key: key}
}

// Issue returns a certificate that serves for both sides, with its leaf.
func (a *Authority) Issue(tb testing.TB, options ...Option) tls.Certificate {
	tb.Helper()
	c := template(tb, "leaf")
	for _, o := range options {
		o(c)
	}
	key := newKey(tb, c.PublicKeyAlgorithm == x509.RSA)
	c.PublicKeyAlgorithm = x509.UnknownPublicKeyAlgorithm
	leaf := sign(tb, c, a.Cert, key.Public(), a.Key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw, a.Cert.Raw}, PrivateKey: key, Leaf: leaf}
}

// Write issues a certificate and writes NAME.crt and NAME.key. It returns their paths.
func (a *Authority) Write(tb testing.TB, dir, name string, options ...Option) (certFile, keyFile string) {
	tb.Helper()
	return Write(tb, dir, name, a.Issue(tb, options...))
}

// Write writes a certificate and its key to NAME.crt and NAME.key and returns their paths.
func Write(tb testing.TB, dir, name string, c tls.Certificate) (certFile, keyFile string) {
	tb.Helper()
	var chain []byte
	for _, der := range c.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		tb.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	put(tb, certFile, chain)
	put(tb, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	return certFile, keyFile
}

// File writes the authority's own certificate, with those of others, and returns the path.
func (a *Authority) File(tb testing.TB, dir, name string, others ...*Authority) string {
	tb.Helper()
	var text []byte
	for _, x := range append([]*Authority{a}, others...) {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: x.Cert.Raw})...)
	}
	path := filepath.Join(dir, name)
	put(tb, path, text)
	return path
}

// Pool returns a pool of the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Cert)
	return pool
}

// Revoke writes a list of revoked certificates that holds until then, and returns its path.
func (a *Authority) Revoke(tb testing.TB, path string, until time.Time, certs ...tls.Certificate) string {
	tb.Helper()
	list := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: until.Add(-24 * time.Hour), NextUpdate: until}
	for _, c := range certs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.Leaf.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Cert, a.Key)
	if err != nil {
		tb.Fatal(err)
	}
	put(tb, path, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	return path
}

func put(tb testing.TB, path string, text []byte) {
	tb.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		tb.Fatal(err)
	}
}

func template(tb testing.TB, name string) *x509.Certificate {
	tb.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		tb.Fatal(err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"Test"}},
		NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func newKey(tb testing.TB, useRSA bool) crypto.Signer {
	tb.Helper()
	var key crypto.Signer
	var err error
	if useRSA {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func sign(tb testing.TB, c, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, by)
	if err != nil {
		tb.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return made
}
