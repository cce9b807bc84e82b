package behaviour

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"sentinel/internal/testkit/origin"
)

// nameServer is a name server on a UDP port of 127.0.0.1.
type nameServer struct {
	t       *testing.T
	address string
	mu      struct {
		sync.Mutex
		records map[string]string      // "name. TYPE" -> records, one a line; a name without any doesn't exist
		asked   map[string][]time.Time // "name. TYPE" -> when
		mute    bool                   // no answers
	}
}

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	s := &nameServer{t: t}
	s.mu.records, s.mu.asked = map[string]string{}, map[string][]time.Time{}
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = packets.LocalAddr().String()
	started, ended := make(chan struct{}), make(chan struct{})
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(s.answer), NotifyStartedFunc: func() { close(started) }}
	go func() {
		defer close(ended)
		server.ActivateAndServe()
	}()
	<-started
	t.Cleanup(func() { server.Shutdown(); <-ended })
	return s
}

func (s *nameServer) answer(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.ToLower(q.Question[0].Name)
	key := name + " " + dns.TypeToString[q.Question[0].Qtype]
	s.mu.asked[key] = append(s.mu.asked[key], time.Now())
	if s.mu.mute {
		return
	}
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	for line := range strings.Lines(s.mu.records[key]) {
		rr, err := dns.NewRR(line)
		if err != nil {
			s.t.Errorf("%q: %v", line, err)
		}
		m.Answer = append(m.Answer, rr)
	}
	exists := false
	for k := range s.mu.records {
		exists = exists || strings.HasPrefix(k, name+" ")
	}
	if !exists {
		m.Rcode = dns.RcodeNameError
	}
	w.WriteMsg(m)
}

// set replaces the records of a name and type; none removes the name.
func (s *nameServer) set(key string, records ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.mu.records, key); len(records) > 0 {
		s.mu.records[key] = strings.Join(records, "\n")
	}
}

func (s *nameServer) answers(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.mute = !on
}

// asked returns when a question came.
func (s *nameServer) asked(key string) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.mu.asked[key]...)
}

// twins are origins on the same port of 127.0.0.2 and 127.0.0.3.
func twins(t *testing.T) (a, b *origin.Origin, port string) {
	t.Helper()
	script := func(name string) origin.Script {
		return origin.Answer(func(r origin.Request) string { return origin.Response(r, 200, name) })
	}
	for range 20 {
		a, err := origin.Listen("127.0.0.2:0", script("a"))
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(a.Addr())
		b, err := origin.Listen("127.0.0.3:"+port, script("b"))
		if err != nil {
			a.Close()
			continue // the port is taken
		}
		t.Cleanup(func() { a.Close(); b.Close() })
		return a, b, port
	}
	t.Fatal("no port is free on both addresses")
	return nil, nil, ""
}

// resolved is a configuration whose upstream "u" has one target and asks the servers.
func resolved(target, resolver string, servers ...*nameServer) string {
	for _, s := range servers {
		resolver += fmt.Sprintf("; server %q", s.address)
	}
	return "routes { route \"r\" { upstream \"u\" } }\nupstreams { upstream \"u\" { " + target + " } }\nsystem { $FILES; resolver { " + resolver + " } }\n"
}

// becomes asks until one origin alone answers; no request may fail meanwhile.
func (p *proxy) becomes(want string) {
	p.t.Helper()
	ask, row := p.session(), 0
	eventually(p.t, "only "+want+" answers", func() bool {
		r := ask("/")
		if row++; r.Text() != want {
			row = 0
		}
		if r.Status != 200 {
			p.t.Fatalf("a request has failed: %s", r.Raw)
		}
		return row == 10
	})
}

func TestTargetsFile(t *testing.T) {
	a, b, c := named(t, "a"), named(t, "b"), named(t, "c")
	file := filepath.Join(t.TempDir(), "targets")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("# where they are\n" + a.Addr() + "\n")
	p := start(t, "", fmt.Sprintf("routes { route \"r\" { upstream \"u\" } }\nupstreams { upstream \"u\" { targets-file %q } }\n", file))
	p.becomes("a")
	write(b.Addr() + "\n")
	p.becomes("b")
	write(c.Addr() + " weight=3\n" + b.Addr() + "\n")
	eventually(t, "c has three shares", func() bool {
		count := p.tally(40)
		return count["c"] == 30 && count["b"] == 10
	})
	write("127.0.0.1\n") // not host:port
	polls := time.Now().Add(1500 * time.Millisecond)
	eventually(t, "the broken file was read", func() bool {
		if count := p.tally(4); count["c"] != 3 || count["b"] != 1 {
			t.Fatalf("with a broken file 4 requests reach %v", count)
		}
		return time.Now().After(polls)
	})
	write(a.Addr() + "\n")
	p.becomes("a")
}

func TestNamesOfTargets(t *testing.T) {
	_, _, port := twins(t)
	s := newNameServer(t)
	const key = "app.example. A"
	s.set(key, "app.example. 1 IN A 127.0.0.2")
	config := func(resolver string) string {
		return resolved(fmt.Sprintf("target \"app.example:%s\"", port), resolver, s)
	}
	p := start(t, "", config("min-ttl-secs 1; max-stale-secs 0"))
	p.becomes("a")
	s.set(key, "app.example. 1 IN A 127.0.0.3")
	p.becomes("b")
	s.set(key)
	before := len(s.asked(key))
	eventually(t, "the name was asked for twice more", func() bool {
		if got := p.do("GET", "/").Text(); got != "b" {
			t.Fatalf("after NXDOMAIN a request is answered by %q, want b, which is known", got)
		}
		return len(s.asked(key)) >= before+2
	})
	s.set(key, "app.example. 1 IN A 127.0.0.2", "app.example. 1 IN A 127.0.0.3")
	eventually(t, "both addresses are used", func() bool {
		count := p.tally(20)
		return count["a"] == 10 && count["b"] == 10
	})
}

