package tlstest

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/pki"
	"sentinel/internal/testkit/rawclient"
)

// with returns the configuration of a client that has a certificate.
func (s *site) with(name string, cert *tls.Certificate) *tls.Config {
	c := s.client(name)
	if cert != nil {
		c.Certificates = []tls.Certificate{*cert}
	}
	return c
}

// Whom a listener asks for a certificate, and whose it believes, is what client-auth and
// ca-file say.
func TestClientAuth(t *testing.T) {
	clients, others := pki.New(t, "Clients"), pki.New(t, "Others")
	good, foreign, late := holder(t, clients).TLS(), holder(t, others).TLS(), clients.Issue(t, pki.Client("late").Until(time.Now().Add(-time.Hour))).TLS()
	for _, test := range []struct {
		mode                         string
		none, good, foreign, expired bool
	}{
		{"none", true, true, true, true},
		{"request", true, true, false, false},
		{"require", false, true, false, false},
	} {
		t.Run(test.mode, func(t *testing.T) {
			s := &site{t: t, ca: pki.New(t, "CA"), dir: t.TempDir()}
			s.issue("server", "server", "a.example")
			s.authorities("ca.pem", clients)
			auth := `client-auth "` + test.mode + `"`
			if test.mode != "none" {
				auth += `; ca-file "$F/ca.pem"`
			}
			s.run(auth, "")
			refused := 0
			for _, c := range []struct {
				what string
				cert *tls.Certificate
				want bool
			}{{"none", nil, test.none}, {"good", &good, test.good}, {"foreign", &foreign, test.foreign}, {"expired", &late, test.expired}} {
				for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
					config := s.with("a.example", c.cert)
					config.MaxVersion = version
					if c.cert != nil { // whatever authorities the server names
						config.Certificates, config.GetClientCertificate = nil, func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.cert, nil }
					}
					status, _, err := s.get(config, "a.example")
					if (status == 200) != c.want {
						t.Errorf("client-auth %s, %s certificate, %s = %d, %v", test.mode, c.what, tls.VersionName(version), status, err)
					}
					if !c.want {
						refused++
					}
				}
			}
			await(t, "the refusals are counted", func() bool {
				return refused == 0 || strings.Contains(s.Metrics(), `sentinel_faults_total{fault="client_certificate",route="-",side="client"} `+string(rune('0'+refused)))
			})
		})
	}
}

// A revoked certificate isn't believed, nor one that nobody can look up, also when a session
// is resumed that was made before.
func TestRevocation(t *testing.T) {
	clients := pki.New(t, "Clients")
	below := clients.Intermediate(t, "Below")
	revoked := holder(t, clients)
	good, bad, unknown := holder(t, clients).TLS(), revoked.TLS(), holder(t, below).TLS()
	s := &site{t: t, ca: pki.New(t, "CA"), dir: t.TempDir()}
	s.issue("server", "server", "a.example")
	s.authorities("ca.pem", clients, below)
	crl := filepath.Join(s.dir, "crl.pem")
	clients.Revoke(t, crl, time.Now().Add(time.Hour))
	s.run(`client-auth "require"; ca-file "$F/ca.pem"; crl-file "$F/crl.pem"`, "")
	sessions := s.with("a.example", &bad)
	sessions.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	if status, _, err := s.get(sessions, "a.example"); status != 200 {
		t.Fatalf("before it is revoked = %d, %v", status, err)
	}
	clients.Revoke(t, crl, time.Now().Add(time.Hour), revoked)
	if o := s.Reload(s.text); !o.OK {
		t.Fatalf("reload = %+v", o)
	}
	for _, test := range []struct {
		what   string
		client *tls.Config
		works  bool
	}{{"good", s.with("a.example", &good), true}, {"revoked", s.with("a.example", &bad), false}, {"revoked, resumed", sessions, false}, {"unknown", s.with("a.example", &unknown), false}} {
		if status, _, err := s.get(test.client, "a.example"); (status == 200) != test.works {
			t.Errorf("%s certificate = %d, %v", test.what, status, err)
		}
	}
	clients.Revoke(t, crl, time.Now().Add(-time.Hour))
	if o := s.Reload(s.text); o.OK || !strings.Contains(strings.Join(o.Details, " "), "ended at") {
		t.Errorf("reload with a list past its time = %+v", o)
	}
}

