package schema

// HTTP2 says whether and how a listener speaks HTTP/2.
type HTTP2 struct {
	Block
	Enabled              Value[bool] // over TLS
	H2C                  Value[bool]
	Only                 Value[bool]
	MaxConcurrentStreams Value[int64]
	InitialWindowSize    Value[int64] // bytes
	ConnectionWindowSize Value[int64] // bytes
	MaxFrameSize         Value[int64] // bytes
}

func http2Block() blockDef {
	return blockDef{
		name: "http2",
		doc:  "How HTTP/2 is spoken. All limits and timeouts of the listener hold for it, too. See [http2.md](../http2.md).",
		keys: []Key{
			{
				Name: "enabled", Kind: Bool, Default: "#true", Doc: "offer HTTP/2 to clients in the handshake of TLS; it has no effect without TLS",
				slot: value(func(h *HTTP2) any { return &h.Enabled }),
			},
			{
				Name: "h2c", Kind: Bool, Default: "#false",
				Doc:  "take HTTP/2 without TLS from clients that begin with it (prior knowledge), beside HTTP/1.1 on the same port; never by Upgrade",
				slot: value(func(h *HTTP2) any { return &h.H2C }),
			},
			{
				Name: "only", Kind: Bool, Default: "#false",
				Doc:  "speak nothing else, for listeners that other proxies or gRPC clients use: a connection that doesn't begin with HTTP/2 ends",
				slot: value(func(h *HTTP2) any { return &h.Only }),
			},
			{
				Name: "max-concurrent-streams", Kind: Int, Unit: "streams", Min: 1, Max: 1000, Default: "128",
				Doc: "requests at once on one connection; one more is refused", slot: value(func(h *HTTP2) any { return &h.MaxConcurrentStreams }),
			},
			{
				Name: "initial-window-size", Kind: Size, Unit: "bytes", Min: 16384, Max: 16 << 20, Default: "64KiB",
				Doc: "request content that may wait in memory for an upstream, of one request", slot: value(func(h *HTTP2) any { return &h.InitialWindowSize }),
			},
			{
				Name: "connection-window-size", Kind: Size, Unit: "bytes", Min: 65536, Max: 256 << 20, Default: "256KiB",
				Doc: "the same of all requests of one connection", slot: value(func(h *HTTP2) any { return &h.ConnectionWindowSize }),
			},
			{
				Name: "max-frame-size", Kind: Size, Unit: "bytes", Min: 16384, Max: 1<<24 - 1, Default: "16KiB",
				Doc: "payload of a frame that clients may send", slot: value(func(h *HTTP2) any { return &h.MaxFrameSize }),
			},
		},
		finish: func(d *decoder, b any) { d.ordered("http2", b, "initial-window-size", "connection-window-size") },
	}
}

// http2 reports what has no effect because the listener doesn't speak HTTP/2, or not so.
func (d *decoder) http2(l *Listener) {
	h := &l.HTTP2
	switch off := h.Enabled.IsSet() && !h.Enabled.V; {
	case l.TLS != nil && h.H2C.V:
		d.errorAt(h.H2C.From, "h2c has no effect: with tls, HTTP/2 is agreed on in the handshake").hint("remove it")
		return
	case l.TLS == nil && off:
		d.errorAt(h.Enabled.From, "enabled has no effect without tls").hint("remove it")
		return
	case h.H2C.V || l.TLS != nil && !off:
		return
	}
	for _, k := range d.specs["http2"].rows {
		from := Origin{}
		switch v := k.slot.at(h).(type) {
		case *Value[bool]:
			if v.V && v != &h.Enabled {
				from = v.From
			}
		case *Value[int64]:
			if v.V != k.preset {
				from = v.From
			}
		}
		if from.Kind == Written {
			d.errorAt(from, "%s has no effect, since this listener doesn't speak HTTP/2", k.Name).
				hint("take HTTP/2 without TLS by h2c #true, or remove %s", k.Name)
		}
	}
}
