package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func askWire(t *testing.T, timeout time.Duration, name string, servers ...string) (answer, error) {
	t.Helper()
	a := asker{net: wire{}, timeout: timeout, system: fixedServers(servers)}
	return a.lookup(t.Context(), question{name: name}, answer{})
}

func TestWire(t *testing.T) {
	z := newZone()
	server := z.serve(t)
	big := make([]string, 200)
	for i := range big {
		big[i] = fmt.Sprintf("big.example. 20 IN A 10.0.0.%d", i)
	}
	z.set("a.example. A", "a.example. 20 IN A 192.0.2.1")
	z.set("a.example. AAAA", "a.example. 20 IN AAAA 2001:db8::1")
	z.set("old.example. A", "old.example. 20 IN A 192.0.2.1")
	z.fail("old.example.", noEDNS)
	z.set("big.example. A", big...)
	z.fail("big.example. A", truncated)
	z.set("lied.example. A", "lied.example. 20 IN A 192.0.2.1")
	z.fail("lied.example.", misplaced)
	z.fail("broken.example.", dns.RcodeServerFailure)
	z.fail("mute.example.", dropped)
	for _, tt := range []struct {
		name  string
		count int
		err   string
	}{
		{"a.example.", 2, ""},
		{"old.example.", 1, ""},
		{"big.example.", 200, ""},
		{"lied.example.", 0, "answer to another question"},
		{"broken.example.", 0, "server answers SERVFAIL"},
		{"none.example.", 0, "name does not exist"},
		{"mute.example.", 0, "no answer over udp in 100ms"},
	} {
		timeout := 10 * time.Second
		if tt.name == "mute.example." {
			timeout = 100 * time.Millisecond
		}
		a, err := askWire(t, timeout, tt.name, server)
		if count := len(a.addrs[0]) + len(a.addrs[1]); count != tt.count || (err == nil) != (tt.err == "") {
			t.Errorf("lookup(%s) = %d addresses, %v, want %d, %s", tt.name, count, err, tt.count, tt.err)
		}
		if err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("lookup(%s): %v, want %s", tt.name, err, tt.err)
		}
	}
}

// rogue answers each datagram with what reply makes of it.
func rogue(t *testing.T, reply func(query []byte) []byte) (address string) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			c.WriteTo(reply(buf[:n]), from)
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return c.LocalAddr().String()
}

func TestRogueServers(t *testing.T) {
	z := newZone()
	z.set("a.example. A", "a.example. 20 IN A 192.0.2.1")
	good := z.serve(t)
	genuine := func(query []byte) []byte {
		q, m := new(dns.Msg), []byte(nil)
		if q.Unpack(query) == nil {
			m, _ = z.answer(q, "udp").Pack()
		}
		return m
	}
	for name, reply := range map[string]func([]byte) []byte{
		"nothing":    func([]byte) []byte { return nil },
		"garbage":    func([]byte) []byte { return []byte(strings.Repeat("\xff", 300)) },
		"the query":  func(q []byte) []byte { return q },
		"half of it": func(q []byte) []byte { m := genuine(q); return m[:len(m)/2] },
		"wrong id":   func(q []byte) []byte { m := genuine(q); m[0] ^= 1; return m },
	} {
		bad := rogue(t, reply)
		if a, err := askWire(t, 100*time.Millisecond, "a.example.", bad); err == nil || !a.empty() {
			t.Errorf("%s was taken for an answer: %v", name, a)
		}
		if a, err := askWire(t, 100*time.Millisecond, "a.example.", bad, good); err != nil || a.server != good {
			t.Errorf("after %s the next server is not heard: %v, %v", name, a, err)
		}
	}
	closed := rogue(t, genuine)
	host, _, _ := net.SplitHostPort(closed)
	if _, err := askWire(t, time.Second, "a.example.", net.JoinHostPort(host, "1"), good); err != nil {
		t.Errorf("a closed port stops the search: %v", err)
	}
}

