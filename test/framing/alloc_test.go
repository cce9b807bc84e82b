package framing

import (
	"bytes"
	"net"
	"runtime"
	"testing"
	"time"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/race"
)

// A request on connections that are kept alive allocates nothing, metrics, deadlines,
// routing and forwarded fields included.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	if race.Enabled() {
		t.Skip("pools forget under the race detector")
	}
	o := origin.Serve(listen(t), func(c *origin.Conn) { answerForever(c.Conn()) })
	defer o.Close()
	addr := start(t, o)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	request, buf := []byte("GET /a HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n"), make([]byte, 4096)
	run := func(n int) {
		for range n {
			c.Write(request)
			if k, err := c.Read(buf); err != nil || !bytes.HasPrefix(buf[:k], []byte("HTTP/1.1 200")) {
				t.Fatalf("answer %q, %v", buf[:k], err)
			}
		}
	}
	run(200)
	const n = 5000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run(n)
	runtime.ReadMemStats(&after)
	// What runs beside the traffic (the clock's date, the collector) allocates by time, not by request.
	if per := float64(after.Mallocs-before.Mallocs) / n; per > 0.1 {
		t.Errorf("%.2f allocations a request", per)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func answerForever(c net.Conn) {
	buf, answer := make([]byte, 4096), []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}
