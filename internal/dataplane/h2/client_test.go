package h2

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// peer is the upstream of a test: it does what the test says, frame by frame.
type peer struct {
	*http2.Framer
	t    *testing.T
	conn net.Conn
	enc  *hpack.Encoder
	text bytes.Buffer
}

// pair returns a client and its upstream, which has sent settings.
func pair(t *testing.T, l ClientLimits, settings ...http2.Setting) (*Client, *peer) {
	t.Helper()
	c, p := strangers(t, l)
	started := make(chan error, 1)
	go func() { started <- c.Start(c.net.Clock().Now() + 10*time.Second) }()
	p.greet(settings...)
	if err := <-started; err != nil {
		t.Fatalf("Start = %v", err)
	}
	return c, p
}

// strangers returns a client and its upstream, of which neither has said anything.
func strangers(t *testing.T, l ClientLimits) (*Client, *peer) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialled, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	dialled.(*net.TCPConn).SetWriteBuffer(16 << 10)
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	clock := netio.NewClock()
	c := NewClient(netio.NewConn(clock, dialled), &l)
	ended := make(chan struct{})
	c.Ended = func(*Client) { close(ended) }
	p := &peer{Framer: http2.NewFramer(accepted, accepted), t: t, conn: accepted}
	p.AllowIllegalWrites = true
	p.enc = hpack.NewEncoder(&p.text)
	accepted.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() {
		accepted.Close()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Error("the client's goroutine goes on")
		}
		clock.Stop()
	})
	return c, p
}

// greet reads the client's preface and settings and answers.
func (p *peer) greet(settings ...http2.Setting) {
	p.t.Helper()
	b := make([]byte, len(preface))
	if _, err := io.ReadFull(p.conn, b); err != nil || string(b) != preface {
		p.t.Errorf("preface = %q, %v", b, err)
	}
	p.WriteSettings(settings...)
}

// next returns the next frame of a type, over others.
func next[T http2.Frame](p *peer) T {
	p.t.Helper()
	for {
		f, err := p.ReadFrame()
		if err != nil {
			p.t.Fatalf("ReadFrame = %v, want a %T", err, *new(T))
		}
		if f, ok := f.(T); ok {
			return f
		}
	}
}

// section encodes fields, given as name, value in turn.
func (p *peer) section(fields ...string) []byte {
	p.text.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return p.text.Bytes()
}

// head sends a field section.
func (p *peer) head(stream uint32, end bool, fields ...string) {
	b := p.section(fields...)
	n := min(len(b), frameBytesMaxLow)
	p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: b[:n], EndHeaders: n == len(b), EndStream: end})
	for b = b[n:]; len(b) > 0; b = b[n:] {
		n = min(len(b), frameBytesMaxLow)
		p.WriteContinuation(stream, n == len(b), b[:n])
	}
}

// outgoing returns a request.
func outgoing(method, content string) *message.Outgoing {
	h := &message.Head{
		Buf: []byte(method), Method: message.ParseMethod([]byte(method)), MethodAt: message.Span{End: uint16(len(method))},
		Extra: []byte("Host: a.example\r\nX-One: 1\r\nKeep-Alive: 3\r\n"),
	}
	o := &message.Outgoing{Head: h, Path: []byte("/p")}
	if content != "" {
		o.Framing, o.Length, o.Content = message.Length, int64(len(content)), []byte(content)
	}
	return o
}

// open takes a stream that reads for ten seconds at most.
func open(t *testing.T, c *Client) *Stream {
	t.Helper()
	s := new(Stream)
	if _, ok := c.Open(s); !ok {
		t.Fatal("Open = false")
	}
	s.SetReadDeadline(c.net.Clock().Now() + 10*time.Second)
	return s
}

// readAll reads the content of the response in hand.
func readAll(s *Stream) (string, error) {
	s.Frame()
	var all []byte
	for {
		b, end, err := s.ReadContent()
		all = append(all, b...)
		if end || err != nil {
			return string(all), err
		}
	}
}

