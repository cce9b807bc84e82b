package runbook

import (
	"crypto/tls"
	_ "embed"
	"fmt"
	"io"
	"log"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sentinel/internal/testkit/machine"
	"sentinel/internal/testkit/pki"

	"github.com/miekg/dns"
)

//go:embed testdata/config.kdl
var config string

// certs is where the configuration has its certificates.
const certs = "/etc/sentinel/certs"

// addresses are those of the machine beside its loopback: the public one, those of origins and
// those that clients come from.
var addresses = []string{"198.51.100.1", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.1.1", "192.0.2.7", "192.0.2.8", "203.0.113.9"}

// site is a machine where Sentinel serves an API, a shop and their spare, and what is around
// it.
type site struct {
	*machine.Machine
	t      *testing.T
	ca     *pki.Authority
	first  *origin  // 10.0.0.1:9000, of primary-backend
	second *origin  // 10.0.0.2:9000, of primary-backend
	web    *origin  // 10.0.0.3:9000, backend.service.internal
	spare  *origin  // 10.0.1.1:9000, of backup-backend
	loads  []string // units that send requests
}

// newSite boots the machine and starts Sentinel in it, in good health.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{Machine: machine.Boot(t), t: t, ca: pki.New(t, "CA")}
	for _, address := range addresses {
		s.Run("ip", "address", "add", address+"/32", "dev", "lo")
	}
	s.names(map[string]string{"backend.service.internal.": "10.0.0.3"})
	s.first, s.second, s.web, s.spare = s.origin("10.0.0.1:9000"), s.origin("10.0.0.2:9000"), s.origin("10.0.0.3:9000"), s.origin("10.0.1.1:9000")
	s.certificate("server", pki.Server("www.example.com"))
	s.certificate("client", pki.Client("proxy"))
	s.ledger()
	s.Write(certs+"/ca.crt", string(s.ca.PEM()), 0o644)
	s.InstallSentinel(binary(), config)
	s.Run("chown", "-R", "sentinel", certs)
	s.Run("systemctl", "start", "sentinel")
	s.settled()
	return s
}

// settled waits until every target is known to be healthy.
func (s *site) settled() {
	s.t.Helper()
	s.Await(`curl -sf localhost:8080/ready && [ "$(curl -s localhost:9090/metrics | grep -c '^sentinel_upstream_health{.* 1$')" = 5 ]`)
}

// recover puts the machine back into good health after a procedure.
func (s *site) recover() {
	s.t.Helper()
	for _, unit := range append(s.loads, "other.service") {
		s.Shell("systemctl stop " + unit)
	}
	s.loads = nil
	for _, o := range []*origin{s.first, s.second, s.web, s.spare} {
		o.heal()
	}
	s.certificate("server", pki.Server("www.example.com"))
	s.Write(machine.Config, config, 0o644)
	s.Shell("iptables -F INPUT; sentinel unban --all; sentinel emergency revert --all; rm -f /etc/sentinel/config.kdl.* /root/new.*; ln -sfn /var/lib/sentinel/config.kdl.backup /etc/sentinel/config.kdl.backup")
	s.Shell("systemctl reset-failed sentinel; systemctl restart sentinel")
	s.settled()
}

// ledger serves what wants a certificate of its clients.
func (s *site) ledger() {
	s.t.Helper()
	config := &tls.Config{
		Certificates: []tls.Certificate{s.ca.Issue(s.t, pki.Server("127.0.0.1")).TLS()},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: s.ca.Pool(),
	}
	server := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(tls.NewListener(s.Listen("127.0.0.1:9443"), config))
	s.t.Cleanup(func() { server.Close() })
}

// names answers questions for names in the machine.
func (s *site) names(zone map[string]string) {
	s.t.Helper()
	s.Write("/etc/resolv.conf", "nameserver 127.0.0.1\n", 0o644)
	server := &dns.Server{PacketConn: s.ListenPacket("127.0.0.1:53"), Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.RecursionAvailable = true
		if ip, ok := zone[strings.ToLower(q.Question[0].Name)]; !ok {
			m.Rcode = dns.RcodeNameError
		} else if q.Question[0].Qtype == dns.TypeA {
			rr, _ := dns.NewRR(fmt.Sprintf("%s 60 A %s", q.Question[0].Name, ip))
			m.Answer = append(m.Answer, rr)
		}
		w.WriteMsg(m)
	})}
	go server.ActivateAndServe()
	s.t.Cleanup(func() { server.Shutdown() })
}

// renewal puts a new certificate where the runbook takes it from.
func (s *site) renewal() {
	s.t.Helper()
	dir := s.t.TempDir()
	cert, key := s.ca.Issue(s.t, pki.Server("www.example.com")).Write(s.t, dir, "new")
	for _, file := range []string{cert, key} {
		s.Install(file, filepath.Join("/root", filepath.Base(file)), 0o600)
	}
}

// certificate puts a certificate and its key into the folder of certificates.
func (s *site) certificate(name string, r pki.Request) {
	s.t.Helper()
	dir := s.t.TempDir()
	cert, key := s.ca.Issue(s.t, r).Write(s.t, dir, name)
	for _, file := range []string{cert, key} {
		s.Install(file, filepath.Join(certs, filepath.Base(file)), 0o644)
	}
}

// origin is a server behind the proxy that can be made to fail.
type origin struct {
	site    *site
	address string
	server  *http.Server
	dead    bool         // nobody listens
	status  atomic.Int32 // of answers; 0 is 200
	delay   atomic.Int64 // before an answer, health checks aside
	cuts    atomic.Bool  // connections end without an answer, health checks aside
}

func (s *site) origin(address string) *origin {
	o := &origin{site: s, address: address}
	o.serve()
	return o
}

func (o *origin) serve() {
	o.server, o.dead = &http.Server{Handler: o}, false
	go o.server.Serve(o.site.Listen(o.address))
}

// die closes the port and all connections.
func (o *origin) die() {
	o.dead = true
	o.server.Close()
}

// heal undoes whatever the origin was made to do.
func (o *origin) heal() {
	o.status.Store(0)
	o.delay.Store(0)
	o.cuts.Store(false)
	if o.dead {
		o.serve()
	}
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/health" {
		io.WriteString(w, "fine\n")
		return
	}
	select {
	case <-time.After(time.Duration(o.delay.Load())):
	case <-r.Context().Done():
		return
	}
	if o.cuts.Load() {
		panic(http.ErrAbortHandler)
	}
	if status := int(o.status.Load()); status != 0 {
		w.WriteHeader(status)
	}
	fmt.Fprintf(w, "%s from %s\n", r.URL.Path, o.address)
}
