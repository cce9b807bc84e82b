package tlsedge

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// ErrLeft is a client that wants no more: one that left without a byte, as port checks do, or
// an authority that has seen the proof of a name. It is nobody's failure.
var ErrLeft = errors.New("client wants nothing beyond its handshake")

// Accept takes the handshake of a client, at most as long as a handshake may take, and makes
// the connection a secured one. settled says what is known, of a handshake that has failed as
// far as it went. An error is ErrLeft or a *fault.Fault. A client that speaks HTTP without TLS
// has been answered.
//
// The handshake runs beside the caller, whose stack stays small: that of a handshake is
// several times what a connection needs from then on.
func (e *Edge) Accept(nc *netio.Conn) (settled *message.TLS, err error) {
	nc.SetWriteTimeout(e.timeout)
	nc.SetReadDeadline(nc.Clock().Now() + e.timeout)
	h := &handshake{Conn: nc.Transport(), settled: new(message.TLS)}
	layer := tls.Server(h, e.root)
	if err := netio.Go(layer.Handshake).Wait(); err != nil {
		return h.settled, h.failed(nc, err)
	}
	nc.Secure(layer)
	e.settle(h.settled, layer)
	if h.settled.Protocol == Proof {
		return h.settled, ErrLeft
	}
	return h.settled, nil
}

// settle takes note of what a handshake has come to.
func (e *Edge) settle(t *message.TLS, layer *tls.Conn) {
	cs := layer.ConnectionState()
	t.Protocol, t.Resumed, t.Version = cs.NegotiatedProtocol, cs.DidResume, cs.Version
	t.ServerName, t.Policy = cs.ServerName, e.siteOf(cs.ServerName).policy
	if len(cs.VerifiedChains) > 0 {
		t.Client = identityOf(cs.PeerCertificates[0])
	}
}

// handshake is the transport of a connection whose handshake is under way.
type handshake struct {
	net.Conn
	settled *message.TLS
	read    bool // a byte has come
}

// Read implements net.Conn.
func (h *handshake) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.read = h.read || n > 0
	return n, err
}

// failed says why a handshake has failed.
func (h *handshake) failed(nc *netio.Conn, err error) error {
	var record tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	k := fault.TLSHandshake
	switch {
	case !h.read && err == io.EOF:
		return ErrLeft
	case netio.Unwrapped(err) == netio.ErrTimeout:
		k = fault.TLSTimeout
	case errors.As(err, &record) && looksLikeHTTP(record.RecordHeader):
		k = fault.Unencrypted
		answerPlain(nc)
	case errors.As(err, &certificate), errors.Is(err, errCertificate), err.Error() == missingCertificate:
		k = fault.ClientCertificate
	}
	return k.With(err)
}

// missingCertificate is the text of the error of crypto/tls that has no type, when a client
// that must have a certificate has none. TestClientAuth holds it to that.
const missingCertificate = "tls: client didn't provide a certificate"

// looksLikeHTTP reports whether what stands where a record should begin is that of a request:
// a method in capitals.
func looksLikeHTTP(header [5]byte) bool {
	for i, c := range header {
		if (c < 'A' || c > 'Z') && (i < 3 || c != ' ' && c != '/') {
			return false
		}
	}
	return true
}

const (
	// plainLinger and plainBytesMax bound what is read and dropped behind the answer to a
	// client without TLS, so that a reset doesn't overtake it.
	plainLinger   = time.Second
	plainBytesMax = 64 << 10
)

// answerPlain tells a client that speaks HTTP without TLS that it should speak TLS.
func answerPlain(nc *netio.Conn) {
	if _, err := nc.Write(plainAnswer()); err != nil {
		return
	}
	nc.CloseWrite()
	nc.SetReadDeadline(nc.Clock().Now() + plainLinger)
	var sink [1024]byte
	for taken := 0; taken < plainBytesMax; {
		n, err := nc.Read(sink[:])
		if err != nil {
			return
		}
		taken += n
	}
}

func plainAnswer() []byte {
	body := fault.AppendBody(nil, fault.Unencrypted, fault.Unencrypted.Status(), "", fault.FormText)
	head := "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n\r\n"
	return append([]byte(head), body...)
}
