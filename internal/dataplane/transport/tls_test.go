package transport

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/testkit/pki"
	"sentinel/internal/testkit/race"
)

// secureServer accepts connections with TLS and has each answer a request with what write does.
func secureServer(t *testing.T, version uint16, write func(*tls.Conn)) (address string, trust *TLS) {
	t.Helper()
	ca := pki.New(t, "ca")
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, pki.Server("127.0.0.1")).TLS()}, MaxVersion: version}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 4096)
				for {
					if _, err := c.Read(b); err != nil {
						return
					}
					write(c.(*tls.Conn))
				}
			}()
		}
	}()
	return ln.Addr().String(), NewTLS(&tls.Config{RootCAs: ca.Pool()}, "one")
}

var okAnswer = []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

func newSecurePool(t *testing.T, address string, trust *TLS) *Pool {
	t.Helper()
	p, _ := newPool(t, address, func(l *Limits) { l.TLS = trust })
	p.Host = "127.0.0.1"
	return p
}

// alive gets a connection for a request that can't be repeated.
func alive(t *testing.T, p *Pool) *Conn {
	t.Helper()
	c, err := p.Get(Want{Alive: true, Now: p.clock.Now(), By: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSecureReuse checks that a connection is used again whatever TLS says among itself, such
// as tickets that come with the first answer, and not when the target has ended it.
func TestSecureReuse(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		conns := make(chan *tls.Conn, 100)
		address, trust := secureServer(t, version, func(c *tls.Conn) { conns <- c; c.Write(okAnswer) })
		p := newSecurePool(t, address, trust)
		for i := range 3 {
			c := alive(t, p)
			if c.Reused != (i > 0) {
				t.Errorf("%s, use %d: Reused = %v", tls.VersionName(version), i, c.Reused)
			}
			use(t, p, c)
		}
		(<-conns).CloseWrite() // a farewell without a FIN
		for end := time.Now().Add(5 * time.Second); ; {
			c := alive(t, p)
			use(t, p, c)
			if !c.Reused {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s: the farewell is never seen", tls.VersionName(version))
			}
		}
	}
}

// TestSecureLeftovers checks that bytes nobody asked for are never taken for the answer to the
// next request: those that came in one record with an answer, and those that came later.
func TestSecureLeftovers(t *testing.T) {
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	long := "HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n" + strings.Repeat("x", 30000)
	for name, answer := range map[string]string{"short": string(okAnswer) + evil, "long": long + evil} {
		address, trust := secureServer(t, 0, func(c *tls.Conn) { c.Write([]byte(answer)) })
		p := newSecurePool(t, address, trust)
		for range 3 {
			c := alive(t, p)
			if c.Reused {
				t.Errorf("%s: a connection with bytes left is used again", name)
			}
			if err := c.Exchange(request()); err != nil {
				t.Fatal(err)
			}
			c.Frame(false)
			b := make([]byte, 1000)
			_, end, err := c.Buffered()
			for !end && err == nil {
				_, end, err = c.ReadContent(b)
			}
			if err != nil {
				t.Fatal(err)
			}
			p.Put(c, p.clock.Now())
		}
	}
}

// TestSecureEpochs checks that a pool gives up what it has when TLS changes, and nothing when
// it is the same.
func TestSecureEpochs(t *testing.T) {
	address, trust := secureServer(t, 0, func(c *tls.Conn) { c.Write(okAnswer) })
	p := newSecurePool(t, address, trust)
	lent := get(t, p)
	use(t, p, get(t, p))
	limits := p.mu.limits
	limits.TLS = NewTLS(trust.Config(), "one")
	p.SetLimits(limits)
	if open, idle := p.Open(); open != 2 || idle != 1 {
		t.Errorf("with the same TLS: Open = %d, %d, want 2, 1", open, idle)
	}
	limits.TLS = NewTLS(trust.Config(), "two")
	p.SetLimits(limits)
	if open, idle := p.Open(); open != 1 || idle != 0 {
		t.Errorf("with other TLS: Open = %d, %d, want 1, 0", open, idle)
	}
	use(t, p, lent)
	if open, _ := p.Open(); open != 0 {
		t.Errorf("a connection of the TLS before was kept")
	}
	limits.TLS = nil
	p.SetLimits(limits)
	plain, err := p.Get(Want{Now: p.clock.Now(), By: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := plain.Exchange(request()); err == nil && plain.Head.Status != 400 {
		t.Errorf("without TLS the server answers %d", plain.Head.Status)
	}
}

// TestSecureFaults checks what a handshake's failure is called.
func TestSecureFaults(t *testing.T) {
	address, trust := secureServer(t, 0, func(c *tls.Conn) { c.Write(okAnswer) })
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, tt := range []struct {
		name, address string
		trust         *TLS
		want          fault.Kind
	}{
		{"unknown authority", address, NewTLS(&tls.Config{RootCAs: pki.New(t, "other").Pool()}, ""), fault.UpstreamCertificateAuthority},
		{"other name", address, NewTLS(&tls.Config{RootCAs: trust.Config().RootCAs, ServerName: "a.example"}, ""), fault.UpstreamCertificateName},
		{"silence", silent.Addr().String(), trust, fault.UpstreamTLSTimeout},
	} {
		p := newSecurePool(t, tt.address, tt.trust)
		began := time.Now()
		_, err := p.Get(Want{Now: p.clock.Now(), By: p.clock.Now() + 300*time.Millisecond})
		if err != tt.want || !tt.want.Row().Unsent {
			t.Errorf("%s: Get = %v, unsent %v, want %v", tt.name, err, tt.want.Row().Unsent, tt.want)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %v", tt.name, took)
		}
		if open, _ := p.Open(); open != 0 {
			t.Errorf("%s: %d connections count as open", tt.name, open)
		}
	}
}

// TestSecureAllocations checks that an exchange over TLS takes no memory but what crypto/tls
// takes to read a record, at both ends, which run in this process.
func TestSecureAllocations(t *testing.T) {
	if race.Enabled() {
		t.Skip("the race detector allocates")
	}
	address, trust := secureServer(t, 0, func(c *tls.Conn) { c.Write(okAnswer) })
	p := newSecurePool(t, address, trust)
	r := request()
	exchange := func() {
		c, err := p.Get(Want{Now: p.clock.Now(), By: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Exchange(r); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		c.Frame(false)
		c.Buffered()
		p.Put(c, p.clock.Now())
	}
	for range 50 {
		exchange()
	}
	if n := testing.AllocsPerRun(500, exchange); n > secureAllocsMax {
		t.Errorf("an exchange over TLS takes %v allocations, want at most %d", n, secureAllocsMax)
	}
}

const secureAllocsMax = 4
