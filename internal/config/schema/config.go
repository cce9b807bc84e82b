package schema

// Config is one checked configuration with every default filled in. It is
// plain data: nothing in it changes once Load has returned it.
type Config struct {
	Block
	System        System
	Listeners     []*Listener
	Routes        []*Route // in the order of the text
	Upstreams     []*Upstream
	Limits        Limits   // for the whole process, and the default for each listener
	Timeouts      Timeouts // the defaults for everything below
	Policies      Policies // the defaults for each route
	Observability Observability
	HealthCheck   *HealthCheck // the default for each upstream; nil when not written
	RateLimits    []*RateLimit // those of the policies included
	// RateLimitStore is where the fleet counts together; nil when not written.
	RateLimitStore *RateLimitStore
	Security       *Security // nil when not written
	Access         *Access   // likewise; holds where neither listener nor route has one
	GeoIP          *GeoIP    // nil when not written
	ACME           *ACME     // likewise

	unbuilt bool // that of Options
}

func topBlock() blockDef {
	return blockDef{
		name: "",
		doc:  "What may stand at top level. The blocks limits, timeouts, policies and health-check give defaults there; the nearest block wins, key by key.",
		keys: []Key{
			{
				Name: "system", Aliases: []string{"server"}, Kind: Opens, Opens: "system", Doc: "the process itself",
				slot: value(func(c *Config) any { return &c.System }),
			},
			{Name: "listeners", Kind: Opens, Opens: "listeners", PerFile: true, Doc: "where clients connect", slot: self()},
			{Name: "routes", Kind: Opens, Opens: "routes", PerFile: true, Doc: "which request goes where", slot: self()},
			{Name: "upstreams", Kind: Opens, Opens: "upstreams", PerFile: true, Doc: "the servers behind the proxy", slot: self()},
			{
				Name: "limits", Kind: Opens, Opens: "limits", Merges: true, Doc: "limits of the whole process, and defaults for each listener",
				slot: value(func(c *Config) any { return &c.Limits }),
			},
			{
				Name: "timeouts", Kind: Opens, Opens: "timeouts", Doc: "defaults for every listener, route and upstream",
				slot: value(func(c *Config) any { return &c.Timeouts }),
			},
			{
				Name: "policies", Kind: Opens, Opens: "policies", Doc: "defaults for every route",
				slot: value(func(c *Config) any { return &c.Policies }),
			},
			{
				Name: "health-check", Kind: Opens, Opens: "health-check", Doc: "defaults for every upstream",
				slot: optional(func(c *Config) **HealthCheck { return &c.HealthCheck }),
			},
			{
				Name: "rate-limit", Kind: Opens, Opens: "rate-limit", Many: true, Doc: "the default for every listener and route",
				slot: several(func(c *Config) *[]*RateLimit { return &c.RateLimits }),
			},
			{
				Name: "rate-limit-store", Kind: Opens, Opens: "rate-limit-store", Doc: "where several proxies count their rate limits together",
				slot: optional(func(c *Config) **RateLimitStore { return &c.RateLimitStore }),
			},
			{
				Name: "security", Kind: Opens, Opens: "security", Doc: "the default for every listener and route",
				slot: optional(func(c *Config) **Security { return &c.Security }),
			},
			{
				Name: "access", Kind: Opens, Opens: "access", Doc: "which clients are let in, where neither listener nor route says",
				slot: optional(func(c *Config) **Access { return &c.Access }),
			},
			{
				Name: "geoip", Kind: Opens, Opens: "geoip", Doc: "databases that know where addresses are",
				slot: optional(func(c *Config) **GeoIP { return &c.GeoIP }),
			},
			{
				Name: "acme", Kind: Opens, Opens: "acme", Doc: "who issues the certificates of listeners",
				slot: optional(func(c *Config) **ACME { return &c.ACME }),
			},
			{
				Name: "observability", Kind: Opens, Opens: "observability", Doc: "metrics and logs",
				slot: value(func(c *Config) any { return &c.Observability }),
			},
		},
	}
}
