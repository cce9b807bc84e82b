package tlsedge

import (
	"bytes"
	"crypto/tls"
	"time"
)

// Protocols that a client may ask for by ALPN (RFC 7301).
const (
	HTTP1 = "http/1.1"
	HTTP2 = "h2"
	Proof = "acme-tls/1" // asks for the proof of a name (RFC 8737), and for nothing after it
)

// Options are what an Edge is made of. It holds every site, the default one included.
type Options struct {
	// Protocols are offered by ALPN, the best first. A client that asks for others only is
	// refused; one that doesn't ask gets HTTP/1.1.
	Protocols              []string
	MinVersion, MaxVersion uint16
	CipherSuites           []uint16      // of TLS 1.2
	Curves                 []tls.CurveID // of key exchange
	HandshakeTimeout       time.Duration
	Tickets                *Tickets // nil: sessions aren't resumed
	// Prove returns the certificate that proves a name to an authority; nil for none. It may
	// wait. Prove itself is nil where names aren't proven so.
	Prove   func(hello *tls.ClientHelloInfo) *tls.Certificate
	Default *Site
	Sites   []*Site // with their names
}

// Edge takes handshakes.
type Edge struct {
	timeout  time.Duration
	root     *tls.Config
	def      *Site
	exact    map[string]*Site
	wildcard map[string]*Site // by what stands behind the first label, with its dot
	uniform  bool             // one policy holds for all
	sites    []*Site
	tickets  *Tickets
	prove    func(hello *tls.ClientHelloInfo) *tls.Certificate
}

// New returns an edge. A name that two sites have is the first one's.
func New(o Options) *Edge {
	e := &Edge{
		timeout: o.HandshakeTimeout, def: o.Default, tickets: o.Tickets, prove: o.Prove, uniform: true,
		exact: make(map[string]*Site), wildcard: make(map[string]*Site), sites: []*Site{o.Default},
	}
	for _, s := range o.Sites {
		if s != o.Default {
			e.sites = append(e.sites, s)
		}
		for _, name := range s.names {
			e.add(name, s)
		}
		e.uniform = e.uniform && s.policy == o.Default.policy
	}
	base := &tls.Config{
		MinVersion: o.MinVersion, MaxVersion: o.MaxVersion, CipherSuites: o.CipherSuites, CurvePreferences: o.Curves,
		NextProtos: o.Protocols, DynamicRecordSizingDisabled: true, SessionTicketsDisabled: o.Tickets == nil,
	}
	for _, s := range e.sites {
		s.configure(base.Clone(), o.Tickets)
	}
	e.root = base
	e.root.GetConfigForClient = e.choose
	e.root.GetCertificate = o.Default.certificate
	return e
}

func (e *Edge) add(name string, s *Site) {
	names := e.exact
	if name[0] == '*' {
		names, name = e.wildcard, name[1:]
	}
	if names[name] == nil {
		names[name] = s
	}
}

// Sites returns all sites, the default one first.
func (e *Edge) Sites() []*Site { return e.sites }

// Uniform reports whether one policy holds for all sites.
func (e *Edge) Uniform() bool { return e.uniform }

// choose implements tls.Config.GetConfigForClient.
func (e *Edge) choose(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if h, ok := hello.Conn.(*handshake); ok {
		h.settled.ServerName = hello.ServerName // to tell of, should it fail
	}
	if e.prove != nil && len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == Proof {
		if c := e.prove(hello); c != nil {
			return &tls.Config{Certificates: []tls.Certificate{*c}, NextProtos: []string{Proof}, SessionTicketsDisabled: true}, nil
		}
	}
	return e.siteOf(hello.ServerName).config, nil
}

// siteOf is Site for a server name as a client sent it, in any case.
func (e *Edge) siteOf(serverName string) *Site {
	var buf [nameBytesMax]byte
	if len(serverName) > len(buf) {
		return e.def
	}
	name := append(buf[:0], serverName...)
	for i, c := range name {
		if c-'A' < 26 {
			name[i] = c | 0x20
		}
	}
	return e.Site(name)
}

// nameBytesMax bounds a server name (RFC 1035 section 3.1).
const nameBytesMax = 255

// Site returns who a host belongs to. It is given in lower case, without port and final dot.
func (e *Edge) Site(host []byte) *Site {
	if s := e.exact[string(host)]; s != nil {
		return s
	}
	if dot := bytes.IndexByte(host, '.'); dot > 0 {
		if s := e.wildcard[string(host[dot:])]; s != nil {
			return s
		}
	}
	return e.def
}

// Serves reports whether a request for host, given as for Site, may come over a connection
// that was made under policy p.
func (e *Edge) Serves(host []byte, p Policy) bool {
	if e.uniform {
		return e.def.policy == p
	}
	return e.Site(host).policy == p
}
