package behaviour

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/pki"
	"sentinel/internal/testkit/rawclient"
)

// secureOrigin is an origin behind TLS that answers what its connection is like.
func secureOrigin(t *testing.T, config *tls.Config) *origin.Origin {
	t.Helper()
	return secureActs(t, config, func(origin.Request) origin.Act { return tellTLS })
}

func secureActs(t *testing.T, config *tls.Config, choose func(origin.Request) origin.Act) *origin.Origin {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := origin.Serve(tls.NewListener(l, config), origin.Acts(choose))
	t.Cleanup(o.Close)
	return o
}

// tellTLS answers with the version, the server name, the protocol and the client.
func tellTLS(c *origin.Conn, r origin.Request) bool {
	s := c.Conn().(*tls.Conn).ConnectionState()
	client := "none"
	if len(s.PeerCertificates) > 0 {
		client = s.PeerCertificates[0].Subject.CommonName
	}
	return origin.Reply(200, fmt.Sprintf("%s sni=%q alpn=%q client=%s resumed=%v",
		tls.VersionName(s.Version), s.ServerName, s.NegotiatedProtocol, client, s.DidResume))(c, r)
}

// servers makes a server's configuration of a certificate.
func serverConfig(l *pki.Leaf) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{l.TLS()}}
}

// TestUpstreamTLS checks each setting by what a server sees, and what is refused by the fault
// that is counted and logged for it.
func TestUpstreamTLS(t *testing.T) {
	dir := t.TempDir()
	ca, other := pki.New(t, "our authority"), pki.New(t, "another authority")
	ca.Write(t, dir, "ca")
	other.Write(t, dir, "other")
	ca.Issue(t, pki.Client("the proxy")).Write(t, dir, "client")
	byAddress := serverConfig(ca.Issue(t, pki.Server("127.0.0.1")))
	byName := serverConfig(ca.Issue(t, pki.Server("backend.example")))
	below := serverConfig(ca.Intermediate(t, "in between").Issue(t, pki.Server("127.0.0.1")))
	expired := serverConfig(ca.Issue(t, pki.Server("127.0.0.1").Until(time.Now().Add(-time.Hour))))
	early := ca.Issue(t, pki.Request{Hosts: []string{"127.0.0.1"}, NotBefore: time.Now().Add(time.Hour)})
	unfit := serverConfig(ca.Issue(t, pki.Request{Hosts: []string{"127.0.0.1"}, Usage: pki.Client("").Usage}))
	old := byAddress.Clone()
	old.MaxVersion = tls.VersionTLS12
	ancient := byAddress.Clone()
	ancient.MinVersion, ancient.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	mutual := byAddress.Clone()
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	mutualOld := mutual.Clone()
	mutualOld.MaxVersion = tls.VersionTLS12
	strange := byAddress.Clone()
	strange.NextProtos = []string{"imap"}
	speaks := byAddress.Clone()
	speaks.NextProtos = []string{"imap", "http/1.1"}
	for _, tt := range []struct {
		name   string
		server *tls.Config
		tls    string
		want   string // the answer; a fault where it has no space
	}{
		{"authority", byAddress, `ca-cert "$D/ca.crt"`, `TLS 1.3 sni="" alpn="" client=none resumed=false`},
		{"chain", below, `ca-cert "$D/ca.crt"`, `TLS 1.3 sni="" alpn="" client=none resumed=false`},
		{"name", byName, `ca-cert "$D/ca.crt"; sni "backend.example"`, `TLS 1.3 sni="backend.example" alpn="" client=none resumed=false`},
		{"other spellings", byName, `ca-file "$D/ca.crt"; server-name "backend.example"`, `TLS 1.3 sni="backend.example" alpn="" client=none resumed=false`},
		{"system's authorities", byAddress, ``, "upstream_certificate_authority"},
		{"another authority", byAddress, `ca-cert "$D/other.crt"`, "upstream_certificate_authority"},
		{"no name", byName, `ca-cert "$D/ca.crt"`, "upstream_certificate_name"},
		{"wrong name", byName, `ca-cert "$D/ca.crt"; sni "frontend.example"`, "upstream_certificate_name"},
		{"expired", expired, `ca-cert "$D/ca.crt"`, "upstream_certificate_expired"},
		{"not yet valid", serverConfig(early), `ca-cert "$D/ca.crt"`, "upstream_certificate_expired"},
		{"client's certificate", unfit, `ca-cert "$D/ca.crt"`, "upstream_certificate"},
		{"unverified", expired, `insecure-skip-verify #true; sni "any.example"`, `TLS 1.3 sni="any.example" alpn="" client=none resumed=false`},
		{"version 1.2", old, `ca-cert "$D/ca.crt"`, `TLS 1.2 sni="" alpn="" client=none resumed=false`},
		{"least version", old, `ca-cert "$D/ca.crt"; min-version "1.3"`, "upstream_tls_refused"},
		{"below 1.2", ancient, `ca-cert "$D/ca.crt"`, "upstream_tls_refused"},
		{"client", mutual, `ca-cert "$D/ca.crt"; client-cert "$D/client.crt"; client-key "$D/client.key"`, `TLS 1.3 sni="" alpn="" client=the proxy resumed=false`},
		{"client with 1.2", mutualOld, `ca-cert "$D/ca.crt"; cert-file "$D/client.crt"; key-file "$D/client.key"`, `TLS 1.2 sni="" alpn="" client=the proxy resumed=false`},
		{"no client", mutual, `ca-cert "$D/ca.crt"`, "upstream_tls_refused"},
		{"no client with 1.2", mutualOld, `ca-cert "$D/ca.crt"`, "upstream_tls_refused"},
		{"protocol", speaks, `ca-cert "$D/ca.crt"`, `TLS 1.3 sni="" alpn="http/1.1" client=none resumed=false`},
		{"protocol unknown here", strange, `ca-cert "$D/ca.crt"`, "upstream_tls_refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := secureOrigin(t, tt.server)
			p := start(t, "", forward(o, "", "tls { "+strings.ReplaceAll(tt.tls, "$D", dir)+" }"))
			r := p.do("POST", "/", "Content-Length: 0")
			if strings.Contains(tt.want, " ") {
				if r.Status != 200 || r.Text() != tt.want {
					t.Errorf("%d %q, want %q", r.Status, r.Text(), tt.want)
				}
				return
			}
			series := fmt.Sprintf(`sentinel_faults_total{fault=%q,route="r",side="upstream"} 1`, tt.want)
			if r.Status != 502 {
				t.Errorf("%d %q, want 502", r.Status, r.Text())
			}
			eventually(t, series, func() bool { return strings.Contains(p.Metrics(), series) })
			if o.Requests() != 0 {
				t.Errorf("the server has seen %d requests", o.Requests())
			}
		})
	}
}

