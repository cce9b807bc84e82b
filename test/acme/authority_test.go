// Package acme tests certificates from an authority against Pebble, a real authority for
// tests, and a name server of its own.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"sentinel/internal/testkit/pki"
	"sentinel/internal/testkit/program"
)

// patience bounds every wait for something that must happen.
const patience = 20 * time.Second

// authority is a running Pebble.
type authority struct {
	directory string // URL
	caFile    string // by which the directory is believed
	http, tls string // addresses that it asks for proofs
	roots     *x509.CertPool
	names     *nameServer
}

// programs is the folder of Pebble, built once by TestMain.
var programs string

func TestMain(m *testing.M) {
	os.Exit(program.Main(m, &programs, program.Build{
		Name: "pebble", Package: "github.com/letsencrypt/pebble/v2/cmd/pebble", ModFile: "tools/pebble/go.mod",
	}))
}

// options are what a test wants of its authority.
type options struct {
	validity time.Duration     // of certificates; 0 is 90 days
	bindings map[string]string // accounts must be bound to one of these keys
	blocked  []string          // names that it issues nothing for
}

func startAuthority(t *testing.T, o options) *authority {
	t.Helper()
	dir := t.TempDir()
	ca := pki.New(t, "directory")
	cert, key := ca.Issue(t, pki.Server("127.0.0.1")).Write(t, dir, "directory")
	listen, manage := program.FreeAddress(t), program.FreeAddress(t)
	a := &authority{
		directory: "https://" + listen + "/dir", caFile: ca.Write(t, dir, "ca"),
		http: program.FreeAddress(t), tls: program.FreeAddress(t), names: startNames(t),
	}
	if o.validity == 0 {
		o.validity = 90 * 24 * time.Hour
	}
	config := map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": manage, "certificate": cert, "privateKey": key,
		"httpPort": portOf(a.http), "tlsPort": portOf(a.tls), "keyAlgorithm": "ecdsa", "domainBlocklist": o.blocked,
		"externalAccountBindingRequired": len(o.bindings) > 0, "externalAccountMACKeys": o.bindings,
		"retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles":   map[string]any{"default": map[string]any{"description": "test", "validityPeriod": int(o.validity.Seconds())}},
	}}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(programs, "pebble"), "-config", pki.WriteFile(t, filepath.Join(dir, "config.json"), text), "-dnsserver", a.names.address)
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=10")
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("log of the authority:\n%s", log.String())
		}
	})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, DisableKeepAlives: true}}
	a.roots = x509.NewCertPool()
	await(t, "the authority answers", func() bool {
		r, err := client.Get("https://" + manage + "/roots/0")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		return err == nil && a.roots.AppendCertsFromPEM(text)
	})
	return a
}

// nameServer answers every name with this machine, and keeps records that it is told of.
type nameServer struct {
	address string
	mu      struct {
		sync.Mutex
		texts map[string][]string
	}
}

func startNames(t *testing.T) *nameServer {
	t.Helper()
	n := &nameServer{address: program.FreeAddress(t)}
	n.mu.texts = make(map[string][]string)
	pc, err := net.ListenPacket("udp", n.address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", n.address) // Pebble asks over TCP
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: pc}, {Listener: l}} {
		s.Handler = dns.HandlerFunc(n.answer)
		go s.ActivateAndServe()
		t.Cleanup(func() { s.ShutdownContext(context.Background()) })
	}
	return n
}

func (n *nameServer) answer(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	name := q.Question[0].Name
	header := func(kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 1}
	}
	switch q.Question[0].Qtype {
	case dns.TypeA:
		m.Answer = append(m.Answer, &dns.A{Hdr: header(dns.TypeA), A: net.IPv4(127, 0, 0, 1)})
	case dns.TypeTXT:
		n.mu.Lock()
		for _, text := range n.mu.texts[strings.ToLower(name)] {
			m.Answer = append(m.Answer, &dns.TXT{Hdr: header(dns.TypeTXT), Txt: []string{text}})
		}
		n.mu.Unlock()
	}
	w.WriteMsg(m)
}

// ServeHTTP is the webhook that sets records.
func (n *nameServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var c struct{ Action, Name, Value string }
	if r.Header.Get("Authorization") != "Bearer let me" || json.NewDecoder(r.Body).Decode(&c) != nil {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	name := strings.ToLower(c.Name) + "."
	switch c.Action {
	case "present":
		n.mu.texts[name] = append(n.mu.texts[name], c.Value)
	case "cleanup":
		delete(n.mu.texts, name)
	}
}

// records returns how many names have records.
func (n *nameServer) records() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.mu.texts)
}

func portOf(address string) int {
	a, _ := net.ResolveTCPAddr("tcp", address)
	return a.Port
}

// await asks until the answer is yes.
func await(t *testing.T, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if yes() {
			return
		}
	}
	t.Fatalf("never came true: %s", what)
}
