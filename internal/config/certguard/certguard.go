// Package certguard finds what would keep a peer from believing a certificate: its time, its
// chain, what it may be used for and whom it names. It looks at nothing but what the
// certificate says; that its key fits is seen to where both are read.
package certguard

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Role is what a certificate is in use for.
type Role uint8

// The roles.
const (
	Server    Role = iota // it is shown to clients
	Client                // it is shown to upstreams
	Authority             // others are believed by it
)

// String returns the role as lists and metrics name it.
func (r Role) String() string { return [...]string{"server", "client", "authority"}[r] }

// Defect is something that is wrong; several are a set of bits.
type Defect uint8

// The defects, the one to tell first before others.
const (
	Expired Defect = 1 << iota
	NotYetValid
	BrokenChain
	WrongUse
	WrongName

	// None is the certificate that a peer can believe, as far as it says.
	None Defect = 0
)

// Chain is a certificate with those behind it as a file has them, the certificate itself
// first. Of an Authority it is all certificates of the file, in any order.
type Chain []*x509.Certificate

// Find returns the defects of a chain in a role at a time. host is who it is shown for: a name,
// a wildcard such as "*.example.com", an address, or "" where that doesn't matter.
func Find(c Chain, role Role, host string, now time.Time) Defect {
	found := Lasting(c, role) | Passing(c, role, now)
	if role != Authority && host != "" && !Covers(c[0], host) {
		found |= WrongName
	}
	return found
}

// Lasting returns the defects that no time mends and no host explains. It checks signatures,
// which takes a while.
func Lasting(c Chain, role Role) (found Defect) {
	if role == Authority {
		return None
	}
	for i := range c[1:] {
		if c[i].CheckSignatureFrom(c[i+1]) != nil {
			found |= BrokenChain
		}
	}
	if !fit(c[0], role) {
		found |= WrongUse
	}
	return found
}

// Passing returns the defects of time.
func Passing(c Chain, role Role, now time.Time) (found Defect) {
	if role == Authority {
		return findAuthorities(c, now)
	}
	for i, cert := range c {
		if i > 0 && selfSigned(cert) {
			break // a root: who has it doesn't look at the one that is sent
		}
		found |= inTime(cert, now)
	}
	return found
}

// Same reports whether two chains are of the same certificates.
func Same(a, b Chain) bool { return slices.EqualFunc(a, b, (*x509.Certificate).Equal) }

// findAuthorities finds a defect only where nothing in the file is of use: roots that have
// expired stand beside others in many bundles.
func findAuthorities(c Chain, now time.Time) Defect {
	var all Defect
	for _, cert := range c {
		one := inTime(cert, now)
		if one == None {
			return None
		}
		all |= one
	}
	return all
}

func inTime(c *x509.Certificate, now time.Time) Defect {
	switch {
	case now.After(c.NotAfter):
		return Expired
	case now.Before(c.NotBefore):
		return NotYetValid
	}
	return None
}

func selfSigned(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// fit reports whether the certificate may be used in its role. One that says nothing of it may.
func fit(c *x509.Certificate, role Role) bool {
	if len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0 {
		return true
	}
	want := x509.ExtKeyUsageServerAuth
	if role == Client {
		want = x509.ExtKeyUsageClientAuth
	}
	return slices.Contains(c.ExtKeyUsage, want) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// anyLabel is a label that no certificate names itself, so that only a wildcard covers it.
const anyLabel = "any--label"

// Covers reports whether the certificate is for a host, which may be a wildcard.
func Covers(c *x509.Certificate, host string) bool {
	if rest, wild := strings.CutPrefix(host, "*."); wild {
		host = anyLabel + "." + rest
	}
	return c.VerifyHostname(host) == nil
}

// Describe says in words what is wrong with a chain: the first of its defects.
func Describe(c Chain, d Defect, host string, now time.Time) string {
	switch {
	case d&Expired != 0:
		return "it expired at " + stamp(first(c, now, Expired).NotAfter)
	case d&NotYetValid != 0:
		return "it isn't valid before " + stamp(first(c, now, NotYetValid).NotBefore)
	case d&BrokenChain != 0:
		return "the certificates behind it in the file aren't those that issued it"
	case d&WrongUse != 0:
		return "it may not be used for that"
	case d&WrongName != 0:
		return fmt.Sprintf("it isn't for %s", host)
	}
	return "nothing is wrong with it"
}

// first returns the first certificate of the chain with a defect of time.
func first(c Chain, now time.Time, d Defect) *x509.Certificate {
	for _, cert := range c {
		if inTime(cert, now) == d {
			return cert
		}
	}
	return c[0]
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Expiry returns when the chain is of no more use as it is: of a Server or Client when the
// first of its certificates expires, roots left out; of Authorities when the next one does
// that hasn't yet, or, where all have, when the last one did.
func Expiry(c Chain, role Role, now time.Time) time.Time {
	var next, last time.Time
	for i, cert := range c {
		if role != Authority && i > 0 && selfSigned(cert) {
			break
		}
		end := cert.NotAfter
		if end.After(last) {
			last = end
		}
		if (role != Authority || end.After(now)) && (next.IsZero() || end.Before(next)) {
			next = end
		}
	}
	if next.IsZero() {
		return last
	}
	return next
}
