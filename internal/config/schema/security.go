package schema

// TLS holds a certificate and the versions spoken.
type TLS struct {
	Block
	CertFile   Value[string]
	KeyFile    Value[string]
	MinVersion Value[string]
}

// Security says when clients are challenged.
type Security struct {
	Block
	ChallengeMode      Value[string]
	ChallengeThreshold Value[int64] // requests per minute and client
}

func securityBlocks() []blockDef {
	return []blockDef{{
		name: "tls", doc: "Certificate and versions.",
		keys: []Key{
			{Name: "cert-file", Kind: Text, check: checkFile, Doc: "certificate chain, PEM", slot: value(func(t *TLS) any { return &t.CertFile })},
			{Name: "key-file", Kind: Text, check: checkFile, Doc: "private key, PEM", slot: value(func(t *TLS) any { return &t.KeyFile })},
			{Name: "min-version", Kind: Text, Words: []string{"1.2", "1.3"}, Default: "1.2", Doc: "the lowest version spoken",
				slot: value(func(t *TLS) any { return &t.MinVersion })},
		},
	}, {
		name: "security", doc: "When clients are challenged.",
		keys: []Key{
			{Name: "challenge-mode", Kind: Enum, Words: []string{"enabled", "disabled"}, Default: "disabled", Doc: "whether challenges are given",
				slot: value(func(s *Security) any { return &s.ChallengeMode })},
			{Name: "challenge-threshold", Kind: Int, Unit: "requests per minute and client", Min: 1, Max: 10000000, Default: "100", Doc: "the rate that brings a challenge",
				slot: value(func(s *Security) any { return &s.ChallengeThreshold })},
		},
	}}
}