func TestClientRequest(t *testing.T) {
	c, p := pair(t, DefaultClientLimits())
	s := open(t, c)
	done := make(chan error, 1)
	o := outgoing("POST", "hello")
	o.WantsTrailers = true
	go func() { done <- s.Exchange(o) }()
	p.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f := next[*http2.MetaHeadersFrame](p)
	var got []string
	for _, h := range f.Fields {
		got = append(got, h.Name+"="+h.Value)
	}
	want := ":method=POST :scheme=http :authority=a.example :path=/p content-length=5 te=trailers x-one=1"
	if strings.Join(got, " ") != want {
		t.Errorf("fields = %v, want %v", got, want)
	}
	if d := next[*http2.DataFrame](p); string(d.Data()) != "hello" || !d.StreamEnded() {
		t.Errorf("content = %q, end %v", d.Data(), d.StreamEnded())
	}
	p.head(1, false, ":status", "103", "link", "x")
	p.head(1, false, ":status", "200", "content-length", "2", "set-cookie", "a=1", "set-cookie", "b=2")
	p.WriteDataPadded(1, false, []byte("o"), make([]byte, 9))
	p.WriteData(1, false, []byte("k"))
	p.head(1, true, "x-sum", "7")
	if err := <-done; err != nil || s.Head.Status != 103 {
		t.Fatalf("Exchange = %v, status %d, want 103", err, s.Head.Status)
	}
	if err := s.ReadHead(); err != nil || s.Head.Status != 200 || s.Head.ContentLength != 2 {
		t.Fatalf("ReadHead = %v, %d, length %d", err, s.Head.Status, s.Head.ContentLength)
	}
	if got, err := readAll(s); got != "ok" || err != nil || string(s.Trailers()) != "x-sum: 7\r\n" {
		t.Errorf("content %q, %v, trailers %q", got, err, s.Trailers())
	}
	if got := string(s.Head.AppendFields(nil)); got != "set-cookie: a=1\r\nset-cookie: b=2\r\n" {
		t.Errorf("fields of the response = %q", got)
	}
	s.Finish()
	if _, idle := c.Idle(); !idle {
		t.Error("the connection isn't idle after its exchange")
	}
	c.Leave()
	if g := next[*http2.GoAwayFrame](p); g.ErrCode != http2.ErrCodeNo {
		t.Errorf("GOAWAY %v, want a farewell", g.ErrCode)
	}
}

