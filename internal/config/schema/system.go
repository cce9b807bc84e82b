package schema

import (
	"net/netip"
	"time"
)

// System is the process itself.
type System struct {
	Block
	WorkerThreads    Value[int64] // 0 means one for each CPU
	PIDFile          Value[string]
	StateDir         Value[string]
	AdminSocket      Value[string]
	TrustedProxies   []Value[netip.Prefix]
	ShutdownTimeout  Value[time.Duration]
	KernelBans       Value[string]        // "off", "on" or "required"
	CertificateCheck Value[time.Duration] // 0: files aren't looked at
	RequestID        RequestID
	ForwardedHeaders ForwardedHeaders
	Resolver         Resolver
	Admin            Admin
	Reload           Reload
}

// Resolver says how the names of targets are looked up.
type Resolver struct {
	Block
	Servers  []Value[string] // "ip:port"; none: those of the machine
	MinTTL   Value[time.Duration]
	MaxTTL   Value[time.Duration]
	Timeout  Value[time.Duration] // of one question to one server
	MaxStale Value[time.Duration] // 0 means no limit
}

// defaultRequestID is the field of the request id when nobody says otherwise.
const defaultRequestID = "X-Request-Id"

// RequestID says how requests are named.
type RequestID struct {
	Block
	Header Value[string] // field name, in the spelling to send
	Accept Value[string] // "trusted" or "never"
}

// ForwardedHeaders says which fields tell the upstream about the client.
type ForwardedHeaders struct {
	Block
	XForwarded Value[bool] // X-Forwarded-For, -Proto and -Host
	Forwarded  Value[bool] // Forwarded, RFC 7239
}

func systemBlock() blockDef {
	return blockDef{
		name: "system",
		doc:  "The process itself. `server` is the same block.",
		keys: []Key{
			{
				Name: "worker-threads", Kind: Int, Unit: "threads", Min: 0, Max: 1024, Default: "0", ZeroOff: true,
				Doc:  "threads that carry traffic; 0 takes one for each CPU",
				slot: value(func(s *System) any { return &s.WorkerThreads }),
			},
			{
				Name: "pid-file", Kind: Text, Default: "/var/run/sentinel.pid", check: checkFile,
				Doc:  "file that holds the process id while the proxy serves",
				slot: value(func(s *System) any { return &s.PIDFile }),
			},
			{
				Name: "state-dir", Kind: Text, Default: "/var/lib/sentinel", check: checkFile,
				Doc:  "folder for what survives a restart, such as the last known good configurations",
				slot: value(func(s *System) any { return &s.StateDir }),
			},
			{
				Name: "admin-socket", Kind: Text, Default: "/var/run/sentinel/admin.sock", check: checkFile,
				Doc:  "unix socket of the local admin API",
				slot: value(func(s *System) any { return &s.AdminSocket }),
			},
			{
				Name: "trusted-proxies", Kind: Prefixes, Many: true,
				Doc:  "peers whose forwarded fields and request ids are believed; nobody else's are",
				slot: value(func(s *System) any { return &s.TrustedProxies }),
			},
			{
				Name: "graceful-shutdown-timeout-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "30",
				Label: "time to drain at shutdown", Doc: "how long running requests may take to finish once the proxy drains",
				slot: value(func(s *System) any { return &s.ShutdownTimeout }),
			},
			{
				Name: "kernel-bans", Kind: Enum, Words: []string{"off", "on", "required"}, Default: "off", Label: "bans in the kernel",
				Doc:  "whether the kernel drops connections of banned clients, by a table of nftables; on does without where that isn't possible, required refuses to serve then",
				slot: value(func(s *System) any { return &s.KernelBans }),
			},
			{
				Name: "certificate-check-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "10", ZeroOff: true,
				Label: "time between two looks at the files of certificates",
				Doc:   "how often it is looked whether files of certificates have changed, which are then loaded; 0 leaves that to reloads",
				slot:  value(func(s *System) any { return &s.CertificateCheck }),
			},
			{
				Name: "request-id", Kind: Opens, Opens: "request-id", Doc: "how requests are named",
				slot: value(func(s *System) any { return &s.RequestID }),
			},
			{
				Name: "forwarded-headers", Kind: Opens, Opens: "forwarded-headers", Doc: "what upstreams are told about the client",
				slot: value(func(s *System) any { return &s.ForwardedHeaders }),
			},
			{
				Name: "resolver", Kind: Opens, Opens: "resolver", Doc: "how the names of targets are looked up",
				slot: value(func(s *System) any { return &s.Resolver }),
			},
			{
				Name: "admin", Kind: Opens, Opens: "admin", Doc: "who may ask the running process what, and where",
				slot: value(func(s *System) any { return &s.Admin }),
			},
			{
				Name: "reload", Kind: Opens, Opens: "reload", Doc: "what is made of a reload after which requests fare worse",
				slot: value(func(s *System) any { return &s.Reload }),
			},
		},
	}
}

