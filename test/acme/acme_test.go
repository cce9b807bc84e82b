package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	control "sentinel/internal/control/acme"
	"sentinel/internal/observe/event"
	"sentinel/internal/testkit/pki"
	testproxy "sentinel/internal/testkit/proxy"
)

// config returns a configuration whose listeners stand where the authority asks for proofs.
func (a *authority) config(names, more string) string {
	return fmt.Sprintf(`
listeners {
    listener "http" { address %q }
    listener "https" { address %q; protocol "https"; tls { acme %s } }
}
routes { route "r" { respond 200 "served" } }
acme { agree-to-terms #true; email "ops@example.com"; directory %q; ca-file %q; %s }
`, a.http, a.tls, names, a.directory, a.caFile, more)
}

// leaf makes a handshake for a name and returns the certificate that it is shown, which must
// be one of the authority.
func (a *authority) leaf(name string) (*x509.Certificate, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", a.tls, &tls.Config{ServerName: name, RootCAs: a.roots})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", name)
	if text, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(text), "served") {
		return nil, fmt.Errorf("answer %q, %v", text, err)
	}
	return c.ConnectionState().PeerCertificates[0], nil
}

func (a *authority) awaitLeaf(t *testing.T, name string) (leaf *x509.Certificate) {
	t.Helper()
	var last error
	defer func() {
		if t.Failed() {
			t.Logf("last handshake for %s: %v", name, last)
		}
	}()
	await(t, "a certificate of the authority is shown for "+name, func() bool {
		leaf, last = a.leaf(name)
		return last == nil
	})
	return leaf
}

func TestChallenges(t *testing.T) {
	a := startAuthority(t, options{})
	hook := startWebhook(t, a.names)
	token := pki.WriteFile(t, filepath.Join(t.TempDir(), "token"), []byte("let me\n"))
	for _, c := range []struct{ name, names, more, ask string }{
		{"http-01", `"a.example" "b.example"`, `challenge "http-01"`, "b.example"},
		{"tls-alpn-01", `"c.example"`, `challenge "tls-alpn-01"; key-type "rsa2048"`, "c.example"},
		{"dns-01", `"*.d.example"`, fmt.Sprintf(`dns-webhook { url %q; token-file %q; wait-secs 1 }`, hook, token), "x.d.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := testproxy.Start(t, a.config(c.names, c.more))
			leaf := a.awaitLeaf(t, c.ask)
			if rsa := leaf.PublicKeyAlgorithm == x509.RSA; rsa != strings.Contains(c.more, "rsa") {
				t.Errorf("the key is of kind %v", leaf.PublicKeyAlgorithm)
			}
			if m := p.Metrics(); !strings.Contains(m, `sentinel_acme_orders_total{result="obtained"}`) || strings.Contains(m, `sentinel_acme_orders_total{result="obtained"} 0`) {
				t.Errorf("no order counted:\n%s", grep(m, "acme"))
			}
			series := `sentinel_certificate_expiry_timestamp_seconds{file="acme:` + strings.Replace(c.ask, "x.", "*.", 1)
			if m := p.Metrics(); !strings.Contains(m, series) {
				t.Errorf("no series begins %s:\n%s", series, grep(m, "certificate_expiry"))
			}
			if n := a.names.records(); n != 0 {
				t.Errorf("%d names are left with records", n)
			}
		})
	}
}

