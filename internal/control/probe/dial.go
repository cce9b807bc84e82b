package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Dialer opens connections; *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Lookup resolves a host name; nil stands for the system's resolver.
type Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// addressesMax is how many addresses of a name one probe tries.
const addressesMax = 4

// asker is one probe under way.
type asker struct {
	dialer    Dialer
	lookup    Lookup
	target    Target
	check     *Check // with its defaults
	authority string
	t         *Transcript
}

// ask probes once and returns what happened. It ends when the check's timeout has passed
// or ctx ends, whatever the target does.
func (a *asker) ask(ctx context.Context) *Transcript {
	ctx, cancel := context.WithTimeout(ctx, a.check.Timeout)
	defer cancel()
	a.t = &Transcript{At: time.Now(), Kind: a.check.Kind.String()}
	f := a.walk(ctx)
	if a.t.Total == 0 {
		a.t.Total = a.since(a.t.At)
	}
	if a.t.OK = f == nil; f != nil {
		a.t.Layer, a.t.Cause, a.t.Own = f.layer, f.cause, f.own
	}
	return a.t
}

// since returns the time passed, never zero: zero says that a layer wasn't reached.
func (a *asker) since(start time.Time) Took { return Took(max(time.Since(start), 1)) }

func (a *asker) walk(ctx context.Context) *failure {
	dial, authority, err := a.target.addresses()
	if err != nil {
		return &failure{layer: LayerConnect, cause: "address has no port"}
	}
	a.authority = authority
	raw, f := a.connect(ctx, dial)
	if f != nil {
		return f
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if len(a.check.Preface) > 0 {
		if _, err := raw.Write(a.check.Preface); err != nil {
			return failed(LayerConnect, stoppedOr(ctx, err))
		}
	}
	conn := raw
	if a.check.TLS != nil {
		secure, f := a.handshake(ctx, raw)
		if f != nil {
			return f
		}
		conn = secure
	}
	switch a.check.Kind {
	case HTTP:
		if a.agreedHTTP2(conn) {
			f = a.askHTTP2(ctx, conn)
		} else {
			f = a.askHTTP(ctx, conn)
		}
	case GRPC:
		f = a.askGRPC(ctx, conn)
	}
	if f == nil && conn != raw {
		conn.Close() // says farewell in TLS too
	}
	return f
}

// connect resolves the name in address, if it is one, and connects to the first of its
// addresses that answers. Each address gets its share of the time that is left.
func (a *asker) connect(ctx context.Context, address string) (net.Conn, *failure) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &failure{layer: LayerConnect, cause: "address has no port"}
	}
	addrs, f := a.resolve(ctx, host)
	if f != nil {
		return nil, f
	}
	for i, addr := range addrs {
		var conn net.Conn
		if conn, f = a.connectOne(ctx, net.JoinHostPort(addr, port), len(addrs)-i); f == nil {
			return conn, nil
		}
	}
	return nil, f
}

func (a *asker) connectOne(ctx context.Context, address string, shares int) (net.Conn, *failure) {
	if deadline, ok := ctx.Deadline(); ok && shares > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(shares))
		defer cancel()
	}
	start := time.Now()
	a.t.Address = address
	conn, err := a.dialer.DialContext(ctx, "tcp", address)
	a.t.Connect = a.since(start)
	if err != nil {
		return nil, failed(LayerConnect, stoppedOr(ctx, err))
	}
	return conn, nil
}

// resolve returns the addresses of host, at least one.
func (a *asker) resolve(ctx context.Context, host string) ([]string, *failure) {
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{host}, nil
	}
	a.t.Name = cut(host, 253) // no name is longer
	start := time.Now()
	found, err := a.lookup(ctx, host)
	a.t.Resolve = a.since(start)
	if err != nil {
		return nil, failed(LayerResolve, stoppedOr(ctx, err))
	}
	if len(found) == 0 {
		return nil, &failure{layer: LayerResolve, cause: "name not found"}
	}
	var out []string
	for _, addr := range found[:min(len(found), addressesMax)] {
		out = append(out, addr.Unmap().String())
	}
	return out, nil
}

// handshake wraps conn in TLS and notes what the target showed, also when it was refused.
func (a *asker) handshake(ctx context.Context, raw net.Conn) (net.Conn, *failure) {
	cfg := a.check.TLS.Clone()
	cfg.ClientSessionCache = nil // the whole handshake, every time
	if cfg.ServerName == "" {
		host, _, _ := net.SplitHostPort(a.target.Address)
		cfg.ServerName = strings.TrimSuffix(host, ".")
	}
	switch a.check.Kind {
	case HTTP:
		if len(cfg.NextProtos) == 0 {
			cfg.NextProtos = []string{"http/1.1"}
		}
	case GRPC:
		cfg.NextProtos = []string{"h2"}
	}
	conn := tls.Client(raw, cfg)
	start := time.Now()
	err := conn.HandshakeContext(ctx)
	a.t.TLS = a.since(start)
	if err != nil {
		var verify *tls.CertificateVerificationError
		if errors.As(err, &verify) {
			a.note(&tls.ConnectionState{PeerCertificates: verify.UnverifiedCertificates})
		}
		return nil, failed(LayerTLS, stoppedOr(ctx, err))
	}
	state := conn.ConnectionState()
	a.note(&state)
	if a.check.Kind == GRPC && state.NegotiatedProtocol != "h2" {
		return nil, &failure{layer: LayerTLS, cause: "target does not offer HTTP/2"}
	}
	return conn, nil
}

func (a *asker) note(state *tls.ConnectionState) {
	if state.Version != 0 {
		a.t.TLSVersion = tls.VersionName(state.Version)
	}
	if len(state.PeerCertificates) > 0 {
		leaf := state.PeerCertificates[0]
		a.t.Certificate, a.t.Expires = cut(leaf.Subject.String(), certificateBytesMax), leaf.NotAfter
	}
}

// stoppedOr returns errStopped when ctx was cancelled, its deadline's error when that has
// passed, and else err: an error on a connection that ctx cut off says little.
func stoppedOr(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return errStopped
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}
