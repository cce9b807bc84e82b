package behaviour

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// h2Client is a client that speaks HTTP/2 without TLS.
func h2Client(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// Content and response flow at the same time over HTTP/2, each piece as it comes.
func TestDuplex(t *testing.T) {
	o := startH2(t, func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		w.WriteHeader(200)
		c.Flush()
		for in := bufio.NewScanner(r.Body); in.Scan(); c.Flush() {
			if in.Text() == "end" {
				return
			}
			fmt.Fprintf(w, "got %s\n", in.Text())
		}
	}, nil)
	p := start(t, "http2 { h2c #true }", o.over("", "timeouts { read-secs 1 }"))
	body, send := io.Pipe()
	req, _ := http.NewRequest("POST", "http://"+p.addr+"/", body)
	r, err := h2Client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	in := bufio.NewReader(r.Body)
	for i := range 8 { // takes longer than either side may be silent
		fmt.Fprintf(send, "%d\n", i)
		if line, err := in.ReadString('\n'); line != fmt.Sprintf("got %d\n", i) {
			t.Fatalf("line %d = %q, %v", i, line, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	fmt.Fprintln(send, "end") // the response ends, the content doesn't
	if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
		t.Errorf("the rest = %q, %v, want the end", rest, err)
	}
	until(t, "the stream ended", func() bool { return o.streams.Load() == 0 })
	if r, err := h2Client(t).Post("http://"+p.addr+"/", "text/plain", strings.NewReader("a\nb\n")); err != nil {
		t.Error(err)
	} else if b, err := io.ReadAll(r.Body); string(b) != "got a\ngot b\n" || err != nil {
		t.Errorf("another exchange = %q, %v", b, err)
	}
	if n := o.conns.Load(); n != 1 {
		t.Errorf("%d connections were opened, want 1", n)
	}
}

// An upload is no silence of the upstream.
func TestDuplexUploads(t *testing.T) {
	o := startH2(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}, nil)
	p := start(t, "http2 { h2c #true }", o.over("", "timeouts { read-secs 0.5 }"))
	body, send := io.Pipe()
	go func() {
		for range 10 {
			send.Write(make([]byte, 1000))
			time.Sleep(100 * time.Millisecond)
		}
		send.Close()
	}()
	req, _ := http.NewRequest("POST", "http://"+p.addr+"/", body)
	r, err := h2Client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if b, err := io.ReadAll(r.Body); string(b) != "10000" || err != nil {
		t.Errorf("answer = %q, %v, want 10000", b, err)
	}
}

// A client that gives up a stream gives it up at the target at once, whichever protocol that
// speaks.
func TestGivenUpStream(t *testing.T) {
	gone := make(chan struct{}, 10)
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begun" {
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
		gone <- struct{}{}
	}
	for _, protocol := range []string{"h2c", "http1"} {
		o := startH2(t, handler, func(s *http.Server) { s.Protocols.SetHTTP1(true) })
		p := start(t, "http2 { h2c #true }", strings.Replace(o.over("", ""), "h2c", protocol, 1))
		client := h2Client(t)
		for _, path := range []string{"/silent", "/begun"} {
			ctx, cancel := context.WithCancel(t.Context())
			req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+p.addr+path, nil)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if r, err := client.Do(req); err == nil {
					io.Copy(io.Discard, r.Body)
					r.Body.Close()
				}
			}()
			until(t, "the request at the origin", func() bool { return o.streams.Load() == 1 })
			if path == "/begun" {
				time.Sleep(50 * time.Millisecond) // its head on the way
			}
			began := time.Now()
			cancel()
			<-gone
			if took := time.Since(began); took > 300*time.Millisecond {
				t.Errorf("%s %s: the target heard of it after %v", protocol, path, took)
			}
			<-ended
			until(t, "the stream ended", func() bool { return o.streams.Load() == 0 })
		}
		if want := map[string]int64{"h2c": 1, "http1": 2}[protocol]; o.conns.Load() != want {
			t.Errorf("%s: %d connections, want %d", protocol, o.conns.Load(), want)
		}
		p.Stop()
	}
}
