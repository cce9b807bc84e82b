package tlstest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/pki"
	"sentinel/internal/testkit/rawclient"
)

// guarded is a proxy with a certificate for a.example, a route for a host that it covers, and
// an upstream with a client certificate. $C in its configuration is how often files are looked at.
func guarded(t *testing.T, check string) (*site, *pki.Authority, string) {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	ca := pki.New(t, "CA")
	ca.Write(t, s.dir, "ca")
	ca.Issue(t, valid("first")).Write(t, s.dir, "server")
	ca.Issue(t, pki.Client("first client")).Write(t, s.dir, "client")
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, pki.Server("127.0.0.1")).TLS()}, ClientAuth: tls.RequireAnyClientCert}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := origin.Serve(tls.NewListener(l, config), origin.Acts(func(origin.Request) origin.Act {
		return func(c *origin.Conn, r origin.Request) bool {
			peer := c.Conn().(*tls.Conn).ConnectionState().PeerCertificates[0]
			return origin.Reply(200, peer.Subject.CommonName)(c, r)
		}
	}))
	t.Cleanup(o.Close)
	s.run("", fmt.Sprintf(`system { pid-file "$DIR/pid"; state-dir "$DIR/state"; admin-socket "$DIR/admin.sock"; certificate-check-secs %s }
routes { route "up" { matches { path-prefix "/up" }; upstream "u" }; route "host" { matches { host "shop.a.example" "a.example" }; respond 200 "served" } }
upstreams { upstream "u" { target %q; tls { ca-cert "$F/ca.crt"; client-cert "$F/client.crt"; client-key "$F/client.key" } } }`, check, o.Addr()))
	return s, ca, s.text
}

func valid(name string) pki.Request {
	r := pki.Server("a.example", "*.a.example")
	r.Name = name
	return r
}

// put writes what a certificate's files are to hold.
func (s *site) put(name string, l *pki.Leaf) { l.Write(s.t, s.dir, name) }

// clientSeen is who upstream "u" sees over the listener without TLS.
func (s *site) clientSeen() string {
	s.t.Helper()
	r, err := rawclient.Do(s.Addr("plain"), "GET", "GET /up HTTP/1.1\r\nHost: h\r\n\r\n")
	if err != nil {
		s.t.Fatal(err)
	}
	return r.Text()
}

// TestGuard checks that a reload never puts a certificate that peers don't believe in the
// place of one that they do, says why at the place that names the file, and that a good one
// is taken after that.
func TestGuard(t *testing.T) {
	s, ca, text := guarded(t, "0")
	now := time.Now()
	stranger := pki.New(t, "stranger")
	between := ca.Intermediate(t, "between").Issue(t, valid("below another"))
	broken := *ca.Issue(t, valid("broken chain"))
	broken.CertPEM = append(broken.CertPEM, stranger.PEM()...)
	clients := pki.Client("of a client")
	clients.Hosts = valid("").Hosts
	for _, tt := range []struct {
		name, file string
		leaf       *pki.Leaf
		want       string
	}{
		{"expired", "server", ca.Issue(t, valid("expired").Until(now.Add(-time.Hour))), "server.crt expired at "},
		{"not yet valid", "server", ca.Issue(t, pki.Request{Name: "early", Hosts: valid("").Hosts, NotBefore: now.Add(time.Hour)}), "server.crt isn't valid before "},
		{"broken chain", "server", &broken, "aren't those that issued it"},
		{"a client's", "server", ca.Issue(t, clients), "may not be used for that"},
		{"not for the host of a route", "server", ca.Issue(t, pki.Server("a.example")), "isn't for shop.a.example"},
		{"client expired", "client", ca.Issue(t, pki.Client("late").Until(now.Add(-time.Hour))), "client.crt expired at "},
		{"a server's", "client", ca.Issue(t, valid("of a server")), "may not be used for that"},
	} {
		s.put(tt.file, tt.leaf)
		o := s.Reload(text)
		if got := strings.Join(o.Details, "\n"); o.OK || !strings.Contains(got, tt.want) || !strings.Contains(got, "config.kdl:") {
			t.Errorf("%s: reload = %v %s, want a refusal with %q", tt.name, o.OK, got, tt.want)
		}
		if got := s.shown("a.example"); got != "first" {
			t.Errorf("%s: clients are shown %q", tt.name, got)
		}
		if got := s.clientSeen(); got != "first client" {
			t.Errorf("%s: the upstream is shown %q", tt.name, got)
		}
		s.put("server", between)
		s.put("client", ca.Issue(t, pki.Client("first client")))
		if tt.file == "client" {
			continue
		}
		if o := s.Reload(text); !o.OK || s.shown("a.example") != "below another" {
			t.Errorf("after %s: a good one isn't taken: %+v", tt.name, o)
		}
		s.put("server", ca.Issue(t, valid("first")))
		s.Reload(text)
	}
	for name, spoil := range map[string]func() error{
		"missing": func() error { return os.Remove(filepath.Join(s.dir, "server.crt")) },
		"garbage": func() error { return os.WriteFile(filepath.Join(s.dir, "server.crt"), []byte("x"), 0o600) },
		"mismatched": func() error {
			return os.WriteFile(filepath.Join(s.dir, "server.key"), stranger.Issue(t, valid("")).KeyPEM, 0o600)
		},
	} {
		s.put("server", ca.Issue(t, valid("first")))
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if o := s.Reload(text); o.OK || s.shown("a.example") != "first" {
			t.Errorf("%s: reload = %+v, shown %q", name, o, s.shown("a.example"))
		}
	}
	if log := s.Logs(); !strings.Contains(log, " ERROR Configuration reload failed, error=\"validation error\"") {
		t.Errorf("the log doesn't tell:\n%s", log)
	}
}