func TestWireTimeoutIsOne(t *testing.T) {
	z := newZone()
	z.fail("a.example.", dropped)
	if _, err := askWire(t, 50*time.Millisecond, "a.example.", z.serve(t)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error = %v, want %v", err, os.ErrDeadlineExceeded)
	}
	if n := z.count("a.example. A"); n != attemptsMax {
		t.Errorf("asked %d times, want %d: datagrams get lost", n, attemptsMax)
	}
}

func TestResolverOverSockets(t *testing.T) {
	z := newZone()
	z.set("a.example. A", "a.example. 1 IN A 192.0.2.1")
	z.fail("a.example. A", truncated)
	told := make(chan string, 16)
	r := New(Options{
		Servers: []string{z.serve(t)}, TTLMin: time.Second, HostsFile: "/dev/null",
		Changed: func(u Update) { told <- text(u) },
	})
	defer r.Close()
	r.Set([]Source{web("a.example:80")})
	r.Await(t.Context())
	if endpoints, ok := r.Lookup(web("a.example:80")); !ok || endpoints[0] != (Endpoint{"192.0.2.1:80", "a.example:80", 1}) {
		t.Errorf("Lookup = %v, %v after Await", endpoints, ok)
	}
	if got := <-told; got != "a.example:80: 192.0.2.1:80*1" {
		t.Errorf("told %s", got)
	}
	z.set("a.example. A", "a.example. 1 IN A 192.0.2.2") // its TTL ends in a second
	if got := <-told; got != "a.example:80: 192.0.2.2:80*1" {
		t.Errorf("told %s", got)
	}
	z.fail("a.example.", dns.RcodeNameError)
	r.RefreshNow()
	if got := <-told; got != "a.example:80: 192.0.2.2:80*1 stale failed" {
		t.Errorf("told %s", got)
	}
}

// Close must not wait for a server that doesn't answer.
func TestCloseCutsLookups(t *testing.T) {
	z := newZone()
	z.fail("a.example.", dropped)
	r := New(Options{Servers: []string{z.serve(t)}, Timeout: time.Hour})
	r.Set([]Source{web("a.example:80")})
	for z.count("a.example. A") == 0 || z.count("a.example. AAAA") == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Await(ctx)
	r.Close()
	r.Await(t.Context())
}

func TestVerifyAndJudge(t *testing.T) {
	answer := func(change func(m *dns.Msg)) *dns.Msg {
		m := new(dns.Msg).SetReply(newQuery("a.example.", dns.TypeA, true))
		m.RecursionAvailable = true
		change(m)
		return m
	}
	for _, tt := range []struct {
		name   string
		change func(m *dns.Msg)
		err    string
	}{
		{"plain", func(*dns.Msg) {}, ""},
		{"case of the name", func(m *dns.Msg) { m.Question[0].Name = "A.exAMPLE." }, ""},
		{"query", func(m *dns.Msg) { m.Response = false }, "not an answer"},
		{"notify", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, "not an answer"},
		{"no question", func(m *dns.Msg) { m.Question = nil }, "not an answer"},
		{"name", func(m *dns.Msg) { m.Question[0].Name = "b.example." }, "answer to another question"},
		{"type", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA }, "answer to another question"},
		{"class", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, "answer to another question"},
		{"NXDOMAIN", func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }, "name does not exist"},
		{"REFUSED", func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }, "server answers REFUSED"},
		{"unknown code", func(m *dns.Msg) { m.Rcode = 3841 }, "server answers code 3841"},
		{"referral", func(m *dns.Msg) { m.RecursionAvailable = false; m.Ns = records("example. 60 IN NS ns.example.") }, "server refers to others"},
		{"empty with SOA", func(m *dns.Msg) { m.Ns = records("example. 60 IN SOA a. b. 1 2 3 4 5") }, ""},
	} {
		m := answer(tt.change)
		err := verify(newQuery("a.example.", dns.TypeA, true), m)
		if err == nil {
			err = judge(m)
		}
		if got := fmt.Sprint(err); got != tt.err && (err != nil || tt.err != "") {
			t.Errorf("%s: error = %v, want %q", tt.name, err, tt.err)
		}
	}
}
