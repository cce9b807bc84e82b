package schema

import (
	"crypto/tls"
	"slices"
	"strings"
)

// CipherSuites are the cipher suites of TLS 1.2 that may be used, by name: those with forward
// secrecy and an AEAD.
func CipherSuites() map[string]uint16 {
	all := make(map[string]uint16)
	for _, c := range tls.CipherSuites() {
		aead := strings.Contains(c.Name, "_GCM_") || strings.Contains(c.Name, "_CHACHA20_")
		if aead && strings.HasPrefix(c.Name, "TLS_ECDHE_") && slices.Contains(c.SupportedVersions, tls.VersionTLS12) {
			all[c.Name] = c.ID
		}
	}
	return all
}

// CipherSuite returns the suite of that name, as it is registered or as openssl spells it; 0
// for one that isn't among CipherSuites.
func CipherSuite(name string) uint16 {
	all := CipherSuites()
	if id, ok := all[strings.ToUpper(name)]; ok {
		return id
	}
	for known, id := range all {
		if strings.EqualFold(opensslName(known), name) {
			return id
		}
	}
	return 0
}

// opensslName returns how openssl spells a suite: ECDHE-RSA-AES128-GCM-SHA256.
func opensslName(name string) string {
	name = strings.TrimPrefix(name, "TLS_")
	name = strings.TrimSuffix(strings.Replace(name, "_WITH", "", 1), "_POLY1305_SHA256") + strings.Repeat("_POLY1305", strings.Count(name, "POLY1305"))
	return strings.ReplaceAll(strings.ReplaceAll(name, "AES_", "AES"), "_", "-")
}

func checkCipherSuite(s string) (problem, hint string) {
	if CipherSuite(s) != 0 {
		return "", ""
	}
	var names []string
	for name := range CipherSuites() {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, c := range tls.CipherSuites() {
		if strings.EqualFold(c.Name, s) && slices.Contains(c.SupportedVersions, tls.VersionTLS13) {
			return "belongs to TLS 1.3, whose suites are always on", "leave it out; these can be chosen: " + strings.Join(names, ", ")
		}
	}
	return "is no cipher suite that counts as secure", "use some of: " + strings.Join(names, ", ")
}

// Groups are the groups of the key exchange by name.
func Groups() map[string]tls.CurveID {
	return map[string]tls.CurveID{
		"X25519MLKEM768": tls.X25519MLKEM768, "SecP256r1MLKEM768": tls.SecP256r1MLKEM768, "SecP384r1MLKEM1024": tls.SecP384r1MLKEM1024,
		"X25519": tls.X25519, "P-256": tls.CurveP256, "P-384": tls.CurveP384, "P-521": tls.CurveP521,
	}
}

// Group returns the group of that name, in any case; 0 for none.
func Group(name string) tls.CurveID {
	for known, id := range Groups() {
		if strings.EqualFold(known, name) {
			return id
		}
	}
	return 0
}

func checkKeyExchange(s string) (problem, hint string) {
	if Group(s) == 0 {
		return "is no group of key exchange known here", "use some of: X25519MLKEM768, SecP256r1MLKEM768, SecP384r1MLKEM1024, X25519, P-256, P-384, P-521"
	}
	return "", ""
}

func checkSNI(s string) (problem, hint string) {
	name, wild := strings.CutPrefix(s, "*.")
	switch {
	case strings.Contains(name, "*"):
		return "has a star inside", "a wildcard is \"*.\" before a name, and stands for one label"
	case strings.HasSuffix(name, "."):
		return "ends with a dot", "leave it out"
	case wild && !strings.Contains(name, "."):
		return "is a wildcard for a whole top-level domain", "name at least two labels, such as \"*.example.com\""
	case len(name) > 253 || strings.ContainsFunc(name, notInServerName):
		return "is no host name", "write one such as \"www.example.com\", in the form with xn-- where it isn't ASCII"
	}
	return "", ""
}

func notInServerName(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
		return false
	}
	return true
}

// checkCertField checks the name of a field that vouches for a client.
func checkCertField(s string) (problem, hint string) { return checkEditedField(s) }