// TestGuardStart checks that a start takes what there is, with a warning: a proxy that doesn't
// start helps nobody. A reload of the same is no change for the worse.
func TestGuardStart(t *testing.T) {
	s := &site{t: t, dir: t.TempDir()}
	ca := pki.New(t, "CA")
	s.put("server", ca.Issue(t, valid("late").Until(time.Now().Add(-time.Hour))))
	s.run("", "")
	if got := s.shown("a.example"); got != "late" {
		t.Errorf("shown %q", got)
	}
	if o := s.Reload(s.text); !o.OK || !strings.Contains(strings.Join(o.Notes, "\n"), "server.crt expired at ") {
		t.Errorf("reload = %+v, want a note", o)
	}
	if log := s.Logs(); !strings.Contains(log, "INFO started") || !strings.Contains(log, "ERROR certificate expired, certificate=") {
		t.Errorf("the log doesn't warn:\n%s", log)
	}
}

// TestCertificateWatch checks that changed files are loaded on both sides without a reload:
// connections go on, the text of the configuration isn't read, and what can't be used stays out.
func TestCertificateWatch(t *testing.T) {
	s, ca, text := guarded(t, "0.05")
	live, err := s.dial(&tls.Config{ServerName: "a.example", InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	pki.WriteFile(t, filepath.Join(filepath.Dir(s.AdminSocket()), "config.kdl"), []byte("half written {"))
	renewed := ca.Issue(t, valid("second"))
	pki.WriteFile(t, filepath.Join(s.dir, "server.crt"), renewed.CertPEM) // the key comes later
	await(t, "a certificate without its key is told of", func() bool {
		return strings.Contains(s.Metrics(), `sentinel_certificate_loads_total{result="failure"} 1`)
	})
	if got := s.shown("a.example"); got != "first" {
		t.Errorf("shown %q, want the first one", got)
	}
	pki.WriteFile(t, filepath.Join(s.dir, "server.key"), renewed.KeyPEM)
	await(t, "the second one is shown", func() bool { return s.shown("a.example") == "second" })
	if r, err := ask(live, "a.example"); err != nil || r.Status != 200 {
		t.Errorf("the old connection = %d, %v", r.Status, err)
	}
	s.put("client", ca.Issue(t, pki.Client("second client")))
	await(t, "the upstream sees it", func() bool { return s.clientSeen() == "second client" })
	s.put("server", ca.Issue(t, valid("late").Until(time.Now().Add(-time.Hour))))
	await(t, "an expired one is told of", func() bool {
		return strings.Contains(s.Metrics(), `sentinel_certificate_loads_total{result="failure"} 2`)
	})
	if got := s.shown("a.example"); got != "second" {
		t.Errorf("shown %q, want the second one", got)
	}
	if st := s.Status(); st.Generation != 1 {
		t.Errorf("generation %d, want 1: the configuration is the same", st.Generation)
	}
	s.put("server", ca.Issue(t, valid("third")))
	await(t, "the third one is shown", func() bool { return s.shown("a.example") == "third" })
	if o := s.Reload(text); !o.OK {
		t.Errorf("reload = %+v", o)
	}
	log := s.Logs()
	for _, want := range []string{"INFO certificate loaded", "WARN certificate not loaded", "server.crt expired at"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

// TestCertificateList checks what the list and the metric tell of both sides.
func TestCertificateList(t *testing.T) {
	s, ca, text := guarded(t, "10")
	end := time.Now().Add(20*24*time.Hour + time.Minute).Truncate(time.Second)
	s.put("server", ca.Intermediate(t, "between").Issue(t, valid("soon").Until(end)))
	if o := s.Reload(text); !o.OK {
		t.Fatalf("reload = %+v", o)
	}
	list, err := admin.NewClient(s.AdminSocket(), patience).Certificates(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range list {
		got = append(got, fmt.Sprintf("%s %s %s %s %q %v", c.Side, c.Name, c.Role, filepath.Base(c.File), c.Names, c.DaysLeft == 20))
	}
	want := []string{
		`listener l server server.crt ["a.example" "*.a.example"] true`,
		`listener l chain server.crt [] false`,
		`upstream u client client.crt ["first client"] false`,
		`upstream u authority ca.crt ["CA"] false`,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("list:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	series := fmt.Sprintf(`sentinel_certificate_expiry_timestamp_seconds{file=%q,name="l",role="server",side="listener"} %g`, s.dir+"/server.crt", float64(end.Unix()))
	if m := s.Metrics(); !strings.Contains(m, series) || !strings.Contains(m, `name="u",role="client",side="upstream"}`) {
		t.Errorf("the metrics lack %s", series)
	}
	await(t, "that it ends soon is told", func() bool {
		events, err := admin.NewClient(s.AdminSocket(), patience).Events(context.Background(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Kind == "certificate" && e.To == "expires soon" && e.Cause == "20 days left" && strings.HasSuffix(e.Certificate, "server.crt") {
				return true
			}
		}
		return false
	})
}
