package tlstest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/pki"
	"sentinel/internal/testkit/rawclient"
)

// A client that believes the authority is served, over one connection as often as it likes,
// and told of by X-Forwarded-Proto.
func TestServes(t *testing.T) {
	o := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
	s := start(t, "", `routes { route "r" { upstream "o" } }
upstreams { upstream "o" { target "`+o.Addr()+`" } }`)
	nc, err := s.dial(s.client("a.example"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if r, err := ask(nc, "a.example"); err != nil || r.Text() != "hello" {
			t.Fatalf("answer = %d %q, %v", r.Status, r.Text(), err)
		}
	}
	if got := string(o.Received()); !strings.Contains(got, "X-Forwarded-Proto: https\r\n") {
		t.Errorf("the origin got %q", got)
	}
	if cs := nc.ConnectionState(); cs.Version != tls.VersionTLS13 || cs.CurveID != tls.X25519MLKEM768 {
		t.Errorf("settled: %s, %v", tls.VersionName(cs.Version), cs.CurveID)
	}
}

// Content of many records passes both ways.
func TestLargeContent(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 1<<16)
	o := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n"+body)
	s := start(t, "", `routes { route "r" { upstream "o" } }
upstreams { upstream "o" { target "`+o.Addr()+`" } }`)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := s.client("a.example")
		c.MaxVersion = version
		nc, err := s.dial(c)
		if err != nil {
			t.Fatal(err)
		}
		seen := len(o.Received())
		client := rawclient.New(nc)
		go client.Send("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1048576\r\n\r\n" + body)
		r, err := client.ReadFinalResponse("POST")
		if err != nil || r.Text() != body {
			t.Errorf("%s: answer %d of %d bytes %.100q, %v", tls.VersionName(version), r.Status, len(r.Text()), r.Text(), err)
		}
		await(t, "the origin has the content", func() bool { return strings.HasSuffix(string(o.Received()[seen:]), body[:1024]) })
	}
}

// What versions and ciphers a listener speaks is what it says.
func TestVersionsAndCiphers(t *testing.T) {
	const gcm, chacha = tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
	client := func(low, high uint16, suites []uint16, groups ...tls.CurveID) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, MinVersion: low, MaxVersion: high, CipherSuites: suites, CurvePreferences: groups}
	}
	const v11, v12, v13 = tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13
	for _, test := range []struct {
		tls    string
		client *tls.Config
		works  bool
	}{
		{"", client(v11, v11, nil), false},
		{"", client(v12, v12, nil), true},
		{"", client(v13, v13, nil), true},
		{"", client(v12, v12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}), false},
		{`min-version "1.3"`, client(v12, v12, nil), false},
		{`min-version "1.3"`, client(v13, v13, nil), true},
		{`max-version "1.2"`, client(v13, v13, nil), false},
		{`max-version "1.2"`, client(v12, v13, nil), true},
		{`cipher-suite "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"`, client(v12, v12, []uint16{gcm}), false},
		{`cipher-suite "ECDHE-ECDSA-CHACHA20-POLY1305"`, client(v12, v12, []uint16{gcm, chacha}), true},
		{`key-exchange "P-256"`, client(v13, v13, nil, tls.X25519, tls.X25519MLKEM768), false},
		{`key-exchange "p-256" "X25519"`, client(v13, v13, nil, tls.CurveP256), true},
		{"", client(v13, v13, nil, tls.CurveP521), false},
		{"", client(v13, v13, nil, tls.X25519MLKEM768), true},
	} {
		t.Run(test.tls, func(t *testing.T) {
			s := start(t, test.tls, "")
			if status, _, err := s.get(test.client, "a.example"); (status == 200) != test.works {
				t.Errorf("%q for %v = %d, %v, want success %v", test.tls, test.client, status, err, test.works)
			}
		})
	}
}

