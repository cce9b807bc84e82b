package compile

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sentinel/internal/config/certguard"
	"sentinel/internal/config/keypair"
	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/tlsedge"
)

// storageName is the folder in the state folder where certificates are kept that were issued.
const storageName = "acme"

// Issuance is what a generation wants an authority to issue. Fields are as in the block acme.
type Issuance struct {
	Directory, Email, KeyType string
	Roots                     *x509.CertPool // nil: those of the system
	Storage                   string
	HTTP, ALPN                bool
	Webhook                   *DNSWebhook // nil: no DNS records
	KeyID, MACKey             string
	Names                     []IssuedName
}

// DNSWebhook is who sets DNS records.
type DNSWebhook struct {
	URL, Token string
	Wait       time.Duration
}

// IssuedName is a server name with the site that shows its certificate.
type IssuedName struct {
	Listener string
	Host     string
	At       schema.Origin
	Site     *tlsedge.Site
}

// Issuance returns what the generation that serves wants issued; nil for nothing.
func (l *Live) Issuance() *Issuance {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.issuance
}

// issuedFile stands before a host in the place of the file of a certificate that was issued.
const issuedFile = "acme:"

// inUse returns the certificates that were issued.
func (i *Issuance) inUse() (list []InUse) {
	for _, n := range i.Names {
		for _, c := range n.Site.Certificates() {
			list = append(list, InUse{
				Side: sideListener, Name: n.Listener, Role: certguard.Server, Hosts: n.Site.Names(),
				File: issuedFile + n.Host, Chain: chainOf(&keypair.Pair{Certificate: c}), At: n.At,
			})
		}
	}
	return list
}

// issuance compiles the authority and shows what it has issued already.
func (b *builder) issuance() {
	a := b.cfg.ACME
	if a == nil || len(b.next.issued) == 0 {
		return
	}
	i := &Issuance{
		Directory: a.Directory.V, Email: a.Email.V, KeyType: a.KeyType.V, Names: b.next.issued,
		Storage: filepath.Join(b.cfg.System.StateDir.V, storageName),
	}
	i.HTTP, i.ALPN, _ = a.Proofs()
	if a.Storage.IsSet() {
		i.Storage = resolve(a.Storage)
	}
	if a.CAFile.IsSet() {
		i.Roots = x509.NewCertPool()
		if text, ok := b.secret(a.CAFile); ok && !i.Roots.AppendCertsFromPEM([]byte(text)) {
			b.problem(a.CAFile.From, "%s holds no certificate in PEM", resolve(a.CAFile))
		}
	}
	b.webhook(i)
	b.binding(i)
	b.snap.Proofs = i.HTTP
	b.next.issuance = i
	if b.live.opt.Issued == nil || b.diags.HasErrors() {
		return
	}
	for _, n := range i.Names {
		if c := b.live.opt.Issued(i, n.Host); c != nil {
			n.Site.Replace([]*tls.Certificate{c})
		}
	}
}

func (b *builder) webhook(i *Issuance) {
	w := b.cfg.ACME.DNS
	if w == nil {
		return
	}
	i.Webhook = &DNSWebhook{URL: w.URL.V, Wait: w.Wait.V}
	if w.TokenFile.IsSet() {
		i.Webhook.Token, _ = b.secret(w.TokenFile)
	}
}

func (b *builder) binding(i *Issuance) {
	e := b.cfg.ACME.Binding
	if e == nil {
		return
	}
	i.KeyID = e.KeyID.V
	key, ok := b.secret(e.MACKeyFile)
	if !ok {
		return
	}
	i.MACKey = strings.TrimRight(key, "=")
	if _, err := base64.RawURLEncoding.DecodeString(i.MACKey); err != nil {
		b.problem(e.MACKeyFile.From, "%s holds no key in base64url", resolve(e.MACKeyFile))
	}
}

// secret reads a file with one secret, which no message repeats.
func (b *builder) secret(file schema.Value[string]) (text string, ok bool) {
	raw, err := os.ReadFile(resolve(file))
	text = strings.TrimSpace(string(raw))
	switch {
	case err != nil:
		b.problem(file.From, "the file can't be read: %v", err)
	case text == "":
		b.problem(file.From, "%s is empty", resolve(file))
	default:
		return text, true
	}
	return "", false
}

// issued adds the sites of names whose certificates an authority issues.
func (e *edgeBuilder) issued(auth tlsedge.Auth) {
	for _, name := range e.t.ACME {
		s := tlsedge.NewSite([]string{name.V}, auth)
		e.sites = append(e.sites, s)
		e.next.issued = append(e.next.issued, IssuedName{Listener: e.l.Name.V, Host: name.V, At: name.From, Site: s})
	}
}

// prover returns who proves names in handshakes; nil where nobody does.
func (e *edgeBuilder) prover() func(*tls.ClientHelloInfo) *tls.Certificate {
	if e.cfg.ACME == nil {
		return nil
	}
	if _, alpn, _ := e.cfg.ACME.Proofs(); !alpn {
		return nil
	}
	return e.live.opt.Prove
}
