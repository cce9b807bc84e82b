package tlstest

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"sentinel/internal/testkit/pki"
	testproxy "sentinel/internal/testkit/proxy"
)

// TestHTTP2 sees which protocol a handshake agrees on, and that requests are served in it.
func TestHTTP2(t *testing.T) {
	ca := pki.New(t, "authority")
	cert, key := ca.Issue(t, pki.Server("a.example")).Write(t, t.TempDir(), "server")
	for _, c := range []struct {
		http2   string
		clients []string
		want    string // what is agreed on; "refused" where requests aren't served
	}{
		{"", []string{"h2", "http/1.1"}, "h2"},
		{"", []string{"http/1.1"}, "http/1.1"},
		{"", nil, ""},
		{"http2 { enabled #false }", []string{"h2", "http/1.1"}, "http/1.1"},
		{"http2 { only #true }", []string{"h2", "http/1.1"}, "h2"},
		{"http2 { only #true }", []string{"http/1.1"}, "refused"},
	} {
		t.Run(fmt.Sprintf("%s %v", c.http2, c.clients), func(t *testing.T) {
			p := testproxy.Start(t, fmt.Sprintf(`listeners { listener "l" { address "127.0.0.1:0"; protocol "https"; tls { cert-file %q; key-file %q }; %s } }
routes { route "r" { respond 200 "served" } }`, cert, key, c.http2))
			config := &tls.Config{ServerName: "a.example", RootCAs: ca.Pool(), NextProtos: c.clients}
			conn, err := tls.Dial("tcp", p.Addr("l"), config)
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if got := conn.ConnectionState().NegotiatedProtocol; got != c.want && c.want != "refused" {
				t.Fatalf("agreed on %q, want %q", got, c.want)
			}
			tr := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: c.want == "h2", DisableKeepAlives: true}
			r, err := (&http.Client{Transport: tr}).Get("https://" + p.Addr("l") + "/")
			if c.want == "refused" {
				if err == nil {
					t.Errorf("HTTP/1.1 is served: %s", r.Status)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			body, err := io.ReadAll(r.Body)
			if h2 := r.ProtoMajor == 2; err != nil || string(body) != "served" || h2 != (c.want == "h2") {
				t.Errorf("answer %s %q, %v", r.Proto, body, err)
			}
			if log := p.Logs(); c.want == "h2" && !strings.Contains(log, `protocol="HTTP/2"`) {
				t.Errorf("the log doesn't tell of HTTP/2: %s", log)
			}
		})
	}
}
