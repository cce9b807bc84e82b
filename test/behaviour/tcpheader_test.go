package behaviour

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A target is told who the client is: the peer, or whom a header from before us names, with
// what that has added. Checks say that they are our own.
func TestTCPProxyHeader(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	begins := make(chan string, 64)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 512)
				c.SetReadDeadline(time.Now().Add(patience))
				n, _ := io.ReadAtLeast(c, b, 15)
				begins <- string(b[:n])
			}()
		}
	}()
	const signature = "\r\n\r\n\x00\r\nQUIT\n"
	const addresses = "\xc0\x00\x02\x07\xc6\x33\x64\x01\x30\x39\x01\xbb"
	const id = "\x05\x00\x02id"
	from := `proxy-protocol { from "127.0.0.2"; others "plain" }; tcp { upstream "u" }`
	up := func(words string) string {
		return fmt.Sprintf("upstreams { upstream \"u\" { target %q; %s } }", ln.Addr().String(), words)
	}
	next := func(p *proxy, peer, begin string) string {
		c := p.stream(peer)
		io.WriteString(c, begin)
		select {
		case got := <-begins:
			return got
		case <-time.After(patience):
			t.Fatal("nothing comes")
			return ""
		}
	}
	p := tcp(t, from, up(`proxy-protocol "v1"`))
	if got, want := next(p, "127.0.0.3", "x"), "PROXY TCP4 127.0.0.3 127.0.0.1 "; !strings.HasPrefix(got, want) {
		t.Errorf("v1 begins with %q, want %q", got, want)
	}
	if got, want := next(p, "127.0.0.2", header7), header7; !strings.HasPrefix(got, want) {
		t.Errorf("v1 behind a header begins with %q, want %q", got, want)
	}
	p = tcp(t, from, up(`proxy-protocol "v2"`))
	got := next(p, "127.0.0.2", signature+"\x21\x11\x00\x16"+addresses+id+"\x04\x00\x02no")
	if want := signature + "\x21\x11\x00\x11" + addresses + id; !strings.HasPrefix(got, want) {
		t.Errorf("v2 behind v2 begins with %q, want %q", got, want)
	}
	for version, want := range map[string]string{"v1": "PROXY UNKNOWN\r\n", "v2": signature + "\x20\x00\x00\x00"} {
		tcp(t, `tcp { upstream "u" }`, up(`proxy-protocol "`+version+`"; health-check { type "tcp" }`))
		if got := <-begins; got != want {
			t.Errorf("a check of %s begins with %q, want %q", version, got, want)
		}
	}
}
