package tlsedge

import (
	"crypto/x509"
	"errors"
	"time"
)

// Revocations are lists of revoked certificates (RFC 5280 section 5), at most one of each
// issuer.
type Revocations struct {
	lists map[string]*revoked // by the issuer's name in DER
}

// revoked is the list of one issuer.
type revoked struct {
	until   time.Time // the list is worth nothing later
	serials map[string]bool
}

// NewRevocations returns what the lists say, whose signatures the caller has checked. Of
// several lists of one issuer the newest holds.
func NewRevocations(lists []*x509.RevocationList) *Revocations {
	r := &Revocations{lists: make(map[string]*revoked)}
	newest := make(map[string]time.Time)
	for _, l := range lists {
		issuer := string(l.RawIssuer)
		if at, known := newest[issuer]; known && at.After(l.ThisUpdate) {
			continue
		}
		newest[issuer] = l.ThisUpdate
		one := &revoked{until: l.NextUpdate, serials: make(map[string]bool, len(l.RevokedCertificateEntries))}
		for _, e := range l.RevokedCertificateEntries {
			one.serials[string(e.SerialNumber.Bytes())] = true
		}
		r.lists[issuer] = one
	}
	return r
}

// Why a certificate isn't believed.
var (
	errRevoked = errors.New("it is revoked")
	errNoList  = errors.New("its issuer has no list of revoked certificates")
	errOldList = errors.New("the list of revoked certificates of its issuer is past its time")
)

// check reports why none of the chains holds; nil when one does. Who can't be looked up is
// not believed.
func (r *Revocations) check(chains [][]*x509.Certificate) error {
	err := errNoList
	for _, chain := range chains {
		if err = r.checkChain(chain); err == nil {
			return nil
		}
	}
	return err
}

func (r *Revocations) checkChain(chain []*x509.Certificate) error {
	for _, c := range chain[:len(chain)-1] {
		l := r.lists[string(c.RawIssuer)]
		switch {
		case l == nil:
			return errNoList
		case !l.until.IsZero() && time.Now().After(l.until):
			return errOldList
		case l.serials[string(c.SerialNumber.Bytes())]:
			return errRevoked
		}
	}
	return nil
}
