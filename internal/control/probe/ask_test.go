package probe

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// reset breaks the connection with RST.
func reset(c net.Conn) {
	http.ReadRequest(bufio.NewReader(c))
	c.(*net.TCPConn).SetLinger(0)
}

// endless answers with a body that doesn't end.
func endless(c net.Conn) {
	answer("HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")(c)
	for block := []byte(strings.Repeat("x", 1<<16)); ; {
		if _, err := c.Write(block); err != nil {
			return
		}
	}
}

func TestAskHTTP(t *testing.T) {
	quick := 200 * time.Millisecond
	for _, c := range []struct {
		name  string
		b     behaviour
		check Check
		cause string // "" is success
		layer Layer
	}{
		{"ok", well, Check{}, "", ""},
		{"any 2xx", answer("HTTP/1.1 204 No Content\r\n\r\n"), Check{}, "", ""},
		{"HTTP/1.0", answer("HTTP/1.0 200 OK\r\n\r\nhello"), Check{BodyContains: "ell"}, "", ""},
		{"range", answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), Check{Expected: []Range{{200, 200}, {400, 404}}}, "", ""},
		{"redirect", answer("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"), Check{}, "answered 302, expected 200-299", LayerAnswer},
		{"redirect wanted", answer("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), Check{Expected: []Range{{302, 302}}}, "", ""},
		{"wrong status", ill, Check{Expected: []Range{{200, 200}, {204, 206}}}, "answered 503, expected 200 or 204-206", LayerAnswer},
		{"wrong status, body hangs", func(c net.Conn) { answer("HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\nabc")(c); hang(c) }, Check{}, "answered 500, expected 200-299", LayerAnswer},
		{"interim", answer("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Check{}, "", ""},
		{"only interim", answer(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 20)), Check{}, "too many interim answers", LayerAnswer},
		{"body contains", answer("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nall ok!"), Check{BodyContains: "ok"}, "", ""},
		{"body chunked", answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\no" + "k\r\n1\r\n!\r\n0\r\n\r\n"), Check{BodyContains: "ok!"}, "", ""},
		{"body lacks", answer("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nall bad"), Check{BodyContains: "ok"}, "body did not match", LayerBody},
		{"pattern", answer("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nlag=3ms"), Check{BodyPattern: regexp.MustCompile(`lag=\dms`)}, "", ""},
		{"pattern lacks", answer("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nlag=33s"), Check{BodyPattern: regexp.MustCompile(`lag=\dms`)}, "body did not match", LayerBody},
		{"huge body unread", endless, Check{}, "", ""},
		{"huge body", endless, Check{BodyContains: "y", BodyBytesMax: 1 << 20}, "body did not match", LayerBody},
		{"huge body matched", endless, Check{BodyContains: "xxx"}, "", ""},
		{"body cut off", answer("HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\nok"), Check{BodyContains: "ok"}, "closed in the body", LayerBody},
		{"closed", answer(""), Check{}, "closed without an answer", LayerAnswer},
		{"closed in the head", answer("HTTP/1.1 200 OK\r\nX: "), Check{}, "closed in the head of the answer", LayerAnswer},
		{"closed in a name", answer("HTTP/1.1 200 OK\r\nCont"), Check{}, "closed in the head of the answer", LayerAnswer},
		{"reset", reset, Check{}, "connection reset", LayerAnswer},
		{"hang", hang, Check{Timeout: quick}, "answer timed out", LayerAnswer},
		{"body hangs", func(c net.Conn) { answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")(c); hang(c) }, Check{BodyContains: "x", Timeout: quick}, "body timed out", LayerBody},
		{"garbage", answer("SSH-2.0-OpenSSH_9.2 is not what you want\r\n\r\n"), Check{}, "answer is not HTTP", LayerAnswer},
		{"binary", answer("\x15\x03\x01\x00\x02\x02\x16\n\n"), Check{}, "answer is not HTTP", LayerAnswer},
		{"endless head", func(c net.Conn) {
			answer("HTTP/1.1 200 OK\r\n")(c)
			for _, err := io.WriteString(c, "X: y\r\n"); err == nil; {
				_, err = io.WriteString(c, strings.Repeat("X: y\r\n", 1000))
			}
		}, Check{}, "head of the answer is too long", LayerAnswer},
		{"TLS on plain text", well, Check{TLS: &tls.Config{}}, "target does not speak TLS", LayerTLS},
		{"bad request", well, Check{Path: "no slash"}, cannotBuild, LayerAnswer},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := c.b
			if c.check.TLS != nil {
				b = func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); hang(c) }
			}
			address := listen(t, b)
			got := ask(t, address, c.check)
			if got.OK != (c.cause == "") || got.Cause != c.cause || got.Layer != c.layer || got.Own {
				t.Errorf("ok %v, %q at %q, own %v; want %q at %q\n%s", got.OK, got.Cause, got.Layer, got.Own, c.cause, c.layer, got.Details())
			}
			if got.Address != address || got.Connect == 0 || got.Total < got.Connect {
				t.Errorf("transcript %+v, want address and times", got)
			}
		})
	}
}

func TestRequestOnTheWire(t *testing.T) {
	seen := make(chan string, 1)
	address := listen(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		var b strings.Builder
		for line := ""; line != "\r\n"; b.WriteString(line) {
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				break
			}
		}
		seen <- b.String()
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	for _, c := range []struct {
		check Check
		want  string
	}{
		{Check{}, "GET / HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: sentinel-probe\r\nConnection: close\r\n\r\n"},
		{
			Check{Method: "HEAD", Path: "/up?a=%20b", Host: "known.test", Headers: [][2]string{{"user-agent", "me"}, {"X-A", "1"}, {"X-A", "2"}}},
			"HEAD /up?a=%20b HTTP/1.1\r\nHost: known.test\r\nUser-Agent: me\r\nConnection: close\r\nX-A: 1\r\nX-A: 2\r\n\r\n",
		},
		{Check{Headers: [][2]string{{"host", "other.test"}}}, "GET / HTTP/1.1\r\nHost: other.test\r\nUser-Agent: sentinel-probe\r\nConnection: close\r\n\r\n"},
		{Check{Method: "OPTIONS", Path: "*"}, "OPTIONS * HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: sentinel-probe\r\nConnection: close\r\n\r\n"},
	} {
		if got := ask(t, address, c.check); !got.OK {
			t.Errorf("%+v: %s", c.check, got)
		}
		if got := <-seen; got != c.want {
			t.Errorf("sent %q, want %q", got, c.want)
		}
	}
}

func TestAskTCP(t *testing.T) {
	address := listen(t, hang)
	if got := ask(t, address, Check{Kind: TCP}); !got.OK || got.Connect == 0 {
		t.Errorf("ask = %s, want ok", got)
	}
	_, port, _ := net.SplitHostPort(address)
	number, _ := net.LookupPort("tcp", port)
	if got := ask(t, "127.0.0.1:1", Check{Kind: TCP, Port: number}); !got.OK || got.Address != address {
		t.Errorf("ask at another port = %s, want ok at %s", got, address)
	}
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	closed := ln.Addr().String()
	ln.Close()
	got := ask(t, closed, Check{Kind: TCP})
	if got.Cause != "connection refused" || got.Layer != LayerConnect || got.Own {
		t.Errorf("ask of a closed port = %+v, want connection refused", got)
	}
}

func TestAskTLS(t *testing.T) {
	now := time.Now()
	good, pool := issue(t, now.Add(-time.Hour), now.Add(time.Hour))
	old, oldPool := issue(t, now.Add(-48*time.Hour), now.Add(-24*time.Hour))
	early, earlyPool := issue(t, now.Add(24*time.Hour), now.Add(48*time.Hour))
	day := func(d time.Duration) string { return now.Add(d).UTC().Format(time.DateOnly) }
	for _, c := range []struct {
		name   string
		server *tls.Config
		client *tls.Config
		cause  string
	}{
		{"ok", &tls.Config{Certificates: []tls.Certificate{good}}, &tls.Config{RootCAs: pool}, ""},
		{"by name", &tls.Config{Certificates: []tls.Certificate{good}}, &tls.Config{RootCAs: pool, ServerName: "known.test"}, ""},
		{"other name", &tls.Config{Certificates: []tls.Certificate{good}}, &tls.Config{RootCAs: pool, ServerName: "other.test"}, "TLS certificate is for another name"},
		{"unknown authority", &tls.Config{Certificates: []tls.Certificate{good}}, &tls.Config{RootCAs: oldPool}, "TLS certificate is from an unknown authority"},
		{"expired", &tls.Config{Certificates: []tls.Certificate{old}}, &tls.Config{RootCAs: oldPool}, "TLS certificate expired " + day(-24*time.Hour)},
		{"early", &tls.Config{Certificates: []tls.Certificate{early}}, &tls.Config{RootCAs: earlyPool}, "TLS certificate not valid before " + day(24*time.Hour)},
		{"unchecked", &tls.Config{Certificates: []tls.Certificate{old}}, &tls.Config{InsecureSkipVerify: true}, ""},
		{"no common version", &tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS13}, &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS12}, "TLS refused: protocol version not supported"},
		{"other protocol", &tls.Config{Certificates: []tls.Certificate{good}, NextProtos: []string{"other"}}, &tls.Config{RootCAs: pool}, "TLS refused: no application protocol"},
		{"client certificate", &tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert}, &tls.Config{RootCAs: pool}, "TLS refused: certificate required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := listen(t, func(raw net.Conn) {
				conn := tls.Server(raw, c.server)
				well(conn)
				conn.CloseWrite()
				hang(raw)
			})
			got := ask(t, address, Check{TLS: c.client})
			if got.Cause != c.cause || got.TLS == 0 {
				t.Errorf("cause %q, TLS %v, want %q\n%s", got.Cause, got.TLS, c.cause, got.Details())
			}
			seen := !strings.HasPrefix(c.cause, "TLS refused") || c.name == "client certificate"
			if seen && (got.Certificate != "CN=probe\x1btest" || got.Expires.IsZero()) {
				t.Errorf("certificate %q until %v, want what the target showed", got.Certificate, got.Expires)
			}
			if text := got.Details(); strings.Contains(text, "\x1b") {
				t.Errorf("Details() = %q, holds the target's escape character", text)
			}
		})
	}
	address := listen(t, hang)
	if got := ask(t, address, Check{TLS: &tls.Config{}, Timeout: 200 * time.Millisecond}); got.Cause != "TLS handshake timed out" {
		t.Errorf("silent target: %q, want a handshake that timed out", got.Cause)
	}
	address = listen(t, func(net.Conn) {})
	if got := ask(t, address, Check{Kind: TCP, TLS: &tls.Config{}}); got.Layer != LayerTLS || got.Cause != "closed in the TLS handshake" && got.Cause != "connection reset" {
		t.Errorf("closing target: %q at %s, want closed in the TLS handshake", got.Cause, got.Layer)
	}
}

