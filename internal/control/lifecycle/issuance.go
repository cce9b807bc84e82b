package lifecycle

import (
	"crypto/tls"
	"net"

	"sentinel/internal/config/compile"
	"sentinel/internal/config/schema"
	"sentinel/internal/control/acme"
)

// accountOf returns whom a generation orders certificates from.
func accountOf(i *compile.Issuance) *acme.Account {
	a := &acme.Account{
		Directory: i.Directory, Email: i.Email, Roots: i.Roots, Storage: i.Storage, KeyType: i.KeyType,
		HTTP: i.HTTP, ALPN: i.ALPN, KeyID: i.KeyID, MACKey: i.MACKey,
	}
	if w := i.Webhook; w != nil {
		a.DNS = &acme.Webhook{URL: w.URL, Token: w.Token, Wait: w.Wait}
	}
	return a
}

// issue has the certificates of a generation issued that now serves.
func (a *assembly) issue(cfg *schema.Config) {
	i := a.live.Issuance()
	a.metrics.Issuance().SetConfigured(i != nil)
	if i == nil {
		a.acme.Apply(nil, nil, acme.Ports{})
		return
	}
	var names []acme.Name
	for _, n := range i.Names {
		names = append(names, acme.Name{Host: n.Host, Replace: func(c *acme.Certificate) { n.Site.Replace([]*tls.Certificate{c}) }})
	}
	a.acme.Apply(accountOf(i), names, proofPorts(cfg))
}

// proofPorts returns where names can be proven: the first listener of each kind. An
// authority asks on ports 80 and 443, which must lead there.
func proofPorts(cfg *schema.Config) (p acme.Ports) {
	for _, l := range cfg.Listeners {
		for _, address := range l.Addresses {
			to := &p.HTTP
			if l.TLS != nil {
				to = &p.TLS
			}
			if _, port, err := net.SplitHostPort(address.V); err == nil && port != "0" && *to == "" {
				*to = address.V
			}
		}
	}
	return p
}
