package behaviour

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"sentinel/internal/testkit/h2raw"
	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

const h2c = "http2 { h2c #true };"

// TestHTTP2 checks exchanges over HTTP/2 without TLS: what upstream and client see of them,
// beside HTTP/1.1 on the same port.
func TestHTTP2(t *testing.T) {
	o := origin.Start(t, origin.Answer(func(r origin.Request) string { return origin.Response(r, 200, "got "+string(r.Content.Data)) }))
	p := start(t, h2c, forward(o, "", ""))
	c := h2raw.Dial(t, p.addr)
	c.Must(c.Get(1, "/a?b=c", "cookie", "x=1", "x-a", "1", "cookie", "y=2", "te", "trailers"))
	a := c.Want(1, "200")
	if string(a.Content) != "got " || a.Fields["content-length"] != "4" {
		t.Errorf("GET = %q %v", a.Content, a.Fields)
	}
	seen := string(o.Received())
	want(t, "the upstream", seen, "GET /a?b=c HTTP/1.1\r\n", "Host: h\r\n", "cookie: x=1; y=2\r\n", "x-a: 1\r\n", "Via: 2.0 sentinel\r\n", "X-Forwarded-Proto: http\r\n")
	for _, never := range []string{"te: ", ":path", "Transfer-Encoding"} {
		if strings.Contains(seen, never) {
			t.Errorf("the upstream sees %q in %q", never, seen)
		}
	}
	c.Must(c.Open(3, false, h2raw.Head("POST", "/", "content-length", "5")...))
	c.Must(c.WriteDataPadded(3, false, []byte("hel"), make([]byte, 9)))
	c.Must(c.WriteData(3, true, []byte("lo")))
	if a := c.Want(3, "200"); string(a.Content) != "got hello" {
		t.Errorf("POST = %q", a.Content)
	}
	c.Must(c.Open(5, true, h2raw.Head("HEAD", "/")...))
	if a := c.Want(5, "200"); len(a.Content) > 0 {
		t.Errorf("HEAD = %q", a.Content)
	}
	c.Must(c.Get(7, "/health"))
	c.Want(7, "200")
	c.Must(c.Get(9, "/ready"))
	c.Want(9, "200")
	if r := p.do("GET", "/"); r.Status != 200 {
		t.Errorf("HTTP/1.1 beside it = %d", r.Status)
	}
	if r := p.do("GET", "/", "Host: h", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"); r.Status != 200 {
		t.Errorf("Upgrade: h2c = %d, want it ignored", r.Status)
	}
	want(t, "the log", p.Logs(), `protocol="HTTP/2"`, `protocol="HTTP/1.1"`)
}

// TestHTTP2Settings checks what each key of http2 tells clients and holds them to.
func TestHTTP2Settings(t *testing.T) {
	entered, release := make(chan origin.Request, 1), make(chan struct{})
	o := origin.Start(t, origin.Acts(func(origin.Request) origin.Act { return origin.Held(entered, release, origin.Reply(200, "ok")) }))
	p := start(t, `http2 { h2c #true; max-concurrent-streams 2; initial-window-size 20000; connection-window-size 70000; max-frame-size 20000 }`,
		forward(o, "", "max-connections 1; queue { max-pending 9 }"))
	c := h2raw.Dial(t, p.addr)
	c.Quiet = true
	for id, v := range map[http2.SettingID]uint32{
		http2.SettingMaxConcurrentStreams: 2, http2.SettingInitialWindowSize: 20000, http2.SettingMaxFrameSize: 20000,
	} {
		if c.Server[id] != v {
			t.Errorf("%v = %d, want %d", id, c.Server[id], v)
		}
	}
	f, err := c.Next()
	for ; err == nil; f, err = c.Next() {
		if w, ok := f.(*http2.WindowUpdateFrame); ok {
			if w.StreamID != 0 || w.Increment != 70000-65535 {
				t.Errorf("the connection's window grows by %d", w.Increment)
			}
			break
		}
	}
	c.Must(err)
	c.Must(c.Get(1, "/"))
	<-entered
	c.Must(c.Open(3, false, h2raw.Head("POST", "/")...)) // it waits, and nobody reads its content
	c.Must(c.Get(5, "/"))
	if a, err := c.Answer(5); err != nil || a.Reset != http2.ErrCodeRefusedStream {
		t.Errorf("a third stream = %v, %v; want it refused", a, err)
	}
	c.Must(c.WriteData(3, false, make([]byte, 20000)))
	c.Must(c.WritePing(false, [8]byte{1}))
	for {
		f, err := c.Next()
		c.Must(err)
		if _, ok := f.(*http2.PingFrame); ok {
			break
		}
	}
	c.Must(c.WriteData(3, false, make([]byte, 1)))
	if code, err := c.End(); err != nil || code != http2.ErrCodeFlowControl {
		t.Errorf("content beyond the window = %v, %v; want FLOW_CONTROL_ERROR", code, err)
	}
	close(release)
	c = h2raw.Dial(t, p.addr)
	c.Must(c.WriteRawFrame(0x77, 0, 0, make([]byte, 20001)))
	if code, err := c.End(); err != nil || code != http2.ErrCodeFrameSize {
		t.Errorf("a frame of 20001 bytes = %v, %v; want FRAME_SIZE_ERROR", code, err)
	}
}

