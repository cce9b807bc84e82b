package behaviour

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"sentinel/internal/testkit/h2raw"
	"sentinel/internal/testkit/origin"
)

// TestHTTP2Malformed checks that a request that two readers could read in two ways is never
// forwarded and ends its stream with an error.
func TestHTTP2Malformed(t *testing.T) {
	o := named(t, "o")
	p := start(t, h2c, forward(o, "", ""))
	c := h2raw.Dial(t, p.addr)
	next := uint32(1)
	get := func(more ...string) []string { return h2raw.Head("GET", "/", more...) }
	for name, pairs := range map[string][]string{
		"no method":               {":scheme", "http", ":path", "/", ":authority", "h"},
		"empty path":              {":method", "GET", ":scheme", "http", ":path", "", ":authority", "h"},
		"a path without slash":    {":method", "GET", ":scheme", "http", ":path", "a", ":authority", "h"},
		"an asterisk":             {":method", "GET", ":scheme", "http", ":path", "*", ":authority", "h"},
		"a fragment":              {":method", "GET", ":scheme", "http", ":path", "/#a", ":authority", "h"},
		"a space in the path":     {":method", "GET", ":scheme", "http", ":path", "/ HTTP/1.1", ":authority", "h"},
		"a line end in the path":  {":method", "GET", ":scheme", "http", ":path", "/\r\nX: y", ":authority", "h"},
		"a method with a space":   {":method", "GET /x", ":scheme", "http", ":path", "/", ":authority", "h"},
		"another scheme":          {":method", "GET", ":scheme", "ftp", ":path", "/", ":authority", "h"},
		"no authority":            {":method", "GET", ":scheme", "http", ":path", "/"},
		"user information":        {":method", "GET", ":scheme", "http", ":path", "/", ":authority", "u@h"},
		"two paths":               {":method", "GET", ":scheme", "http", ":path", "/", ":path", "/b", ":authority", "h"},
		"an unknown pseudo field": {":method", "GET", ":scheme", "http", ":path", "/", ":authority", "h", ":x", "1"},
		"a response's":            {":method", "GET", ":scheme", "http", ":path", "/", ":authority", "h", ":status", "200"},
		"a late pseudo field":     {":method", "GET", ":scheme", "http", "x", "1", ":path", "/", ":authority", "h"},
		"another host":            get("host", "g"),
		"upper case":              get("X-A", "1"),
		"a name with a colon":     get("x:a", "1"),
		"an empty name":           get("", "1"),
		"a line end":              get("x-a", "1\r\nx-b: 2"),
		"a lone line feed":        get("x-a", "1\nx-b: 2"),
		"NUL":                     get("x-a", "1\x00"),
		"a space in front":        get("x-a", " 1"),
		"connection":              get("connection", "close"),
		"keep-alive":              get("keep-alive", "1"),
		"proxy-connection":        get("proxy-connection", "close"),
		"upgrade":                 get("upgrade", "websocket"),
		"transfer-encoding":       get("transfer-encoding", "chunked"),
		"te":                      get("te", "gzip"),
		"two lengths":             get("content-length", "0", "content-length", "0"),
		"a signed length":         get("content-length", "+0"),
		"a length and no content": get("content-length", "1"),
	} {
		c.Must(c.Open(next, true, pairs...))
		a, err := c.Answer(next)
		for err == nil && !a.WasReset {
			_, err = c.Next()
		}
		if err != nil || a.Reset != http2.ErrCodeProtocol || a.Status != "" && a.Status != "400" {
			t.Errorf("%s = %v, %v; want 400 and PROTOCOL_ERROR", name, a, err)
		}
		next += 2
	}
	c.Must(c.Open(next, true, ":method", "CONNECT", ":authority", "h:80"))
	if a := c.Want(next, "501"); a.WasReset {
		t.Errorf("CONNECT = %v", a)
	}
	if n := o.Requests(); n != 0 {
		t.Errorf("%d of them were forwarded: %q", n, o.Received())
	}
}

