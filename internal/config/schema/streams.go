package schema

import (
	"slices"
	"strings"
	"time"
)

// TCP says where the connections of a listener with protocol "tcp" go.
type TCP struct {
	Block
	Upstream Value[string] // where no route takes the server name; unset: nowhere
	Fallback Value[string]
	Hello    Value[time.Duration]
	Idle     Value[time.Duration] // 0: never
	Orphan   Value[time.Duration] // 0: without end
}

// protocolTCP is the protocol of listeners whose connections are streams of bytes.
const protocolTCP = "tcp"

func tcpBlock() blockDef {
	return blockDef{
		name: "tcp",
		doc: "Where the connections of a listener with `protocol \"tcp\"` go: streams of bytes that are passed on as they come. Routes whose `matches` hold `sni` take those that begin with TLS and ask for one of their names; " +
			"TLS isn't ended. See [tcp.md](../tcp.md).",
		keys: []Key{
			{
				Name: "upstream", Kind: Text, check: checkName, Doc: "upstream of all streams that no route takes; without it those are refused",
				slot: value(func(t *TCP) any { return &t.Upstream }),
			},
			{
				Name: "fallback-upstream", Kind: Text, check: checkName, Doc: "upstream of those when the first one can't be reached",
				slot: value(func(t *TCP) any { return &t.Fallback }),
			},
			{
				Name: "hello-timeout-secs", Kind: Seconds, Unit: "seconds", Max: 3600, Default: "5", Label: "time for the server name",
				Doc: "until the server name is there, where routes ask for one", slot: value(func(t *TCP) any { return &t.Hello }),
			},
			{
				Name: "idle-timeout-secs", Kind: Seconds, Unit: "seconds", Max: 604800, Default: "3600", ZeroOff: true, Label: "idle timeout of streams",
				Doc: "streams without a byte either way for so long are closed; 0 means never", slot: value(func(t *TCP) any { return &t.Idle }),
			},
			{
				Name: "orphan-timeout-secs", Kind: Seconds, Unit: "seconds", Max: 604800, Default: "300", ZeroOff: true, Label: "life of streams without a route",
				Doc: "how long streams go on whose route a reload has taken away; 0 means without end", slot: value(func(t *TCP) any { return &t.Orphan }),
			},
		},
		finish: func(d *decoder, b any) {
			t := b.(*TCP)
			if t.Fallback.IsSet() && !d.tried(t, "upstream") {
				d.errorAt(t.Fallback.From, "fallback-upstream has no effect without upstream").hint("add upstream, or remove it")
			}
		},
	}
}

// DefaultTCP returns what holds for a listener without a block of its own.
func DefaultTCP() *TCP {
	t := new(TCP)
	fill(table()["tcp"], t)
	return t
}

// only reports the keys of a block that have no effect because of what it is.
func (d *decoder) only(block string, b any, because string, may ...string) {
	for _, k := range d.specs[block].rows {
		if at := d.written[place{b, k.Name}]; at.IsSet() && !slices.Contains(may, k.Name) {
			d.errorAt(at, "%s has no effect %s", k.Name, because).hint("remove it")
		}
	}
}

// streamListenerKeys are the keys of a listener that mean something for streams.
func streamListenerKeys() []string {
	return []string{"name", "address", "protocol", "limits", "access", "proxy-protocol", "tcp"}
}

// isOfRequests reports whether k means nothing in block because that takes streams.
func isOfRequests(k *Key, block any) bool {
	l, ok := block.(*Listener)
	return ok && l.Protocol.V == protocolTCP && !slices.Contains(streamListenerKeys(), k.Name)
}

