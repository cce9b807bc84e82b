package probe

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// askHTTP2 is askHTTP for a target that speaks HTTP/2: by agreement in the TLS handshake, or
// by prior knowledge.
func (a *asker) askHTTP2(ctx context.Context, conn net.Conn) *failure {
	req, err := newRequest(a.check, a.authority)
	if err != nil {
		return &failure{layer: LayerAnswer, cause: cannotBuild}
	}
	req.Close = false // means nothing in HTTP/2
	if a.check.TLS != nil {
		req.URL.Scheme = "https"
	}
	start := time.Now()
	cc, err := newHTTP2(ctx, conn)
	if err != nil {
		return http2Failed(ctx, err)
	}
	defer cc.Close()
	resp, err := cc.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return http2Failed(ctx, err)
	}
	defer resp.Body.Close()
	a.t.FirstByte = a.since(start)
	return a.judge(ctx, conn, resp)
}

// agreedHTTP2 reports whether the HTTP check is asked over HTTP/2.
func (a *asker) agreedHTTP2(conn net.Conn) bool {
	if a.check.TLS == nil {
		return a.check.HTTP2
	}
	s, ok := conn.(*tls.Conn)
	return ok && s.ConnectionState().NegotiatedProtocol == "h2"
}

// statusLine is what an answer began with, as far as its protocol has such a line.
func statusLine(resp *http.Response) string {
	return cut(resp.Proto+" "+resp.Status, statusLineBytesMax)
}
