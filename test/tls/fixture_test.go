// Package tlstest looks at TLS on listeners from outside, by the client of crypto/tls and by
// openssl.
package tlstest

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/pki"
	"sentinel/internal/testkit/proxy"
	"sentinel/internal/testkit/rawclient"
)

// patience bounds what must happen.
const patience = 10 * time.Second

// site is a proxy with one listener that speaks TLS.
type site struct {
	*proxy.Proxy
	t    *testing.T
	ca   *pki.Authority // of the server's certificates
	dir  string
	text string // its configuration
}

// start runs a proxy, with a listener without TLS beside the one with it, whose tls block has a certificate for a.example and what tls
// adds. $F in it stands for the folder of the test. rest is the rest of the configuration; by
// default everything is answered by the server's name for itself.
func start(t *testing.T, tls, rest string) *site {
	t.Helper()
	s := &site{t: t, ca: pki.New(t, "Server CA"), dir: t.TempDir()}
	s.issue("server", "a", "a.example")
	return s.run(tls, rest)
}

// run starts the proxy once the files are there.
func (s *site) run(tls, rest string) *site {
	s.t.Helper()
	s.text = s.config(tls, rest)
	s.Proxy = proxy.Start(s.t, s.text)
	return s
}

func (s *site) config(tls, rest string) string {
	if rest == "" {
		rest = `routes { route "r" { respond 200 "served" } }`
	}
	if !strings.Contains(tls, "cert-dir") && !strings.HasPrefix(tls, "cert-file") {
		tls = ` cert-file "$F/server.crt"; key-file "$F/server.key"; ` + tls
	}
	text := `listeners { listener "l" { address "127.0.0.1:0"; protocol "https"; tls { ` + tls + ` } }; listener "plain" { address "127.0.0.1:0" } }` + "\n" + rest
	return strings.ReplaceAll(text, "$F", s.dir)
}

// client returns the configuration of a client that believes the server's authority.
func (s *site) client(name string) *tls.Config {
	return &tls.Config{RootCAs: s.ca.Pool(), ServerName: name}
}

// dial makes a connection.
func (s *site) dial(c *tls.Config) (*tls.Conn, error) {
	nc, err := tls.Dial("tcp", s.Addr("l"), c)
	if err == nil {
		nc.SetDeadline(time.Now().Add(patience))
		s.t.Cleanup(func() { nc.Close() })
	}
	return nc, err
}

// ask makes a connection, or takes one, and sends a request over it.
func ask(nc *tls.Conn, host string, fields ...string) (rawclient.Response, error) {
	c := rawclient.New(nc)
	text := "GET / HTTP/1.1\r\nHost: " + host + "\r\n"
	for _, f := range fields {
		text += f + "\r\n"
	}
	if err := c.Send(text + "\r\n"); err != nil {
		return rawclient.Response{}, err
	}
	return c.ReadFinalResponse("GET")
}

// get makes a connection and asks for host; the status is 0 where that doesn't work.
func (s *site) get(c *tls.Config, host string) (status int, text string, err error) {
	s.t.Helper()
	nc, err := s.dial(c)
	if err != nil {
		return 0, "", err
	}
	defer nc.Close()
	r, err := ask(nc, host)
	return r.Status, r.Text(), err
}

// shown returns the common name of the certificate that a client is shown under a name.
func (s *site) shown(name string) string {
	s.t.Helper()
	nc, err := s.dial(&tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		return fmt.Sprint(err)
	}
	defer nc.Close()
	return nc.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// await waits for a condition that follows from what was done.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s doesn't come true", what)
		}
	}
}

// issue writes a certificate of the server's authority and its key to NAME.crt and NAME.key.
func (s *site) issue(file, name string, hosts ...string) {
	s.t.Helper()
	r := pki.Server(hosts...)
	r.Name = name
	s.ca.Issue(s.t, r).Write(s.t, s.dir, file)
}

// issueRSA is issue with an RSA key.
func (s *site) issueRSA(file, name string, hosts ...string) {
	s.t.Helper()
	r := pki.Server(hosts...)
	r.Name, r.RSA = name, true
	s.ca.Issue(s.t, r).Write(s.t, s.dir, file)
}

// authorities writes certificates of authorities to a file.
func (s *site) authorities(file string, all ...*pki.Authority) {
	s.t.Helper()
	var text []byte
	for _, a := range all {
		text = append(text, a.PEM()...)
	}
	pki.WriteFile(s.t, filepath.Join(s.dir, file), text)
}

// holder returns a certificate of a client.
func holder(t *testing.T, ca *pki.Authority) *pki.Leaf {
	t.Helper()
	return ca.Issue(t, pki.Client("leaf"))
}

// answering returns a server that gives the same response to every request of a connection.
func answering(t *testing.T, response string) *origin.Origin {
	t.Helper()
	return origin.Start(t, func(c *origin.Conn) {
		for {
			if _, err := c.ReadRequest(); err != nil {
				return
			}
			if c.WriteString(response) != nil {
				return
			}
		}
	})
}
