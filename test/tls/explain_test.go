package tlstest

import (
	"strings"
	"testing"

	"sentinel/internal/control/admin"
	"sentinel/internal/testkit/pki"
)

// An explanation tells the listener that speaks the scheme, and the certificate that clients
// of the host are shown: the one that they are shown.
func TestExplainTellsCertificates(t *testing.T) {
	s := &site{t: t, ca: pki.New(t, "Server CA"), dir: t.TempDir()}
	s.issue("server", "a", "a.example")
	s.issue("other", "b", "b.example")
	s.run(`cert-file "$F/server.crt"; key-file "$F/server.key"; sni { hostnames "b.example"; cert-file "$F/other.crt"; key-file "$F/other.key" }`, "")
	client := admin.NewClient(s.AdminSocket(), patience)
	for _, c := range []struct{ url, listener, certificate string }{
		{"https://a.example/", "l", `common name "a"`},
		{"https://b.example/", "l", `common name "b"`},
		{"https://c.example/", "l", "which is NOT for c.example"},
		{"http://a.example/", "plain", ""},
	} {
		e, err := client.Explain(t.Context(), admin.ExplainRequest{Method: "GET", URL: c.url})
		if err != nil {
			t.Fatal(err)
		}
		if e.Listener != c.listener || !strings.Contains(e.Certificate, c.certificate) || (e.Certificate == "") != (c.certificate == "") || e.Route != "r" {
			t.Errorf("explain %s = listener %q, certificate %q, route %q, want %q, %q and r", c.url, e.Listener, e.Certificate, e.Route, c.listener, c.certificate)
		}
	}
	for _, name := range []string{"a.example", "b.example"} {
		e, err := client.Explain(t.Context(), admin.ExplainRequest{Method: "GET", URL: "https://" + name + "/"})
		if shown := s.shown(name); err != nil || !strings.Contains(e.Certificate, `"`+shown+`"`) {
			t.Errorf("explain says of %s %q, %v, and the client is shown %q", name, e.Certificate, err, shown)
		}
	}
}
