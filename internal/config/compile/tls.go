package compile

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sentinel/internal/config/certguard"
	"sentinel/internal/config/keypair"
	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/dataplane/tlsedge"
)

// Certificate is one certificate that clients are shown, for those who look after them.
type Certificate struct {
	Listener string
	// Names are the server names that it is shown for; none for the default of the listener
	// alone. Default tells that it is what clients get that ask for an unknown name, or none.
	Names   []string
	Default bool
	Pair    *keypair.Pair
	// At is where the configuration names its file or folder.
	At schema.Origin
	// Staple says that clients should be shown the answer of its responder.
	Staple bool
	// Site is where it is in use: Replace puts another in its place.
	Site *tlsedge.Site
}

// secured is what a listener has of TLS.
type secured struct {
	edge   *tlsedge.Edge
	fields []snapshot.CertField
}

// edgeBuilder is the building of one listener's edge.
type edgeBuilder struct {
	*builder
	l     *schema.Listener
	t     *schema.TLS
	certs []Certificate
	sites []*tlsedge.Site
	def   int             // the site for unknown names
	named map[string]bool // server names that have a site
}

// edges builds the edge of every listener that speaks TLS. It reads all files, in a check too.
func (b *builder) edges() {
	for _, l := range b.cfg.Listeners {
		if l.TLS == nil {
			continue
		}
		e := &edgeBuilder{builder: b, l: l, t: l.TLS, named: make(map[string]bool)}
		if edge := e.build(); edge != nil {
			b.tls[l.Name.V] = secured{edge, b.vouchFor(l.TLS)}
			b.next.certificates = append(b.next.certificates, e.certs...)
		}
	}
}

// secure gives a listener its edge; nothing where it speaks no TLS.
func (b *builder) secure(l *schema.Listener, sl *snapshot.Listener) {
	if t, ok := b.tls[l.Name.V]; ok {
		sl.TLS, sl.CertFields = t.edge, t.fields
		sl.Metrics.Secured()
	}
}

// build returns the edge, or nil where the files don't allow it.
func (e *edgeBuilder) build() *tlsedge.Edge {
	before := len(e.diags)
	own := e.auth(e.t.ClientAuth, e.t.CAFile, e.t.CRLFile)
	for _, s := range e.t.SNI {
		for _, h := range s.Hostnames {
			e.named[h.V] = true
		}
	}
	for _, name := range e.t.ACME {
		e.named[name.V] = true
	}
	for _, s := range e.t.SNI {
		e.sni(s, own)
	}
	e.issued(own)
	// What a certificate says itself comes behind what the configuration says.
	if e.t.CertFile.IsSet() {
		if p := e.load(e.t.CertFile, e.t.KeyFile); p != nil {
			e.def = len(e.sites)
			e.site(e.unclaimed(p), own, e.t.CertFile.From, p)
		}
	}
	e.folder(own)
	tickets := e.tickets()
	if len(e.diags) > before || len(e.sites) == 0 {
		return nil
	}
	for i := range e.certs {
		e.certs[i].Default = e.certs[i].Site == e.sites[e.def]
	}
	return tlsedge.New(e.options(tickets))
}

func (e *edgeBuilder) options(tickets *tlsedge.Tickets) tlsedge.Options {
	o := tlsedge.Options{
		Protocols:  protocols(&e.l.HTTP2),
		MinVersion: version(e.t.MinVersion.V), MaxVersion: version(e.t.MaxVersion.V),
		HandshakeTimeout: e.t.HandshakeTimeout.V, Tickets: tickets, Prove: e.prover(), Default: e.sites[e.def], Sites: e.sites,
		Curves: []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024, tls.X25519, tls.CurveP256, tls.CurveP384},
	}
	if len(e.t.KeyExchange) > 0 {
		o.Curves = nil
	}
	for _, k := range e.t.KeyExchange {
		o.Curves = append(o.Curves, schema.Group(k.V))
	}
	for _, c := range e.t.CipherSuites {
		o.CipherSuites = append(o.CipherSuites, schema.CipherSuite(c.V))
	}
	if len(o.CipherSuites) == 0 {
		for _, id := range schema.CipherSuites() {
			o.CipherSuites = append(o.CipherSuites, id)
		}
	}
	return o
}

// protocols returns what is offered in the handshake.
func protocols(h *schema.HTTP2) []string {
	switch {
	case !h.Enabled.V:
		return []string{tlsedge.HTTP1}
	case h.Only.V:
		return []string{tlsedge.HTTP2}
	}
	return []string{tlsedge.HTTP2, tlsedge.HTTP1}
}

func version(v string) uint16 {
	if v == "1.2" {
		return tls.VersionTLS12
	}
	return tls.VersionTLS13
}

// site adds a site with one certificate.
func (e *edgeBuilder) site(names []string, auth tlsedge.Auth, at schema.Origin, p *keypair.Pair) {
	s := tlsedge.NewSite(names, auth, p.Certificate)
	e.sites = append(e.sites, s)
	e.certs = append(e.certs, Certificate{Listener: e.l.Name.V, Names: names, Pair: p, At: at, Staple: e.t.OCSPStaple.V, Site: s})
}

// sni adds the site of a block.
func (e *edgeBuilder) sni(s *schema.SNI, own tlsedge.Auth) {
	auth := own
	if s.ClientAuth.IsSet() || s.CAFile.IsSet() || s.CRLFile.IsSet() {
		mode, ca, crl := s.ClientAuth, s.CAFile, s.CRLFile
		if !mode.IsSet() {
			mode = e.t.ClientAuth
		}
		if !ca.IsSet() {
			if ca = e.t.CAFile; !crl.IsSet() {
				crl = e.t.CRLFile
			}
		}
		auth = e.auth(mode, ca, crl)
	}
	p := e.load(s.CertFile, s.KeyFile)
	if p == nil {
		return
	}
	var names []string
	for _, h := range s.Hostnames {
		names = append(names, h.V)
	}
	if len(names) == 0 {
		if names = e.unclaimed(p); len(names) == 0 {
			e.problem(s.CertFile.From, "the certificate in %s has no names that are left: write hostnames", p.CertFile)
			return
		}
	}
	e.site(names, auth, s.CertFile.From, p)
}