// TestKeptOverRestart sees that a certificate outlives reloads and restarts without another
// order, and that what isn't a token is answered by the routes.
func TestKeptOverRestart(t *testing.T) {
	a := startAuthority(t, options{})
	storage := t.TempDir()
	text := a.config(`"a.example"`, fmt.Sprintf("storage %q", storage))
	p := testproxy.Start(t, text)
	first := a.awaitLeaf(t, "a.example")
	if o := p.Reload(strings.Replace(text, `"a.example"`, `"a.example" "b.example"`, 1)); !o.OK {
		t.Fatalf("reload: %v", o.Details)
	}
	if again, err := a.leaf("a.example"); err != nil || !again.Equal(first) {
		t.Errorf("after a reload: %v", err)
	}
	a.awaitLeaf(t, "b.example")
	r, err := http.Get("http://" + a.http + control.Path + "nobody-knows")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(r.Body)
	r.Body.Close()
	if string(body) != "served" {
		t.Errorf("an unknown token is answered %d %q, want the route's answer", r.StatusCode, body)
	}
	p.Stop()
	if accounts, _ := filepath.Glob(filepath.Join(storage, "acme", "*", "users", "ops@example.com")); len(accounts) != 1 {
		t.Errorf("the storage holds %d accounts of the e-mail address, want 1", len(accounts))
	}
	testproxy.Start(t, text)
	if again, err := a.leaf("a.example"); err != nil || !again.Equal(first) {
		t.Errorf("after a restart the first handshake shows another certificate: %v", err)
	}
}

func TestAccountBinding(t *testing.T) {
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	a := startAuthority(t, options{bindings: map[string]string{"kid-1": key}})
	file := pki.WriteFile(t, filepath.Join(t.TempDir(), "mac"), []byte(key))
	testproxy.Start(t, a.config(`"a.example"`, fmt.Sprintf(`account-binding { key-id "kid-1"; mac-key-file %q }`, file)))
	a.awaitLeaf(t, "a.example")
}

// TestRefusedByAuthority sees that an authority that issues nothing neither delays the start
// nor is kept quiet about, and that handshakes are refused meanwhile.
func TestRefusedByAuthority(t *testing.T) {
	a := startAuthority(t, options{blocked: []string{"blocked.example"}})
	p := testproxy.Start(t, a.config(`"blocked.example"`, ""))
	if _, err := a.leaf("blocked.example"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a handshake without a certificate: %v, want unrecognized name", err)
	}
	await(t, "the failure is counted", func() bool {
		return !strings.Contains(p.Metrics(), `sentinel_acme_orders_total{result="failed"} 0`)
	})
	if log := p.Logs(); !strings.Contains(log, `certificate not obtained, error="the order at the authority failed", host="blocked.example"`) {
		t.Errorf("the log says nothing:\n%s", grep(log, "certificate"))
	}
}

// TestRenewal has certificates that live for seconds renewed before they end.
func TestRenewal(t *testing.T) {
	a := startAuthority(t, options{validity: 12 * time.Second})
	var shown atomic.Pointer[control.Certificate]
	var orders atomic.Int32
	k := control.New(control.Options{
		Log: slog.Default(), RenewCheckEvery: 200 * time.Millisecond,
		Count:  func(bool) { orders.Add(1) },
		Record: func(event.Event) {},
	})
	defer k.Close()
	answers := &http.Server{Addr: a.http, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write(k.Answer(r.Host, strings.TrimPrefix(r.URL.Path, control.Path)))
	})}
	l, err := net.Listen("tcp", a.http)
	if err != nil {
		t.Fatal(err)
	}
	go answers.Serve(l)
	defer answers.Shutdown(context.Background())
	roots := x509.NewCertPool()
	text, err := os.ReadFile(a.caFile)
	if err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	account := &control.Account{Directory: a.directory, Roots: roots, Storage: t.TempDir(), KeyType: "p256", HTTP: true}
	k.Apply(account, []control.Name{{Host: "a.example", Replace: func(c *control.Certificate) { shown.Store(c) }}}, control.Ports{HTTP: a.http})
	await(t, "a certificate is obtained", func() bool { return shown.Load() != nil })
	first := shown.Load().Leaf
	await(t, "it is renewed", func() bool { return !shown.Load().Leaf.Equal(first) })
	if now := time.Now(); now.After(first.NotAfter) {
		t.Errorf("renewed at %v, after it ended at %v", now, first.NotAfter)
	}
}

func startWebhook(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return "http://" + l.Addr().String() + "/records"
}

func grep(text, word string) string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}