// TestHTTP2Only checks that a listener that speaks nothing else ends other connections.
func TestHTTP2Only(t *testing.T) {
	p := start(t, "http2 { h2c #true; only #true }", `routes { route "r" { respond 200 "hello" } }`)
	c := h2raw.Dial(t, p.addr)
	c.Must(c.Get(1, "/"))
	c.Want(1, "200")
	r, err := rawclient.Dial(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Send(ask)
	if b, err := r.ReadUntilClose(); err != nil || strings.Contains(string(b), "HTTP/1") {
		t.Errorf("HTTP/1.1 = %q, %v; want no answer", b, err)
	}
	plain := start(t, "", `routes { route "r" { respond 200 "hello" } }`)
	r, err = rawclient.Dial(plain.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Send(http2.ClientPreface)
	if b, err := r.ReadUntilClose(); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 505") {
		t.Errorf("HTTP/2 where it isn't allowed = %q, %v", b, err)
	}
}

// TestHTTP2Large checks large content both ways through small windows.
func TestHTTP2Large(t *testing.T) {
	const size = 3 << 20
	o := origin.Start(t, origin.Answer(func(r origin.Request) string {
		return origin.Response(r, 200, strconv.Itoa(len(string(r.Content.Data)))+strings.Repeat("x", size))
	}))
	p := start(t, h2c, forward(o, "", ""))
	c := h2raw.Dial(t, p.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
	c.Must(c.Open(1, false, h2raw.Head("POST", "/")...))
	up := &uploader{Conn: c, window: 65535, stream: 65535}
	up.send(t, 1, make([]byte, size))
	a := c.Want(1, "200")
	if n := strconv.Itoa(size); len(a.Content) != size+len(n) || !strings.HasPrefix(string(a.Content), n) {
		t.Errorf("content of %d bytes that begins %.20q", len(a.Content), a.Content)
	}
}

// uploader sends content as the server's windows allow.
type uploader struct {
	*h2raw.Conn
	window, stream int
}

func (u *uploader) send(t *testing.T, id uint32, b []byte) {
	u.SetDeadline(20 * time.Second)
	for len(b) > 0 {
		n := min(len(b), u.window, u.stream, 16384)
		if n == 0 {
			f, err := u.Next()
			if err != nil {
				t.Fatal(err)
			}
			if w, ok := f.(*http2.WindowUpdateFrame); ok && w.StreamID == 0 {
				u.window += int(w.Increment)
			} else if ok {
				u.stream += int(w.Increment)
			}
			continue
		}
		u.Must(u.WriteData(id, n == len(b), b[:n]))
		b, u.window, u.stream = b[n:], u.window-n, u.stream-n
	}
}