// The list of a name holds for that name; that of the whole listener only with its ca-file.
func TestRevocationByName(t *testing.T) {
	clients, others := pki.New(t, "Clients"), pki.New(t, "Others")
	revoked := holder(t, clients)
	bad, other := revoked.TLS(), holder(t, others).TLS()
	s := &site{t: t, ca: pki.New(t, "CA"), dir: t.TempDir()}
	s.issue("server", "server", "a.example", "b.example", "c.example")
	s.authorities("ca.pem", clients)
	s.authorities("others.pem", others)
	clients.Revoke(t, filepath.Join(s.dir, "empty.pem"), time.Now().Add(time.Hour))
	clients.Revoke(t, filepath.Join(s.dir, "crl.pem"), time.Now().Add(time.Hour), revoked)
	s.run(`client-auth "require"; ca-file "$F/ca.pem"; crl-file "$F/empty.pem"
        sni { hostnames "b.example"; cert-file "$F/server.crt"; key-file "$F/server.key"; crl-file "$F/crl.pem" }
        sni { hostnames "c.example"; cert-file "$F/server.crt"; key-file "$F/server.key"; ca-file "$F/others.pem" }`, "")
	for _, test := range []struct {
		name  string
		cert  *tls.Certificate
		works bool
	}{{"a.example", &bad, true}, {"b.example", &bad, false}, {"c.example", &other, true}} {
		if status, _, err := s.get(s.with(test.name, test.cert), test.name); (status == 200) != test.works {
			t.Errorf("%s = %d, %v, want success %v", test.name, status, err, test.works)
		}
	}
}

// twoPolicies runs a proxy with a host that asks nobody and two that ask by authorities of
// their own.
func twoPolicies(t *testing.T) (s *site, first, second tls.Certificate) {
	t.Helper()
	one, two := pki.New(t, "One"), pki.New(t, "Two")
	s = &site{t: t, ca: pki.New(t, "CA"), dir: t.TempDir()}
	s.issue("server", "server", "open.example", "one.example", "two.example", "also.example")
	s.authorities("one.pem", one)
	s.authorities("two.pem", two)
	block := func(host, more string) string {
		return `sni { hostnames ` + host + `; cert-file "$F/server.crt"; key-file "$F/server.key"; ` + more + ` }` + "\n"
	}
	s.run(block(`"one.example"`, `client-auth "require"; ca-file "$F/one.pem"`)+block(`"two.example"`, `client-auth "require"; ca-file "$F/two.pem"`)+
		block(`"also.example"`, ""), "")
	return s, holder(t, one).TLS(), holder(t, two).TLS()
}

// A request for a host that asks something else of clients than the connection's is sent
// away: it can't step around the certificate.
func TestMisdirected(t *testing.T) {
	s, first, second := twoPolicies(t)
	for _, test := range []struct {
		name, host string
		cert       *tls.Certificate
		want       int
	}{
		{"open.example", "open.example", nil, 200},
		{"open.example", "also.example", nil, 200},
		{"open.example", "unknown.example", nil, 200},
		{"", "open.example", nil, 200},
		{"one.example", "one.example", &first, 200},
		{"two.example", "two.example:443", &second, 200},
		{"open.example", "one.example", nil, 421},
		{"open.example", "ONE.example.", nil, 421},
		{"open.example", "one.example:8443", nil, 421},
		{"one.example", "two.example", &first, 421},
		{"one.example", "open.example", &first, 421},
		{"", "one.example", nil, 421},
	} {
		c := s.with(test.name, test.cert)
		if test.name == "" {
			c.InsecureSkipVerify = true
		}
		status, text, err := s.get(c, test.host)
		if status != test.want {
			t.Errorf("host %q over a connection for %q = %d %q, %v, want %d", test.host, test.name, status, text, err, test.want)
		}
	}
}

// A reload that asks something else of clients doesn't let connections from before go on.
func TestReloadAsksMore(t *testing.T) {
	clients := pki.New(t, "Clients")
	s := start(t, "", "")
	s.authorities("ca.pem", clients)
	nc, err := s.dial(s.client("a.example"))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := ask(nc, "a.example"); err != nil || r.Status != 200 {
		t.Fatalf("before = %d, %v", r.Status, err)
	}
	if o := s.Reload(s.config(`client-auth "require"; ca-file "$F/ca.pem"`, "")); !o.OK {
		t.Fatalf("reload = %+v", o)
	}
	if r, err := ask(nc, "a.example"); err != nil || r.Status != 421 {
		t.Errorf("after = %d, %v, want 421", r.Status, err)
	}
}

