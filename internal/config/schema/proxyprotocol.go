package schema

import (
	"net/netip"
	"time"
)

// ProxyProtocol says which peers of a listener begin connections with a PROXY header.
type ProxyProtocol struct {
	Block
	From    []Value[netip.Prefix]
	Timeout Value[time.Duration]
	Header  Value[string] // "required" or "optional"
	Others  Value[string] // "refuse" or "plain"
}

func proxyProtocolBlock() blockDef {
	return blockDef{
		name: "proxy-protocol",
		doc: "Load balancers in front that say by a PROXY header (version 1 or 2) whose connection they hand on. The client named there counts for limits, bans, access lists and logs. " +
			"Whoever may send the header may claim any address, so there is no default for `from`. 127.0.0.1 and ::1 may always do without the header. See [proxy-protocol.md](../proxy-protocol.md).",
		keys: []Key{
			{
				Name: "from", Kind: Prefixes, Many: true, Required: true, Doc: "peers whose header is believed",
				slot: value(func(p *ProxyProtocol) any { return &p.From }),
			},
			{
				Name: "timeout-secs", Kind: Seconds, Unit: "seconds", Max: 3600, Default: "5", Label: "time for the PROXY header",
				Doc: "how long the header may take from the moment the connection is accepted", slot: value(func(p *ProxyProtocol) any { return &p.Timeout }),
			},
			{
				Name: "header", Kind: Enum, Words: []string{"required", "optional"}, Default: "required",
				Doc:  "connections of these peers without a header: reset them, or take the peer for the client",
				slot: value(func(p *ProxyProtocol) any { return &p.Header }),
			},
			{
				Name: "others", Kind: Enum, Words: []string{"refuse", "plain"}, Default: "refuse",
				Doc:  "all other peers: reset their connections, or take them for clients that send no header",
				slot: value(func(p *ProxyProtocol) any { return &p.Others }),
			},
		},
		finish: finishProxyProtocol,
	}
}

// finishProxyProtocol warns of a list that believes everybody.
func finishProxyProtocol(d *decoder, b any) {
	for _, p := range b.(*ProxyProtocol).From {
		if p.V.Bits() == 0 {
			d.warnAt(p.From, "proxy-protocol believes everybody: any client may claim any address").hint("list the load balancers instead")
		}
	}
}
