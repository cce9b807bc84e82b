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
	Mode                     Value[string]
	// Shadow are the blocks in shadow mode: what is over them is counted and let in. Nil for
	// none; nothing in it is a default, and what isn't set bounds nothing.
	Shadow *Limits
}

func limitBlocks() []blockDef {
	client := []string{"", "listener"}
	return []blockDef{{
		name: "limits",
		doc: "What clients may use. Repeated blocks merge and the strictest value of each key wins; those with `mode \"shadow\"` merge with each other only. " +
			"At top level, connections count for the whole process too.",
		finish: finishLimits,
		keys: []Key{
			{
				Name: "mode", Kind: Enum, Words: []string{modeEnforce, modeShadow}, Default: modeEnforce,
				Doc:  "what the bounds of this block do: shadow counts what would be refused in `sentinel_shadowed_total` and lets it in; bounds of other blocks hold all the same",
				slot: value(func(l *Limits) any { return &l.Mode }),
			},
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

// The modes of limits.
const (
	modeEnforce = "enforce"
	modeShadow  = "shadow"
)

// finishLimits refuses what shadow mode has no count for, and a block in it that counts nothing.
func finishLimits(d *decoder, b any) {
	l := b.(*Limits)
	if l.Mode.V != modeShadow {
		return
	}
	if l.MaxMemory.IsSet() {
		d.errorAt(l.MaxMemory.From, "max-memory has no shadow mode: it refuses nobody until memory is short").
			hint("watch sentinel_memory_budget_bytes and the resident size instead, or set it in a block without mode")
	}
	if l.MaxRequestsPerConnection.IsSet() {
		d.errorAt(l.MaxRequestsPerConnection.From, "max-requests-per-connection has no shadow mode: it refuses nothing, it ends connections after an answer").
			hint("set it in a block without mode")
	}
	if !d.tried(l, shadowKeys...) {
		d.errorAt(l.Mode.From, "limits in shadow mode bound nothing").hint("add the bounds that are to be tried to this block")
	}
}

// shadowKeys are the bounds that shadow mode counts.
var shadowKeys = []string{
	"max-connections", "max-connections-per-client", "max-concurrent-requests", "max-body-size", "max-header-size", "max-header-count",
	"max-uri-length", "max-memory", "max-requests-per-connection",
}