// TestHostileText sends what could forge a line or tear a terminal.
func TestHostileText(t *testing.T) {
	evil := "\x1b[2J\"\xff" + strings.Repeat("a", 300)
	address := listen(t, answer("HTTP/1.1 500 "+evil+"\r\nContent-Length: 306\r\n\r\n"+evil))
	got := ask(t, address, Check{})
	if len(got.Body) != bodyExcerptBytesMax || len(got.StatusLine) != statusLineBytesMax {
		t.Errorf("excerpts of %d and %d bytes, want %d and %d", len(got.Body), len(got.StatusLine), bodyExcerptBytesMax, statusLineBytesMax)
	}
	if s := got.String(); strings.ContainsAny(s, "\x1b\"a\n") && !strings.Contains(s, "connect ") || strings.Contains(s, "aaa") || strings.Contains(s, "\x1b") {
		t.Errorf("String() = %q, holds the target's text", s)
	}
	for _, line := range strings.Split(got.Details(), "\n") {
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("Details() has the line %q", line)
		}
	}
	b, err := json.Marshal(got)
	var back Transcript
	if err != nil || json.Unmarshal(b, &back) != nil || back.Status != 500 || back.Cause != got.Cause || back.Total == 0 {
		t.Errorf("json %s, %v: read back %+v, want the same", b, err, back)
	}
}
