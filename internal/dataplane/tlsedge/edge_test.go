package tlsedge

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/testkit/pki"
)

// testEdge returns an edge with sites under two policies.
func testEdge(t testing.TB) *Edge {
	t.Helper()
	ca := pki.New(t, "ca")
	leaf := ca.Issue(t, pki.Server("a.example")).TLS()
	asks := Auth{Mode: AuthRequire, Authorities: ca.Chain()}
	def := NewSite(nil, Auth{}, &leaf)
	return New(Options{
		Protocols: []string{HTTP1}, MinVersion: tls.VersionTLS12, HandshakeTimeout: 5 * time.Second, Tickets: NewTickets(time.Now()), Default: def,
		Sites: []*Site{def, NewSite([]string{"a.example", "*.b.example"}, Auth{}, &leaf), NewSite([]string{"x.b.example", "*.c.example"}, asks, &leaf)},
	})
}

// TestSite checks which site a name belongs to.
func TestSite(t *testing.T) {
	e := testEdge(t)
	sites := e.Sites()
	for name, want := range map[string]int{
		"": 0, "a.example": 1, "A.EXAMPLE": 1, "q.b.example": 1, "x.b.example": 2, "b.example": 0, "z.q.b.example": 0, ".b.example": 0, "q.c.example": 2,
		"a.example.": 0, "other": 0, strings.Repeat("a", 300): 0, "*.b.example": 1, "a.example\x00": 0,
	} {
		if got := e.siteOf(name); got != sites[want] {
			t.Errorf("siteOf(%q) = %v, want site %d", name, got.names, want)
		}
	}
	open, asks := sites[0].Policy(), sites[2].Policy()
	for _, test := range []struct {
		host string
		p    Policy
		want bool
	}{{"a.example", open, true}, {"a.example", asks, false}, {"x.b.example", open, false}, {"x.b.example", asks, true}, {"unknown", open, true}} {
		if got := e.Serves([]byte(test.host), test.p); got != test.want {
			t.Errorf("Serves(%q) = %v, want %v", test.host, got, test.want)
		}
	}
}

// TestPolicy checks that policies tell apart what is asked, and nothing else.
func TestPolicy(t *testing.T) {
	one, two := pki.New(t, "one").Chain(), pki.New(t, "two").Chain()
	both, swapped := append(one[:1:1], two...), append(two[:1:1], one...)
	policies := map[string]Auth{
		"none": {}, "request": {Mode: AuthRequest, Authorities: one}, "require": {Mode: AuthRequire, Authorities: one},
		"other": {Mode: AuthRequire, Authorities: two}, "both": {Mode: AuthRequire, Authorities: both},
	}
	seen := map[Policy]string{}
	for name, a := range policies {
		if other, twice := seen[a.policy()]; twice {
			t.Errorf("%s and %s are one policy", name, other)
		}
		seen[a.policy()] = name
	}
	again := Auth{Mode: AuthRequire, Authorities: swapped, Revoked: NewRevocations(nil)}
	if p := policies["both"]; p.policy() != again.policy() {
		t.Error("the order of authorities, or what is revoked, changes the policy")
	}
}

// session returns the state of a session that was just made.
func session(t testing.TB) *tls.SessionState {
	t.Helper()
	leaf := pki.New(t, "ca").Issue(t, pki.Server("a.example")).TLS()
	var made *tls.SessionState
	server, client := net.Pipe()
	done := make(chan error, 1)
	go func() {
		c := tls.Client(client, &tls.Config{InsecureSkipVerify: true, ServerName: "a.example", ClientSessionCache: tls.NewLRUClientSessionCache(1)})
		err := c.Handshake()
		go io.Copy(io.Discard, c)
		done <- err
	}()
	s := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{leaf}, WrapSession: func(_ tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		made = ss
		return []byte("x"), nil
	}})
	if err := s.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	client.Close()
	return made
}

// TestTickets checks what a ticket opens for, and for how long.
func TestTickets(t *testing.T) {
	ss, now := session(t), time.Unix(1e9, 0)
	p, q := Policy{1}, Policy{2}
	k := NewTickets(now)
	ticket, err := k.wrap(p, "a.example", ss)
	if err != nil {
		t.Fatal(err)
	}
	if k.unwrap(p, "A.example", ticket) == nil {
		t.Error("a ticket doesn't open")
	}
	for what, got := range map[string]*tls.SessionState{
		"another policy": k.unwrap(q, "a.example", ticket), "another name": k.unwrap(p, "b.example", ticket), "no name": k.unwrap(p, "", ticket),
		"another process": NewTickets(now).unwrap(p, "a.example", ticket), "a part": k.unwrap(p, "a.example", ticket[:len(ticket)-1]), "nothing": k.unwrap(p, "a.example", nil),
	} {
		if got != nil {
			t.Errorf("a ticket opens for %s", what)
		}
	}
	for i := range ticket {
		bad := bytes.Clone(ticket)
		if bad[i] ^= 1; k.unwrap(p, "a.example", bad) != nil {
			t.Fatalf("a ticket opens with byte %d changed", i)
		}
	}
	first := (*k.keys.Load())[0].name
	if k.Rotate(now.Add(keyLife - time.Second)); (*k.keys.Load())[0].name != first {
		t.Error("a key is changed before its time")
	}
	for i := range keysKept {
		if k.unwrap(p, "a.example", ticket) == nil {
			t.Errorf("after %d changes of the key the ticket doesn't open", i)
		}
		k.Rotate(now.Add(time.Duration(i+1) * keyLife))
	}
	if k.unwrap(p, "a.example", ticket) != nil || len(*k.keys.Load()) != keysKept {
		t.Error("the ticket opens though its key is past")
	}
}

