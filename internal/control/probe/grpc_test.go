package probe

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// grpcServer serves HTTP/2, over TLS when cert is given, and returns its address.
func grpcServer(t *testing.T, cert *tls.Certificate, h http.HandlerFunc) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP2(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if cert != nil {
			s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}}
			s.ServeTLS(ln, "", "")
			return
		}
		s.Serve(ln)
	}()
	t.Cleanup(func() { s.Close(); <-done })
	return ln.Addr().String()
}

// grpcAnswer answers with a message and a status in the trailers.
func grpcAnswer(message, status string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		io.WriteString(w, message)
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", status)
	}
}

const servingMessage = "\x00\x00\x00\x00\x02\x08\x01"

func TestAskGRPC(t *testing.T) {
	for _, c := range []struct {
		name  string
		h     http.HandlerFunc
		cause string
		grpc  string
	}{
		{"serving", grpcAnswer(servingMessage, "0"), "", "SERVING"},
		{"not serving", grpcAnswer("\x00\x00\x00\x00\x02\x08\x02", "0"), "gRPC status NOT_SERVING", "NOT_SERVING"},
		{"empty message", grpcAnswer("\x00\x00\x00\x00\x00", "0"), "gRPC status UNKNOWN", "UNKNOWN"},
		{"new status", grpcAnswer("\x00\x00\x00\x00\x02\x08\x63", "0"), "gRPC status of an unknown number", "of an unknown number"},
		{"unknown service", grpcAnswer("", "5"), "gRPC code NOT_FOUND", "NOT_FOUND"},
		{"only a head", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", "12")
		}, "gRPC code UNIMPLEMENTED", "UNIMPLEMENTED"},
		{"serving, yet failed", grpcAnswer(servingMessage, "14"), "gRPC code UNAVAILABLE", "UNAVAILABLE"},
		{"no status", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			io.WriteString(w, servingMessage)
		}, "gRPC answer has no status", ""},
		{"malformed", grpcAnswer("\x00\x00\x00\x00\x09\x08\x01", "0"), "gRPC answer is malformed", ""},
		{"too long", grpcAnswer(strings.Repeat("x", 1<<20), "0"), "gRPC answer is too long", ""},
		{"web page", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }, "answer is not gRPC", ""},
		{"503", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, "answered 503, expected 200", ""},
		{"hang", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "answer timed out", ""},
		{"body hangs", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "body timed out", ""},
		{"aborted", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "answer is not HTTP/2", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := grpcServer(t, nil, c.h)
			timeout := 5 * time.Second
			if strings.HasSuffix(c.cause, "timed out") {
				timeout = 200 * time.Millisecond
			}
			got := ask(t, address, Check{Kind: GRPC, Timeout: timeout})
			if got.Cause != c.cause || got.GRPC != c.grpc || got.OK != (c.cause == "") {
				t.Errorf("cause %q, grpc %q, want %q, %q\n%s", got.Cause, got.GRPC, c.cause, c.grpc, got.Details())
			}
		})
	}
}

func TestGRPCRequest(t *testing.T) {
	cert, pool := issue(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	for _, secure := range []bool{false, true} {
		var seen *http.Request
		var body []byte
		check := Check{Kind: GRPC, Service: "shop.Cart", Host: "known.test", Headers: [][2]string{{"X-A", "1"}}}
		var use *tls.Certificate
		if secure {
			use, check.TLS = &cert, &tls.Config{RootCAs: pool}
		}
		address := grpcServer(t, use, func(w http.ResponseWriter, r *http.Request) {
			seen, body = r, nil
			body, _ = io.ReadAll(r.Body)
			grpcAnswer(servingMessage, "0")(w, r)
		})
		got := ask(t, address, check)
		if !got.OK || (got.TLSVersion != "") != secure {
			t.Fatalf("secure %v: %s", secure, got)
		}
		want := "\x00\x00\x00\x00\x0b\x0a\x09shop.Cart"
		if string(body) != want || seen.Method != "POST" || seen.URL.Path != grpcPath || seen.Host != "known.test" || seen.ProtoMajor != 2 {
			t.Errorf("secure %v: %s %s at %s, body %q, want body %q", secure, seen.Method, seen.URL, seen.Host, body, want)
		}
		if h := seen.Header; h.Get("Content-Type") != "application/grpc" || h.Get("Te") != "trailers" || h.Get("X-A") != "1" || h.Get("Grpc-Timeout") != "5000m" {
			t.Errorf("secure %v: fields %v", secure, h)
		}
	}
}

func TestGRPCOfOthers(t *testing.T) {
	if got := ask(t, listen(t, well), Check{Kind: GRPC, Timeout: time.Second}); got.OK || got.Layer != LayerAnswer {
		t.Errorf("HTTP/1.1 target: %s, want a failure of the answer", got)
	}
	if got := ask(t, listen(t, func(net.Conn) {}), Check{Kind: GRPC}); got.OK || got.Layer != LayerAnswer {
		t.Errorf("closing target: %s, want a failure of the answer", got)
	}
	cert, pool := issue(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	address := listen(t, func(raw net.Conn) {
		c := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{cert}})
		c.Handshake()
		hang(c)
	})
	if got := ask(t, address, Check{Kind: GRPC, TLS: &tls.Config{RootCAs: pool}}); got.Cause != "target does not offer HTTP/2" {
		t.Errorf("TLS target without ALPN: %s", got)
	}
}

func TestParseCheckResponse(t *testing.T) {
	prefix := func(m string) []byte { return append([]byte{0, 0, 0, 0, byte(len(m))}, m...) }
	for _, c := range []struct {
		in   []byte
		want uint64
		ok   bool
	}{
		{prefix(""), 0, true},
		{prefix("\x08\x01"), 1, true},
		{prefix("\x08\x02\x08\x01"), 1, true},
		{prefix("\x12\x02ab\x08\x01"), 1, true},
		{prefix("\x1d1234\x21abcdefgh\x08\x01"), 1, true},
		{prefix("\x08"), 0, false},
		{prefix("\x12\x05ab"), 0, false},
		{prefix("\x1d123"), 0, false},
		{prefix("\x0b"), 0, false},
		{prefix("\x08\x80"), 0, false},
		{prefix("\x00\x01"), 0, false},
		{prefix("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0, false},
		{[]byte{1, 0, 0, 0, 2, 8, 1}, 0, false},
		{[]byte{0, 0, 0, 0, 3, 8, 1}, 0, false},
		{nil, 0, false},
	} {
		got, err := parseCheckResponse(c.in)
		if got != c.want && c.ok || (err == nil) != c.ok {
			t.Errorf("parseCheckResponse(%q) = %d, %v, want %d, ok %v", c.in, got, err, c.want, c.ok)
		}
	}
}

func FuzzParseCheckResponse(f *testing.F) {
	f.Add([]byte(servingMessage))
	f.Add([]byte("\x00\x00\x00\x00\x04\x12\x02ab"))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		parseCheckResponse(b)
		if !bytes.Equal(b, before) {
			t.Errorf("parseCheckResponse changed its input")
		}
	})
}