// TestUpstreamTLSFailsOver checks that a POST goes on to a target that can be trusted when
// the first one can't, or refuses the handshake.
func TestUpstreamTLSFailsOver(t *testing.T) {
	dir := t.TempDir()
	ca := pki.New(t, "ca")
	file := ca.Write(t, dir, "ca")
	well := serverConfig(ca.Issue(t, pki.Server("127.0.0.1")))
	mutual := well.Clone()
	mutual.ClientAuth = tls.RequireAnyClientCert
	for name, bad := range map[string]*tls.Config{
		"expired": serverConfig(ca.Issue(t, pki.Server("127.0.0.1").Until(time.Now().Add(-time.Hour)))),
		"mutual":  mutual,
	} {
		first, second := secureOrigin(t, bad), secureOrigin(t, well)
		p := start(t, "", fmt.Sprintf(`routes { route "r" { upstream "u"; retry-policy { max-attempts 2 } } }
upstreams { upstream "u" { target %q; target %q; tls { ca-cert %q } } }`, first.Addr(), second.Addr(), file))
		for range 4 { // round robin begins with either
			if r := p.raw("POST", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"); r.Status != 200 {
				t.Errorf("%s: POST = %d %q, want 200 from the other target", name, r.Status, r.Text())
			}
		}
		if first.Connections() == 0 || second.Requests() != 4 {
			t.Errorf("%s: %d connections to the bad target, %d requests at the good one", name, first.Connections(), second.Requests())
		}
		p.Stop()
	}
}

// TestUpstreamTLSHandshake checks what a target may do before its handshake is done: nothing
// that reaches a client, and not for longer than connect-secs.
func TestUpstreamTLSHandshake(t *testing.T) {
	injected := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for _, tt := range []struct {
		name   string
		script origin.Script
		code   int
		fault  string
	}{
		{"bytes before the handshake", func(c *origin.Conn) { c.WriteString(injected); c.ReadUntilClose() }, 502, "upstream_tls"},
		{"plain HTTP", origin.Answer(func(r origin.Request) string { return injected }), 502, "upstream_tls"},
		{"silence", func(c *origin.Conn) { c.ReadUntilClose() }, 504, "upstream_tls_timeout"},
		{"close", func(c *origin.Conn) {}, 502, "upstream_tls"},
	} {
		o := origin.Start(t, tt.script)
		p := start(t, "", forward(o, "", "tls { }; timeouts { connect-secs 0.3 }"))
		began := time.Now()
		r := p.do("GET", "/")
		series := fmt.Sprintf(`sentinel_faults_total{fault=%q,route="r",side="upstream"} 1`, tt.fault)
		if r.Status != tt.code || strings.Contains(r.Text(), "evil") {
			t.Errorf("%s: %d %q, want %d", tt.name, r.Status, r.Text(), tt.code)
		}
		eventually(t, tt.name+": "+series, func() bool { return strings.Contains(p.Metrics(), series) })
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %v", tt.name, took)
		}
		p.Stop()
	}
}

