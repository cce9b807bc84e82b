package acme

import (
	"net"
	"strconv"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// issuerOf returns how certmagic is to deal with the authority. Our own listeners answer for
// it: it is told their ports, finds them taken and opens none.
func issuerOf(a *Account, ports Ports) certmagic.ACMEIssuer {
	issuer := certmagic.ACMEIssuer{
		CA: a.Directory, TestCA: a.Directory, Email: a.Email, Agreed: true, TrustedRoots: a.Roots,
		DisableHTTPChallenge:    !a.HTTP || ports.HTTP == "",
		DisableTLSALPNChallenge: !a.ALPN || ports.TLS == "",
		CertObtainTimeout:       orderTimeout,
		Logger:                  zap.NewNop(),
	}
	issuer.ListenHost, issuer.AltHTTPPort = split(ports.HTTP)
	if host, port := split(ports.TLS); port != 0 {
		issuer.ListenHost, issuer.AltTLSALPNPort = host, port
	}
	if a.DNS != nil {
		issuer.DNS01Solver = newSolver(a.DNS)
	}
	if a.KeyID != "" {
		issuer.ExternalAccount = &acme.EAB{KeyID: a.KeyID, MACKey: a.MACKey}
	}
	return issuer
}

func split(address string) (host string, port int) {
	host, number, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0
	}
	port, _ = strconv.Atoi(number) // an address that is bound has a number
	return host, port
}
