package netio

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// certificate makes a certificate that signs itself.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secured returns both ends of a connection with TLS on it, the server's a Conn. wire is the
// client's bare end.
func secured(t testing.TB, version uint16) (server *Conn, client *tls.Conn, wire *net.TCPConn) {
	t.Helper()
	clock := NewClock()
	t.Cleanup(clock.Stop)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialled, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server = NewConn(clock, accepted)
	layer := tls.Server(server.Transport(), &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
	client = tls.Client(dialled, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	if err := layer.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	server.Secure(layer)
	t.Cleanup(func() { server.Close(); dialled.Close() })
	return server, client, dialled.(*net.TCPConn)
}

// TestLayerTurns checks that turns over TLS see all bytes, whatever records they come in,
// without a wait too many.
func TestLayerTurns(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server, client, _ := secured(t, version)
		sent := bytes.Repeat([]byte("0123456789"), 30000)
		go func() {
			for rest := sent; len(rest) > 0; {
				n := min(len(rest), 1+len(rest)%7919)
				client.Write(rest[:n])
				rest = rest[n:]
			}
			client.CloseWrite()
		}()
		var got []byte
		room := make([]byte, 4096)
		server.SetReadDeadline(server.clock.Now() + 10*time.Second)
		var failed error
		err := server.Turns(func() Verdict {
			for {
				n, err := server.TryRead(room)
				got = append(got, room[:n]...)
				switch {
				case err == ErrAgain:
					return Park
				case err != nil:
					failed = err
					return Leave
				case n < len(room):
					return Park
				}
			}
		})
		if err != nil || failed != io.EOF || !bytes.Equal(got, sent) {
			t.Errorf("%s: turns = %v, %v with %d bytes, want EOF with %d", tls.VersionName(version), err, failed, len(got), len(sent))
		}
	}
}

// TestLayerWaits checks that a read that finds nothing, or nothing in time, leaves the layer whole.
func TestLayerWaits(t *testing.T) {
	server, client, _ := secured(t, tls.VersionTLS13)
	room := make([]byte, 100)
	if n, err := server.TryRead(room); n != 0 || err != ErrAgain {
		t.Errorf("TryRead of nothing = %d, %v, want ErrAgain", n, err)
	}
	server.SetReadDeadline(server.clock.Now() + tick)
	if _, err := server.Read(room); err != ErrTimeout {
		t.Errorf("Read past its deadline = %v, want ErrTimeout", err)
	}
	server.SetReadDeadline(0)
	go client.Write([]byte("late"))
	if n, err := server.Read(room); string(room[:n]) != "late" || err != nil {
		t.Errorf("Read after a timeout = %q, %v", room[:n], err)
	}
}

// TestLayerEnds checks how a client learns of the end: by a farewell, unless the connection
// was to be reset.
func TestLayerEnds(t *testing.T) {
	for _, reset := range []bool{false, true} {
		server, client, _ := secured(t, tls.VersionTLS13)
		if _, err := server.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if reset {
			server.Reset()
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(client, b); err != nil {
			t.Fatal(err)
		}
		server.Close()
		_, err := client.Read(b)
		if got := err == io.EOF; got == reset {
			t.Errorf("reset %v: the client reads %v", reset, err)
		}
	}
}

// TestLayerHandshakeDeadline checks that a client that doesn't go on is given up.
func TestLayerHandshakeDeadline(t *testing.T) {
	clock := NewClock()
	defer clock.Stop()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := NewConn(clock, nc)
	defer c.Close()
	io.Copy(client, strings.NewReader("\x16\x03\x01\x02\x00\x01"))
	c.SetReadDeadline(clock.Now() + tick)
	err = tls.Server(c.Transport(), &tls.Config{Certificates: []tls.Certificate{certificate(t)}}).Handshake()
	if Unwrapped(err) != ErrTimeout {
		t.Errorf("handshake = %v, want ErrTimeout", err)
	}
}

// TestLayerAllocations says what reading and writing through TLS allocates: crypto/tls itself
// takes a few bytes for each read.
func TestLayerAllocations(t *testing.T) {
	server, client, _ := secured(t, tls.VersionTLS13)
	room, b := make([]byte, 1024), make([]byte, 100)
	n := testing.AllocsPerRun(200, func() {
		client.Write(b)
		server.Read(room)
		server.Write(b)
		io.ReadFull(client, b)
	})
	if n > 6 {
		t.Errorf("a round trip allocates %v times", n)
	}
}