// The certificate is that of the name: exact before wildcard, what is written before what the
// certificates say, and the default for everybody else.
func TestServerNames(t *testing.T) {
	s := &site{t: t, ca: pki.New(t, "CA"), dir: t.TempDir()}
	for name, names := range map[string][]string{
		"server": {"a.example", "own.example"}, "wild": {"*.b.example"}, "exact": {"x.b.example"}, "sans": {"san.example", "*.san.example"}, "written": {"other.example"},
	} {
		s.issue(name, name, names...)
	}
	s.run(`cert-file "$F/server.crt"; key-file "$F/server.key"
        sni { hostnames "*.B.example"; cert-file "$F/wild.crt"; key-file "$F/wild.key" }
        sni { hostnames "x.b.example"; cert-file "$F/exact.crt"; key-file "$F/exact.key" }
        sni { cert-file "$F/sans.crt"; key-file "$F/sans.key" }
        sni { hostnames "own.example" "w.san.example"; cert-file "$F/written.crt"; key-file "$F/written.key" }`, "")
	for name, want := range map[string]string{
		"a.example": "server", "own.example": "written", "y.b.example": "wild", "Y.B.Example": "wild", "x.b.example": "exact", "X.b.EXAMPLE": "exact", "b.example": "server", "z.y.b.example": "server",
		"san.example": "sans", "q.san.example": "sans", "w.san.example": "written", "unknown.test": "server", "": "server",
	} {
		if got := s.shown(name); got != want {
			t.Errorf("under %q the certificate is %q, want %q", name, got, want)
		}
	}
}

// A folder serves each pair under the names in it; of two for the same names a client gets
// the one that it can use.
func TestCertDir(t *testing.T) {
	s := &site{t: t, ca: pki.New(t, "CA"), dir: t.TempDir()}
	s.issue("one", "one", "one.example")
	s.issue("two", "two", "two.example")
	s.issueRSA("two-rsa", "two-rsa", "two.example")
	s.run(` cert-dir "$F"`, "")
	for name, want := range map[string]string{"one.example": "one", "two.example": "two", "": "one"} {
		if got := s.shown(name); got != want {
			t.Errorf("under %q the certificate is %q, want %q", name, got, want)
		}
	}
	c := &tls.Config{ServerName: "two.example", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}
	nc, err := s.dial(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := nc.ConnectionState().PeerCertificates[0].Subject.CommonName; got != "two-rsa" {
		t.Errorf("a client of RSA gets %q", got)
	}
}

// A reload shows the new file and leaves connections alone; one that can't be read changes
// nothing.
func TestReloadReadsFiles(t *testing.T) {
	s := start(t, "", "")
	nc, err := s.dial(s.client("a.example"))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := ask(nc, "a.example"); err != nil || r.Status != 200 {
		t.Fatalf("answer = %d, %v", r.Status, err)
	}
	s.issue("server", "renewed", "a.example")
	if o := s.Reload(s.text); !o.OK {
		t.Fatalf("reload = %+v", o)
	}
	if got := s.shown("a.example"); got != "renewed" {
		t.Errorf("after the reload the certificate is %q", got)
	}
	if r, err := ask(nc, "a.example"); err != nil || r.Status != 200 {
		t.Errorf("the old connection = %d, %v", r.Status, err)
	}
	holder(t, pki.New(t, "Other")).Write(t, s.dir, "other")
	bad := strings.Replace(s.text, "server.key", "other.key", 1)
	if o := s.Reload(bad); o.OK || !strings.Contains(strings.Join(o.Details, " "), "it isn't the key of the certificate") {
		t.Errorf("reload with another key = %+v", o)
	}
	if got := s.shown("a.example"); got != "renewed" {
		t.Errorf("after a refused reload the certificate is %q", got)
	}
}

// A client that doesn't go on with its handshake is cut off, whatever it has sent.
func TestHandshakeTimeout(t *testing.T) {
	s := start(t, "handshake-timeout-secs 0.3", "")
	for _, sent := range []string{"", "\x16", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"} {
		nc, err := net.Dial("tcp", s.Addr("l"))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		io.WriteString(nc, sent)
		began := time.Now()
		nc.SetReadDeadline(began.Add(patience))
		_, err = io.ReadAll(nc)
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			t.Errorf("%q: the connection stays open", sent)
		}
		if took := time.Since(began); took < 200*time.Millisecond {
			t.Errorf("%q: cut off after %v", sent, took)
		}
	}
	await(t, "the timeouts are counted", func() bool {
		m := s.Metrics()
		return strings.Contains(m, `sentinel_faults_total{fault="tls_timeout",route="-",side="client"} 3`) &&
			strings.Contains(m, `sentinel_tls_handshakes_total{listener="l",outcome="failed"} 3`)
	})
}

