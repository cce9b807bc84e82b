// Package pki makes authorities and certificates for tests: valid ones and ones with any
// fault that a peer could show.
//
//	ca := pki.New(t, "our authority")
//	leaf := ca.Issue(t, pki.Server("a.example"))
//	config := &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}}
package pki

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
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Authority signs certificates.
type Authority struct {
	Cert  *x509.Certificate
	key   crypto.Signer
	chain [][]byte // DER, from this authority up to the one below the root
}

// Leaf is a certificate with its chain and its key.
type Leaf struct {
	Cert    *x509.Certificate
	CertPEM []byte // with its chain, without the root
	KeyPEM  []byte // PKCS #8
}

// Request is what a certificate is to be. The zero value is one for nobody that is valid from
// an hour ago for 90 days.
type Request struct {
	Name                string   // common name
	Hosts               []string // host names and IP addresses
	NotBefore, NotAfter time.Time
	Usage               []x509.ExtKeyUsage
	RSA                 bool // a key of 2048 bits instead of P-256
	OCSP                string
}

// Server asks for a certificate of a server with these names, the first of which is its
// common name.
func Server(hosts ...string) Request {
	return Request{Name: hosts[0], Hosts: hosts, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
}

// Client asks for a certificate of a client.
func Client(name string) Request {
	return Request{Name: name, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

// Until returns the request for a certificate that ends at a time.
func (r Request) Until(end time.Time) Request {
	r.NotAfter = end
	if r.NotBefore.IsZero() {
		r.NotBefore = end.Add(-90 * 24 * time.Hour)
	}
	return r
}

// New makes an authority that is its own root.
func New(tb testing.TB, name string) *Authority {
	tb.Helper()
	key := newKey(tb, false)
	t := authority(tb, name)
	return &Authority{Cert: sign(tb, t, t, key.Public(), key), key: key}
}

// Intermediate makes an authority below a.
func (a *Authority) Intermediate(tb testing.TB, name string) *Authority {
	tb.Helper()
	key := newKey(tb, false)
	c := sign(tb, authority(tb, name), a.Cert, key.Public(), a.key)
	return &Authority{Cert: c, key: key, chain: append([][]byte{c.Raw}, a.chain...)}
}

// authority returns what certificates of authorities are made from.
func authority(tb testing.TB, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: serial(tb), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-10 * 365 * 24 * time.Hour), NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
}

// Issue makes a certificate.
func (a *Authority) Issue(tb testing.TB, r Request) *Leaf {
	tb.Helper()
	t := &x509.Certificate{
		SerialNumber: serial(tb), Subject: pkix.Name{CommonName: r.Name}, NotBefore: r.NotBefore, NotAfter: r.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: r.Usage,
	}
	if t.NotBefore.IsZero() {
		t.NotBefore = time.Now().Add(-time.Hour)
	}
	if t.NotAfter.IsZero() {
		t.NotAfter = time.Now().Add(90 * 24 * time.Hour)
	}
	for _, h := range r.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	if r.OCSP != "" {
		t.OCSPServer = []string{r.OCSP}
	}
	key := newKey(tb, r.RSA)
	c := sign(tb, t, a.Cert, key.Public(), a.key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	l := &Leaf{Cert: c, CertPEM: pemOf(c.Raw), KeyPEM: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}
	for _, der := range a.chain {
		l.CertPEM = append(l.CertPEM, pemOf(der)...)
	}
	return l
}

// Chain returns the certificate of the authority as a list.
func (a *Authority) Chain() []*x509.Certificate { return []*x509.Certificate{a.Cert} }

// Revoke writes a list of revoked certificates that holds until then, PEM, and returns its path.
func (a *Authority) Revoke(tb testing.TB, path string, until time.Time, revoked ...*Leaf) string {
	tb.Helper()
	list := &x509.RevocationList{Number: serial(tb), ThisUpdate: until.Add(-24 * time.Hour), NextUpdate: until}
	for _, l := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: l.Cert.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Cert, a.key)
	if err != nil {
		tb.Fatal(err)
	}
	return WriteFile(tb, path, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// Respond returns what a responder of the authority says of a certificate until then: status is
// that of package ocsp.
func (a *Authority) Respond(tb testing.TB, serial *big.Int, status int, until time.Time) []byte {
	tb.Helper()
	said := ocsp.Response{Status: status, SerialNumber: serial, ThisUpdate: until.Add(-24 * time.Hour), NextUpdate: until, RevokedAt: time.Now()}
	der, err := ocsp.CreateResponse(a.Cert, a.Cert, said, a.key)
	if err != nil {
		tb.Error(err)
	}
	return der
}

// PEM returns the certificate of the authority.
func (a *Authority) PEM() []byte { return pemOf(a.Cert.Raw) }

// Pool returns a pool that trusts the authority only.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.Cert)
	return p
}

// Write writes the certificate of the authority to dir/name.crt and returns the path.
func (a *Authority) Write(tb testing.TB, dir, name string) string {
	tb.Helper()
	return WriteFile(tb, filepath.Join(dir, name+".crt"), a.PEM())
}

// TLS returns the certificate as crypto/tls takes it.
func (l *Leaf) TLS() tls.Certificate {
	c, err := tls.X509KeyPair(l.CertPEM, l.KeyPEM)
	if err != nil {
		panic(err)
	}
	return c
}

// Write writes certificate and key to dir/name.crt and dir/name.key and returns the paths.
func (l *Leaf) Write(tb testing.TB, dir, name string) (cert, key string) {
	tb.Helper()
	return WriteFile(tb, filepath.Join(dir, name+".crt"), l.CertPEM), WriteFile(tb, filepath.Join(dir, name+".key"), l.KeyPEM)
}

// WriteFile writes a file and returns its path. It replaces one that is there in one step.
func WriteFile(tb testing.TB, path string, text []byte) string {
	tb.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		tb.Fatal(err)
	}
	return path
}

func pemOf(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }

func newKey(tb testing.TB, isRSA bool) crypto.Signer {
	tb.Helper()
	var key crypto.Signer
	var err error
	if isRSA {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func serial(tb testing.TB) *big.Int {
	tb.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		tb.Fatal(err)
	}
	return n.Add(n, big.NewInt(1))
}

func sign(tb testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}
