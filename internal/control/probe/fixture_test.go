package probe

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// fakeNet dials targets that live in memory. A target answers what its behaviour says; one
// without a behaviour refuses.
type fakeNet struct {
	mu          sync.Mutex
	behaviour   map[string]behaviour
	dials       map[string][]time.Time
	open, peak  int
	connectTime time.Duration
	silent      string // an address that never answers to a connect
}

type behaviour func(net.Conn)

func newFakeNet() *fakeNet {
	return &fakeNet{behaviour: map[string]behaviour{}, dials: map[string][]time.Time{}}
}

func (f *fakeNet) set(address string, b behaviour) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.behaviour[address] = b
}

func (f *fakeNet) dialled(address string) []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Time(nil), f.dials[address]...)
}

// connections returns how many are open and how many were at most.
func (f *fakeNet) connections() (open, peak int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open, f.peak
}

// countedConn tells its net when it is closed.
type countedConn struct {
	net.Conn
	once  sync.Once
	close func()
}

func (c *countedConn) Close() error {
	c.once.Do(c.close)
	return c.Conn.Close()
}

func (f *fakeNet) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	f.mu.Lock()
	f.dials[address] = append(f.dials[address], time.Now())
	b := f.behaviour[address]
	f.open++
	f.peak = max(f.peak, f.open)
	f.mu.Unlock()
	wait := f.connectTime
	if address == f.silent {
		wait = time.Hour
	}
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			f.closed()
			return nil, ctx.Err()
		}
	}
	if b == nil {
		f.closed()
		return nil, &net.OpError{Op: "dial", Err: refused}
	}
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		b(far)
	}()
	return &countedConn{Conn: near, close: f.closed}, nil
}

func (f *fakeNet) closed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open--
}

// answer reads a request and writes text.
func answer(text string) behaviour {
	return func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			io.WriteString(c, text)
		}
	}
}

var (
	well = answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	ill  = answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
)

// hang reads until the prober closes.
func hang(c net.Conn) { io.Copy(io.Discard, c) }

// listen serves each connection to a real address by b until the test ends.
func listen(t *testing.T, b behaviour) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, ln, b)
	return ln.Addr().String()
}

func serveOn(t *testing.T, ln net.Listener, b behaviour) {
	var all sync.WaitGroup
	t.Cleanup(func() {
		ln.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				b(c)
			})
		}
	})
}

// ask probes once over real sockets.
func ask(t *testing.T, address string, c Check) *Transcript {
	t.Helper()
	full := c.withDefaults()
	a := asker{dialer: &net.Dialer{}, target: Target{Upstream: "a", Address: address, Check: &c}, check: &full}
	return a.ask(t.Context())
}

// issue returns a certificate for 127.0.0.1 that signs itself, and a pool that trusts it.
func issue(t *testing.T, notBefore, notAfter time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "probe\x1btest"},
		NotBefore: notBefore, NotAfter: notAfter, IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"known.test"},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}
