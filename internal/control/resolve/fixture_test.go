package resolve

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// zone is what servers of a test answer with, real ones and those in memory.
type zone struct {
	mu    sync.Mutex
	rrs   map[string][]string // "name. TYPE" -> records
	extra map[string][]string // the same for the additional section
	codes map[string]int      // "name." or "name. TYPE" -> rcode, or one of those below
	asked map[string]int
}

// What a server may do instead of an answer.
const (
	dropped   = -1 - iota // nothing comes
	truncated             // TC over UDP; the answer over TCP
	misplaced             // an answer to another question
	referral              // a referral: neither an answer nor an error
	noEDNS                // FORMERR to a query with EDNS
)

func newZone() *zone {
	return &zone{rrs: map[string][]string{}, extra: map[string][]string{}, codes: map[string]int{}, asked: map[string]int{}}
}

// set replaces the records of a name and type, and clears its code.
func (z *zone) set(key string, records ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	name, _, _ := strings.Cut(key, " ")
	delete(z.codes, name)
	delete(z.codes, key)
	z.rrs[key] = records
}

func (z *zone) fail(key string, code int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.codes[key] = code
}

func (z *zone) count(key string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[key]
}

// answer returns nil for no answer at all. A name without any record is NXDOMAIN.
func (z *zone) answer(q *dns.Msg, network string) *dns.Msg {
	z.mu.Lock()
	defer z.mu.Unlock()
	name := strings.ToLower(q.Question[0].Name)
	key := name + " " + dns.TypeToString[q.Question[0].Qtype]
	z.asked[key]++
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	code, ok := z.codes[key]
	if !ok {
		code = z.codes[name]
	}
	switch {
	case code == dropped:
		return nil
	case code == truncated && network == "udp":
		m.Truncated = true
		return m
	case code == misplaced:
		m.Question[0].Name = "other.example."
	case code == referral:
		m.RecursionAvailable = false
		m.Ns = records("example. 60 IN NS ns.example.")
		return m
	case code == noEDNS && q.IsEdns0() != nil:
		return new(dns.Msg).SetRcodeFormatError(q)
	case code > 0:
		m.Rcode = code
		return m
	}
	m.Answer = records(z.rrs[key]...)
	m.Extra = records(z.extra[key]...)
	if !z.knows(name) {
		m.Rcode = dns.RcodeNameError
	}
	return m
}

func (z *zone) knows(name string) bool {
	for key := range z.rrs {
		if strings.HasPrefix(key, name+" ") {
			return true
		}
	}
	return false
}

func records(lines ...string) (rrs []dns.RR) {
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			panic(err)
		}
		rrs = append(rrs, rr)
	}
	return rrs
}

// exchange makes a zone the exchanger of a test: every server answers from it, but those
// whose address begins with "dead".
func (z *zone) exchange(ctx context.Context, q *dns.Msg, network, server string) (*dns.Msg, error) {
	var m *dns.Msg
	if !strings.HasPrefix(server, "dead") {
		m = z.answer(q, network)
	}
	if m == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return m, nil
}

// serve answers from the zone on UDP and TCP of one port of 127.0.0.1.
func (z *zone) serve(t *testing.T) (address string) {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	streams, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		t.Skipf("TCP port is taken: %v", err)
	}
	handler := func(network string) dns.HandlerFunc {
		return func(w dns.ResponseWriter, q *dns.Msg) {
			if m := z.answer(q, network); m != nil {
				w.WriteMsg(m)
			}
		}
	}
	var servers sync.WaitGroup
	udp := &dns.Server{PacketConn: packets, Handler: handler("udp")}
	tcp := &dns.Server{Listener: streams, Handler: handler("tcp")}
	for _, s := range []*dns.Server{udp, tcp} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		servers.Go(func() { s.ActivateAndServe() })
		<-started
	}
	t.Cleanup(func() { udp.Shutdown(); tcp.Shutdown(); servers.Wait() })
	return packets.LocalAddr().String()
}

// fixture is a Resolver in a bubble with what it told.
type fixture struct {
	*Resolver
	t    *testing.T
	mu   sync.Mutex
	told []Update
}

// start starts a Resolver that leaves the files of the machine alone. Without servers and
// net it asks z in memory.
func start(t *testing.T, z *zone, o Options, sources ...Source) *fixture {
	t.Helper()
	f := &fixture{t: t}
	if o.Servers == nil && o.ResolvConf == "" {
		o.Servers = []string{"192.0.2.53:53"}
	}
	if o.net == nil && z != nil {
		o.net = z
	}
	if o.HostsFile == "" {
		o.HostsFile = filepath.Join(t.TempDir(), "hosts")
	}
	o.Changed = func(u Update) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.told = append(f.told, u)
	}
	f.Resolver = New(o)
	t.Cleanup(f.Close)
	f.Set(sources)
	f.settle()
	return f
}

// settle lets first answers come and be told.
func (f *fixture) settle() { f.after(2 * gather) }

// after lets fake time pass.
func (f *fixture) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// want checks what was told since the last call, in the form of text.
func (f *fixture) want(updates ...string) {
	f.t.Helper()
	f.mu.Lock()
	told := f.told
	f.told = nil
	f.mu.Unlock()
	var got []string
	for _, u := range told {
		got = append(got, text(u))
	}
	if !slices.Equal(got, updates) {
		f.t.Errorf("told:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(updates, "\n\t"))
	}
}

// known checks what Lookup says.
func (f *fixture) known(s Source, want string) {
	f.t.Helper()
	endpoints, ok := f.Lookup(s)
	if got := texts(endpoints); got != want || ok != (want != "") {
		f.t.Errorf("Lookup(%v) = %q, %v, want %q", s, got, ok, want)
	}
}

// text renders an update: addresses with weights, then "stale" and "failed".
func text(u Update) string {
	s := u.Source.Value + ": " + texts(u.Endpoints)
	if u.Stale {
		s += " stale"
	}
	if u.Err != nil {
		s += " failed"
	}
	return s
}

func texts(endpoints []Endpoint) string {
	var words []string
	for _, e := range endpoints {
		words = append(words, fmt.Sprintf("%s*%d", e.Address, e.Weight))
	}
	return strings.Join(words, " ")
}

func web(value string) Source { return Source{Upstream: "web", Kind: Name, Value: value, Weight: 1} }

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
