package h2

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// testSettings are generous.
func testSettings() *Settings {
	return &Settings{
		HeadBytesMax: 8 << 10, FieldsMax: 100, TargetBytesMax: 8 << 10,
		HeadTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second, ContentTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		StreamsMax: 128, StreamWindow: 64 << 10, ConnectionWindow: 256 << 10, FrameBytesMax: 16 << 10,
	}
}

// owner follows a connection and does nothing.
type owner struct{}

func (owner) Busy()              {}
func (owner) Idle(time.Duration) {}
func (owner) MustClose() bool    { return false }
func (owner) OnDrain(func())     {}

var heads = sync.Pool{New: func() any { return new(message.Head) }}

// hello answers every request with its method and path, or what its content is.
type hello struct{ refused chan fault.Kind }

func (h hello) ServeExchange(r *message.Request, w message.Responder) error {
	head := heads.Get().(*message.Head)
	defer heads.Put(head)
	head.Reset(nil)
	head.Status = 200
	content, whole := r.Content.Whole()
	if !whole {
		var b bytes.Buffer
		if _, err := io.Copy(&b, contentReader{r.Content}); err != nil {
			return err
		}
		content = b.Bytes()
	}
	if len(content) == 0 {
		content = r.Head.Bytes(r.Head.Path)
	}
	return w.Respond(head, content, true)
}

func (h hello) Refuse(r *message.Request, w message.Responder, reason error) {
	var head message.Head
	head.Reset(nil)
	head.Status = 400
	if h.refused != nil {
		h.refused <- reason.(fault.Kind)
	}
	w.Respond(&head, nil, true)
}

type contentReader struct{ content message.Content }

func (r contentReader) Read(p []byte) (int, error) { return r.content.Read(p) }

// serve runs a server on one end of a TCP connection until the test ends and returns the
// other.
func serve(tb testing.TB, h message.Handler, set *Settings) net.Conn {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	nc, err := ln.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	clock := netio.NewClock()
	c := netio.NewConn(clock, nc)
	s := &Server{Handler: h, Settings: func(*message.Client) *Settings { return set }}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(c, owner{}, &message.Client{})
		c.Close()
	}()
	tb.Cleanup(func() {
		peer.Close()
		<-done
		clock.Stop()
	})
	return peer
}

// TestRequestAllocates checks that a request whose fields the table knows costs no
// allocation, with content and without.
func TestRequestAllocates(t *testing.T) {
	peer := serve(t, hello{}, testSettings())
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	encode := func() []byte {
		block.Reset()
		for _, x := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/a/path?q"}, {":authority", "h"}, {"user-agent", "test"}, {"cookie", "a=b"}, {"accept", "*/*"}} {
			enc.WriteField(hpack.HeaderField{Name: x[0], Value: x[1]})
		}
		return block.Bytes()
	}
	var out, in []byte
	id := uint32(1)
	ask := func(section []byte) {
		out = appendSection(out[:0], id, 0, section, frameBytesMaxLow)
		out = append(appendFrameHead(out, frameHead{length: 5, kind: frameData, flags: flagEndStream, stream: id}), "hello"...)
		out = appendWindowUpdate(out, 0, 5)
		if _, err := peer.Write(out); err != nil {
			t.Fatal(err)
		}
		in = awaitEnd(t, peer, in, id)
		id += 2
	}
	peer.Write(appendFrameHead([]byte(preface), frameHead{kind: frameSettings}))
	in = make([]byte, 0, 64<<10)
	ask(encode())
	known := bytes.Clone(encode())
	if n := testing.AllocsPerRun(2000, func() { ask(known) }); n >= 1 {
		t.Errorf("a request allocates %v times", n)
	}
}

// awaitEnd reads frames until a stream has ended. in holds what was read beyond the last one.
func awaitEnd(tb testing.TB, peer net.Conn, in []byte, id uint32) []byte {
	for {
		for len(in) >= frameHeadBytes {
			f := parseFrameHead(in)
			if len(in) < frameHeadBytes+f.length {
				break
			}
			in = in[:copy(in, in[frameHeadBytes+f.length:])]
			if f.kind == frameReset || f.kind == frameGoAway {
				tb.Fatalf("frame %+v", f)
			}
			if f.stream == id && f.has(flagEndStream) && f.kind == frameData {
				return in
			}
		}
		n, err := peer.Read(in[len(in):cap(in)])
		if err != nil {
			tb.Fatal(err)
		}
		in = in[:len(in)+n]
	}
}

// BenchmarkRequest is a request with a little content, one after the other.
func BenchmarkRequest(b *testing.B) {
	peer := serve(b, hello{}, testSettings())
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, x := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}} {
		enc.WriteField(hpack.HeaderField{Name: x[0], Value: x[1]})
	}
	enc.WriteField(hpack.HeaderField{Name: ":authority", Value: "h", Sensitive: true})
	peer.Write(appendFrameHead([]byte(preface), frameHead{kind: frameSettings}))
	in, id, out := make([]byte, 0, 64<<10), uint32(1), []byte(nil)
	for b.Loop() {
		out = appendSection(out[:0], id, flagEndStream, block.Bytes(), frameBytesMaxLow)
		out = appendWindowUpdate(out, 0, 1)
		peer.Write(out)
		in = awaitEnd(b, peer, in, id)
		id += 2
	}
}