// streamListener checks a listener by whether its connections are streams.
func (d *decoder) streamListener(l *Listener) {
	if l.Protocol.V != protocolTCP {
		if l.TCP != nil && !d.botched(l, "protocol", l.Protocol.From) {
			d.errorAt(l.TCP.From, "tcp has no effect without protocol \"tcp\"").hint("add protocol \"tcp\"")
		}
		return
	}
	const because = "with protocol \"tcp\", which passes bytes on"
	d.only("listener", l, because, streamListenerKeys()...)
	for _, limits := range []*Limits{&l.Limits, l.Limits.Shadow} {
		d.only("limits", limits, because, "mode", "max-connections", "max-connections-per-client")
	}
}

// streamRoute checks a route of streams. It reports whether it is one.
func (d *decoder) streamRoute(r *Route) bool {
	if len(r.Matches.SNI) == 0 {
		return false
	}
	const because = "in a route of streams, which matches by sni"
	d.only("route", r, because, "name", "priority", "matches", "upstream", "fallback-upstream", "use-fallback", "access")
	d.only("matches", &r.Matches, because, "sni")
	if !d.tried(r, "upstream") {
		d.errorAt(r.From, "route %q of streams needs upstream", r.Name.V).hint(`add upstream "NAME"`)
	}
	return true
}

// streams checks what only the whole configuration tells about streams. names are the
// upstreams; used takes note of those that streams need.
func (d *decoder) streams(c *Config, names map[string]Origin, used map[string]bool) {
	var first *Route
	needed := make(map[string]Origin) // upstreams, and what needs them
	for _, r := range c.Routes {
		if len(r.Matches.SNI) == 0 {
			continue
		}
		if first == nil {
			first = r
		}
		for _, name := range references(r) {
			needed[name.V] = name.From
		}
	}
	listens := false
	for _, l := range c.Listeners {
		if l.Protocol.V != protocolTCP {
			continue
		}
		listens = true
		if (l.TCP == nil || !d.tried(l.TCP, "upstream")) && first == nil {
			d.errorAt(l.From, "listener %q leads nowhere", l.Name.V).hint(`add tcp { upstream "NAME" }, or routes with matches { sni "NAME" }`)
		}
		if l.TCP == nil {
			continue
		}
		for _, name := range []Value[string]{l.TCP.Upstream, l.TCP.Fallback} {
			if name.IsSet() {
				used[name.V] = true
				needed[name.V] = name.From
				d.refers(names, name)
			}
		}
		if t := l.TCP; t.Fallback.IsSet() && t.Fallback.V == t.Upstream.V {
			d.errorAt(t.Fallback.From, "fallback-upstream %q is the upstream that is used anyway", t.Fallback.V).hint("name another upstream, or remove it")
		}
	}
	if first != nil && !listens {
		d.errorAt(first.From, "route %q takes streams, and no listener has protocol \"tcp\"", first.Name.V).
			hint(`add a listener with protocol "tcp", or match by host`)
	}
	for _, u := range c.Upstreams {
		if at, ok := needed[u.Name.V]; ok && u.TLS != nil {
			d.errorAt(at, "upstream %q has tls, and streams are passed on as they come", u.Name.V).
				hint("remove tls there, or use another upstream").related(u.TLS.From, "its tls is here")
		}
	}
}

// headers reports upstreams that want PROXY headers and speak HTTP/2, whose connections carry
// the requests of many clients.
func (d *decoder) headers(c *Config) {
	for _, u := range c.Upstreams {
		if u.ProxyProtocol.IsSet() && u.Protocol.V != "" && u.Protocol.V != "http1" {
			d.errorAt(u.ProxyProtocol.From, "upstream %q speaks HTTP/2, whose connections carry the requests of many clients: a PROXY header can't name them all", u.Name.V).
				hint("write protocol \"http1\", or remove proxy-protocol: the client stands in X-Forwarded-For and Forwarded").
				related(u.Protocol.From, "its protocol is here")
		}
	}
}

// checkStreamName checks a server name of TLS or a wildcard.
func checkStreamName(s string) (problem, hint string) {
	if strings.ContainsAny(s, ":[]") {
		return "is no server name", `write a host name without port, such as "db.example.com" or "*.example.com"`
	}
	return checkHost(s)
}
