package tlstest

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sentinel/internal/testkit/pki"
)

// openssl runs openssl s_client against the proxy and returns what it prints.
func (s *site) openssl(args ...string) string {
	s.t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		s.t.Skip("openssl is not installed")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"s_client", "-connect", s.Addr("l"), "-CAfile", filepath.Join(s.dir, "server-ca.pem"), "-verify_return_error", "-ign_eof"}, args...)...)
	cmd.Stdin = strings.NewReader("GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
	out, _ := cmd.CombinedOutput() // its status tells no more than its text
	return string(out)
}

// What the settings do is what openssl sees of them.
func TestOpenSSL(t *testing.T) {
	clients := pki.New(t, "Clients")
	s := &site{t: t, ca: pki.New(t, "Server CA"), dir: t.TempDir()}
	s.authorities("server-ca.pem", s.ca)
	s.authorities("ca.pem", clients)
	s.issue("server", "a.example", "a.example")
	s.issue("other", "b.example", "b.example")
	cert, key := holder(t, clients).Write(t, s.dir, "client")
	s.run(`cert-file "$F/server.crt"; key-file "$F/server.key"; cipher-suite "ECDHE-ECDSA-AES256-GCM-SHA384"
        sni { cert-file "$F/other.crt"; key-file "$F/other.key"; client-auth "require"; ca-file "$F/ca.pem" }`, "")
	for _, test := range []struct {
		args       string
		has, lacks string
	}{
		{"-servername a.example", "HTTP/1.1 200 OK", "Acceptable client certificate CA names"},
		{"-servername a.example -verify_hostname a.example", "Verify return code: 0 (ok)", ""},
		{"-servername a.example", "TLSv1.3", ""},
		{"-servername a.example -tls1_2", "ECDHE-ECDSA-AES256-GCM-SHA384", ""},
		{"-servername a.example -tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", "alert handshake failure", "200 OK"},
		{"-servername a.example -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA", "alert handshake failure", "200 OK"},
		{"-servername a.example -alpn http/1.1", "ALPN protocol: http/1.1", ""},
		{"-servername a.example -groups P-256", "Server Temp Key: ECDH, prime256v1", ""},
		{"-servername a.example -tls1_2", "Secure Renegotiation IS supported", ""},
		{"-servername a.example", "Compression: NONE", ""},
		{"-servername b.example", "CN = b.example", "200 OK"},
		{"-servername b.example", "alert certificate required", "200 OK"},
		{"-servername b.example -tls1_2", "alert", "200 OK"},
		{"-servername b.example -cert " + cert + " -key " + key, "421 Misdirected Request", "alert"},
		{"-servername b.example", "CN = Clients", ""},
	} {
		got := s.openssl(strings.Fields(test.args)...)
		if !strings.Contains(got, test.has) || test.lacks != "" && strings.Contains(got, test.lacks) {
			t.Errorf("openssl s_client %s: want %q in it and %q not:\n%s", test.args, test.has, test.lacks, got)
		}
	}
}