// A client that speaks HTTP without TLS is told so.
func TestUnencrypted(t *testing.T) {
	s := start(t, "", "")
	for _, method := range []string{"GET", "POST", "OPTIONS", "PUT"} {
		r, err := rawclient.Do(s.Addr("l"), method, method+" / HTTP/1.1\r\nHost: a\r\n\r\n")
		if err != nil || r.Status != 400 || !strings.Contains(r.Text(), "tls port") {
			t.Errorf("%s without TLS = %d %q, %v", method, r.Status, r.Text(), err)
		}
	}
	await(t, "the requests are counted", func() bool {
		return strings.Contains(s.Metrics(), `sentinel_requests_total{code="400",route="-",status="4xx"} 4`)
	})
}

// What isn't a handshake ends the connection, is counted by cause and leaves no byte of the
// client unescaped in the log.
func TestGarbage(t *testing.T) {
	s := start(t, "", "")
	for _, sent := range []string{"\x16\x03\x01\x00\x05hello", "\x80\x2e\x01\x03\x01", "\x00\x00\x00\x00\x00\x00", "SSH-2.0-x\r\n", "\x15\x03\x03\x00\x02\x02\x28"} {
		nc, err := net.Dial("tcp", s.Addr("l"))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(nc, sent)
		nc.(*net.TCPConn).CloseWrite()
		nc.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadAll(nc); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q: the connection stays open", sent)
		}
		nc.Close()
	}
	nc, _ := net.Dial("tcp", s.Addr("l")) // a port check is nobody's failure
	nc.Close()
	// A name that would forge a line.
	tls.Dial("tcp", s.Addr("l"), &tls.Config{ServerName: "x\nERROR forged", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	await(t, "the failures are counted", func() bool {
		return strings.Contains(s.Metrics(), `sentinel_faults_total{fault="tls_handshake",route="-",side="client"} 6`)
	})
	if log := s.Logs(); strings.Contains(log, "\nERROR forged") || !strings.Contains(log, "tls handshake failed") {
		t.Errorf("log = %s", log)
	}
}

// ALPN settles on HTTP/1.1, and refuses who can't speak it.
func TestALPN(t *testing.T) {
	s := start(t, "", "")
	for _, test := range []struct {
		offers []string
		want   string
		works  bool
	}{
		{nil, "", true},
		{[]string{"http/1.1"}, "http/1.1", true},
		{[]string{"spdy/3", "http/1.1"}, "http/1.1", true},
		{[]string{"spdy/3"}, "", false},
	} {
		c := s.client("a.example")
		c.NextProtos = test.offers
		nc, err := s.dial(c)
		if (err == nil) != test.works {
			t.Errorf("%q = %v, want success %v", test.offers, err, test.works)
			continue
		}
		if err == nil && nc.ConnectionState().NegotiatedProtocol != test.want {
			t.Errorf("%q settles on %q, want %q", test.offers, nc.ConnectionState().NegotiatedProtocol, test.want)
		}
	}
}

// A client that doesn't believe the certificate is not served, and that is known here.
func TestUnbelieved(t *testing.T) {
	s := start(t, "", "")
	_, _, err := s.get(&tls.Config{ServerName: "a.example", RootCAs: pki.New(t, "Other").Pool()}, "a.example")
	if unknown := new(x509.UnknownAuthorityError); !errors.As(err, unknown) {
		t.Errorf("a client of another authority gets %v", err)
	}
	await(t, "the failure is counted", func() bool {
		return strings.Contains(s.Metrics(), `sentinel_faults_total{fault="tls_handshake",route="-",side="client"} 1`)
	})
}