// resumes reports whether a second connection resumes the session of the first.
func resumes(t *testing.T, s *site, c *tls.Config, second string) bool {
	t.Helper()
	cache := tls.NewLRUClientSessionCache(4)
	c.ClientSessionCache = &oneSession{ClientSessionCache: cache}
	if status, _, err := s.get(c, c.ServerName); status != 200 {
		t.Fatalf("first connection = %d, %v", status, err)
	}
	again := c.Clone()
	again.ServerName = second
	nc, err := s.dial(again)
	if err != nil {
		return false
	}
	defer nc.Close()
	r, err := ask(nc, second)
	return err == nil && r.Status == 200 && nc.ConnectionState().DidResume
}

// oneSession is a cache that offers its session to every server.
type oneSession struct{ tls.ClientSessionCache }

func (o *oneSession) Get(string) (*tls.ClientSessionState, bool) { return o.ClientSessionCache.Get("") }
func (o *oneSession) Put(_ string, s *tls.ClientSessionState)    { o.ClientSessionCache.Put("", s) }

// Sessions are resumed under the name and the policy that they were made under, over reloads
// too, unless that is switched off.
func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s, first, _ := twoPolicies(t)
		client := func(name string, cert *tls.Certificate) *tls.Config {
			c := s.with(name, cert)
			c.MaxVersion = version
			return c
		}
		if !resumes(t, s, client("open.example", nil), "open.example") {
			t.Errorf("%s: a session isn't resumed", tls.VersionName(version))
		}
		if !resumes(t, s, client("one.example", &first), "one.example") {
			t.Errorf("%s: a session with a certificate isn't resumed", tls.VersionName(version))
		}
		for _, other := range []string{"two.example", "open.example"} {
			if resumes(t, s, client("one.example", &first), other) {
				t.Errorf("%s: a session of one.example is resumed for %s", tls.VersionName(version), other)
			}
		}
		if resumes(t, s, client("open.example", nil), "also.example") {
			t.Errorf("%s: a session is resumed under another name", tls.VersionName(version))
		}
	}
	s := start(t, "", "")
	c := s.client("a.example")
	c.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	s.get(c, "a.example")
	if o := s.Reload(s.text); !o.OK {
		t.Fatalf("reload = %+v", o)
	}
	nc, err := s.dial(c)
	if err != nil || !nc.ConnectionState().DidResume {
		t.Errorf("after a reload the session isn't resumed: %v", err)
	}
	await(t, "the handshakes are counted", func() bool {
		m := s.Metrics()
		return strings.Contains(m, `sentinel_tls_handshakes_total{listener="l",outcome="full"} 1`) &&
			strings.Contains(m, `sentinel_tls_handshakes_total{listener="l",outcome="resumed"} 1`)
	})
	off := start(t, "session-resumption #false", "")
	if resumes(t, off, off.client("a.example"), "a.example") {
		t.Error("a session is resumed though that is switched off")
	}
}

