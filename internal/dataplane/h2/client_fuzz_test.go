package h2

import (
	"bytes"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"sentinel/internal/dataplane/netio"
)

// FuzzClientFrames has an upstream answer whatever comes, in pieces, while two exchanges wait
// for it. Every wait ends, what is queued for the upstream stays within bounds, and no exchange
// gets more content than was sent.
func FuzzClientFrames(f *testing.F) {
	section := func(pairs ...string) []byte {
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		for i := 0; i < len(pairs); i += 2 {
			e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
		}
		return b.Bytes()
	}
	data := func(dst []byte, stream uint32, flags uint8, content string) []byte {
		return append(appendFrameHead(dst, frameHead{length: len(content), kind: frameData, flags: flags, stream: stream}), content...)
	}
	answer := func(stream uint32, flags uint8, size int, pairs ...string) []byte {
		return appendSection(nil, stream, flags, section(pairs...), size)
	}
	f.Add([]byte{}, uint8(9))
	f.Add(data(answer(1, 0, 100, ":status", "200", "content-length", "3"), 1, flagEndStream, "abc"), uint8(3))
	f.Add(data(answer(1, 0, 100, ":status", "200", "content-length", "2"), 1, flagEndStream, "abc"), uint8(200))
	f.Add(answer(1, flagEndStream, 3, ":status", "204"), uint8(0))
	f.Add(append(answer(3, 0, 100, ":status", "103", "link", "</a>"), answer(3, flagEndStream, 100, ":status", "200")...), uint8(7))
	f.Add(append(data(answer(3, 0, 100, ":status", "200"), 3, 0, "x"), answer(3, flagEndStream, 100, "grpc-status", "0")...), uint8(40))
	f.Add(appendReset(appendReset(nil, 1, codeRefused), 3, codeCancel), uint8(13))
	f.Add(appendGoAway(nil, 1, codeNone), uint8(90))
	f.Add(appendWindowUpdate(appendWindowUpdate(nil, 0, windowMax), 3, windowMax), uint8(5))
	f.Add(appendSetting(appendSetting(appendFrameHead(nil, frameHead{length: 2 * settingBytes, kind: frameSettings}), settingStreamWindow, 0), settingStreamsMax, 0), uint8(11))
	f.Add(bytes.Repeat(append(appendFrameHead(nil, frameHead{length: 8, kind: framePing}), "12345678"...), 20), uint8(255))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		limits := DefaultClientLimits()
		limits.WriteTimeout, limits.PingAfter, limits.PingTimeout = time.Second, time.Second, time.Second
		clock := netio.NewClock()
		defer clock.Stop()
		peer, nc := net.Pipe()
		c := NewClient(netio.NewConn(clock, nc), &limits)
		ended := make(chan struct{})
		c.Ended = func(*Client) { close(ended) }
		sent := len(b)
		go func() {
			sink := make([]byte, 4096)
			for {
				if _, err := peer.Read(sink); err != nil {
					return
				}
			}
		}()
		go func() {
			defer peer.Close()
			peer.Write(appendFrameHead(nil, frameHead{kind: frameSettings}))
			for n := int(step) + 1; len(b) > 0; {
				k, err := peer.Write(b[:min(n, len(b))])
				if err != nil {
					return
				}
				b = b[k:]
			}
		}()
		var first, second Stream
		if c.Start(clock.Now()+10*time.Second) == nil {
			_, one := c.Open(&first)
			_, two := c.Open(&second)
			done := make(chan struct{})
			if two {
				go func() { defer close(done); play(t, clock, &second, "content of a request", sent) }()
			}
			if one {
				play(t, clock, &first, "", sent)
			}
			if two {
				<-done
			}
		}
		c.mu.Lock()
		if n := len(c.mu.out); n > outBytesMax+controlBytesMax+frameBytesMaxLow {
			t.Errorf("%d bytes wait for the upstream", n)
		}
		c.mu.Unlock()
		c.Leave()
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Fatal("the connection doesn't end")
		}
	})
}

// play has one exchange go to its end, whatever that is.
func play(t *testing.T, clock *netio.Clock, s *Stream, content string, most int) {
	defer s.Finish()
	s.SetReadDeadline(clock.Now() + 5*time.Second)
	method := "GET"
	if content != "" {
		method = "POST"
	}
	err := s.Exchange(outgoing(method, content))
	for err == nil && s.Head.Status < 200 {
		err = s.ReadHead()
	}
	if err != nil {
		return
	}
	if s.Head.Status > 999 {
		t.Errorf("status %d", s.Head.Status)
	}
	s.Frame()
	got, end := 0, false
	for err == nil && !end {
		var p []byte
		p, end, err = s.ReadContent()
		got += len(p)
	}
	if got > most {
		t.Errorf("%d bytes of content of %d that were sent", got, most)
	}
	for line := range bytes.Lines(s.Trailers()) {
		if !bytes.HasSuffix(line, []byte("\r\n")) || bytes.IndexByte(line, ':') <= 0 || bytes.ContainsAny(line[:len(line)-2], "\r\n\x00") {
			t.Errorf("a trailer line %q", line)
		}
	}
}
