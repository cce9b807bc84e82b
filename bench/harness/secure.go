package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// cipherSuite is what every proxy must settle on where a scenario has TLS; the key exchange
// is X25519, the most that all of them speak.
const (
	cipherSuite = tls.TLS_AES_128_GCM_SHA256
	cipherName  = "TLS_AES_128_GCM_SHA256"
)

// clientTLS is how the harness itself connects. What a proxy settles on is checked.
func clientTLS() *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}, ServerName: "bench.example",
		VerifyConnection: func(cs tls.ConnectionState) error {
			if cs.CipherSuite != cipherSuite || cs.Version != tls.VersionTLS13 {
				return fmt.Errorf("%s with %s instead of TLS 1.3 with %s", tls.VersionName(cs.Version), tls.CipherSuiteName(cs.CipherSuite), tls.CipherSuiteName(cipherSuite))
			}
			return nil
		},
	}
}

// client makes requests of the harness, each over a connection of its own.
func (s settings) client() *http.Client {
	t := &http.Transport{DisableKeepAlives: true, TLSClientConfig: clientTLS(), Protocols: new(http.Protocols)}
	t.Protocols.SetHTTP1(!s.HTTP2)
	t.Protocols.SetHTTP2(s.HTTP2)
	t.Protocols.SetUnencryptedHTTP2(s.HTTP2)
	return &http.Client{Transport: t}
}

// dial opens a connection, with TLS where a scenario has it.
func (s settings) dial(address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 5 * time.Second}
	if s.TLS {
		return tls.DialWithDialer(d, "tcp", address, clientTLS())
	}
	return d.Dial("tcp", address)
}

// scheme is that of URLs.
func (s settings) scheme() string {
	if s.TLS {
		return "https://"
	}
	return "http://"
}

// The files of the certificate in the folder of a scenario.
const (
	certFile = "server.crt"
	keyFile  = "server.key"
	bothFile = "server.pem" // as HAProxy wants it
)

// writeCertificate writes an ECDSA certificate on P-256 that signs itself.
func writeCertificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench.example"}, DNSNames: []string{"bench.example"}, IPAddresses: []net.IP{net.ParseIP(host)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	for name, content := range map[string][]byte{certFile: cert, keyFile: text, bothFile: append(cert[:len(cert):len(cert)], text...)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil { // workers are other users
			return err
		}
	}
	return nil
}
