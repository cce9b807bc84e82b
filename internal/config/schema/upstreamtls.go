package schema

import (
	"net/netip"
	"strings"
)

// UpstreamTLS says how connections to the targets of an upstream are secured.
type UpstreamTLS struct {
	Block
	SNI                Value[string] // unset: the host of each target
	CACert             Value[string] // file; unset: what the system trusts
	ClientCert         Value[string] // file; set exactly when ClientKey is
	ClientKey          Value[string] // file
	MinVersion         Value[string] // "1.2" or "1.3"
	InsecureSkipVerify Value[bool]
}

func upstreamTLSBlock() blockDef {
	return blockDef{
		name: "upstream tls",
		doc: "Encryption towards the targets of an upstream; an empty block will do. A target must show a certificate for its name from an authority " +
			"that is trusted. See [certificates.md](../certificates.md).",
		keys: []Key{
			{
				Name: "sni", Aliases: []string{"server-name"}, Kind: Text, check: checkServerName,
				Doc:  "name that targets are asked for and that their certificates must hold; without it, the host of each target",
				slot: value(func(t *UpstreamTLS) any { return &t.SNI }),
			},
			{
				Name: "ca-cert", Aliases: []string{"ca-file", "ca"}, Kind: Text, check: checkFile,
				Doc:  "authorities that are trusted, PEM, instead of those of the system",
				slot: value(func(t *UpstreamTLS) any { return &t.CACert }),
			},
			{
				Name: "client-cert", Aliases: []string{"client-cert-file", "cert-file"}, Kind: Text, check: checkFile,
				Doc:  "certificate chain that is shown to targets that ask for one, PEM; needs `client-key`",
				slot: value(func(t *UpstreamTLS) any { return &t.ClientCert }),
			},
			{
				Name: "client-key", Aliases: []string{"client-key-file", "key-file"}, Kind: Text, check: checkFile,
				Doc: "private key of `client-cert`, PEM", slot: value(func(t *UpstreamTLS) any { return &t.ClientKey }),
			},
			{
				Name: "min-version", Kind: Enum, Words: []string{"1.2", "1.3"}, Default: "1.2",
				Doc: "the lowest version of TLS spoken", slot: value(func(t *UpstreamTLS) any { return &t.MinVersion }),
			},
			{
				Name: "insecure-skip-verify", Kind: Bool, Default: "#false",
				Doc:  "take any certificate: whoever sits on the way can read and change all",
				slot: value(func(t *UpstreamTLS) any { return &t.InsecureSkipVerify }),
			},
		},
		finish: finishUpstreamTLS,
	}
}

// checkServerName takes what crypto/tls sends as a server name, and addresses, which are
// looked for in certificates but not sent.
func checkServerName(s string) (problem, hint string) {
	if _, err := netip.ParseAddr(s); err == nil {
		return "", ""
	}
	if s == "" || len(s) > 253 || strings.HasSuffix(s, ".") || strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	}) {
		return "is no host name", `write a name such as "backend.example.com", without port and wildcard`
	}
	return "", ""
}

// finishUpstreamTLS reports keys that need each other and keys that exclude each other.
func finishUpstreamTLS(d *decoder, b any) {
	t := b.(*UpstreamTLS)
	switch {
	case t.ClientCert.IsSet() && !d.tried(t, "client-key"):
		d.errorAt(t.ClientCert.From, "client-cert needs client-key").hint("add client-key: the private key of the certificate")
	case t.ClientKey.IsSet() && !d.tried(t, "client-cert"):
		d.errorAt(t.ClientKey.From, "client-key needs client-cert").hint("add client-cert: the certificate of the key")
	}
	if !t.InsecureSkipVerify.V {
		return
	}
	if t.CACert.IsSet() {
		d.errorAt(t.CACert.From, "ca-cert has no effect with insecure-skip-verify").
			hint("remove insecure-skip-verify, then the authority is asked for").related(t.InsecureSkipVerify.From, "it is here")
	}
	d.warnAt(t.InsecureSkipVerify.From, "insecure-skip-verify lets anybody on the way pose as the targets")
}