func systemParts() []blockDef {
	return []blockDef{{
		name: "request-id",
		doc:  "Every request has an id, in the logs, in error answers and in a field sent to the upstream.",
		keys: []Key{
			{
				Name: "header", Kind: Text, Default: defaultRequestID, check: checkOwnField, Doc: "name of the field that carries the id",
				slot: value(func(r *RequestID) any { return &r.Header }),
			},
			{
				Name: "accept", Kind: Enum, Words: []string{"trusted", "never"}, Default: "trusted",
				Doc:  "whose ids are kept: those of trusted-proxies, or nobody's",
				slot: value(func(r *RequestID) any { return &r.Accept }),
			},
		},
	}, {
		name: "forwarded-headers",
		doc:  "The fields that tell an upstream about the true client. Fields of that name from a peer outside trusted-proxies are always dropped.",
		keys: []Key{
			{
				Name: "x-forwarded", Kind: Bool, Default: "#true", Doc: "send X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host",
				slot: value(func(f *ForwardedHeaders) any { return &f.XForwarded }),
			},
			{
				Name: "forwarded", Kind: Bool, Default: "#true", Doc: "send Forwarded (RFC 7239)",
				slot: value(func(f *ForwardedHeaders) any { return &f.Forwarded }),
			},
		},
	}, resolverBlock(), reloadBlock()}
}

func resolverBlock() blockDef {
	return blockDef{
		name: "resolver", doc: "How the names of targets are looked up, in the background and again whenever an answer has aged.",
		keys: []Key{
			{
				Name: "server", Kind: Address, Many: true, check: checkResolver, Doc: "IP address and port of a name server; without it, those of `/etc/resolv.conf`",
				slot: value(func(r *Resolver) any { return &r.Servers }),
			},
			{
				Name: "min-ttl-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "5", Label: "shortest TTL", Doc: "an answer is used for at least that long",
				slot: value(func(r *Resolver) any { return &r.MinTTL }),
			},
			{
				Name: "max-ttl-secs", Kind: Seconds, Unit: "seconds", Max: 604800, Default: "300", Label: "longest TTL", Doc: "an answer is asked for again after that at the latest",
				slot: value(func(r *Resolver) any { return &r.MaxTTL }),
			},
			{
				Name: "timeout-secs", Kind: Seconds, Unit: "seconds", Max: 60, Default: "2", Label: "timeout", Doc: "how long one name server may take",
				slot: value(func(r *Resolver) any { return &r.Timeout }),
			},
			{
				Name: "max-stale-secs", Kind: Seconds, Unit: "seconds", Max: 31536000, Default: "0", ZeroOff: true, Label: "longest use of an old answer",
				Doc: "how long the last good answer is kept while no server gives a new one; 0 means no limit", slot: value(func(r *Resolver) any { return &r.MaxStale }),
			},
		},
		finish: func(d *decoder, b any) { d.ordered("resolver", b, "min-ttl-secs", "max-ttl-secs") },
	}
}