// What an upstream may not send ends the stream, or the connection, and the fault says so.
func TestClientRefuses(t *testing.T) {
	big := strings.Repeat("x", 60<<10)
	for _, test := range []struct {
		name string
		send func(p *peer)
		want fault.Kind
		dies bool // the connection does
	}{
		{"no status", func(p *peer) { p.head(1, true, "a", "b") }, fault.UpstreamBadResponse, false},
		{"two statuses", func(p *peer) { p.head(1, true, ":status", "200", ":status", "200") }, fault.UpstreamBadResponse, false},
		{"status behind a field", func(p *peer) { p.head(1, true, "a", "b", ":status", "200") }, fault.UpstreamBadResponse, false},
		{"status 101", func(p *peer) { p.head(1, true, ":status", "101") }, fault.UpstreamBadResponse, false},
		{"status 99", func(p *peer) { p.head(1, true, ":status", "099") }, fault.UpstreamBadResponse, false},
		{"request field", func(p *peer) { p.head(1, true, ":status", "200", ":path", "/") }, fault.UpstreamBadResponse, false},
		{"connection field", func(p *peer) { p.head(1, true, ":status", "200", "connection", "close") }, fault.UpstreamBadResponse, false},
		{"transfer coding", func(p *peer) { p.head(1, true, ":status", "200", "transfer-encoding", "chunked") }, fault.UpstreamBadResponse, false},
		{"upper case", func(p *peer) { p.head(1, true, ":status", "200", "X-A", "b") }, fault.UpstreamBadResponse, false},
		{"line break", func(p *peer) { p.head(1, true, ":status", "200", "x", "a\r\nb: c") }, fault.UpstreamBadResponse, false},
		{"two lengths", func(p *peer) {
			p.head(1, false, ":status", "200", "content-length", "1", "content-length", "1")
		}, fault.UpstreamBadResponse, false},
		{"length without content", func(p *peer) { p.head(1, true, ":status", "200", "content-length", "1") }, fault.UpstreamBadFraming, false},
		{"interim that ends", func(p *peer) { p.head(1, true, ":status", "103") }, fault.UpstreamBadResponse, false},
		{"interims without end", func(p *peer) {
			for range 20 {
				p.head(1, false, ":status", "103")
			}
		}, fault.UpstreamBadResponse, false},
		{"content before the head", func(p *peer) { p.WriteData(1, true, []byte("x")) }, fault.UpstreamBadResponse, false},
		{"large head", func(p *peer) { p.head(1, true, ":status", "200", "a", big[:40<<10]) }, fault.UpstreamHeadTooLarge, false},
		{"many fields", func(p *peer) {
			fields := []string{":status", "200"}
			for range 300 {
				fields = append(fields, "a", "")
			}
			p.head(1, true, fields...)
		}, fault.UpstreamHeadTooLarge, false},
		{"head bomb", func(p *peer) { // one entry of 4000 bytes, named 8000 times
			b := append([]byte(nil), p.section(":status", "200", "x", big[:4000])...)
			p.WriteHeaders(http2.HeadersFrameParam{
				StreamID: 1, BlockFragment: append(b, bytes.Repeat([]byte{0xbe}, 8000)...), EndHeaders: true, EndStream: true,
			})
		}, fault.UpstreamHeadTooLarge, false},
		{"reset", func(p *peer) { p.WriteRSTStream(1, http2.ErrCodeInternal) }, fault.UpstreamReset, false},
		{"refused", func(p *peer) { p.WriteRSTStream(1, http2.ErrCodeRefusedStream) }, fault.UpstreamRefusedStream, false},
		{"window of nothing", func(p *peer) { p.WriteWindowUpdate(1, 0) }, fault.UpstreamBadResponse, false},
		{"window overflow", func(p *peer) { p.WriteWindowUpdate(1, 1<<31-1) }, fault.UpstreamBadResponse, false},

		{"goodbye", func(p *peer) { p.WriteGoAway(0, http2.ErrCodeNo, nil) }, fault.UpstreamRefusedStream, true},
		{"end", func(p *peer) { p.conn.Close() }, fault.UpstreamClosed, true},
		{"garbage", func(p *peer) { p.conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, fault.UpstreamBadResponse, true},
		{"frame too long", func(p *peer) { p.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 1<<14+1)) }, fault.UpstreamBadResponse, true},
		{"frame size of nothing", func(p *peer) { p.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize}) }, fault.UpstreamBadResponse, true},
		{"window too large", func(p *peer) { p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31}) }, fault.UpstreamBadResponse, true},
		{"half a setting", func(p *peer) { p.WriteRawFrame(http2.FrameSettings, 0, 0, make([]byte, 5)) }, fault.UpstreamBadResponse, true},
		{"short ping", func(p *peer) { p.WriteRawFrame(http2.FramePing, 0, 0, make([]byte, 7)) }, fault.UpstreamBadResponse, true},
		{"connection window overflow", func(p *peer) { p.WriteWindowUpdate(0, 1<<31-1) }, fault.UpstreamBadResponse, true},
		{"push", func(p *peer) {
			p.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: p.section(":status", "200"), EndHeaders: true})
		}, fault.UpstreamBadResponse, true},
		{"stream that isn't", func(p *peer) { p.head(3, true, ":status", "200") }, fault.UpstreamBadResponse, true},
		{"bad table", func(p *peer) {
			p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff, 0xff}, EndHeaders: true})
		}, fault.UpstreamBadResponse, true},
		{"frame in a section", func(p *peer) {
			p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.section(":status", "200")})
			p.WritePing(false, [8]byte{})
		}, fault.UpstreamBadResponse, true},
		{"continuations without end", func(p *peer) {
			p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.section(":status", "200")})
			for range 100 {
				p.WriteContinuation(1, false, nil)
			}
		}, fault.UpstreamBadResponse, true},
		{"section too long", func(p *peer) {
			p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.section(":status", "200", "a", big[:10000])})
			for range 8 {
				p.WriteContinuation(1, false, p.section("b", big[:10000]))
			}
		}, fault.UpstreamBadResponse, true},
		{"padding longer than the frame", func(p *peer) { p.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersPadded, 1, []byte{9, 1}) }, fault.UpstreamBadResponse, true},
		{"pings without end", func(p *peer) {
			for p.WritePing(false, [8]byte{}) == nil {
			}
		}, fault.UpstreamBadResponse, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, p := pair(t, DefaultClientLimits())
			s := open(t, c)
			done := make(chan error, 1)
			go func() { done <- s.Exchange(outgoing("GET", "")) }()
			next[*http2.HeadersFrame](p)
			test.send(p)
			err := <-done
			for err == nil && s.Head.Status < 200 {
				err = s.ReadHead()
			}
			if err != test.want {
				t.Errorf("Exchange = %v, want %v", err, test.want)
			}
			s.Finish()
			if _, ok := c.Open(new(Stream)); ok == test.dies {
				t.Errorf("the connection takes another exchange: %v", ok)
			}
		})
	}
}