// TestHTTP2Lengths checks content against the length that was said, before the upstream could
// take one for the other.
func TestHTTP2Lengths(t *testing.T) {
	var whole atomic.Int64
	o := origin.Start(t, origin.Answer(func(r origin.Request) string {
		whole.Add(1)
		return origin.Response(r, 200, "ok")
	}))
	p := start(t, h2c, forward(o, "", ""))
	c := h2raw.Dial(t, p.addr)
	for i, parts := range [][]string{{"abc", ""}, {"ab", "cdefg"}, {"abcdef"}} {
		id := id(i)
		c.Must(c.Open(id, false, h2raw.Head("POST", "/", "content-length", "5")...))
		for k, part := range parts {
			c.Must(c.WriteData(id, k == len(parts)-1, []byte(part)))
		}
		if a, err := c.Answer(id); err != nil || a.Reset != http2.ErrCodeProtocol {
			t.Errorf("%q instead of 5 bytes = %v, %v; want PROTOCOL_ERROR", parts, a, err)
		}
	}
	eventually(t, "all are counted", func() bool { return p.faults("bad_framing") == 3 })
	if n := whole.Load(); n != 0 {
		t.Errorf("%d were taken for whole: %q", n, o.Received())
	}
}

// TestHTTP2Limits checks that the limits of the listener hold.
func TestHTTP2Limits(t *testing.T) {
	p := start(t, h2c+`limits { max-header-size 2000; max-header-count 10; max-uri-length 100; max-body-size 1000; max-requests-per-connection 8 }`,
		forward(named(t, "o"), "", ""))
	c := h2raw.Dial(t, p.addr)
	long := strings.Repeat("a", 1500)
	var crumbs []string
	for range 11 {
		crumbs = append(crumbs, "cookie", "a=b")
	}
	for i, x := range []struct {
		status string
		pairs  []string
	}{
		{"431", h2raw.Head("GET", "/", "x-a", long, "x-b", long)},
		{"431", h2raw.Head("GET", "/", crumbs...)},
		{"414", h2raw.Head("GET", "/"+strings.Repeat("a", 100))},
		{"413", h2raw.Head("GET", "/", "content-length", "1001")},
		{"200", h2raw.Head("GET", "/")},
	} {
		c.Must(c.Open(id(i), x.status != "413", x.pairs...))
		if a := c.Want(id(i), x.status); a.WasReset && a.Reset != http2.ErrCodeNo {
			t.Errorf("%s = %v", x.status, a)
		}
	}
	c.Must(c.Open(11, false, h2raw.Head("POST", "/")...))
	c.Must(c.WriteData(11, false, make([]byte, 600)))
	c.Must(c.WriteData(11, true, make([]byte, 600)))
	c.Want(11, "413")
	c.Must(c.Get(13, "/"))
	c.Must(c.Get(15, "/"))
	c.Must(c.Get(17, "/"))
	c.Want(13, "200")
	c.Want(15, "200")
	if code, err := c.End(); err != nil || code != http2.ErrCodeNo || c.GoAway.LastStreamID != 15 {
		t.Errorf("max-requests-per-connection: %v, %v, %v; want NO_ERROR after stream 15", code, err, c.GoAway)
	}
}

// TestHTTP2HeaderBomb sends a few bytes that decode to very many, again and again.
func TestHTTP2HeaderBomb(t *testing.T) {
	p := start(t, h2c, forward(named(t, "o"), "", ""))
	c := h2raw.Dial(t, p.addr)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.Must(c.Get(1, "/", "x-bomb", strings.Repeat("b", 3900)))
	c.Want(1, "200")
	bomb := c.Encode(h2raw.Head("GET", "/")...)
	one := c.Encode("x-bomb", strings.Repeat("b", 3900))
	if len(one) > 2 {
		t.Fatalf("the bomb has %d bytes", len(one))
	}
	for range 10000 {
		bomb = append(bomb, one...)
	}
	for i := range 50 {
		c.Must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: id(i + 1), BlockFragment: bomb, EndHeaders: true, EndStream: true}))
		c.Want(id(i+1), "431")
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
	if n := p.faults("head_too_large"); n != 50 {
		t.Errorf("head_too_large was counted %d times, want 50", n)
	}
}

