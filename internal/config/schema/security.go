package schema

// TLS holds a certificate and the versions spoken.
type TLS struct {
	Block
	CertFile   Value[string]
	KeyFile    Value[string]
	MinVersion Value[string]
}

// RateLimit says how many requests one client may send.
type RateLimit struct {
	Block
	RequestsPerSecond Value[int64]
	Burst             Value[int64]
	Key               Value[string]
	Action            Value[string]
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
		name: "rate-limit", doc: "How many requests one client may send.",
		keys: []Key{
			{Name: "requests-per-second", Kind: Int, Unit: "requests per second", Min: 1, Max: 10000000, Required: true, Doc: "the lasting rate",
				slot: value(func(r *RateLimit) any { return &r.RequestsPerSecond })},
			{Name: "burst", Kind: Int, Unit: "requests", Min: 1, Max: 10000000, Doc: "requests allowed at once; without it, requests-per-second",
				slot: value(func(r *RateLimit) any { return &r.Burst })},
			{Name: "key", Kind: Text, Default: "client_ip", check: checkStickyKey, Doc: "what counts as one client: `client_ip`, `header:NAME` or `cookie:NAME`",
				slot: value(func(r *RateLimit) any { return &r.Key })},
			{Name: "action", Kind: Enum, Words: []string{"block"}, Default: "block", Doc: "what happens to a request too many",
				slot: value(func(r *RateLimit) any { return &r.Action })},
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
