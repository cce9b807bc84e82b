package h2

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// FuzzFrames feeds a connection whatever comes, in pieces, and checks that it ends, that its
// buffers stay within bounds, and that the windows come out even.
func FuzzFrames(f *testing.F) {
	section := func(pairs ...string) []byte {
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		for i := 0; i < len(pairs); i += 2 {
			e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
		}
		return b.Bytes()
	}
	get := section(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "h")
	begin := appendFrameHead(nil, frameHead{kind: frameSettings})
	f.Add(begin, uint8(3))
	f.Add(appendSection(bytes.Clone(begin), 1, flagEndStream, get, 100), uint8(9))
	f.Add(appendSection(bytes.Clone(begin), 1, 0, get, 5), uint8(1))
	f.Add(append(appendFrameHead(appendSection(bytes.Clone(begin), 1, 0, get, 100), frameHead{length: 3, kind: frameData, flags: flagPadded, stream: 1}), 1, 'a', 0), uint8(7))
	f.Add(appendReset(appendSection(bytes.Clone(begin), 1, 0, get, 100), 1, codeCancel), uint8(200))
	f.Add(appendWindowUpdate(bytes.Clone(begin), 0, windowMax), uint8(0))
	f.Add(append(appendFrameHead(bytes.Clone(begin), frameHead{length: 7, kind: framePriorityUpdate}), 0, 0, 0, 1, 'u', '=', '1'), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		set := testSettings()
		set.HeadTimeout, set.IdleTimeout, set.ContentTimeout, set.WriteTimeout = time.Second, time.Second, time.Second, time.Second
		clock := netio.NewClock()
		defer clock.Stop()
		peer, nc := net.Pipe()
		c := netio.NewConn(clock, nc)
		s := &Server{Handler: hello{}, Settings: func(*message.Client) *Settings { return set }}
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Serve(c, owner{}, &message.Client{})
			c.Close()
		}()
		go func() {
			sink := make([]byte, 4096)
			for {
				if _, err := peer.Read(sink); err != nil {
					return
				}
			}
		}()
		b = append([]byte(preface), b...)
		for n := int(step) + 1; len(b) > 0; {
			k, err := peer.Write(b[:min(n, len(b))])
			if err != nil {
				break
			}
			b = b[k:]
		}
		peer.Close()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatal("the connection doesn't end")
		}
	})
}

// FuzzHead decodes a field section and checks what comes of it: a fault, or a head that the
// HTTP/1 engine could have yielded, in which no value ends a line.
func FuzzHead(f *testing.F) {
	for _, s := range []string{
		":method\x00GET\x00:scheme\x00http\x00:path\x00/a?b\x00:authority\x00h",
		":method\x00POST\x00:scheme\x00https\x00:path\x00/\x00:authority\x00[::1]:80\x00cookie\x00a=1\x00x-a\x00 b\x00cookie\x00c=2",
		":method\x00OPTIONS\x00:scheme\x00http\x00:path\x00*\x00:authority\x00h:1\x00host\x00h:1\x00content-length\x000",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(strings.Replace(s, ":authority\x00", ":authority\x00\r", 1)), true) // refused, and no line of the head
	}
	f.Fuzz(func(t *testing.T, b []byte, end bool) {
		set := testSettings()
		c := &conn{srv: &Server{Settings: func(*message.Client) *Settings { return set }}, set: set}
		s := &stream{c: c}
		s.req.Head.Reset(nil)
		h := &headReader{}
		h.begin(c, s, false)
		parts := bytes.Split(b, []byte{0})
		for i := 0; i+1 < len(parts); i += 2 {
			h.add(string(parts[i]), string(parts[i+1]))
		}
		k := h.end(end)
		m := &s.req.Head
		if len(m.Buf) > set.HeadBytesMax+len(b) {
			t.Errorf("a head of %d bytes", len(m.Buf))
		}
		lines := bytes.Split(m.Buf[m.FieldsAt:], crlf)
		if len(lines)-1 != len(m.Fields) {
			t.Errorf("%d lines for %d fields in %q", len(lines)-1, len(m.Fields), m.Buf)
		}
		for i := range m.Fields {
			x := m.Fields[i]
			if want := string(m.FieldName(i)) + ": " + string(m.FieldValue(i)) + "\r\n"; string(m.Buf[x.Name.Start:x.LineEnd]) != want {
				t.Errorf("field %d = %q in %q", i, want, m.Buf)
			}
			if bytes.ContainsAny(m.FieldValue(i), "\r\n\x00") {
				t.Errorf("a value holds %q", m.FieldValue(i))
			}
		}
		if k != fault.None {
			return
		}
		if bytes.ContainsAny(m.Buf[:m.FieldsAt], " \r\n\t\x00") || m.Authority.Empty() || m.Path.Empty() {
			t.Errorf("accepted: %q", m.Buf)
		}
		if m.Framing == message.Length && end && m.ContentLength != 0 {
			t.Errorf("a length of %d and no content", m.ContentLength)
		}
	})
}
