package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The loop never returns and holds its thread, so the tests run it in a child:
// this test binary with the variable set.
const listenVariable = "ORIGIN_TEST_LISTEN"

func TestMain(m *testing.M) {
	if address := os.Getenv(listenVariable); address != "" {
		os.Args = []string{"origin", "-listen", address, "-also", "2"}
		main()
	}
	os.Exit(m.Run())
}

// startOrigin runs the origin until the test ends and returns its address.
func startOrigin(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), listenVariable+"="+address)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 500 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return address
		}
		time.Sleep(10 * time.Millisecond) // another process: nothing to wait on
	}
	t.Fatal("the origin does not listen")
	return ""
}

// Each further address is a target of its own to a proxy.
func TestOriginListensOnSeveralAddresses(t *testing.T) {
	_, port, err := net.SplitHostPort(startOrigin(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "127.0.1.1", "127.0.1.2"} {
		resp, err := http.Get("http://" + net.JoinHostPort(host, port) + "/1k")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 || resp.ContentLength != 1024 {
			t.Errorf("%s answers %s with %d bytes, want 200 with 1024", host, resp.Status, resp.ContentLength)
		}
	}
}

func TestOriginAnswers(t *testing.T) {
	address := startOrigin(t)
	none := func() io.Reader { return nil }
	sized := func() io.Reader { return strings.NewReader(strings.Repeat("c", 300_000)) }
	chunked := func() io.Reader { return io.MultiReader(sized()) } // of no length that net/http can see
	tests := []struct {
		method, path string
		content      func() io.Reader
		status, size int
	}{
		{"GET", "/1k", none, 200, 1 << 10},
		{"GET", "/1k?x=1", none, 200, 1 << 10},
		{"GET", "/1m", none, 200, 1 << 20},
		{"GET", "/chunked", none, 200, 1 << 10},
		{"HEAD", "/1m", none, 200, 0},
		{"GET", "/other", none, 404, 10},
		{"POST", "/1k", sized, 200, 1 << 10},
		{"POST", "/1k", chunked, 200, 1 << 10},
	}
	for range 2 { // the second time on connections that were used
		for _, tt := range tests {
			req, err := http.NewRequest(tt.method, "http://"+address+tt.path, tt.content())
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatalf("%s %s: %v", tt.method, tt.path, err)
			}
			content, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != tt.status || len(content) != tt.size {
				t.Errorf("%s %s = %d with %d bytes (%v), want %d with %d", tt.method, tt.path, resp.StatusCode, len(content), err, tt.status, tt.size)
			}
			if date, err := http.ParseTime(resp.Header.Get("Date")); err != nil || time.Since(date) > time.Minute {
				t.Errorf("Date: %q", resp.Header.Get("Date"))
			}
		}
	}
}

func TestOriginAnswersPipelinedInOrder(t *testing.T) {
	c, err := net.Dial("tcp", startOrigin(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	var requests strings.Builder
	const rounds = 20
	for range rounds {
		requests.WriteString("GET /1m HTTP/1.1\r\nHost: a\r\n\r\nPOST /1k HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /chunked HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	requests.WriteString("GET /1k HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if _, err := io.WriteString(c, requests.String()); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	want := append(bytes.Repeat([]byte("mkc"), rounds), 'k')
	for i, size := range want {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("response %d: %v", i, err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if wantBytes := map[byte]int64{'m': 1 << 20, 'k': 1 << 10, 'c': 1 << 10}[size]; err != nil || n != wantBytes {
			t.Fatalf("response %d has %d bytes (%v), want %d", i, n, err, wantBytes)
		}
	}
	if n, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after Connection: close: %d, %v", n, err)
	}
}

func TestChunkReaderAtEverySplit(t *testing.T) {
	const content = "5;x=y\r\nhello\r\n1A\r\n" + "abcdefghijklmnopqrstuvwxyz" + "\r\n0\r\nTrailer: t\r\n\r\n"
	const next = "GET /"
	for cut := range len(content) {
		var r chunkReader
		rest, done, ok := r.skip([]byte(content[:cut]))
		if done || !ok {
			t.Fatalf("skip of %q: done %v, ok %v", content[:cut], done, ok)
		}
		rest, done, ok = r.skip([]byte(string(rest) + content[cut:] + next))
		if !done || !ok || string(rest) != next {
			t.Errorf("cut at %d: rest %q, done %v, ok %v", cut, rest, done, ok)
		}
	}
	for _, bad := range []string{"x\r\n", "\r\n", "-1\r\n", "1234567890abc\r\n"} {
		var r chunkReader
		if _, _, ok := r.skip([]byte(bad)); ok {
			t.Errorf("skip(%q) is ok", bad)
		}
	}
}

func TestParseHead(t *testing.T) {
	tests := []struct {
		head string
		want string
		ok   bool
	}{
		{"GET /1k HTTP/1.1\r\nHost: a\r\n", "/1k false false 0 false", true},
		{"HEAD /1k?q HTTP/1.1\r\ncontent-length: 12\r\n", "/1k true false 12 false", true},
		{"GET / HTTP/1.0\r\n", "/ false false 0 true", true},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: Close\r\n", "/ false true 0 true", true},
		{"GET / HTTP/1.1\r\nContent-Length: -1\r\n", "", false},
		{"GET / HTTP/1.1\r\n\nHost: a\r\n", "/ false false 0 false", true},
		{"GET /\r\n", "", false},
		{"\r\n", "", false},
	}
	for _, tt := range tests {
		req, ok := parseHead([]byte(tt.head))
		got := fmt.Sprintf("%s %v %v %d %v", req.path, req.headOnly, req.chunked, req.contentLength, req.closes)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("parseHead(%q) = %s, %v, want %s, %v", tt.head, got, ok, tt.want, tt.ok)
		}
	}
}

// FuzzHead checks that no head brings the origin down and that the rest behind
// it is left alone.
func FuzzHead(f *testing.F) {
	f.Add([]byte("GET /1k HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("GET / HTTP/1.1\r\n\nT:\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		head, rest, ok := cutHead(b)
		if !ok {
			return
		}
		if len(head)+len(crlf)+len(rest) != len(b) {
			t.Errorf("cutHead(%q) = %q, %q", b, head, rest)
		}
		parseHead(head)
	})
}

// FuzzChunks checks that content skipped in two pieces ends where it ends in one.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\nT: v\r\n\r\nrest"), 7)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		if cut < 0 || cut > len(b) {
			return
		}
		var whole, split chunkReader
		wantRest, wantDone, wantOK := whole.skip(b)
		rest, done, ok := split.skip(b[:cut])
		switch {
		case done:
			rest = append(bytes.Clone(rest), b[cut:]...)
		case ok:
			rest, done, ok = split.skip(append(bytes.Clone(rest), b[cut:]...))
		}
		if done != wantDone || ok != wantOK || ok && !bytes.Equal(rest, wantRest) {
			t.Errorf("skip(%q) cut at %d = %q, %v, %v, want %q, %v, %v", b, cut, rest, done, ok, wantRest, wantDone, wantOK)
		}
	})
}
