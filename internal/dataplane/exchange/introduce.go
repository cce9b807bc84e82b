package exchange

import (
	"net"
	"net/netip"

	"sentinel/internal/dataplane/listen"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/proxyproto"
	"sentinel/internal/dataplane/upstream"
)

// noteConnection keeps what PROXY headers to upstreams say beside the client: where it has
// connected to, and what a header from before us has added.
func noteConnection(client *message.Client, c *listen.Conn) {
	if a, ok := c.Net.NetConn().LocalAddr().(*net.TCPAddr); ok {
		client.Local = a.AddrPort()
	}
	if h := c.Header; h != nil && !h.Local {
		client.Local, client.TLVs = h.Destination, h.TLVs
	}
}

// introduction returns the PROXY header by which connections to u begin, appended to dst; nil
// where they have none. Behind trusted proxies the port of the client isn't known: it is 0.
func (x *exchange) introduction(dst []byte, u *upstream.Upstream) []byte {
	if u.ProxyHeader == 0 {
		return nil
	}
	c := x.req.Client
	source, tlvs := c.Addr, c.TLVs
	if x.client != c.Addr.Addr() {
		source, tlvs = netip.AddrPortFrom(x.client, 0), nil
	}
	return proxyproto.Append(dst[:0], u.ProxyHeader, source, c.Local, tlvs)
}