// TestUpstreamTLSReload checks that a reload makes another client certificate and other
// authorities hold at once, and cuts nothing that is under way.
func TestUpstreamTLSReload(t *testing.T) {
	dir := t.TempDir()
	ca, other := pki.New(t, "ca"), pki.New(t, "other")
	ca.Write(t, dir, "ca")
	ca.Issue(t, pki.Client("one")).Write(t, dir, "client")
	config := serverConfig(ca.Issue(t, pki.Server("127.0.0.1")))
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	entered, release := make(chan origin.Request, 1), make(chan struct{})
	o := secureActs(t, config, func(r origin.Request) origin.Act {
		if r.Target == "/slow" {
			return origin.Held(entered, release, tellTLS)
		}
		return tellTLS
	})
	text := `listeners { listener "l" { address "127.0.0.1:0" } }
` + forward(o, "", fmt.Sprintf("tls { ca-cert %q; client-cert %q; client-key %q }", dir+"/ca.crt", dir+"/client.crt", dir+"/client.key"))
	p := start(t, "", strings.SplitN(text, "\n", 2)[1])
	if got := p.do("GET", "/").Text(); !strings.Contains(got, "client=one") {
		t.Fatalf("before: %s", got)
	}
	slow := p.dial()
	ask := func(c *rawclient.Client) string {
		c.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		r, err := c.ReadResponse("GET")
		if err != nil {
			t.Fatal(err)
		}
		return r.Text()
	}
	slow.Send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
	<-entered
	ca.Issue(t, pki.Client("two")).Write(t, dir, "client")
	if out := p.Reload(text); !out.OK {
		t.Fatalf("reload: %+v", out)
	}
	if got := p.do("GET", "/").Text(); !strings.Contains(got, "client=two") || strings.Contains(got, "resumed=true") {
		t.Errorf("after the reload: %s, want client two without resumption", got)
	}
	close(release)
	if r, err := slow.ReadResponse("GET"); err != nil || !strings.Contains(r.Text(), "client=one") {
		t.Errorf("the request under way: %v %q", err, r.Text())
	}
	for range 2 {
		if got := ask(slow); !strings.Contains(got, "client=two") {
			t.Errorf("after that: %s, want no connection of the old client reused", got)
		}
	}
	connections := o.Connections()
	if p.Reload(text); !strings.Contains(ask(slow), "client=two") || o.Connections() != connections {
		t.Errorf("a reload that changes nothing opened a connection")
	}
	pki.WriteFile(t, filepath.Join(dir, "ca.crt"), other.PEM())
	p.Reload(text)
	if r := p.do("GET", "/"); r.Status != 502 {
		t.Errorf("with another authority: %d %s, want 502", r.Status, r.Text())
	}
	if err := os.Remove(filepath.Join(dir, "client.key")); err != nil {
		t.Fatal(err)
	}
	if out := p.Reload(text); out.OK || !strings.Contains(strings.Join(out.Details, "\n"), "client.key: it can't be read") {
		t.Errorf("without a key: %+v, want a refusal", out)
	}
}

// TestUpstreamTLSResumes checks that a second connection to a target takes up the session of
// the first.
func TestUpstreamTLSResumes(t *testing.T) {
	ca := pki.New(t, "ca")
	o := secureOrigin(t, serverConfig(ca.Issue(t, pki.Server("127.0.0.1"))))
	p := start(t, "", forward(o, "", fmt.Sprintf("tls { ca-cert %q }; connection-pool { max-idle 0 }", ca.Write(t, t.TempDir(), "ca"))))
	c := p.dial()
	for i, want := range []string{"resumed=false", "resumed=true", "resumed=true"} {
		c.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		r, err := c.ReadResponse("GET")
		if got := r.Text(); err != nil || !strings.Contains(got, want) {
			t.Errorf("connection %d: %s, want %s", i, got, want)
		}
	}
}

