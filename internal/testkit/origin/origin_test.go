package origin_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

const get = "GET /p HTTP/1.1\r\nHost: a\r\n\r\n"

func TestScriptsAsNetHTTPSeesThem(t *testing.T) {
	tests := []struct {
		name    string
		script  origin.Script
		status  int
		content string
	}{
		{"ok", origin.OK(3), 200, "xxx"},
		{"ok without content", origin.OK(0), 200, ""},
		{"status", origin.Status(503), 503, "status 503\n"},
		{"no content", origin.Status(204), 204, ""},
		{"not modified", origin.Status(304), 304, ""},
		{"chunked", origin.Chunked("hello ", "world"), 200, "hello world"},
		{"raw", origin.Raw("HTTP/1.0 200 OK\r\n\r\nuntil close"), 200, "until close"},
	}
	for _, tt := range tests {
		o := origin.Start(t, tt.script)
		for _, method := range []string{"GET", "HEAD", "POST"} {
			want := tt.content
			var content io.Reader
			if method == "POST" {
				content = strings.NewReader("question")
			}
			if method == "HEAD" {
				want = ""
			}
			req, err := http.NewRequest(method, "http://"+o.Addr()+"/", content)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatalf("%s, %s: %v", tt.name, method, err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != tt.status || string(got) != want {
				t.Errorf("%s, %s = %d %q (%v), want %d %q", tt.name, method, resp.StatusCode, got, err, tt.status, want)
			}
		}
		if o.Requests() != 3 {
			t.Errorf("%s: Requests = %d, want 3", tt.name, o.Requests())
		}
	}
}

func TestEchoAndRecord(t *testing.T) {
	o := origin.Start(t, origin.Echo())
	c := dial(t, o)
	head := "POST /e HTTP/1.1\r\nhOST: a\r\nX:1\r\nContent-Length: 4\r\n\r\n"
	send(t, c, head+"body")
	resp, err := c.ReadResponse("POST")
	if err != nil || resp.Text() != head {
		t.Errorf("echo = %q, %v, want %q", resp.Text(), err, head)
	}
	if got := string(o.Received()); got != head+"body" {
		t.Errorf("Received = %q", got)
	}
	if o.Connections() != 1 || o.Requests() != 1 {
		t.Errorf("%d connections, %d requests, want 1 and 1", o.Connections(), o.Requests())
	}
}

func TestPipelinedAnswersAndReuse(t *testing.T) {
	o := origin.Start(t, origin.CloseWhenReused())
	c := dial(t, o)
	send(t, c, get)
	if _, err := c.ReadResponses("GET"); err != nil {
		t.Fatal(err)
	}
	send(t, c, get)
	if err := c.AwaitClose(); err != nil {
		t.Error(err)
	}

	o.SetScript(origin.OK(1))
	c = dial(t, o)
	send(t, c, get+get+strings.Replace(get, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
	if all, err := c.ReadResponses("GET", "GET", "GET"); err != nil || len(all) != 3 {
		t.Errorf("%d responses, %v", len(all), err)
	}
	if err := c.AwaitClose(); err != nil {
		t.Error(err)
	}
}

func TestEndsBeforeResponse(t *testing.T) {
	c := dial(t, origin.Start(t, origin.CloseBeforeResponse()))
	send(t, c, get)
	if _, err := c.ReadResponse("GET"); err != io.EOF {
		t.Errorf("close before the response: %v, want io.EOF", err)
	}
	c = dial(t, origin.Start(t, origin.ResetBeforeResponse()))
	send(t, c, get)
	if _, err := c.ReadResponse("GET"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset before the response: %v, want a reset", err)
	}
}

func TestSlowWaitsForEachStep(t *testing.T) {
	step := make(chan struct{})
	c := dial(t, origin.Start(t, origin.Slow(step, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "ab", "cd")))
	send(t, c, get)
	if err := c.AwaitSilence(10 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	step <- struct{}{}
	p := make([]byte, 100)
	n, err := c.Read(p)
	if err != nil || !strings.HasSuffix(string(p[:n]), "\r\n\r\n") {
		t.Fatalf("first part = %q, %v", p[:n], err)
	}
	close(step)
	if rest, err := c.ReadUntilClose(); err != nil || string(rest) != "abcd" {
		t.Errorf("rest = %q, %v", rest, err)
	}
}

func TestHalfCloseBothWays(t *testing.T) {
	received := make(chan string, 1)
	o := origin.Start(t, func(c *origin.Conn) {
		c.WriteString("first")
		c.CloseWrite()
		b, err := c.ReadUntilClose()
		if err != nil {
			t.Errorf("origin: %v", err)
		}
		received <- string(b)
	})
	c := dial(t, o)
	if b, err := c.ReadUntilClose(); err != nil || string(b) != "first" {
		t.Errorf("client read %q, %v", b, err)
	}
	send(t, c, "second")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := <-received; got != "second" {
		t.Errorf("origin read %q", got)
	}
}

func TestKillAndComeBack(t *testing.T) {
	o := origin.Start(t, func(c *origin.Conn) {
		c.ReadHead()
		if err := c.Stall(nil); err != origin.ErrClosed {
			t.Errorf("Stall = %v, want ErrClosed", err)
		}
	})
	c := dial(t, o)
	send(t, c, get)
	for o.Requests() == 0 {
		time.Sleep(time.Millisecond) // the other end of a real connection
	}
	o.Close()
	if _, err := c.ReadResponse("GET"); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after Close: %v, want the end of the connection", err)
	}
	if _, err := rawclient.Dial(o.Addr()); err == nil {
		t.Error("a closed origin accepts")
	}
	back, err := origin.Listen(o.Addr(), origin.OK(2))
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if resp, err := rawclient.Do(back.Addr(), "GET", get); err != nil || resp.Text() != "xx" {
		t.Errorf("after coming back: %q, %v", resp.Text(), err)
	}
	idle := dial(t, back)
	send(t, idle, get)
	if _, err := idle.ReadResponse("GET"); err != nil {
		t.Fatal(err)
	}
	back.Close() // returns although a script waits for the next request
	if err := idle.AwaitClose(); err != nil {
		t.Error(err)
	}
	back.Close()
}

func TestServeOnAnyListener(t *testing.T) {
	l, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	o := origin.Serve(l, origin.OK(2))
	defer o.Close()
	conn, err := net.Dial("unix", o.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c := rawclient.New(conn)
	defer c.Close()
	send(t, c, get)
	if resp, err := c.ReadResponse("GET"); err != nil || resp.Text() != "xx" {
		t.Errorf("by unix socket: %q, %v", resp.Text(), err)
	}
}

func dial(t *testing.T, o *origin.Origin) *rawclient.Client {
	t.Helper()
	c, err := rawclient.Dial(o.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, c *rawclient.Client, raw string) {
	t.Helper()
	if err := c.Send(raw); err != nil {
		t.Fatal(err)
	}
}