// What breaks off, or isn't what the head said, is a fault once the response has begun, too.
func TestClientRefusesContent(t *testing.T) {
	for _, test := range []struct {
		name, length string
		send         func(p *peer)
		want         error
	}{
		{"whole", "3", func(p *peer) { p.WriteData(1, true, []byte("abc")) }, nil},
		{"too little", "3", func(p *peer) { p.WriteData(1, true, []byte("ab")) }, fault.UpstreamBadFraming},
		{"too much", "3", func(p *peer) { p.WriteData(1, false, []byte("abcd")) }, fault.UpstreamBadFraming},
		{"trailers too early", "3", func(p *peer) { p.head(1, true, "a", "b") }, fault.UpstreamBadFraming},
		{"trailers that don't end", "", func(p *peer) { p.head(1, false, "a", "b") }, fault.UpstreamBadFraming},
		{"status in trailers", "", func(p *peer) { p.head(1, true, ":status", "200") }, fault.UpstreamBadResponse},
		{"reset", "3", func(p *peer) { p.WriteRSTStream(1, http2.ErrCodeInternal) }, fault.UpstreamTruncated},
		{"end", "3", func(p *peer) { p.conn.Close() }, fault.UpstreamTruncated},
		{"more than the window", "", func(p *peer) {
			for range clientStreamWindow>>14 + 1 {
				p.WriteData(1, false, make([]byte, 1<<14))
			}
		}, fault.UpstreamBadResponse},
		{"empty frames", "", func(p *peer) {
			for range 200 {
				p.WriteData(1, false, nil)
			}
		}, fault.UpstreamBadResponse},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, p := pair(t, DefaultClientLimits())
			s := open(t, c)
			done := make(chan error, 1)
			go func() { done <- s.Exchange(outgoing("GET", "")) }()
			next[*http2.HeadersFrame](p)
			fields := []string{":status", "200"}
			if test.length != "" {
				fields = append(fields, "content-length", test.length)
			}
			p.head(1, false, fields...)
			if err := <-done; err != nil {
				t.Fatalf("Exchange = %v", err)
			}
			test.send(p)
			p.settle()
			if _, err := readAll(s); err != test.want {
				t.Errorf("content ends with %v, want %v", err, test.want)
			}
			s.Finish()
		})
	}
}

// settle waits until the client has taken all that was sent, or has ended the connection.
func (p *peer) settle() {
	p.WritePing(false, [8]byte{})
	for {
		f, err := p.ReadFrame()
		if err != nil {
			return
		}
		if f, ok := f.(*http2.PingFrame); ok && f.IsAck() {
			return
		}
	}
}

// A peer that isn't one of HTTP/2 is found out before anything is sent to it.
func TestClientStart(t *testing.T) {
	for _, test := range []struct {
		name string
		send func(p *peer)
		want error
	}{
		{"another protocol", func(p *peer) { p.conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, fault.UpstreamProtocol},
		{"closed", func(p *peer) { p.conn.Close() }, fault.UpstreamProtocol},
		{"no settings first", func(p *peer) { p.WritePing(false, [8]byte{}) }, fault.UpstreamProtocol},
		{"silence", func(p *peer) {}, fault.UpstreamConnectTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, p := strangers(t, DefaultClientLimits())
			go test.send(p)
			if err := c.Start(c.net.Clock().Now() + 300*time.Millisecond); err != test.want {
				t.Errorf("Start = %v, want %v", err, test.want)
			}
		})
	}
}

// Content waits for the peer's windows, which may change under way.
func TestClientWindows(t *testing.T) {
	c, p := pair(t, DefaultClientLimits(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
	s := open(t, c)
	done := make(chan error, 1)
	go func() { done <- s.Exchange(outgoing("POST", strings.Repeat("x", 100))) }()
	total := 0
	read := func(want int) {
		t.Helper()
		for total < want {
			total += len(next[*http2.DataFrame](p).Data())
		}
		if total != want {
			t.Fatalf("%d bytes came, want %d", total, want)
		}
	}
	read(10)
	p.WriteWindowUpdate(1, 20)
	read(30)
	p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}) // 10 fewer
	p.WriteWindowUpdate(1, 15)
	read(35)
	p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65})
	read(100)
	p.head(1, true, ":status", "204")
	if err := <-done; err != nil {
		t.Errorf("Exchange = %v", err)
	}
	s.Finish()
}