// TestHTTP2Timeouts checks clients that stop in the middle of something.
func TestHTTP2Timeouts(t *testing.T) {
	o := origin.Start(t, origin.Answer(func(r origin.Request) string { return origin.Response(r, 200, strings.Repeat("x", 200000)) }))
	p := start(t, h2c+`timeouts { header-secs 0.3; idle-secs 0.4; read-secs 0.3; write-secs 0.3; min-body-rate 100000 }`, forward(o, "", ""))
	for name, x := range map[string]struct {
		begin func(c *h2raw.Conn) error
		code  http2.ErrCode
		fault string
	}{
		"half a head": {func(c *h2raw.Conn) error {
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.Encode(h2raw.Head("GET", "/")...)})
		}, http2.ErrCodeEnhanceYourCalm, "head_timeout"},
		"half a frame": {func(c *h2raw.Conn) error {
			_, err := c.Net.Write([]byte{0, 0, 9, 1, 4, 0, 0, 0, 1, 0x82})
			return err
		}, http2.ErrCodeEnhanceYourCalm, "head_timeout"},
		"no window at all": {func(c *h2raw.Conn) error { return c.Get(1, "/") }, http2.ErrCodeEnhanceYourCalm, "client_stalled"},
		"nothing":          {func(*h2raw.Conn) error { return nil }, http2.ErrCodeNo, ""},
	} {
		c := h2raw.Dial(t, p.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
		c.Quiet = true
		before := 0
		if x.fault != "" {
			before = p.faults(x.fault)
		}
		c.Must(x.begin(c))
		if code, err := c.End(); err != nil || code != x.code {
			t.Errorf("%s: %v, %v; want %v", name, code, err, x.code)
		}
		if x.fault != "" {
			eventually(t, name+" is counted", func() bool { return p.faults(x.fault) > before })
		}
	}
	c := h2raw.Dial(t, p.addr)
	c.Must(c.Open(1, false, h2raw.Head("POST", "/", "content-length", "10")...))
	c.Want(1, "408")
	c.Must(c.Open(3, false, h2raw.Head("POST", "/")...))
	c.Quiet = true // slow writes
	slow := func() {
		for c.WriteData(3, false, []byte("slow")) == nil {
			time.Sleep(100 * time.Millisecond)
		}
	}
	go slow()
	c.Want(3, "408")
	c.Net.Close()
	for _, f := range []string{"content_timeout", "content_too_slow"} {
		eventually(t, f+" is counted", func() bool { return p.faults(f) > 0 })
	}
}

// TestHTTP2Stalled checks a client that opens windows by drops: its answers are given up one
// by one, then the connection is.
func TestHTTP2Stalled(t *testing.T) {
	o := origin.Start(t, origin.Answer(func(r origin.Request) string { return origin.Response(r, 200, strings.Repeat("x", 100000)) }))
	p := start(t, h2c+`timeouts { write-secs 0.3; idle-secs 30 }`, forward(o, "", ""))
	c := h2raw.Dial(t, p.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	c.Quiet = true
	for i := range 10 {
		c.Must(c.Get(id(i), "/"))
	}
	go func() {
		for {
			for i := range 10 {
				if c.WriteWindowUpdate(id(i), 1) != nil {
					return
				}
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	code, err := c.End()
	if err != nil || code != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("ended with %v, %v; want ENHANCE_YOUR_CALM", code, err)
	}
	eventually(t, "ten stalled answers are counted", func() bool { return p.faults("client_stalled") == 10 })
}
