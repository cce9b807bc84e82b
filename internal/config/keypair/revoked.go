package keypair

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"strings"
	"time"
)

// Extensions of a list (RFC 5280 section 5.2) that are understood: its authority's key and its
// number. Others that are critical narrow what the list says.
var (
	authorityKeyID = asn1.ObjectIdentifier{2, 5, 29, 35}
	listNumber     = asn1.ObjectIdentifier{2, 5, 29, 20}
)

// LoadRevoked reads lists of revoked certificates, each signed by one of the authorities and
// not past its time. Every authority that isn't there to be a root alone must have one, which
// only a handshake can tell: who has none isn't believed.
func LoadRevoked(file string, authorities []*x509.Certificate, now time.Time) ([]*x509.RevocationList, *Problem) {
	text, p := read(file, listBytesMax)
	if p != nil {
		return nil, p
	}
	var ders [][]byte
	if isPEM(text) {
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			if block.Type == "X509 CRL" {
				ders = append(ders, block.Bytes)
			}
		}
	} else {
		ders = [][]byte{text}
	}
	if len(ders) == 0 {
		return nil, problem(file, "want PEM, -----BEGIN X509 CRL-----, or DER", "it holds no list of revoked certificates")
	}
	var lists []*x509.RevocationList
	for i, der := range ders {
		l, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, problem(file, "look at it: openssl crl -noout -text -in "+file, "list %d in it can't be parsed: %s", i+1, strings.TrimPrefix(err.Error(), "x509: "))
		}
		if p := checkList(file, l, authorities, now); p != nil {
			return nil, p
		}
		lists = append(lists, l)
	}
	return lists, nil
}

// checkList reports a list that can't be believed.
func checkList(file string, l *x509.RevocationList, authorities []*x509.Certificate, now time.Time) *Problem {
	issuer := l.Issuer.String()
	for _, e := range l.Extensions {
		if e.Critical && !e.Id.Equal(authorityKeyID) && !e.Id.Equal(listNumber) {
			return problem(file, "have the authority issue one complete list", "the list of %q is a partial one (extension %s)", issuer, e.Id)
		}
	}
	signed := false
	for _, a := range authorities {
		signed = signed || string(a.RawSubject) == string(l.RawIssuer) && l.CheckSignatureFrom(a) == nil
	}
	switch {
	case !signed:
		return problem(file, "add the certificate of who issues the list to ca-file", "the list of %q is signed by nobody in ca-file", issuer)
	case !l.NextUpdate.IsZero() && now.After(l.NextUpdate):
		return problem(file, "fetch the present one: past its time a list lets nobody in", "the list of %q ended at %s", issuer, l.NextUpdate.UTC().Format(time.RFC3339))
	}
	return nil
}
