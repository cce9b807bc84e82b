package schema

// Listener is a place where clients connect.
type Listener struct {
	Block
	Name              Value[string]
	Addresses         []Value[string] // "host:port"
	Protocol          Value[string]   // "http" or "https"
	PathNormalization PathNormalization
	HTTP2             HTTP2
	Limits            Limits
	Timeouts          Timeouts
	TLS               *TLS           // nil when not written
	RateLimits        []*RateLimit   // none: those of the top level hold
	Security          *Security      // nil when not written
	Access            *Access        // nil: that of the top level holds
	ProxyProtocol     *ProxyProtocol // nil when not written
	TCP               *TCP           // likewise
}

// PathNormalization says how the path of a request is brought into the one
// form that is matched, rewritten and sent.
type PathNormalization struct {
	Block
	DotSegments  Value[string] // "resolve" or "reject"
	EncodedSlash Value[string] // "reject", "keep" or "decode"
	DoubleSlash  Value[string] // "merge", "keep" or "reject"
	Backslash    Value[string] // "reject", "encode" or "slash"
}

func listenerBlocks() []blockDef {
	return []blockDef{{
		name: "listeners",
		doc:  "Where clients connect. The block may stand once in each file.",
		keys: []Key{
			{
				Name: "listener", Kind: Opens, Opens: "listener", Many: true, Doc: "one listener",
				slot: several(func(c *Config) *[]*Listener { return &c.Listeners }),
			},
		},
	}, {
		name: "listener",
		doc:  "One listener: `listener \"NAME\" { ... }`.",
		args: []string{"name"},
		keys: []Key{
			{
				Name: "name", Kind: Text, Required: true, ArgOnly: true, check: checkName, Doc: "name in logs and metrics",
				slot: value(func(l *Listener) any { return &l.Name }),
			},
			{
				Name: "address", Kind: Address, Many: true, Required: true, check: checkListen,
				Doc:  "address and port to listen on; several are allowed, port 0 takes a free one",
				slot: value(func(l *Listener) any { return &l.Addresses }),
			},
			{
				Name: "protocol", Kind: Enum, Words: []string{"http", "https", protocolTCP}, Default: "http",
				Doc: "protocol that clients speak; `tcp` is any: bytes are passed on", slot: value(func(l *Listener) any { return &l.Protocol }),
			},
			{
				Name: "path-normalization", Kind: Opens, Opens: "path-normalization", Doc: "the one form that every path is brought into",
				slot: value(func(l *Listener) any { return &l.PathNormalization }),
			},
			{
				Name: "http2", Kind: Opens, Opens: "http2", Doc: "whether and how HTTP/2 is spoken",
				slot: value(func(l *Listener) any { return &l.HTTP2 }),
			},
			{
				Name: "limits", Kind: Opens, Opens: "limits", Merges: true, Doc: "limits of this listener",
				slot: value(func(l *Listener) any { return &l.Limits }),
			},
			{
				Name: "timeouts", Kind: Opens, Opens: "timeouts", Doc: "timeouts of exchanges that arrive here",
				slot: value(func(l *Listener) any { return &l.Timeouts }),
			},
			{
				Name: "tls", Kind: Opens, Opens: "tls", Doc: "how TLS is spoken, with protocol \"https\"",
				slot: optional(func(l *Listener) **TLS { return &l.TLS }),
			},
			{
				Name: "rate-limit", Kind: Opens, Opens: "rate-limit", Many: true, Doc: "rate limit of this listener",
				slot: several(func(l *Listener) *[]*RateLimit { return &l.RateLimits }),
			},
			{
				Name: "security", Kind: Opens, Opens: "security", Doc: "challenges on this listener",
				slot: optional(func(l *Listener) **Security { return &l.Security }),
			},
			{
				Name: "access", Kind: Opens, Opens: "access", Doc: "which clients are let in on this listener",
				slot: optional(func(l *Listener) **Access { return &l.Access }),
			},
			{
				Name: "tcp", Kind: Opens, Opens: "tcp", Doc: "where connections go, with protocol \"tcp\"",
				slot: optional(func(l *Listener) **TCP { return &l.TCP }),
			},
			{
				Name: "proxy-protocol", Kind: Opens, Opens: "proxy-protocol", Doc: "load balancers in front that say by a PROXY header whose connection it is",
				slot: optional(func(l *Listener) **ProxyProtocol { return &l.ProxyProtocol }),
			},
		},
		finish: finishListener,
	}, pathNormalizationBlock(), http2Block(), tcpBlock(), proxyProtocolBlock()}
}

func pathNormalizationBlock() blockDef {
	return blockDef{
		name: "path-normalization",
		doc: "A path is brought into one form once; that form is matched, rewritten and sent. Unreserved characters are always decoded (`%2e` is `.`) " +
			"and NUL and other control characters always refused.",
		keys: []Key{
			{
				Name: "dot-segments", Kind: Enum, Words: []string{"resolve", "reject"}, Default: "resolve",
				Doc:  "`/a/../b`: resolve it to `/b` (RFC 3986, section 5.2.4; above the root is refused), or answer 400",
				slot: value(func(p *PathNormalization) any { return &p.DotSegments }),
			},
			{
				Name: "encoded-slash", Kind: Enum, Words: []string{"reject", "keep", "decode"}, Default: "reject",
				Doc:  "`%2f`: servers disagree whether it separates segments, so it is refused unless you know what yours do",
				slot: value(func(p *PathNormalization) any { return &p.EncodedSlash }),
			},
			{
				Name: "double-slash", Kind: Enum, Words: []string{"merge", "keep", "reject"}, Default: "merge",
				Doc:  "`//admin`: merge, so that a rule for `/admin` can't be walked around; keep it only for URLs inside of paths",
				slot: value(func(p *PathNormalization) any { return &p.DoubleSlash }),
			},
			{
				Name: "backslash", Kind: Enum, Words: []string{"reject", "encode", "slash"}, Default: "reject",
				Doc:  "`\\` and `%5c`: refuse, send as `%5C`, or take for `/` as some servers do",
				slot: value(func(p *PathNormalization) any { return &p.Backslash }),
			},
		},
	}
}