// TestParseTickets checks that keys of a file seal and open in their order and stay.
func TestParseTickets(t *testing.T) {
	ss := session(t)
	one, two := strings.Repeat("11", 32), strings.Repeat("22", 32)
	a, err := ParseTickets([]byte(one + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := ParseTickets([]byte(two + "\n" + one + "\n"))
	ticket, _ := a.wrap(Policy{}, "n", ss)
	if b.unwrap(Policy{}, "n", ticket) == nil {
		t.Error("a key in second place doesn't open")
	}
	newer, _ := b.wrap(Policy{}, "n", ss)
	if a.unwrap(Policy{}, "n", newer) != nil {
		t.Error("the second key seals")
	}
	b.Rotate(time.Now().Add(1000 * time.Hour))
	if len(*b.keys.Load()) != 2 {
		t.Error("keys of a file are changed by time")
	}
	if _, err := ParseTickets([]byte("nonsense")); err == nil {
		t.Error("a file without a key is taken")
	}
	if _, err := ParseTickets(GenerateKeys()); err != nil {
		t.Errorf("a generated file: %v", err)
	}
}

// TestLooksLikeHTTP checks what is answered in plain text.
func TestLooksLikeHTTP(t *testing.T) {
	for text, want := range map[string]bool{
		"GET /": true, "POST ": true, "PUT /": true, "HEAD ": true, "DELET": true, "OPTIO": true, "PATCH": true,
		"\x16\x03\x01\x00\x05": false, "get /": false, "GE  /": false, "SSH-2": false, "\x80\x2e\x01\x03\x01": false, "PRI *": false,
	} {
		if got := looksLikeHTTP([5]byte([]byte(text))); got != want {
			t.Errorf("looksLikeHTTP(%q) = %v, want %v", text, got, want)
		}
	}
}

// TestFieldText checks that no byte of a certificate can end a field.
func TestFieldText(t *testing.T) {
	for text, want := range map[string]string{
		"CN=a,O=b c": "CN=a,O=b c", "a\r\nX: y": "a%0D%0AX: y", "é": "%C3%A9", "\x00\x7f": "%00%7F", "": "",
	} {
		if got := string(fieldText(text)); got != want {
			t.Errorf("fieldText(%q) = %q, want %q", text, got, want)
		}
	}
	if got := fieldText(strings.Repeat("a", identityBytesMax+1)); got != nil {
		t.Errorf("a text of %d bytes is kept", len(got))
	}
}

// hello returns what a client sends first.
func hello(t testing.TB, c *tls.Config) []byte {
	t.Helper()
	server, client := net.Pipe()
	go func() {
		tls.Client(client, c).Handshake()
		client.Close()
	}()
	b := make([]byte, 16<<10)
	n, err := server.Read(b)
	server.Close()
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// FuzzClientHello feeds what a client may send before it is known to be one.
func FuzzClientHello(f *testing.F) {
	for _, c := range []*tls.Config{
		{InsecureSkipVerify: true, ServerName: "a.example"},
		{InsecureSkipVerify: true, ServerName: "x.b.example", MaxVersion: tls.VersionTLS12},
		{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}, CurvePreferences: []tls.CurveID{tls.CurveP521}},
	} {
		f.Add(hello(f, c))
	}
	for _, text := range []string{"", "GET / HTTP/1.1\r\n\r\n", "\x80\x2e\x01\x03\x01", "\x16\x03\x01\x40\x00\x01", "\x15\x03\x03\x00\x02\x02\x28"} {
		f.Add([]byte(text))
	}
	e := testEdge(f)
	clock := netio.NewClock()
	f.Cleanup(clock.Stop)
	f.Fuzz(func(t *testing.T, sent []byte) {
		server, client := net.Pipe()
		go io.Copy(io.Discard, client)
		go func() {
			client.Write(sent)
			client.Close()
		}()
		c := netio.NewConn(clock, server)
		defer c.Close()
		settled, err := e.Accept(c)
		switch {
		case settled == nil:
			t.Fatal("nothing is told of the handshake")
		case err == nil:
			t.Fatalf("a handshake is made of %s", hex.EncodeToString(sent))
		case err != ErrLeft && fault.Of(err) == fault.Internal, strings.Contains(err.Error(), "panic"):
			t.Fatalf("Accept = %v", err)
		}
	})
}

// FuzzTicket feeds what a client may bring as a ticket.
func FuzzTicket(f *testing.F) {
	k := NewTickets(time.Now())
	ticket, err := k.wrap(Policy{}, "n", session(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ticket)
	f.Add(ticket[:nameLen+saltLen])
	f.Fuzz(func(t *testing.T, b []byte) {
		if k.unwrap(Policy{}, "n", b) != nil && !bytes.Equal(b, ticket) {
			t.Fatalf("opens %x", b)
		}
	})
}
