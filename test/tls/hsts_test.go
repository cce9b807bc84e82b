package tlstest

import (
	"net/http"
	"testing"

	"sentinel/internal/testkit/rawclient"
)

// Strict-Transport-Security is on every answer to clients that use TLS, over either version of
// HTTP and whoever answers, and on none to others (RFC 6797 section 7.2).
func TestHSTS(t *testing.T) {
	s := start(t, "", `policies { security-headers "strict" { strict-transport-security "max-age=600" } }
routes { route "r" { matches { path "/" }; respond 200 "served" } }`)
	const field = "Strict-Transport-Security"
	for _, path := range []string{"/", "/nowhere"} {
		nc, err := s.dial(s.client("a.example"))
		if err != nil {
			t.Fatal(err)
		}
		c := rawclient.New(nc)
		c.Send("GET " + path + " HTTP/1.1\r\nHost: a.example\r\n\r\n")
		if r, err := c.ReadFinalResponse("GET"); err != nil || r.Fields.Get(field) != "max-age=600" {
			t.Errorf("GET %s over TLS = %d, %v, with %s %q, want max-age=600", path, r.Status, err, field, r.Fields.Get(field))
		}
		r, err := rawclient.Do(s.Addr("plain"), "GET", "GET "+path+" HTTP/1.1\r\nHost: a.example\r\n\r\n")
		if err != nil || r.Fields.Has(field) {
			t.Errorf("GET %s without TLS = %d, %v, with %s %q, want none", path, r.Status, err, field, r.Fields.Get(field))
		}
	}
	over2 := &http.Client{Transport: &http.Transport{TLSClientConfig: s.client("a.example"), ForceAttemptHTTP2: true, DisableKeepAlives: true}}
	resp, err := over2.Get("https://" + s.Addr("l") + "/")
	if err != nil || resp.ProtoMajor != 2 || resp.Header.Get(field) != "max-age=600" {
		t.Fatalf("over HTTP/2: %v, %v, want %s max-age=600", resp, err, field)
	}
	resp.Body.Close()
}
