package rawclient_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"sentinel/internal/testkit/rawclient"
)

// pipe returns a client and the other end of its connection, on which serve
// runs.
func pipe(t *testing.T, serve func(conn net.Conn)) *rawclient.Client {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		serve(far)
	}()
	c := rawclient.New(near)
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	return c
}

func says(raw string) func(net.Conn) {
	return func(conn net.Conn) { io.WriteString(conn, raw) }
}

func TestReadResponse(t *testing.T) {
	tests := []struct {
		raw, method string
		status      int
		reason      string
		content     string
		bad         bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "GET", 200, "OK", "hi", false},
		{"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\n", "HEAD", 200, "", "", false},
		{"HTTP/1.0 404 Not Here\r\n\r\nuntil close", "GET", 404, "Not Here", "until close", false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "GET", 200, "OK", "hi", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", "GET", 200, "OK", "hi", true},
		{"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "GET", 0, "", "", true},
		{"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", "GET", 0, "", "", true},
		{"ICY 200 OK\r\n\r\n", "GET", 0, "", "", true},
	}
	for _, tt := range tests {
		resp, err := pipe(t, says(tt.raw)).ReadResponse(tt.method)
		if resp.Status != tt.status || resp.Reason != tt.reason || resp.Text() != tt.content || (err != nil) != tt.bad {
			t.Errorf("ReadResponse(%q) = %d %q %q, %v", tt.raw, resp.Status, resp.Reason, resp.Text(), err)
		}
		if !tt.bad && string(resp.Raw) != tt.raw {
			t.Errorf("Raw = %q, want %q", resp.Raw, tt.raw)
		}
	}
}

func TestInterimResponses(t *testing.T) {
	const raw = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\ntunnel"
	c := pipe(t, says(raw))
	for _, want := range []int{200, 101} {
		if resp, err := c.ReadFinalResponse("GET"); err != nil || resp.Status != want {
			t.Fatalf("ReadFinalResponse = %d, %v, want %d", resp.Status, err, want)
		}
	}
	p := make([]byte, 6)
	if _, err := io.ReadFull(c, p); err != nil || string(p) != "tunnel" {
		t.Errorf("behind the 101: %q, %v", p, err)
	}
}

func TestAwaits(t *testing.T) {
	quiet := func(conn net.Conn) { conn.Read(make([]byte, 1)) }
	if err := pipe(t, quiet).AwaitSilence(5 * time.Millisecond); err != nil {
		t.Errorf("AwaitSilence on a quiet connection: %v", err)
	}
	if err := pipe(t, says("x")).AwaitSilence(time.Second); err == nil {
		t.Error("AwaitSilence passes when a byte comes")
	}
	if err := pipe(t, says("")).AwaitSilence(time.Second); !errors.Is(err, io.EOF) {
		t.Errorf("AwaitSilence at the end: %v, want io.EOF", err)
	}
	if err := pipe(t, says("")).AwaitClose(); err != nil {
		t.Errorf("AwaitClose at the end: %v", err)
	}
	if err := pipe(t, says("x")).AwaitClose(); err == nil {
		t.Error("AwaitClose passes when a byte comes")
	}
	c := pipe(t, quiet)
	c.SetTimeout(5 * time.Millisecond)
	if err := c.AwaitClose(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("AwaitClose on an open connection: %v, want the deadline", err)
	}
	if err := c.CloseWrite(); err == nil {
		t.Error("CloseWrite passes on a connection that can't")
	}
}

func TestSendPieces(t *testing.T) {
	got := make(chan string, 3)
	c := pipe(t, func(conn net.Conn) {
		p := make([]byte, 10)
		for range 3 {
			n, _ := conn.Read(p)
			got <- string(p[:n])
		}
	})
	if err := c.SendPieces(nil, "a", "bc", "d"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a", "bc", "d"} {
		if piece := <-got; piece != want {
			t.Errorf("piece %q, want %q", piece, want)
		}
	}
}
