package system

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// webSocketsMax is how many connections the test of many wants. Each costs the proxy
	// two descriptors; descriptorsSpare are left for all else.
	webSocketsMax    = 10_000
	descriptorsSpare = 200

	// echoVariable has the test binary be the origin: a process has room for one side only.
	echoVariable = "SENTINEL_TEST_ECHO"
	// webSocketsVariable asks for the full numbers.
	webSocketsVariable = "SENTINEL_WEBSOCKETS"
)

// webSockets returns how many connections are held through how many reloads.
func webSockets(t *testing.T) (connections, reloads int) {
	t.Helper()
	if os.Getenv(webSocketsVariable) == "" {
		return 300, 20
	}
	room := (descriptorLimit(t) - descriptorsSpare) / 2
	if room < webSocketsMax {
		t.Logf("the limit of open files leaves room for %d connections, not %d", room, webSocketsMax)
	}
	return min(room, webSocketsMax), 100
}

func descriptorLimit(t *testing.T) int {
	t.Helper()
	limits, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("/proc/self/limits doesn't tell the limit of open files")
	return 0
}

// TestWebSocketsThroughReloads holds many WebSockets while the configuration is loaded
// again and again: each carries a message beside every reload, and none is lost.
func TestWebSocketsThroughReloads(t *testing.T) {
	connections, reloads := webSockets(t)
	origin := startEcho(t)
	config := func(generation int) string {
		return fmt.Sprintf(`
limits { max-connections 20000; max-connections-per-client 20000 }
routes { route "ws" { matches { path-prefix "/" }; upstream "echo"; allow-upgrade "websocket"
    policies { response-headers { set "X-Generation" "%d" } } } }
upstreams { upstream "echo" { target "%s"; connection-pool { max-connections 20000 } } }`, generation, origin)
	}
	p := start(t, config(0))
	before := p.number("process_resident_memory_bytes")
	sockets := openWebSockets(t, p.http, connections)
	t.Logf("%d connections: %.1f KiB each", connections, (p.number("process_resident_memory_bytes")-before)/1024/float64(connections))
	for round := range reloads {
		var beside sync.WaitGroup
		beside.Go(func() { sockets.round(t, round) })
		p.reload(config(round + 1))
		beside.Wait()
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	if got := p.series(`sentinel_open_connections{listener="http"}`); got != strconv.Itoa(connections) {
		t.Errorf("%s connections are open after %d reloads, want %d", got, reloads, connections)
	}
	t.Logf("%d connections, %d reloads, %d messages", connections, reloads, connections*reloads)
}

// startEcho starts an origin that accepts every upgrade and sends all bytes back, in a
// process of its own, and returns its address.
func startEcho(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), echoVariable+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe() // its end ends the origin
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the origin says no address: %v", err)
	}
	return strings.TrimSpace(address)
}

// runEcho is the origin: it ends when its standard input does.
func runEcho() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go echo(c)
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func echo(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 1024)
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			return
		}
	}
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n")
	io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{r}) // no splice, whose pipes are descriptors too
}

// sockets are open WebSockets, in shares that are driven beside each other.
type sockets struct{ shares [][]net.Conn }

func openWebSockets(t *testing.T, address string, n int) *sockets {
	t.Helper()
	s := &sockets{shares: make([][]net.Conn, 16)}
	var opening sync.WaitGroup
	for i := range s.shares {
		opening.Go(func() {
			for range n/len(s.shares) + min(1, max(0, n%len(s.shares)-i)) {
				c, err := openWebSocket(address)
				if err != nil {
					t.Errorf("WebSocket: %v", err)
					return
				}
				t.Cleanup(func() { c.Close() })
				s.shares[i] = append(s.shares[i], c)
			}
		})
	}
	opening.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return s
}

func openWebSocket(address string) (net.Conn, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(patience))
	const ask = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
	if _, err := io.WriteString(c, ask); err != nil {
		return nil, err
	}
	var answer []byte
	for b := make([]byte, 512); !bytes.HasSuffix(answer, []byte("\r\n\r\n")); {
		n, err := c.Read(b)
		if err != nil {
			return nil, fmt.Errorf("after %q: %w", answer, err)
		}
		answer = append(answer, b[:n]...)
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 101 ")) {
		return nil, fmt.Errorf("answer %q", answer)
	}
	return c, nil
}

// round sends a message on each socket and reads it back.
func (s *sockets) round(t *testing.T, round int) {
	var driven sync.WaitGroup
	for i, share := range s.shares {
		driven.Go(func() {
			for n, c := range share {
				c.SetDeadline(time.Now().Add(patience))
				if _, err := c.Write(frame(round, i, n)); err != nil {
					t.Errorf("write on socket %d of share %d: %v", n, i, err)
					return
				}
			}
			for n, c := range share {
				want := frame(round, i, n)
				got := make([]byte, len(want))
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
					t.Errorf("socket %d of share %d sent %x back, %v, want %x", n, i, got, err, want)
					return
				}
			}
		})
	}
	driven.Wait()
}

// frame is a masked binary frame (RFC 6455 section 5.2) whose content names it. The mask is
// zero, so that it is its own echo.
func frame(round, share, n int) []byte {
	content := fmt.Sprintf("%04d %02d %05d", round, share, n)
	return append([]byte{0x82, byte(0x80 | len(content)), 0, 0, 0, 0}, content...)
}
