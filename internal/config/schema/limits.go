package schema

// Limits bound what clients may use. Zero means no limit where the key says
// so.
type Limits struct {
	Block
	MaxConnections           Value[int64]
	MaxConnectionsPerClient  Value[int64]
	MaxRequestsPerConnection Value[int64]
	MaxBodySize              Value[int64] // bytes
	MaxHeaderSize            Value[int64] // bytes of the request head
	MaxHeaderCount           Value[int64] // field lines
	MaxURILength             Value[int64] // bytes of the request target; 0: as long as the head
	MaxConcurrentRequests    Value[int64]
	MaxMemory                Value[int64] // bytes of the process; 0: what the cgroup allows
}

func limitBlocks() []blockDef {
	client := []string{"", "listener"}
	return []blockDef{{
		name: "limits",
		doc:  "What clients may use. Repeated blocks merge and the strictest value of each key wins. At top level, connections count for the whole process too.",
		keys: []Key{
			{
				Name: "max-connections", Aliases: []string{"max-total-connections"}, Kind: Int, Unit: "connections", Max: 10000000, Default: "65536", ZeroOff: true, In: client,
				Doc: "open client connections at once; 0 means no limit", slot: value(func(l *Limits) any { return &l.MaxConnections }),
			},
			{
				Name: "max-connections-per-client", Kind: Int, Unit: "connections", Max: 10000000, Default: "0", ZeroOff: true, In: client,
				Doc: "the same for one client address; 0 means no limit", slot: value(func(l *Limits) any { return &l.MaxConnectionsPerClient }),
			},
			{
				Name: "max-requests-per-connection", Kind: Int, Unit: "requests", Max: 1000000000, Default: "0", ZeroOff: true, In: client,
				Doc: "requests before a connection is closed; 0 means no limit", slot: value(func(l *Limits) any { return &l.MaxRequestsPerConnection }),
			},
			{
				Name: "max-body-size", Kind: Size, Unit: "bytes", Max: 1 << 50, Default: "10MiB", ZeroOff: true,
				Doc: "content of a request, else 413; 0 means no limit", slot: value(func(l *Limits) any { return &l.MaxBodySize }),
			},
			{
				Name: "max-header-size", Aliases: []string{"max-request-head"}, Kind: Size, Unit: "bytes", Min: 1024, Max: 1<<16 - 1, Default: "8KiB", In: client,
				Doc: "request line and header together, else 431", slot: value(func(l *Limits) any { return &l.MaxHeaderSize }),
			},
			{
				Name: "max-header-count", Kind: Int, Unit: "fields", Min: 1, Max: 10000, Default: "100", In: client,
				Doc: "header fields of a request, else 431", slot: value(func(l *Limits) any { return &l.MaxHeaderCount }),
			},
			{
				Name: "max-uri-length", Kind: Size, Unit: "bytes", Max: 1<<16 - 1, Default: "0", ZeroOff: true, In: client,
				Doc: "request target, else 414; 0 means what the head has room for", slot: value(func(l *Limits) any { return &l.MaxURILength }),
			},
			{
				Name: "max-concurrent-requests", Kind: Int, Unit: "requests", Max: 10000000, Default: "0", ZeroOff: true, In: client,
				Doc: "requests in progress at once, else 503; 0 means no limit", slot: value(func(l *Limits) any { return &l.MaxConcurrentRequests }),
			},
			{
				Name: "max-memory", Kind: Size, Unit: "bytes", Max: 1 << 50, Default: "0", ZeroOff: true, In: []string{""},
				Doc: "memory of the process, before it begins to refuse; 0 means what its cgroup allows", slot: value(func(l *Limits) any { return &l.MaxMemory }),
			},
		},
	}}
}
