package schema

import "time"

// TLS says how a listener speaks TLS.
type TLS struct {
	Block
	CertFile         Value[string]
	KeyFile          Value[string]
	CertDir          Value[string]
	ACME             []Value[string] // names whose certificates are issued, in lower case
	MinVersion       Value[string]   // "1.2" or "1.3"
	MaxVersion       Value[string]
	CipherSuites     []Value[string]
	KeyExchange      []Value[string]
	ClientAuth       Value[string] // "none", "request" or "require"
	CAFile           Value[string]
	CRLFile          Value[string]
	SNI              []*SNI
	Resumption       Value[bool]
	TicketKeyFile    Value[string] // unset: keys that the process makes
	HandshakeTimeout Value[time.Duration]
	OCSPStaple       Value[bool]
	ClientHeaders    ClientCertHeaders
}

// SNI is what clients get that ask for certain server names.
type SNI struct {
	Block
	Hostnames  []Value[string] // in lower case; none: those of the certificate
	CertFile   Value[string]
	KeyFile    Value[string]
	ClientAuth Value[string] // unset: that of TLS, as the next two
	CAFile     Value[string]
	CRLFile    Value[string]
}

// ClientCertHeaders are the fields that tell upstreams who a client is by its certificate.
// None is sent unless it is named.
type ClientCertHeaders struct {
	Block
	Verified    Value[string]
	Subject     Value[string]
	Issuer      Value[string]
	Serial      Value[string]
	SAN         Value[string]
	Fingerprint Value[string]
	Certificate Value[string]
}

// handshakeTimeoutMax is the most seconds that a handshake may be given.
const handshakeTimeoutMax = 300

func tlsBlocks() []blockDef {
	return []blockDef{tlsBlock(), sniBlock(), clientCertHeadersBlock()}
}

func tlsBlock() blockDef {
	return blockDef{
		name: "tls",
		doc: "How a listener of `protocol \"https\"` speaks TLS. Files are relative to the file that names them and are read again at each reload. " +
			"Without `cert-file` the first `sni` block, else the first name of `acme`, else the first pair of `cert-dir`, is what clients get that ask for no name or an unknown one. See [tls.md](../tls.md).",
		keys: append(tlsFileKeys(), tlsProtocolKeys()...), finish: finishTLS,
	}
}

func tlsFileKeys() []Key {
	return []Key{
		{Name: "cert-file", Kind: Text, check: checkFile, Doc: "certificate and the chain behind it, PEM", slot: value(func(t *TLS) any { return &t.CertFile })},
		{Name: "key-file", Kind: Text, check: checkFile, Doc: "private key of the certificate, PEM without a passphrase", slot: value(func(t *TLS) any { return &t.KeyFile })},
		{
			Name: "cert-dir", Kind: Text, check: checkFile,
			Doc:  "folder of pairs NAME.crt (or .pem, .cer) and NAME.key, used for the names in each certificate; a .pem without a .key holds both",
			slot: value(func(t *TLS) any { return &t.CertDir }),
		},
		{
			Name: "acme", Kind: Texts, Many: true, check: checkSNI,
			Doc:  "names whose certificates the authority of the block `acme` issues; until it has, handshakes for them are refused",
			slot: value(func(t *TLS) any { return &t.ACME }),
		},
		{
			Name: "sni", Kind: Opens, Opens: "sni", Many: true, Doc: "what clients get that ask for certain names",
			slot: several(func(t *TLS) *[]*SNI { return &t.SNI }),
		},
		{
			Name: "client-auth", Kind: Enum, Words: []string{"none", "request", "require"}, Default: "none",
			Doc:  "whether clients are asked for certificates: not at all, they may have one, or they must; one that is given must be valid",
			slot: value(func(t *TLS) any { return &t.ClientAuth }),
		},
		{
			Name: "ca-file", Kind: Text, check: checkFile, Doc: "authorities that client certificates are believed by, PEM; nobody else's are",
			slot: value(func(t *TLS) any { return &t.CAFile }),
		},
		{
			Name: "crl-file", Kind: Text, check: checkFile,
			Doc:  "lists of revoked client certificates, PEM or DER, one for every authority that issues some; past its time a list lets nobody in",
			slot: value(func(t *TLS) any { return &t.CRLFile }),
		},
		{
			Name: "client-cert-headers", Kind: Opens, Opens: "client-cert-headers", Doc: "fields that tell upstreams who the client is by its certificate",
			slot: value(func(t *TLS) any { return &t.ClientHeaders }),
		},
	}
}