// TestUpstreamTLSContent checks that content of any size goes both ways whole.
func TestUpstreamTLSContent(t *testing.T) {
	ca := pki.New(t, "ca")
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	o := secureActs(t, serverConfig(ca.Issue(t, pki.Server("127.0.0.1"))), func(origin.Request) origin.Act { return echo })
	p := start(t, "", forward(o, "", fmt.Sprintf("tls { ca-cert %q }", ca.Write(t, t.TempDir(), "ca"))))
	c := p.dial() // one, so that each exchange has ended when the next begins
	for _, n := range []int{0, 1, 16 << 10, 17 << 10, len(content)} {
		c.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + strconv.Itoa(n) + "\r\n\r\n" + string(content[:n]))
		r, err := c.ReadResponse("POST")
		if err != nil || r.Status != 200 || r.Text() != "got "+string(content[:n]) {
			t.Errorf("%d bytes: %v, %d, %d bytes came back", n, err, r.Status, len(r.Text()))
		}
	}
	if o.Connections() != 1 {
		t.Errorf("%d connections, want one that is kept", o.Connections())
	}
}

// TestUpstreamTLSTunnel checks that an upgraded connection passes bytes both ways.
func TestUpstreamTLSTunnel(t *testing.T) {
	ca := pki.New(t, "ca")
	o := secureActs(t, serverConfig(ca.Issue(t, pki.Server("127.0.0.1"))), func(origin.Request) origin.Act {
		return func(c *origin.Conn, _ origin.Request) bool {
			c.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly ")
			b := make([]byte, 5)
			c.Conn().Read(b)
			c.WriteString(string(b))
			return false
		}
	})
	p := start(t, "", forward(o, `allow-upgrade "websocket"`, fmt.Sprintf("tls { ca-cert %q }", ca.Write(t, t.TempDir(), "ca"))))
	c := p.dial()
	c.Send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if r, err := c.ReadResponse("GET"); err != nil || r.Status != 101 {
		t.Fatalf("%d, %v, want 101", r.Status, err)
	}
	c.Send("hello")
	if got, err := c.ReadUntilClose(); string(got) != "early hello" {
		t.Errorf("%q, %v, want what was sent", got, err)
	}
}

// TestUpstreamTLSHealth checks that probes speak TLS by the upstream's settings, whatever
// they ask, and tell what is wrong with a certificate.
func TestUpstreamTLSHealth(t *testing.T) {
	dir := t.TempDir()
	ca := pki.New(t, "ca")
	ca.Write(t, dir, "ca")
	ca.Issue(t, pki.Client("probe")).Write(t, dir, "client")
	well := serverConfig(ca.Issue(t, pki.Server("backend.example")))
	well.ClientAuth, well.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	bad := serverConfig(ca.Issue(t, pki.Server("backend.example").Until(time.Now().Add(-time.Hour))))
	for _, kind := range []string{"http", "tcp"} {
		one, two := secureOrigin(t, well), secureOrigin(t, bad)
		p := start(t, "", fmt.Sprintf(`routes { route "r" { upstream "u" } }
upstreams { upstream "u" { target %q; target %q; health-check { type %q; unhealthy-threshold 1; interval-secs 0.1 }
	tls { ca-cert "%[4]s/ca.crt"; client-cert "%[4]s/client.crt"; client-key "%[4]s/client.key"; sni "backend.example" } } }`, one.Addr(), two.Addr(), kind, dir))
		p.awaitState("u", one.Addr(), "healthy")
		p.awaitState("u", two.Addr(), "unhealthy")
		if kind == "http" && one.Requests() == 0 {
			t.Error("no probe has asked over TLS")
		}
		if log := p.Logs(); !strings.Contains(log, "TLS certificate expired") {
			t.Errorf("%s: the log doesn't tell why:\n%s", kind, log)
		}
	}
}

// TestUpstreamTLSHealthGRPC checks the same of calls.
func TestUpstreamTLSHealthGRPC(t *testing.T) {
	ca := pki.New(t, "ca")
	file := ca.Write(t, t.TempDir(), "ca")
	target := grpcHealth(t, serverConfig(ca.Issue(t, pki.Server("backend.example"))))
	for name, want := range map[string]string{"backend.example": "healthy", "frontend.example": "unhealthy"} {
		p := start(t, "", fmt.Sprintf(`routes { route "r" { upstream "u" } }
upstreams { upstream "u" { target %q; tls { ca-cert %q; sni %q }
	health-check { type "grpc" { service "good"; host "h.example" }; unhealthy-threshold 1; interval-secs 0.1 } } }`, target, file, name))
		p.awaitState("u", target, want)
		p.Stop()
	}
}