// An upstream that makes no room fails the exchange in time, and one that answers before it
// has read all is believed.
func TestClientStalledUpload(t *testing.T) {
	l := DefaultClientLimits()
	l.WriteTimeout = 200 * time.Millisecond
	c, p := pair(t, l, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	s := open(t, c)
	if err := s.Exchange(outgoing("POST", "x")); err != fault.UpstreamWriteTimeout {
		t.Errorf("Exchange with no window = %v, want %v", err, fault.UpstreamWriteTimeout)
	}
	s.Finish()
	if f := next[*http2.RSTStreamFrame](p); f.ErrCode != http2.ErrCodeCancel {
		t.Errorf("reset with %v, want CANCEL", f.ErrCode)
	}
	s = open(t, c)
	done := make(chan error, 1)
	go func() { done <- s.Exchange(outgoing("POST", "x")) }()
	next[*http2.HeadersFrame](p)
	p.head(3, true, ":status", "413")
	if err := <-done; err != nil || s.Head.Status != 413 {
		t.Errorf("Exchange with an early answer = %v, %d", err, s.Head.Status)
	}
	s.Finish()
}

// Content that nobody reads holds back its own stream only.
func TestClientHoldsBack(t *testing.T) {
	c, p := pair(t, DefaultClientLimits())
	slow, quick := open(t, c), open(t, c)
	go slow.Exchange(outgoing("GET", ""))
	next[*http2.HeadersFrame](p)
	go quick.Exchange(outgoing("GET", ""))
	next[*http2.HeadersFrame](p)
	p.head(1, false, ":status", "200")
	for range clientStreamWindow >> 14 {
		p.WriteData(1, false, make([]byte, 1<<14))
	}
	p.head(3, false, ":status", "200")
	credit := uint32(0)
	for sent := 0; sent < 2*clientWindow; sent += 1 << 14 { // far more than the connection's window
		p.WriteData(3, sent+1<<14 >= 2*clientWindow, make([]byte, 1<<14))
		if b, _, err := quick.ReadContent(); len(b) == 0 || err != nil {
			t.Fatalf("content = %d bytes, %v", len(b), err)
		}
	}
	p.WritePing(false, [8]byte{})
	for {
		f, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := f.(*http2.WindowUpdateFrame); ok && f.StreamID == 1 {
			credit += f.Increment
		}
		if f, ok := f.(*http2.PingFrame); ok && f.IsAck() {
			break
		}
	}
	if credit != 0 {
		t.Errorf("the stream that nobody reads got %d bytes more", credit)
	}
	slow.Finish()
	quick.Finish()
}

// Both sides' limits of streams hold, and the peer's may change.
func TestClientRoom(t *testing.T) {
	l := DefaultClientLimits()
	l.StreamsMax = 5
	c, p := pair(t, l, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 2})
	if n := c.Room(); n != 2 {
		t.Errorf("Room = %d, want 2", n)
	}
	a, b := open(t, c), open(t, c)
	if _, ok := c.Open(new(Stream)); ok {
		t.Error("a third stream was opened")
	}
	p.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 100})
	p.settle()
	if n := c.Room(); n != 3 {
		t.Errorf("Room = %d, want 3", n)
	}
	a.Finish()
	b.Finish()
}

// A silent connection is tried, and closed when the peer doesn't answer.
func TestClientPings(t *testing.T) {
	l := DefaultClientLimits()
	l.PingAfter, l.PingTimeout = 100*time.Millisecond, 300*time.Millisecond
	c, p := pair(t, l)
	s := open(t, c)
	done := make(chan error, 1)
	go func() { done <- s.Exchange(outgoing("GET", "")) }()
	next[*http2.HeadersFrame](p)
	p.head(1, true, ":status", "204")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.Finish()
	f := next[*http2.PingFrame](p)
	if c.Room() == 0 {
		t.Error("a connection that is being tried takes no exchange at once")
	}
	p.WritePing(true, f.Data)
	next[*http2.PingFrame](p) // and again; nobody answers
	if _, err := p.ReadFrame(); err == nil {
		next[*http2.GoAwayFrame](p)
	}
	if c.Room() != 0 {
		t.Error("a connection whose ping nobody answered takes exchanges")
	}
}

// Interrupt ends one exchange; its stream is cancelled and the connection goes on.
func TestClientInterrupt(t *testing.T) {
	c, p := pair(t, DefaultClientLimits())
	s := open(t, c)
	done := make(chan error, 1)
	go func() { done <- s.Exchange(outgoing("GET", "")) }()
	next[*http2.HeadersFrame](p)
	s.Interrupt()
	if err := <-done; err != netio.ErrInterrupted {
		t.Errorf("Exchange = %v, want %v", err, netio.ErrInterrupted)
	}
	s.Finish()
	if f := next[*http2.RSTStreamFrame](p); f.ErrCode != http2.ErrCodeCancel || f.StreamID != 1 {
		t.Errorf("reset %v, want CANCEL", f)
	}
	if c.Room() != 100 {
		t.Errorf("Room = %d, want all", c.Room())
	}
}
