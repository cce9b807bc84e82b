package behaviour

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"sentinel/internal/testkit/h2raw"
	"sentinel/internal/testkit/origin"
)

const toWebSocket = `allow-upgrade "websocket"`

// wsOpen are the fields that ask for a WebSocket over HTTP/2, with further ones behind.
func wsOpen(path string, more ...string) []string {
	return append([]string{
		":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", path, ":authority", "h",
		"sec-websocket-version", "13",
	}, more...)
}

// switched is the answer of an origin that switches to WebSocket as r asks.
func switched(r origin.Request, more string) string {
	sum := sha1.Sum([]byte(r.Fields.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n" + more + "\r\n"
}

// wsOrigin switches and then does as told.
func wsOrigin(t *testing.T, then func(*origin.Conn)) *origin.Origin {
	return origin.Start(t, func(c *origin.Conn) {
		r, err := c.ReadHead()
		if err != nil {
			return
		}
		c.WriteString(switched(r, ""))
		then(c)
	})
}

func wsEcho(c *origin.Conn) { io.Copy(c.Conn(), c) }

// wsDial opens a WebSocket on stream 1 of a new connection.
func wsDial(t *testing.T, p *proxy, path string, settings ...http2.Setting) *h2raw.Conn {
	t.Helper()
	c := h2raw.Dial(t, p.addr, settings...)
	c.Must(c.Open(1, false, wsOpen(path)...))
	c.Until(1, "200", func(a *h2raw.Answer) bool { return a.Status == "200" })
	return c
}

// wsSays waits until the content of stream 1 is text.
func wsSays(c *h2raw.Conn, text string) {
	c.Until(1, text, func(a *h2raw.Answer) bool { return string(a.Content) == text })
}

// TestHTTP2WebSocket checks what client and upstream see of a WebSocket over HTTP/2, early
// bytes both ways, and that each side can end its half.
func TestHTTP2WebSocket(t *testing.T) {
	o := origin.Start(t, func(c *origin.Conn) {
		r, err := c.ReadHead()
		if err != nil {
			return
		}
		c.WriteString(switched(r, "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: x\r\n") + "early ")
		b, _ := c.ReadUntilClose()
		c.WriteString(string(b) + " bye")
	})
	p := start(t, h2c, forward(o, toWebSocket+`; matches { method "GET" }`, ""))
	c := h2raw.Dial(t, p.addr)
	if v := c.Server[http2.SettingEnableConnectProtocol]; v != 1 {
		t.Errorf("SETTINGS_ENABLE_CONNECT_PROTOCOL = %d, want 1", v)
	}
	c.Must(c.Open(1, false, wsOpen("/chat?a=b", "sec-websocket-key", "the client's own", "sec-websocket-protocol", "chat, talk", "sec-websocket-extensions", "x; y", "origin", "http://h")...))
	c.Must(c.WriteData(1, false, []byte("hel")))
	a := c.Until(1, "200", func(a *h2raw.Answer) bool { return string(a.Content) == "early " })
	if a.Status != "200" || a.Fields["sec-websocket-protocol"] != "chat" || a.Fields["sec-websocket-extensions"] != "x" || a.Fields["date"] == "" {
		t.Errorf("accepted by %v", a)
	}
	for _, name := range []string{"sec-websocket-accept", "upgrade", "connection", "content-length"} {
		if v, ok := a.Fields[name]; ok {
			t.Errorf("the client sees %s: %s", name, v)
		}
	}
	c.Must(c.WriteData(1, true, []byte("lo")))
	if a := c.Want(1, "200"); string(a.Content) != "early hello bye" || a.WasReset {
		t.Errorf("the tunnel = %v", a)
	}
	seen := string(o.Received())
	want(t, "the upstream", seen, "GET /chat?a=b HTTP/1.1\r\n", "Upgrade: websocket\r\n", "Connection: Upgrade\r\n", "sec-websocket-version: 13\r\n",
		"sec-websocket-protocol: chat, talk\r\n", "sec-websocket-extensions: x; y\r\n", "origin: http://h\r\n", "Host: h\r\n", "Via: 2.0 sentinel\r\n")
	if strings.Contains(seen, "the client's own") || strings.Count(strings.ToLower(seen), "upgrade: ") != 1 || strings.Contains(seen, "chunked") {
		t.Errorf("the upstream sees %q", seen)
	}
	want(t, "the log", p.Logs(), `method="GET"`, `status=101`, `protocol="HTTP/2"`, `bytes_in=5`, `bytes_out=15`)
}

// TestHTTP2WebSocketLarge echoes more than all windows hold.
func TestHTTP2WebSocketLarge(t *testing.T) {
	const size = 3 << 20
	p := start(t, h2c, forward(wsOrigin(t, wsEcho), toWebSocket, ""))
	c := wsDial(t, p, "/", http2.Setting{ID: http2.SettingInitialWindowSize, Val: 5000})
	b := []byte(strings.Repeat("0123456789abcdef", size/16))
	up := &uploader{Conn: c, window: 256 << 10, stream: 65535} // wsDial has read the first update
	up.send(t, 1, b)
	if a := c.Want(1, "200"); string(a.Content) != string(b) {
		t.Errorf("%d bytes came back as %d", size, len(a.Content))
	}
}

// TestHTTP2WebSocketEnds checks that what breaks off on one side breaks off on the other.
func TestHTTP2WebSocketEnds(t *testing.T) {
	ended := make(chan error, 1)
	wait := func(c *origin.Conn) { _, err := c.ReadUntilClose(); ended <- err }
	for _, test := range []struct {
		name   string
		origin func(*origin.Conn)
		client func(*testing.T, *h2raw.Conn)
		reset  bool // the upstream sees one
	}{
		{"client resets", wait, func(_ *testing.T, c *h2raw.Conn) { c.Must(c.WriteRSTStream(1, http2.ErrCodeCancel)) }, true},
		{"client resets after the upstream has ended", func(c *origin.Conn) { c.CloseWrite(); wait(c) }, func(_ *testing.T, c *h2raw.Conn) {
			c.Want(1, "200")
			c.Must(c.WriteRSTStream(1, http2.ErrCodeCancel))
		}, true},
		{"client's connection ends", wait, func(_ *testing.T, c *h2raw.Conn) { c.Net.Close() }, true},
		{"trailers", wait, func(t *testing.T, c *h2raw.Conn) {
			c.Must(c.Open(1, true, "x", "y"))
			if a := c.Want(1, "200"); a.Reset != http2.ErrCodeProtocol {
				t.Errorf("a field section in the tunnel = %v", a)
			}
		}, true},
		{"upstream resets", func(c *origin.Conn) { c.Reset(); ended <- nil }, func(t *testing.T, c *h2raw.Conn) {
			if a := c.Want(1, "200"); !a.WasReset || a.Reset != http2.ErrCodeCancel {
				t.Errorf("the client sees %v, want CANCEL", a)
			}
		}, false},
		{"upstream ends", func(c *origin.Conn) { c.WriteString("x"); c.Read(make([]byte, 1)); c.CloseWrite(); wait(c) }, func(t *testing.T, c *h2raw.Conn) {
			wsSays(c, "x")
			c.Must(c.WriteData(1, false, []byte("y"))) // now nothing is under way that the end could go along with
			if a := c.Want(1, "200"); a.WasReset || string(a.Content) != "x" {
				t.Errorf("the client sees %v, want an end", a)
			}
			c.Must(c.WriteData(1, true, nil))
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, h2c, forward(wsOrigin(t, test.origin), toWebSocket, ""))
			test.client(t, wsDial(t, p, "/"))
			select {
			case err := <-ended:
				if test.reset != (err != nil) {
					t.Errorf("the upstream's read ended with %v, want a reset: %v", err, test.reset)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the upstream's connection goes on")
			}
		})
	}
}

// TestHTTP2WebSocketRefused checks which requests for a tunnel get which refusal, and that
// none is taken for granted.
func TestHTTP2WebSocketRefused(t *testing.T) {
	o := origin.Start(t, func(c *origin.Conn) {
		for {
			r, err := c.ReadHead()
			if err != nil {
				return
			}
			switch r.Target {
			case "/wrong":
				c.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
			case "/none":
				c.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			case "/who":
				c.WriteString(origin.Response(r, 401, "who"))
			default:
				c.WriteString(origin.Response(r, 200, "plain"))
			}
		}
	})
	p := start(t, h2c, `routes {
    route "no" { matches { path-prefix "/no" }; upstream "u" }
    route "fixed" { matches { path-prefix "/fixed" }; respond { status 200; body "x" } }
    route "yes" { upstream "u"; allow-upgrade "websocket" }
}
upstreams { `+upstream("u", o, "")+"}\n")
	var faults []string
	full := wsOpen("/")
	without := func(name string) []string {
		var out []string
		for i := 0; i < len(full); i += 2 {
			if full[i] != name {
				out = append(out, full[i], full[i+1])
			}
		}
		return out
	}
	with := func(name, value string) []string {
		out := append([]string{}, full...)
		for i := 0; i < len(out); i += 2 {
			if out[i] == name {
				out[i+1] = value
			}
		}
		return out
	}
	for _, test := range []struct {
		name   string
		fields []string
		status string
		fault  string
	}{
		{"route doesn't allow it", wsOpen("/no"), "403", "upgrade_refused"},
		{"route answers itself", wsOpen("/fixed"), "403", "upgrade_refused"},
		{"health", wsOpen("/health"), "502", "upstream_bad_upgrade"},
		{"gRPC", wsOpen("/no", "content-type", "application/grpc"), "403", "upgrade_refused"},
		{"upstream answers 200", wsOpen("/"), "502", "upstream_bad_upgrade"},
		{"upstream answers 401", wsOpen("/who"), "401", ""},
		{"wrong accept", wsOpen("/wrong"), "502", "upstream_bad_upgrade"},
		{"no accept", wsOpen("/none"), "502", "upstream_bad_upgrade"},
		{"other protocol", with(":protocol", "connect-udp"), "501", "connect_refused"},
		{"plain CONNECT", []string{":method", "CONNECT", ":authority", "h:443"}, "501", "connect_refused"},
		{"no token", with(":protocol", "web socket"), "400", "bad_request"},
		{"GET", with(":method", "GET"), "400", "bad_request"},
		{"no scheme", without(":scheme"), "400", "bad_request"},
		{"no path", without(":path"), "400", "bad_request"},
		{"no authority", without(":authority"), "400", "bad_request"},
		{"star", with(":path", "*"), "400", "bad_target"},
		{"twice", append([]string{":protocol", "websocket"}, full...), "400", "bad_request"},
		{"content", wsOpen("/", "content-length", "5"), "400", "bad_framing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := h2raw.Dial(t, p.addr)
			c.Must(c.Open(1, false, test.fields...))
			a := c.Want(1, test.status)
			if malformed := test.status == "400"; malformed != (a.WasReset && a.Reset == http2.ErrCodeProtocol) {
				t.Errorf("answered by %v", a)
			}
			if test.fault != "" {
				faults = append(faults, fmt.Sprintf("fault=%q", test.fault))
			}
			c.Must(c.Get(3, "/health"))
			c.Want(3, "200")
		})
	}
	want(t, "the log", p.Logs(), faults...)
}

// TestHTTP2WebSocketThroughReloads checks that tunnels outlive configurations, also those that
// no longer allow them, and go on for the time of a shutdown.
func TestHTTP2WebSocketThroughReloads(t *testing.T) {
	o := wsOrigin(t, wsEcho)
	const soon = "system { $FILES; graceful-shutdown-timeout-secs 2 }\n"
	p := start(t, h2c, soon+forward(o, toWebSocket, ""))
	c := wsDial(t, p, "/")
	text := ""
	for i, route := range []string{toWebSocket, toWebSocket + "; timeouts { request-secs 3 }", ""} {
		const listeners = `listeners { listener "l" { address "127.0.0.1:0"; ` + h2c + " } }\n"
		if out := p.Reload(p.Expand(listeners + soon + forward(o, route, ""))); out.Error != "" {
			t.Fatalf("reload: %v", out)
		}
		text += fmt.Sprint(i)
		c.Must(c.WriteData(1, false, fmt.Append(nil, i)))
		wsSays(c, text)
	}
	c.Must(c.Open(3, false, wsOpen("/")...))
	c.Want(3, "403")

	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.Stop()
	}()
	c.Until(1, "the end announced", func(*h2raw.Answer) bool { return c.GoAway != nil })
	c.Must(c.WriteData(1, false, []byte("still")))
	wsSays(c, text+"still")
	if code, err := c.End(); err != nil || code != http2.ErrCodeNo {
		t.Errorf("the connection ended by %v, %v", code, err)
	}
	<-stopped
}

