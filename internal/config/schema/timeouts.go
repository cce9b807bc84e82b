package schema

import "time"

// Timeouts bound how long an exchange may wait.
type Timeouts struct {
	Block
	Connect     Value[time.Duration]
	Request     Value[time.Duration]
	Read        Value[time.Duration]
	Write       Value[time.Duration]
	Header      Value[time.Duration]
	Idle        Value[time.Duration]
	TunnelIdle  Value[time.Duration]
	MinBodyRate Value[int64] // bytes per second; 0 means no minimum
	// MinResponseRate is the same for responses.
	MinResponseRate Value[int64]
}

func timeoutBlocks() []blockDef {
	client := []string{"", "listener"}
	return []blockDef{{
		name: "timeouts",
		doc: "How long an exchange may wait. The nearest block wins, key by key: that of the route, then of the upstream, then of the top level. " +
			"What a listener sets holds towards its clients; its request-secs holds for exchanges whose route and upstream set none.",
		keys: []Key{
			{
				Name: "connect-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "10", Label: "connect timeout", In: []string{"", "upstream"},
				Doc: "until a connection to a target stands, else 504", slot: value(func(t *Timeouts) any { return &t.Connect }),
			},
			{
				Name: "request-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "30", Label: "request timeout",
				Doc: "for a whole exchange with queueing and all tries, else 504; where it is written it covers the content both ways, the default ends with the head of the response", slot: value(func(t *Timeouts) any { return &t.Request }),
			},
			{
				Name: "read-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "15", Label: "read timeout",
				Doc: "between two reads of a message that has begun, of a request (else 408) or of a response", slot: value(func(t *Timeouts) any { return &t.Read }),
			},
			{
				Name: "write-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "15", Label: "write timeout", In: []string{"", "listener", "upstream"},
				Doc: "until the peer, client or upstream, takes more bytes", slot: value(func(t *Timeouts) any { return &t.Write }),
			},
			{
				Name: "header-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "10", Label: "header timeout", In: client,
				Doc: "from the first byte of a request's head to its last, else 408", slot: value(func(t *Timeouts) any { return &t.Header }),
			},
			{
				Name: "idle-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "75", Label: "idle timeout", In: client,
				Doc: "how long a client connection may be without a request", slot: value(func(t *Timeouts) any { return &t.Idle }),
			},
			{
				Name: "tunnel-idle-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "3600", Label: "tunnel idle timeout", In: []string{"", "listener", "route"},
				Doc: "how long an upgraded connection, such as a WebSocket, may carry nothing either way", slot: value(func(t *Timeouts) any { return &t.TunnelIdle }),
			},
			{
				Name: "min-body-rate", Kind: Rate, Unit: "bytes per second", Max: 1 << 40, Default: "240", ZeroOff: true, Label: "minimum body rate", In: client,
				Doc: "slower request bodies are cut off with 408 after a grace time of read-secs; 0 means no minimum", slot: value(func(t *Timeouts) any { return &t.MinBodyRate }),
			},
			{
				Name: "min-response-rate", Kind: Rate, Unit: "bytes per second", Max: 1 << 40, Default: "240", ZeroOff: true, Label: "minimum response rate", In: client,
				Doc: "clients that take less of a response that waits for them are cut off, looked at once in write-secs; 0 means no minimum", slot: value(func(t *Timeouts) any { return &t.MinResponseRate }),
			},
		},
	}}
}

// EffectiveTimeouts returns what holds for an exchange on that listener,
// route and upstream: for each key the nearest block that sets it. r and u
// may be nil.
func EffectiveTimeouts(l *Listener, r *Route, u *Upstream) Timeouts {
	t := l.Timeouts
	if u != nil {
		overlay(&t, &u.Timeouts)
	}
	if r != nil {
		overlay(&t, &r.Timeouts)
	}
	return t
}

// overlay copies to dst what was written in src itself.
func overlay(dst, src *Timeouts) {
	for _, k := range table()["timeouts"].rows {
		switch from := k.slot.at(src).(type) {
		case *Value[time.Duration]:
			if from.From.Kind == Written {
				*k.slot.at(dst).(*Value[time.Duration]) = *from
			}
		case *Value[int64]:
			if from.From.Kind == Written {
				*k.slot.at(dst).(*Value[int64]) = *from
			}
		}
	}
}