// Proxies with the same key file resume each other's sessions; keys that are only there to
// open do.
func TestTicketKeyFile(t *testing.T) {
	const old, young = "aa11223344556677889900aabbccddeeff00112233445566778899aabbccddee", "bb11223344556677889900aabbccddeeff00112233445566778899aabbccddee"
	s := &site{t: t, ca: pki.New(t, "CA"), dir: t.TempDir()}
	s.issue("server", "server", "a.example")
	keys := func(lines ...string) {
		pki.WriteFile(t, filepath.Join(s.dir, "keys"), []byte(strings.Join(lines, "\n")+"\n"))
	}
	keys(old)
	s.run(`session-ticket-key-file "$F/keys"`, "")
	peer := &site{t: t, ca: s.ca, dir: s.dir}
	peer.run(`session-ticket-key-file "$F/keys"`, "")
	c := s.client("a.example")
	c.ClientSessionCache = &oneSession{ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	connect := func(at *site) bool {
		t.Helper()
		nc, err := at.dial(c)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		ask(nc, "a.example")
		return nc.ConnectionState().DidResume
	}
	connect(s)
	if !connect(peer) {
		t.Error("the session of a peer isn't resumed")
	}
	keys(young, old)
	if o := s.Reload(s.text); !o.OK || !connect(s) {
		t.Errorf("with the old key in second place the session isn't resumed: %+v", o)
	}
	keys(young)
	peer.Reload(peer.text)
	if !connect(peer) {
		t.Error("a session that was sealed anew isn't resumed")
	}
	keys("cc11223344556677889900aabbccddeeff00112233445566778899aabbccddee")
	if peer.Reload(peer.text); connect(peer) {
		t.Error("a session is resumed though its key is gone")
	}
	keys("short")
	if o := s.Reload(s.text); o.OK {
		t.Error("a key file without a key is let in")
	}
}

// Upstreams are told who the client is, and nobody else can tell them.
func TestClientCertHeaders(t *testing.T) {
	clients := pki.New(t, "Clients")
	request := pki.Client("Zoë, Inc")
	request.Hosts = []string{"dev.example"}
	cert := clients.Issue(t, request).TLS()
	o := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	s := &site{t: t, ca: pki.New(t, "CA"), dir: t.TempDir()}
	s.issue("server", "server", "a.example")
	s.authorities("ca.pem", clients)
	s.run(`client-auth "request"; ca-file "$F/ca.pem"
        client-cert-headers { verified "X-Cert-Ok"; subject "X-Cert-Subject"; issuer "X-Cert-Issuer"; serial "X-Cert-Serial"; san "X-Cert-Names"; fingerprint "X-Cert-Hash"; certificate "Client-Cert" }`,
		`routes { route "r" { allow-trailers #true; upstream "o" } }
upstreams { upstream "o" { target "`+o.Addr()+`" } }`)
	// sent returns the head that the origin got with a mark, which do sends along.
	sent := func(mark string, do func(field string)) (head string) {
		t.Helper()
		do("X-Mark: " + mark)
		await(t, "the origin has got "+mark, func() bool {
			for _, c := range o.Conns() {
				for h := range strings.SplitSeq(string(c.Received()), "\r\n\r\n") {
					if strings.Contains(h+"\r\n", "X-Mark: "+mark+"\r\n") {
						head = h + "\r\n"
						return true
					}
				}
			}
			return false
		})
		return head
	}
	sum := sha256.Sum256(cert.Leaf.Raw)
	forged := []string{"X-Cert-Ok: forged", "x-cert-subject: forged", "X_Cert_Subject: forged", "X-Cert_Hash: forged", "Client-Cert: forged", "X-Cert-Names: forged", "Connection: X-Cert-Ok"}
	got := sent("named", func(mark string) {
		nc, err := s.dial(s.with("a.example", &cert))
		if err != nil {
			t.Fatal(err)
		}
		ask(nc, "a.example", append(forged, mark)...)
	})
	for _, want := range []string{
		"X-Cert-Ok: yes\r\n", "X-Cert-Subject: CN=Zo%C3%AB\\, Inc\r\n", "X-Cert-Issuer: CN=Clients\r\n", "X-Cert-Names: DNS:dev.example\r\n",
		"X-Cert-Hash: " + hex.EncodeToString(sum[:]) + "\r\n", "Client-Cert: :" + base64.StdEncoding.EncodeToString(cert.Leaf.Raw) + ":\r\n", "X-Cert-Serial: " + hex.EncodeToString(cert.Leaf.SerialNumber.Bytes()) + "\r\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing from %q", want, got)
		}
	}
	anonymous := sent("anonymous", func(mark string) {
		nc, err := s.dial(s.client("a.example"))
		if err != nil {
			t.Fatal(err)
		}
		ask(nc, "a.example", append(forged, mark)...)
	})
	if !strings.Contains(anonymous, "X-Cert-Ok: no\r\n") || strings.Contains(anonymous, "Subject") {
		t.Errorf("without a certificate the origin got %q", anonymous)
	}
	plain := sent("plain", func(mark string) {
		rawclient.Do(s.Addr("plain"), "GET", "GET / HTTP/1.1\r\nHost: a\r\n"+mark+"\r\n"+strings.Join(forged, "\r\n")+"\r\n\r\n")
	})
	rawclient.Do(s.Addr("plain"), "POST", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX_cert-ok: forged\r\n\r\n")
	for _, text := range []string{got, anonymous, plain, string(o.Received())} {
		if strings.Contains(text, "forged") || !strings.Contains(text, "HTTP/1.1") {
			t.Errorf("the origin got %q", text)
		}
	}
}