// finishTLS reports what can't be, or would have no effect, in a block for TLS.
func finishTLS(d *decoder, b any) {
	t := b.(*TLS)
	d.certAndKey(t.CertFile, t.KeyFile)
	if !d.tried(t, "cert-file", "key-file", "cert-dir", "sni", "acme") {
		d.errorAt(t.From, "tls names no certificate").hint("add cert-file and key-file, cert-dir, sni or acme")
	}
	if t.MinVersion.V == "1.3" && t.MaxVersion.V == "1.2" {
		d.errorAt(t.MaxVersion.From, "max-version 1.2 is below min-version 1.3").hint("raise it, or leave it out").related(t.MinVersion.From, "min-version is here")
	}
	if t.MinVersion.V == "1.3" && len(t.CipherSuites) > 0 {
		d.errorAt(t.CipherSuites[0].From, "cipher-suite has no effect with min-version 1.3").
			hint("the suites of TLS 1.3 are always on: remove it").related(t.MinVersion.From, "min-version is here")
	}
	if t.TicketKeyFile.IsSet() && t.Resumption.IsSet() && !t.Resumption.V {
		d.errorAt(t.TicketKeyFile.From, "session-ticket-key-file has no effect without session-resumption").
			hint("remove one of them").related(t.Resumption.From, "it is switched off here")
	}
	d.clientAuth(t)
	d.serverNames(t)
}

// clientAuth reports files about client certificates that nobody asks for, and that none are
// believed where some are asked for.
func (d *decoder) clientAuth(t *TLS) {
	asks := asksClients(t.ClientAuth)
	for _, s := range t.SNI {
		mode := s.ClientAuth
		if !mode.IsSet() {
			mode = t.ClientAuth
		}
		asks = asks || asksClients(mode)
		if asksClients(s.ClientAuth) && !d.tried(s, "ca-file") && !d.tried(t, "ca-file") {
			d.errorAt(s.ClientAuth.From, "client-auth %q needs ca-file", s.ClientAuth.V).hint("add ca-file: authorities whose certificates are believed")
		}
		for _, f := range []Value[string]{s.CAFile, s.CRLFile} {
			if f.IsSet() && !asksClients(mode) {
				d.errorAt(f.From, "the file has no effect: clients aren't asked for certificates").hint(`add client-auth "require", or remove it`)
			}
		}
	}
	if asksClients(t.ClientAuth) && !d.tried(t, "ca-file") {
		d.errorAt(t.ClientAuth.From, "client-auth %q needs ca-file", t.ClientAuth.V).hint("add ca-file: authorities whose certificates are believed")
	}
	h := t.ClientHeaders
	for _, f := range []Value[string]{t.CAFile, t.CRLFile, h.Verified, h.Subject, h.Issuer, h.Serial, h.SAN, h.Fingerprint, h.Certificate} {
		if f.IsSet() && !asks {
			d.errorAt(f.From, "this has no effect: clients aren't asked for certificates").hint(`add client-auth "require", or remove it`)
		}
	}
}

func asksClients(mode Value[string]) bool { return mode.V == "request" || mode.V == "require" }

// certAndKey reports one half of a certificate and its key without the other.
func (d *decoder) certAndKey(cert, key Value[string]) {
	switch {
	case cert.IsSet() && !key.IsSet():
		d.errorAt(cert.From, "cert-file needs key-file").hint("add key-file: the private key of the certificate")
	case key.IsSet() && !cert.IsSet():
		d.errorAt(key.From, "key-file needs cert-file").hint("add cert-file: the certificate of the key")
	}
}

// serverNames reports names that two blocks want.
func (d *decoder) serverNames(t *TLS) {
	seen := make(map[string]Origin)
	for _, s := range t.SNI {
		for _, h := range s.Hostnames {
			d.unique(seen, h, "server name")
		}
	}
	for i := range t.ACME {
		t.ACME[i].V = strings.ToLower(t.ACME[i].V)
		d.unique(seen, t.ACME[i], "server name")
	}
}

// finishSNI brings names into the form in which they are compared.
func finishSNI(d *decoder, b any) {
	s := b.(*SNI)
	for i := range s.Hostnames {
		s.Hostnames[i].V = strings.ToLower(s.Hostnames[i].V)
	}
}

// finishListener reports TLS without its protocol, and the other way round.
func finishListener(d *decoder, b any) {
	l := b.(*Listener)
	d.streamListener(l)
	if l.Protocol.V != protocolTCP {
		d.http2(l)
	}
	switch https := l.Protocol.V == "https"; {
	case https && l.TLS == nil:
		d.errorAt(l.Protocol.From, "protocol \"https\" needs tls").hint("add tls { cert-file \"...\"; key-file \"...\" }")
	case !https && l.Protocol.V != protocolTCP && l.TLS != nil && !d.botched(l, "protocol", l.Protocol.From):
		d.errorAt(l.TLS.From, "tls has no effect with protocol \"http\"").hint("add protocol \"https\"")
	}
}
