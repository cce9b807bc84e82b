package behaviour

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// TestServerSentEvents sees each event arrive before the origin sends the next one, whether
// its content is chunked or ends with the connection.
func TestServerSentEvents(t *testing.T) {
	for _, framing := range []struct{ name, field, before, after string }{
		{"chunked", "Transfer-Encoding: chunked\r\n", "9\r\n", "\r\n"},
		{"until close", "", "", ""},
	} {
		t.Run(framing.name, func(t *testing.T) {
			next := make(chan struct{})
			o := origin.Start(t, func(c *origin.Conn) {
				if _, err := c.ReadHead(); err != nil {
					return
				}
				c.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + framing.field + "\r\n")
				for n := 0; ; n++ {
					if _, ok := <-next; !ok {
						return
					}
					c.WriteString(framing.before + fmt.Sprintf("data: %d\n\n", n) + framing.after)
				}
			})
			defer close(next)
			p := start(t, "", `routes { route "r" { upstream "u" } }
upstreams { `+upstream("u", o, "")+"}\n")
			c, err := rawclient.Dial(p.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c.Conn(), "GET / HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n")
			r := bufio.NewReader(c.Conn())
			awaitLine(t, r, "text/event-stream")
			for n := range 5 {
				next <- struct{}{}
				awaitLine(t, r, fmt.Sprintf("data: %d\n", n))
			}
		})
	}
}

// awaitLine reads lines until one holds a word.
func awaitLine(t *testing.T, r *bufio.Reader, word string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for %q: %v", word, err)
		}
		if strings.Contains(line, word) {
			return
		}
	}
}

// TestWebSocketPeers has a WebSocket library on both sides: messages small and large,
// compressed, pings, and the code of a close come through both ways.
func TestWebSocketPeers(t *testing.T) {
	echo := httpOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"echo"}, CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(4 << 20)
		for {
			kind, message, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if string(message) == "end" {
				c.Close(4321, "as asked")
				return
			}
			c.Write(r.Context(), kind, message)
		}
	})
	p := start(t, "", fmt.Sprintf(`routes { route "ws" { upstream "u"; allow-upgrade "websocket" } }
upstreams { upstream "u" { target %q } }
`, echo))
	c, _, err := websocket.Dial(t.Context(), "ws://"+p.addr+"/", &websocket.DialOptions{Subprotocols: []string{"echo"}, CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(4 << 20)
	if c.Subprotocol() != "echo" {
		t.Errorf("subprotocol %q, want echo", c.Subprotocol())
	}
	for _, message := range []string{"", "a", strings.Repeat("large ", 400_000)} {
		if err := c.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(t.Context()); err != nil || string(got) != message {
			t.Fatalf("a message of %d bytes came back as %d bytes, %v", len(message), len(got), err)
		}
	}
	if err := c.Write(t.Context(), websocket.MessageText, []byte("end")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != 4321 {
		t.Errorf("closed with %v, want code 4321", err)
	}
}

// httpOrigin serves a handler and returns its address.
func httpOrigin(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}