// TestTunnelIdle checks how long a tunnel may be silent, by which block, and that bytes one way
// keep the other.
func TestTunnelIdle(t *testing.T) {
	const short, long = "timeouts { tunnel-idle-secs 1 }; ", "timeouts { tunnel-idle-secs 100 }; "
	for _, test := range []struct {
		name, top, listener, route string
		ends                       bool
	}{
		{"top level", short, "", "", true},
		{"listener", long, short, "", true},
		{"route", long, long, short, true},
		{"route over listener", short, short, long, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			ended := make(chan error, 1)
			o := wsOrigin(t, func(c *origin.Conn) {
				// It speaks for longer than the client may be silent alone.
				for range 12 {
					time.Sleep(100 * time.Millisecond)
					c.WriteString(".")
				}
				_, err := c.ReadUntilClose()
				ended <- err
			})
			p := start(t, h2c+test.listener, strings.ReplaceAll(test.top, "; ", "\n")+forward(o, toWebSocket+"; "+test.route, ""))
			c := wsDial(t, p, "/")
			wsSays(c, strings.Repeat(".", 12))
			if test.ends {
				if a := c.Want(1, "200"); !a.Ended {
					t.Errorf("the silent tunnel = %v", a)
				}
				if err := <-ended; err != nil {
					t.Errorf("the upstream's read ended with %v", err)
				}
				return
			}
			c.SetDeadline(1500 * time.Millisecond)
			if a, err := c.Answer(1); err == nil {
				t.Errorf("the tunnel ended: %v", a)
			}
		})
	}
	t.Run("HTTP/1.1", func(t *testing.T) {
		p := start(t, "", short+"\n"+forward(wsOrigin(t, wsEcho), toWebSocket, ""))
		c := p.dial()
		c.Send("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		if b, err := c.ReadUntilClose(); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 101") {
			t.Errorf("the silent tunnel = %q, %v", b, err)
		}
	})
}