func TestNamesMaxStale(t *testing.T) {
	_, _, port := twins(t)
	s := newNameServer(t)
	s.set("app.example. A", "app.example. 1 IN A 127.0.0.2")
	p := start(t, "", resolved(fmt.Sprintf("target \"app.example:%s\"", port), "min-ttl-secs 1; max-stale-secs 1", s))
	p.becomes("a")
	s.set("app.example. A")
	eventually(t, "the answer is too old", func() bool { return p.do("GET", "/").Status == 503 })
	s.set("app.example. A", "app.example. 1 IN A 127.0.0.3")
	eventually(t, "the new answer is used", func() bool { return p.do("GET", "/").Text() == "b" })
}

func TestNamesTTL(t *testing.T) {
	_, _, port := twins(t)
	for _, x := range []struct {
		words, ttl string
		least      time.Duration // between two questions
	}{{"min-ttl-secs 2.5", "0", 2400 * time.Millisecond}, {"min-ttl-secs 1; max-ttl-secs 1", "3600", 900 * time.Millisecond}} {
		t.Run(x.words, func(t *testing.T) {
			s := newNameServer(t)
			s.set("app.example. A", "app.example. "+x.ttl+" IN A 127.0.0.2")
			p := start(t, "", resolved(fmt.Sprintf("target \"app.example:%s\"", port), x.words, s))
			p.becomes("a")
			eventually(t, "the name is asked for again", func() bool { return len(s.asked("app.example. A")) > 1 })
			if asked := s.asked("app.example. A"); asked[1].Sub(asked[0]) < x.least {
				t.Errorf("%s: asked again after %v", x.words, asked[1].Sub(asked[0]))
			}
		})
	}
}

func TestNamesTimeout(t *testing.T) {
	_, _, port := twins(t)
	silent, good := newNameServer(t), newNameServer(t)
	silent.answers(false)
	const key = "app.example. A"
	good.set(key, "app.example. 60 IN A 127.0.0.2")
	target := fmt.Sprintf("target \"app.example:%s\"", port)
	p := start(t, "", resolved(target, "timeout-secs 0.2", silent, good))
	if got := p.do("GET", "/").Text(); got != "a" { // it begins to serve when the first answer is there
		t.Errorf("the first request is answered by %q, want a: the second server knows it", got)
	}
	p.Stop()
	first, second := len(silent.asked(key)), len(good.asked(key))
	p = start(t, "", resolved(target, "timeout-secs 3.5", silent, good)) // the default is 2
	eventually(t, "the second server is asked", func() bool { return len(good.asked(key)) > second })
	if wait := good.asked(key)[second].Sub(silent.asked(key)[first]); wait < 2500*time.Millisecond {
		t.Errorf("timeout-secs 3.5: the second server is asked %v after the first", wait)
	}
	eventually(t, "the answer is used", func() bool { return p.do("GET", "/").Text() == "a" })
}

func TestTargetSRV(t *testing.T) {
	a, b, port := twins(t)
	c := named(t, "c")
	_, portC, _ := net.SplitHostPort(c.Addr())
	s := newNameServer(t)
	s.set("a.example. A", "a.example. 1 IN A 127.0.0.2")
	s.set("b.example. A", "b.example. 1 IN A 127.0.0.3")
	s.set("c.example. A", "c.example. 1 IN A 127.0.0.1")
	const service = "_http._tcp.example. SRV"
	srv := func(words string) string { return "_http._tcp.example. 1 IN SRV " + words }
	s.set(service, srv("10 3 "+port+" a.example."), srv("10 1 "+portC+" c.example."), srv("20 1 "+port+" b.example."))
	p := start(t, "", resolved(`target { srv "_http._tcp.example" }`, "min-ttl-secs 1", s))
	if count := p.tally(40); count["a"] != 30 || count["c"] != 10 {
		t.Errorf("40 requests reach %v, want three quarters at a, the rest at c", count)
	}
	s.set(service, srv("20 1 "+port+" b.example."))
	p.becomes("b")
	for _, o := range []*origin.Origin{a, b, c} {
		if o.Requests() == 0 {
			t.Errorf("%s got no request", o.Addr())
		}
	}
}

// TestReloadWithoutNameServer reloads another resolver while no server answers.
func TestReloadWithoutNameServer(t *testing.T) {
	_, _, port := twins(t)
	s := newNameServer(t)
	s.set("app.example. A", "app.example. 1 IN A 127.0.0.2")
	target := fmt.Sprintf("target \"app.example:%s\"", port)
	p := start(t, "", resolved(target, "min-ttl-secs 1", s))
	p.becomes("a")
	s.answers(false)
	for _, words := range []string{"min-ttl-secs 2; timeout-secs 0.1", "min-ttl-secs 3; timeout-secs 0.1"} {
		p.reload(resolved(target, words, s))
		if r := p.do("GET", "/"); r.Text() != "a" {
			t.Errorf("after a reload without a name server = %s, want a, which is known", r.Raw)
		}
	}
	s.answers(true)
	s.set("app.example. A", "app.example. 1 IN A 127.0.0.3")
	p.becomes("b")
}
