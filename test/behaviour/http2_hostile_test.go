package behaviour

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"sentinel/internal/testkit/h2raw"
)

// hostile is what an attacker sends over one connection, again and again. It is told how
// often it was called before.
type hostile struct {
	name  string
	fault string
	code  http2.ErrCode
	send  func(c *h2raw.Conn, n int) error
	// most is how many rounds may pass before the connection ends.
	most int
}

// h2Work is how much work one connection may have upstreams do for nothing: what may be open
// at once and be given up.
const h2Work = 128 + 256

func id(n int) uint32 { return uint32(2*n + 1) }

func hostiles() []hostile {
	const calm = http2.ErrCodeEnhanceYourCalm
	var ping [8]byte
	open := func(c *h2raw.Conn, n int) error { return c.Get(id(n), "/") }
	begin := func(c *h2raw.Conn, n int) error { return c.Open(id(n), false, h2raw.Head("POST", "/")...) }
	return []hostile{
		{"rapid reset", "stream_resets", calm, func(c *h2raw.Conn, n int) error {
			open(c, n)
			return c.WriteRSTStream(id(n), http2.ErrCodeCancel)
		}, 1000},
		{"made-you-reset by a window", "stream_resets", calm, func(c *h2raw.Conn, n int) error {
			begin(c, n)
			return c.WriteWindowUpdate(id(n), 1<<31-1)
		}, 1000},
		{"made-you-reset by length", "stream_resets", calm, func(c *h2raw.Conn, n int) error {
			c.Open(id(n), false, h2raw.Head("POST", "/", "content-length", "1")...)
			return c.WriteData(id(n), false, []byte("ab"))
		}, 1000},
		{"malformed heads", "stream_resets", calm, func(c *h2raw.Conn, n int) error { return c.Open(id(n), true) }, 1000},
		{"streams beyond the limit", "stream_resets", calm, begin, 1000},
		{"DATA after the end", "protocol_violation", http2.ErrCodeStreamClosed, func(c *h2raw.Conn, n int) error {
			if n == 0 {
				open(c, n)
			}
			return c.WriteData(1, false, []byte("x"))
		}, 3},
		{"CONTINUATION", "header_flood", calm, func(c *h2raw.Conn, n int) error {
			if n == 0 {
				return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.Encode(h2raw.Head("GET", "/")...)})
			}
			return c.WriteContinuation(1, false, nil)
		}, 20},
		{"a huge section", "header_flood", calm, func(c *h2raw.Conn, n int) error {
			part := make([]byte, 16384)
			if n == 0 {
				return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: part})
			}
			return c.WriteContinuation(1, false, part)
		}, 8},
		{"empty DATA", "frame_flood", calm, func(c *h2raw.Conn, n int) error {
			if n == 0 {
				begin(c, n)
			}
			return c.WriteData(1, false, nil)
		}, 200},
		{"SETTINGS", "frame_flood", calm, func(c *h2raw.Conn, n int) error {
			return c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(n)})
		}, 5000},
		{"PING", "frame_flood", calm, func(c *h2raw.Conn, _ int) error { return c.WritePing(false, ping) }, 5000},
		{"PRIORITY", "frame_flood", calm, func(c *h2raw.Conn, n int) error { return c.WritePriority(id(n), http2.PriorityParam{}) }, 5000},
		{"PRIORITY_UPDATE", "frame_flood", calm, func(c *h2raw.Conn, n int) error {
			return c.WriteRawFrame(0x10, 0, 0, append([]byte{0, 0, byte(n >> 7), byte(n<<1 | 1)}, "u=1"...))
		}, 5000},
		{"unknown frames", "frame_flood", calm, func(c *h2raw.Conn, _ int) error { return c.WriteRawFrame(0x99, 0, 0, nil) }, 5000},
		{"WINDOW_UPDATE", "frame_flood", calm, func(c *h2raw.Conn, _ int) error { return c.WriteWindowUpdate(0, 1) }, 5000},
		{"resets of what is over", "frame_flood", calm, func(c *h2raw.Conn, n int) error {
			if n == 0 {
				open(c, n)
			}
			return c.WriteRSTStream(1, http2.ErrCodeCancel)
		}, 5000},
		{"a window too large", "protocol_violation", http2.ErrCodeFlowControl, func(c *h2raw.Conn, _ int) error {
			return c.WriteWindowUpdate(0, 1<<31-1)
		}, 2},
		{"an HPACK table too large", "protocol_violation", http2.ErrCodeCompression, func(c *h2raw.Conn, n int) error {
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: id(n), BlockFragment: []byte{0x3f, 0xe2, 0x1f}, EndHeaders: true, EndStream: true})
		}, 1},
	}
}

// TestHTTP2Hostile checks who is cut off, by which name, after how much, and that nothing of
// it stays.
func TestHTTP2Hostile(t *testing.T) {
	o := named(t, "o")
	p := start(t, h2c+"timeouts { read-secs 1 }", forward(o, "", ""))
	before := runtime.NumGoroutine()
	for _, h := range hostiles() {
		t.Run(h.name, func(t *testing.T) {
			before, seen := p.faults(h.fault), o.Requests()
			c := h2raw.Dial(t, p.addr)
			c.Quiet = true
			rounds := make(chan int)
			go func() {
				n := 0
				for n < 10*h.most && h.send(c, n) == nil {
					n++
				}
				rounds <- n
			}()
			code, err := c.End()
			c.Net.Close()
			n := <-rounds
			if err != nil || code != h.code {
				t.Errorf("ended with %v, %v; want %v", code, err, h.code)
			}
			// The client is told before its fault is counted.
			eventually(t, h.fault+" is counted", func() bool { return p.faults(h.fault) > before })
			if got := o.Requests() - seen; got > h2Work {
				t.Errorf("%d rounds had the upstream serve %d requests, want at most %d", n, got, h2Work)
			}
		})
	}
	eventually(t, "what served them has ended", func() bool { return runtime.NumGoroutine() < before+20 })
}

// faults returns how often a fault was counted.
func (p *proxy) faults(label string) int {
	p.t.Helper()
	n := 0
	for line := range strings.Lines(p.Metrics()) {
		if strings.HasPrefix(line, `sentinel_faults_total{fault="`+label+`"`) {
			var k int
			fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &k)
			n += k
		}
	}
	return n
}