// unclaimed returns the names of a certificate that no block names itself, and claims them.
func (e *edgeBuilder) unclaimed(p *keypair.Pair) []string {
	var names []string
	for _, n := range p.Names() {
		if !e.named[n] {
			e.named[n] = true
			names = append(names, n)
		}
	}
	return names
}

// folder adds the sites of a folder. Certificates of the same names, such as one with an RSA
// key beside one with an ECDSA key, share a site.
func (e *edgeBuilder) folder(auth tlsedge.Auth) {
	if !e.t.CertDir.IsSet() {
		return
	}
	pairs, problems := keypair.LoadDir(resolve(e.t.CertDir))
	for _, p := range problems {
		e.fileProblem(e.t.CertDir.From, p)
	}
	byNames := make(map[string]*tlsedge.Site)
	for _, p := range pairs {
		key := keyOfNames(p)
		if s := byNames[key]; s != nil {
			s.Replace(append(slices.Clone(s.Certificates()), p.Certificate))
			e.certs = append(e.certs, Certificate{Listener: e.l.Name.V, Names: s.Names(), Pair: p, At: e.t.CertDir.From, Staple: e.t.OCSPStaple.V, Site: s})
			continue
		}
		names := e.unclaimed(p)
		if len(names) == 0 && len(e.sites) > 0 {
			continue // what the configuration names comes first
		}
		e.site(names, auth, e.t.CertDir.From, p)
		byNames[key] = e.sites[len(e.sites)-1]
	}
}

func keyOfNames(p *keypair.Pair) string {
	names := p.Names()
	slices.Sort(names)
	return string(appendAll(nil, names))
}

func appendAll(b []byte, names []string) []byte {
	for _, n := range names {
		b = append(append(b, n...), 0)
	}
	return b
}

// load reads one pair.
func (e *edgeBuilder) load(cert, key schema.Value[string]) *keypair.Pair {
	p, problem := keypair.Load(resolve(cert), resolve(key))
	if problem == nil {
		return p
	}
	at := cert.From
	if problem.File == resolve(key) && problem.File != resolve(cert) {
		at = key.From
	}
	e.fileProblem(at, problem)
	return nil
}

// auth reads what is asked of clients.
func (e *edgeBuilder) auth(mode, ca, crl schema.Value[string]) tlsedge.Auth {
	modes := map[string]tlsedge.Mode{"request": tlsedge.AuthRequest, "require": tlsedge.AuthRequire}
	a := tlsedge.Auth{Mode: modes[mode.V]}
	if a.Mode == tlsedge.AuthNone {
		return a
	}
	authorities, problem := keypair.LoadAuthorities(resolve(ca))
	if problem != nil {
		e.fileProblem(ca.From, problem)
		return a
	}
	a.Authorities = authorities
	e.inUse(InUse{Side: sideListener, Name: e.l.Name.V, Role: certguard.Authority, File: resolve(ca), Chain: authorities, At: ca.From})
	if crl.IsSet() {
		var lists []*x509.RevocationList
		if lists, problem = keypair.LoadRevoked(resolve(crl), authorities, time.Now()); problem != nil {
			e.fileProblem(crl.From, problem)
			return a
		}
		a.Revoked = tlsedge.NewRevocations(lists)
	}
	return a
}

// tickets returns what seals sessions; nil for nothing.
func (e *edgeBuilder) tickets() *tlsedge.Tickets {
	switch {
	case !e.t.Resumption.V:
		return nil
	case !e.t.TicketKeyFile.IsSet():
		return e.live.tickets
	}
	text, err := os.ReadFile(resolve(e.t.TicketKeyFile))
	if err == nil {
		var t *tlsedge.Tickets
		if t, err = tlsedge.ParseTickets(text); err == nil {
			return t
		}
	}
	e.problem(e.t.TicketKeyFile.From, "the keys of session tickets can't be used: %v", err)
	return nil
}

// fileProblem reports a file at the place that names it.
func (b *builder) fileProblem(at schema.Origin, p *keypair.Problem) {
	b.problem(at, "%s: %s", p.File, p.Message)
	b.diags[len(b.diags)-1].Hint = p.Hint
}

// resolve returns the path of a file that is named relative to the file that names it.
func resolve(file schema.Value[string]) string {
	if filepath.IsAbs(file.V) {
		return file.V
	}
	return filepath.Join(filepath.Dir(file.From.File), file.V)
}

// vouchFor takes note of the fields that tell upstreams who a client is.
func (b *builder) vouchFor(t *schema.TLS) []snapshot.CertField {
	var fields []snapshot.CertField
	h := &t.ClientHeaders
	for i, name := range [...]schema.Value[string]{h.Verified, h.Subject, h.Issuer, h.Serial, h.SAN, h.Fingerprint, h.Certificate} {
		if !name.IsSet() {
			continue
		}
		fields = append(fields, snapshot.CertField{Name: name.V, Part: snapshot.CertPart(i)})
		lower := strings.ToLower(strings.ReplaceAll(name.V, "_", "-"))
		if !slices.Contains(b.snap.Vouched, lower) {
			b.snap.Vouched = append(b.snap.Vouched, lower)
		}
	}
	return fields
}
