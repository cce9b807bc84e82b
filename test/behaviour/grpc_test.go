package behaviour

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// call makes a call of gRPC and returns the response, read to its end.
func call(t *testing.T, c *http.Client, url, kind, content string, fields ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest("POST", url, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Set(name, value)
	}
	r, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

// echoCalls answers a call with its content and with what was asked for, in the trailers.
func echoCalls(t *testing.T) *h2Origin {
	return startH2(t, func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/grpc+proto")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		w.Write(content)
		w.Header().Set("Grpc-Status", "5")
		w.Header().Set("Grpc-Message", fmt.Sprintf("%s te=%s web=%s length=%d", r.Header.Get("Content-Type"), r.Header.Get("TE"), r.Header.Get("X-Grpc-Web"), r.ContentLength))
	}, nil)
}

// Trailers of calls pass without allow-trailers, those of other requests don't.
func TestGRPCTrailers(t *testing.T) {
	o := echoCalls(t)
	p := start(t, "http2 { h2c #true }", o.over("", ""))
	r, body := call(t, h2Client(t), "http://"+p.addr+"/s/m", "application/grpc", "message")
	if body != "message" || r.Trailer.Get("Grpc-Status") != "5" || !strings.HasPrefix(r.Trailer.Get("Grpc-Message"), "application/grpc te=trailers") {
		t.Errorf("call = %q, trailers %v", body, r.Trailer)
	}
	if r, _ := call(t, h2Client(t), "http://"+p.addr+"/s/m", "text/plain", "message"); len(r.Trailer) > 0 {
		t.Errorf("a request that is no call gets trailers %v", r.Trailer)
	}
}

// Faults of calls are told as gRPC tells them, and counted as what they are.
func TestGRPCFaults(t *testing.T) {
	hang := startH2(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil)
	p := start(t, "http2 { h2c #true }", fmt.Sprintf(`routes {
    route "dead" { matches { path-prefix "/dead" }; upstream "dead" }
    route "slow" { matches { path-prefix "/slow" }; upstream "slow" }
    route "closed" { matches { path-prefix "/closed" }; access { deny "127.0.0.0/8" }; upstream "slow" }
    route "limited" { matches { path-prefix "/limited" }; rate-limit { requests-per-minute 1; key "path" }; upstream "dead" }
}
upstreams { upstream "dead" { target "127.0.0.1:1"; protocol "h2c" }; upstream "slow" { target %q; protocol "h2c" } }`, hang.addr))
	c := h2Client(t)
	call(t, c, "http://"+p.addr+"/limited", "application/grpc", "")
	for _, x := range []struct{ path, field, status string }{
		{"/dead", "A: b", "14"}, {"/slow", "Grpc-Timeout: 100m", "4"}, {"/nowhere", "A: b", "12"}, {"/closed", "A: b", "7"}, {"/limited", "A: b", "8"},
	} {
		began := time.Now()
		r, body := call(t, c, "http://"+p.addr+x.path, "application/grpc+proto", "m", x.field)
		if r.StatusCode != 200 || r.Header.Get("Grpc-Status") != x.status || r.Header.Get("Content-Type") != "application/grpc" || body != "" {
			t.Errorf("%s = %d, grpc-status %q, type %q, %q, want 200 and %s", x.path, r.StatusCode, r.Header.Get("Grpc-Status"), r.Header.Get("Content-Type"), body, x.status)
		}
		if took := time.Since(began); x.path == "/slow" && took > 5*time.Second {
			t.Errorf("a call with a timeout of 100 ms took %v", took)
		}
	}
	if m := p.Metrics(); !strings.Contains(m, `sentinel_requests_total{code="504",route="slow",status="5xx"} 1`) {
		t.Error("the call past its deadline isn't counted as 504")
	}
}

// Calls of gRPC-Web reach the upstream as gRPC, and come back with trailers in the content.
func TestGRPCWeb(t *testing.T) {
	o := echoCalls(t)
	p := start(t, "http2 { h2c #true }", o.over("grpc-web #true", ""))
	message := "\x00\x00\x00\x00\x03abc"
	status := func(length int) string {
		lines := fmt.Sprintf("grpc-status: 5\r\ngrpc-message: application/grpc+proto te=trailers web= length=%d\r\n", length)
		return fmt.Sprintf("\x80\x00\x00\x00%c%s", len(lines), lines)
	}
	for name, c := range map[string]*http.Client{"HTTP/1.1": {Transport: &http.Transport{DisableKeepAlives: true}}, "HTTP/2": h2Client(t)} {
		r, body := call(t, c, "http://"+p.addr+"/s/m", "application/grpc-web+proto", message, "X-Grpc-Web: 1")
		if got := r.Header.Get("Content-Type"); got != "application/grpc-web+proto" || body != message+status(len(message)) {
			t.Errorf("%s: binary = %q %q, want the message and %q", name, got, body, status(len(message)))
		}
		text := base64.StdEncoding.EncodeToString([]byte(message[:4])) + base64.StdEncoding.EncodeToString([]byte(message[4:]))
		r, body = call(t, c, "http://"+p.addr+"/s/m", "application/grpc-web-text+proto", text)
		if got, plain := r.Header.Get("Content-Type"), decodePieces(body); got != "application/grpc-web-text+proto" || !strings.HasPrefix(plain, message+"\x80") || !strings.Contains(plain, "grpc-status: 5\r\n") {
			t.Errorf("%s: text = %q %q", name, got, plain)
		}
		if r, _ := call(t, c, "http://"+p.addr+"/s/m", "application/grpc-web-text", "no base64!"); r.Header.Get("Grpc-Status") != "13" {
			t.Errorf("%s: text that is no base64 = %d %v, want grpc-status 13", name, r.StatusCode, r.Header)
		}
	}
	plain := start(t, "http2 { h2c #true }", o.over("", ""))
	if r, body := call(t, h2Client(t), "http://"+plain.addr+"/s/m", "application/grpc-web+proto", message); body != message {
		t.Errorf("without grpc-web the call isn't passed as it is: %v %q", r.Header, body)
	}
}

// decodePieces decodes base64 that may be padded inside.
func decodePieces(text string) string {
	var b strings.Builder
	for ; len(text) >= 4; text = text[4:] {
		piece, err := base64.StdEncoding.DecodeString(text[:4])
		if err != nil {
			return err.Error()
		}
		b.Write(piece)
	}
	return b.String() + text
}