func tlsProtocolKeys() []Key {
	versions := []string{"1.2", "1.3"}
	return []Key{
		{Name: "min-version", Kind: Text, Words: versions, Default: "1.2", Doc: "the lowest version spoken", slot: value(func(t *TLS) any { return &t.MinVersion })},
		{Name: "max-version", Kind: Text, Words: versions, Default: "1.3", Doc: "the highest version spoken", slot: value(func(t *TLS) any { return &t.MaxVersion })},
		{
			Name: "cipher-suite", Aliases: []string{"cipher-suites"}, Kind: Texts, Many: true, check: checkCipherSuite,
			Doc:  "cipher suites of TLS 1.2, by their registered names or as openssl spells them; all six with ECDHE and an AEAD without it. Those of TLS 1.3 are always on",
			slot: value(func(t *TLS) any { return &t.CipherSuites }),
		},
		{
			Name: "key-exchange", Aliases: []string{"curve", "curves"}, Kind: Texts, Many: true, check: checkKeyExchange,
			Doc:  "groups of the key exchange: X25519MLKEM768, SecP256r1MLKEM768, SecP384r1MLKEM1024, X25519, P-256, P-384, P-521; without it, X25519MLKEM768 and the classic ones but P-521",
			slot: value(func(t *TLS) any { return &t.KeyExchange }),
		},
		{
			Name: "session-resumption", Kind: Bool, Default: "#true", Doc: "clients may resume a session by its ticket",
			slot: value(func(t *TLS) any { return &t.Resumption }),
		},
		{
			Name: "session-ticket-key-file", Kind: Text, check: checkFile,
			Doc:  "1 to 4 keys of 32 bytes, base64 or hexadecimal, one a line, the same on all proxies of a fleet; the first seals, all open. Without it, keys that the process makes and changes every 8 hours",
			slot: value(func(t *TLS) any { return &t.TicketKeyFile }),
		},
		{
			Name: "handshake-timeout-secs", Kind: Seconds, Unit: "seconds", Max: handshakeTimeoutMax, Default: "10", Label: "handshake timeout",
			Doc: "how long a handshake may take", slot: value(func(t *TLS) any { return &t.HandshakeTimeout }),
		},
		{
			Name: "ocsp-staple", Kind: Bool, Default: "#true",
			Doc:  "where a certificate names a responder, fetch its answer beside the traffic and show it to clients",
			slot: value(func(t *TLS) any { return &t.OCSPStaple }),
		},
	}
}

func sniBlock() blockDef {
	return blockDef{
		name: "sni",
		doc: "What clients get that ask for certain server names. An exact name comes before a wildcard, which stands for one label. " +
			"Hosts under different `client-auth` or `ca-file` can't share a connection: a request for the wrong one is answered 421.",
		keys: []Key{
			{
				Name: "hostnames", Aliases: []string{"hostname"}, Kind: Texts, Many: true, check: checkSNI,
				Doc:  "names, or wildcards such as \"*.example.com\"; without them, the names in the certificate",
				slot: value(func(s *SNI) any { return &s.Hostnames }),
			},
			{Name: "cert-file", Kind: Text, Required: true, check: checkFile, Doc: "certificate and the chain behind it, PEM", slot: value(func(s *SNI) any { return &s.CertFile })},
			{Name: "key-file", Kind: Text, Required: true, check: checkFile, Doc: "private key of the certificate, PEM", slot: value(func(s *SNI) any { return &s.KeyFile })},
			{
				Name: "client-auth", Kind: Enum, Words: []string{"none", "request", "require"}, Doc: "as in tls, whose value holds without it",
				slot: value(func(s *SNI) any { return &s.ClientAuth }),
			},
			{Name: "ca-file", Kind: Text, check: checkFile, Doc: "likewise", slot: value(func(s *SNI) any { return &s.CAFile })},
			{Name: "crl-file", Kind: Text, check: checkFile, Doc: "likewise; that of tls holds only with the ca-file of tls", slot: value(func(s *SNI) any { return &s.CRLFile })},
		},
		finish: finishSNI,
	}
}

func clientCertHeadersBlock() blockDef {
	field := func(name, doc string, slot slot) Key {
		return Key{Name: name, Kind: Text, check: checkCertField, Doc: doc, slot: slot}
	}
	return blockDef{
		name: "client-cert-headers",
		doc: "Fields, by the names that they shall have, that tell upstreams who the client is by its verified certificate. " +
			"Whatever clients send under one of these names, with underscores too, is removed on every listener.",
		keys: []Key{
			field("verified", "\"yes\" or, where the client has shown no certificate, \"no\"", value(func(h *ClientCertHeaders) any { return &h.Verified })),
			field("subject", "distinguished name of the client", value(func(h *ClientCertHeaders) any { return &h.Subject })),
			field("issuer", "distinguished name of who issued the certificate", value(func(h *ClientCertHeaders) any { return &h.Issuer })),
			field("serial", "serial number in hexadecimal", value(func(h *ClientCertHeaders) any { return &h.Serial })),
			field("san", "alternative names, such as `DNS:a.example, email:b@c.example`", value(func(h *ClientCertHeaders) any { return &h.SAN })),
			field("fingerprint", "SHA-256 of the certificate in hexadecimal", value(func(h *ClientCertHeaders) any { return &h.Fingerprint })),
			field("certificate", "the certificate itself, as RFC 9440 writes it", value(func(h *ClientCertHeaders) any { return &h.Certificate })),
		},
	}
}
