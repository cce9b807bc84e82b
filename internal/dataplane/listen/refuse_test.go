package listen

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
)

// A client of a listener that speaks TLS is refused by an alert that crypto/tls understands.
func TestRefusedByAlert(t *testing.T) {
	r := newTestRegistry(t, Options{Handler: newEcho()})
	r.local = localBut127002
	p := one("https", "127.0.0.1:0")
	p.MaxConnections = 1
	p.Listeners[0].Secure = true
	apply(t, r, p)
	say(t, dial(t, addressOf(t, r, "https")), "a")
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	c, err := d.Dial("tcp", addressOf(t, r, "https"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake()
	if err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("handshake at the limit = %v, want an alert", err)
	}
}
