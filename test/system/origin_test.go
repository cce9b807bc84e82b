package system

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/program"
	"sentinel/internal/testkit/rawclient"
)

// toOrigin is a configuration with one route to one origin.
func toOrigin(address string) string {
	return fmt.Sprintf(`
routes { route "r" { upstream "u"; allow-upgrade "websocket" } }
upstreams { upstream "u" { target %q } }
`, address)
}

// answerAll answers every request of a connection.
func answerAll(c *origin.Conn) {
	for {
		req, err := c.ReadRequest()
		if err != nil {
			return
		}
		c.WriteString(origin.Response(req, 200, "alive"))
	}
}

func TestOriginGoneAndBack(t *testing.T) {
	address := program.FreeAddress(t)
	o, err := origin.Listen(address, answerAll)
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, toOrigin(address))
	for round := range 5 {
		wantGet(t, p.url("/"), 200, "alive")
		from := p.log.mark()
		o.Close()
		code, body := get(t, p.url("/"))
		if code != 502 && code != 503 {
			t.Errorf("round %d: %d %q while the origin is gone, want 502 or 503", round, code, body)
		}
		line := p.awaitLog(from, "request failed")
		for _, want := range []string{`error="`, `route="r"`, fmt.Sprintf("status=%d", code), `path="/"`} {
			if !strings.Contains(line, want) {
				t.Errorf("log %q, want %q in it", line, want)
			}
		}
		o, err = origin.Listen(address, answerAll)
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
	}
	wantGet(t, p.url("/"), 200, "alive")
	faults := 0
	for line := range strings.Lines(p.scrape()) {
		if strings.HasPrefix(line, "sentinel_faults_total{") && strings.Contains(line, `route="r"`) && !strings.HasSuffix(line, " 0\n") {
			faults++
		}
	}
	if faults == 0 {
		t.Error("no fault was counted")
	}
}

func TestOriginKilledInMidResponse(t *testing.T) {
	for _, c := range []struct{ name, head, content string }{
		{"length", "Content-Length: 1000", strings.Repeat("x", 500)},
		{"chunked", "Transfer-Encoding: chunked", "1f4\r\n" + strings.Repeat("x", 500) + "\r\n"},
		{"chunked, in a chunk", "Transfer-Encoding: chunked", "3e8\r\n" + strings.Repeat("x", 500)},
	} {
		for _, kill := range []string{"reset", "close"} {
			t.Run(c.name+", "+kill, func(t *testing.T) {
				seen := make(chan struct{})
				o := origin.Start(t, func(oc *origin.Conn) {
					if _, err := oc.ReadRequest(); err != nil {
						return
					}
					oc.WriteString("HTTP/1.1 200 OK\r\n" + c.head + "\r\n\r\n" + c.content)
					<-seen
					if kill == "reset" {
						oc.Reset()
					}
				})
				p := start(t, toOrigin(o.Addr()))
				resp, err := http.Get(p.url("/"))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				first := make([]byte, 1)
				if _, err := io.ReadFull(resp.Body, first); err != nil {
					t.Fatal(err)
				}
				close(seen)
				rest, err := io.ReadAll(resp.Body)
				if err == nil {
					t.Errorf("the message ended well after %d bytes, want an error", len(rest)+1)
				}
			})
		}
	}
}

// TestDeadPooledConnection has the origin drop a connection that is idle in the pool at
// the moment a request arrives on it.
func TestDeadPooledConnection(t *testing.T) {
	for _, c := range []struct {
		method string
		want   int
	}{{"GET", 200}, {"HEAD", 200}, {"POST", 502}} {
		t.Run(c.method, func(t *testing.T) {
			o := origin.Start(t, func(oc *origin.Conn) {
				req, err := oc.ReadRequest()
				if err != nil {
					return
				}
				oc.WriteString(origin.Response(req, 200, "alive"))
				oc.ReadRequest() // and gone, unanswered
			})
			p := start(t, toOrigin(o.Addr()))
			client, err := rawclient.Dial(p.http)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			// One connection asks both times: its second request is read when the first
			// has given the connection to the origin back.
			ask := func(method, fields, content string) int {
				client.Send(method + " / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" + content)
				r, err := client.ReadFinalResponse(method)
				if err != nil {
					t.Fatal(err)
				}
				return r.Status
			}
			if got := ask("GET", "", ""); got != 200 {
				t.Fatalf("the first request = %d, want 200", got)
			}
			o.SetScript(answerAll)
			fields, content := "", ""
			if c.method == "POST" {
				fields, content = "Content-Length: 9\r\n", "once only"
			}
			if got := ask(c.method, fields, content); got != c.want {
				t.Errorf("%s on a connection that died = %d, want %d", c.method, got, c.want)
			}
			if posts := strings.Count(string(o.Received()), "POST / "); posts > 1 {
				t.Errorf("the origin got the POST %d times, want once", posts)
			}
			wantGet(t, p.url("/"), 200, "alive")
		})
	}
}

func TestUpgradeTunnel(t *testing.T) {
	o := origin.Start(t, func(oc *origin.Conn) {
		if _, err := oc.ReadHead(); err != nil {
			return
		}
		oc.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(oc, oc) // until the client ends
		oc.WriteString("bye")
	})
	p := start(t, toOrigin(o.Addr()))
	c, err := rawclient.Dial(p.http)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const handshake = "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
	if _, err := io.WriteString(c.Conn(), handshake); err != nil {
		t.Fatal(err)
	}
	resp, err := c.ReadFinalResponse("GET")
	if err != nil {
		t.Fatal(err)
	}
	if code := resp.Status; code != 101 {
		t.Fatalf("upgrade = %d, want 101", code)
	}
	message := strings.Repeat("\x00\xffframe", 20000)
	go io.WriteString(c.Conn(), message)
	echo := make([]byte, len(message))
	if _, err := io.ReadFull(c, echo); err != nil || string(echo) != message {
		t.Fatalf("echo differs, error %v", err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := c.ReadUntilClose(); err != nil || string(rest) != "bye" {
		t.Errorf("after the client's end came %q, %v, want %q", rest, err, "bye")
	}
}

func TestUpgradeNotAllowed(t *testing.T) {
	o := origin.Start(t, answerAll)
	p := start(t, strings.Replace(toOrigin(o.Addr()), `; allow-upgrade "websocket"`, "", 1))
	conn, err := net.Dial("tcp", p.http)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == 101 {
		t.Error("a route without allow-upgrade switched protocols")
	}
	if strings.Contains(strings.ToLower(string(o.Received())), "upgrade: websocket") {
		t.Error("a route without allow-upgrade passed the Upgrade field on")
	}
}
