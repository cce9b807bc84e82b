// Package keypair reads what TLS needs from files: certificates with their keys, authorities,
// and lists of revoked certificates. It is the one place where they are read, parsed and held
// against each other. A Problem says what is wrong in words for an operator; who names the
// file in a configuration adds where.
package keypair

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

const (
	// fileBytesMax bounds a file of certificates or a key.
	fileBytesMax = 4 << 20
	// listBytesMax bounds a file of revoked certificates.
	listBytesMax = 64 << 20
)

// Pair is a certificate with its key, ready to be shown.
type Pair struct {
	// Certificate is the chain as it stands in the file, the leaf parsed.
	Certificate *tls.Certificate
	// CertFile and KeyFile are where it was read from; they may be the same.
	CertFile, KeyFile string
}

// Leaf returns the certificate itself.
func (p *Pair) Leaf() *x509.Certificate { return p.Certificate.Leaf }

// Names returns the server names that the certificate is for, in lower case: its alternative
// names of kind DNS. The common name doesn't count (RFC 9525 section 2).
func (p *Pair) Names() []string {
	var names []string
	for _, n := range p.Leaf().DNSNames {
		if n = strings.ToLower(n); serverName(n) && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// serverName reports whether a name in a certificate is one that clients may ask for, or a
// wildcard for such names.
func serverName(n string) bool {
	rest := strings.TrimPrefix(n, "*.")
	return rest != "" && len(n) <= 253 && !strings.ContainsFunc(rest, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_')
	})
}

// Problem is why files can't be used.
type Problem struct {
	// File is the one to blame.
	File string
	// Message says what is wrong with it, Hint how to mend it.
	Message, Hint string
	// Err is why the file can't be read; nil where that isn't the problem.
	Err error
	// Mismatch reports that the key belongs to another certificate.
	Mismatch bool
}

// Error implements error.
func (p *Problem) Error() string { return p.File + ": " + p.Message }

func problem(file, hint, format string, args ...any) *Problem {
	return &Problem{File: file, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// Load reads a certificate with the chain behind it, and its private key.
func Load(certFile, keyFile string) (*Pair, *Problem) {
	cert, p := read(certFile, fileBytesMax)
	if p != nil {
		return nil, p
	}
	key, p := read(keyFile, fileBytesMax)
	if p != nil {
		return nil, p
	}
	if p := checkCertificates(certFile, cert); p != nil {
		return nil, p
	}
	if p := checkKey(keyFile, key); p != nil {
		return nil, p
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		p := problem(keyFile, "look at both: openssl x509 -noout -pubkey -in CERT, openssl pkey -pubout -in KEY",
			"it isn't the key of the certificate in %s: %s", certFile, strings.TrimPrefix(err.Error(), "tls: "))
		p.Mismatch = true
		return nil, p
	}
	return &Pair{Certificate: &pair, CertFile: certFile, KeyFile: keyFile}, nil
}

// checkCertificates reports a chain that can't be parsed.
func checkCertificates(file string, text []byte) *Problem {
	n := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		n++
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return problem(file, "look at it: openssl x509 -noout -text -in "+file, "certificate %d in it can't be parsed: %s", n, strings.TrimPrefix(err.Error(), "x509: "))
		}
	}
	if n == 0 {
		return problem(file, "want PEM: -----BEGIN CERTIFICATE-----, the server's own first, then those that issued it", "it holds no certificate")
	}
	return nil
}

// checkKey reports a file without a key that can be used as it is.
func checkKey(file string, text []byte) *Problem {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return problem(file, "nobody is there to type it when the proxy starts: openssl pkey -in KEY -out PLAIN, readable by the proxy alone", "the key in it has a passphrase")
		case block.Type == "PRIVATE KEY", strings.HasSuffix(block.Type, " PRIVATE KEY"):
			return nil
		}
	}
	return problem(file, "want PEM: -----BEGIN PRIVATE KEY-----", "it holds no private key")
}

// read reads a file, which must be a regular one, of at most so many bytes.
func read(path string, bytesMax int64) ([]byte, *Problem) {
	fail := func(err error) *Problem {
		var at *os.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		p := problem(path, "check the path and its permissions", "it can't be read: %v", err)
		p.Err = err
		return p
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // to open a pipe may wait for ever
		return nil, fail(errors.New("it is no regular file"))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fail(err)
	}
	text, err := io.ReadAll(io.LimitReader(f, bytesMax+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fail(err)
	}
	if int64(len(text)) > bytesMax {
		return nil, fail(fmt.Errorf("it has more than %d bytes", bytesMax))
	}
	return text, nil
}

// LoadAuthorities reads certificates of authorities, at least one.
func LoadAuthorities(file string) ([]*x509.Certificate, *Problem) {
	all, p := LoadTrusted(file)
	for _, c := range all {
		if !c.IsCA {
			return nil, problem(file, "name the authority that issues the certificates, not one of them", "the certificate of %q in it is none of an authority", c.Subject.String())
		}
	}
	return all, p
}

// LoadTrusted reads certificates that servers are believed by, at least one: those of
// authorities, and of servers that vouch for themselves.
func LoadTrusted(file string) ([]*x509.Certificate, *Problem) {
	text, p := read(file, fileBytesMax)
	if p != nil {
		return nil, p
	}
	if p := checkCertificates(file, text); p != nil {
		return nil, p
	}
	var all []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, problem(file, "", "%v", err)
		}
		all = append(all, c)
	}
	return all, nil
}

// isPEM reports whether text has the form of PEM rather than DER.
func isPEM(text []byte) bool { return bytes.Contains(text, []byte("-----BEGIN ")) }
