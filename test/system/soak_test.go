package system

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/program"
)

// soakVariable names the environment variable that says how long the soak runs, such as
// "5m". Without it the soak runs for a few seconds, so that it is always exercised.
const soakVariable = "SENTINEL_SOAK"

func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv(soakVariable)
	if text == "" {
		return 4 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		t.Fatalf("%s=%q, want a duration such as 5m", soakVariable, text)
	}
	return d
}

// counted is what clients of the soak saw.
type counted struct{ good, refused, cut atomic.Int64 }

// TestSoak lets origins die and come back, clients vanish and the configuration change
// under load, and asks at the end that nothing wrong was served, that a calm proxy serves
// all, and that nothing was left behind: connections, descriptors, memory.
func TestSoak(t *testing.T) {
	length := soakTime(t)
	addresses := [2]string{program.FreeAddress(t), program.FreeAddress(t)}
	var origins [2]*origin.Origin
	up := func(i int) {
		o, err := origin.Listen(addresses[i], answerAll)
		if err != nil {
			t.Errorf("origin %d: %v", i, err)
			return
		}
		origins[i] = o
	}
	up(0)
	up(1)
	defer func() { origins[0].Close(); origins[1].Close() }()
	table := func(n int) string {
		return fmt.Sprintf(`
routes {
    route "self" { matches { path "/self" }; respond 200 "alive" }
    route "r" { upstream "u%[3]d" }
}
upstreams { upstream "u%[3]d" { target %[1]q; target %[2]q } }
timeouts { request-secs 5 }
`, addresses[0], addresses[1], n%3)
	}
	p := start(t, table(0))
	calm(t, p, 200)
	memory, files := p.number("process_resident_memory_bytes"), p.number("process_open_fds")

	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	var seen counted
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() { soakClient(ctx, t, p.http, uint64(i), &seen) })
	}
	for n := 1; ctx.Err() == nil && !t.Failed(); n++ {
		i := n % 2
		switch n % 3 {
		case 0:
			origins[i].CloseConns()
		case 1:
			origins[i].Close()
			p.reload(table(n))
			up(i)
		case 2:
			p.reload(table(n))
		}
	}
	all.Wait()
	if t.Failed() {
		return
	}
	t.Logf("%d good, %d refused, %d cut", seen.good.Load(), seen.refused.Load(), seen.cut.Load())
	if seen.good.Load() == 0 {
		t.Error("no request was served")
	}
	calm(t, p, 500)
	p.awaitSeries(`sentinel_open_connections{listener="http"}`, "0")
	if got := p.number("process_open_fds"); got > files+50 {
		t.Errorf("%v descriptors open after the soak, %v before", got, files)
	}
	if got := p.number("process_resident_memory_bytes"); got > memory+128<<20 {
		t.Errorf("%v bytes resident after the soak, %v before", got, memory)
	}
	p.signal(15)
	if code := p.awaitEnd(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// soakClient sends requests until ctx ends. A response is either the whole right one or
// one that says 502, 503 or 504; a connection may be cut, never answer wrongly.
func soakClient(ctx context.Context, t *testing.T, address string, seed uint64, seen *counted) {
	random := rand.New(rand.NewPCG(seed, 1))
	c := keepAlive{address: address}
	defer c.close()
	for ctx.Err() == nil {
		request := soakRequests[random.IntN(len(soakRequests))]
		if random.IntN(50) == 0 { // vanish in the middle
			if c.conn != nil {
				c.conn.Write([]byte(request[:len(request)/2]))
			}
			c.close()
			continue
		}
		body, err := c.exchange(request)
		switch {
		case err == nil && body == "alive":
			seen.good.Add(1)
		case err == nil:
			t.Errorf("response %q, want %q", body, "alive")
			return
		case strings.Contains(request, "/self"):
			t.Errorf("a request that needs no origin: %v", err)
			return
		case strings.HasPrefix(err.Error(), "status 50") && !strings.HasPrefix(err.Error(), "status 500"):
			seen.refused.Add(1)
			c.close() // the content of an error may have been cut
		case strings.HasPrefix(err.Error(), "status"):
			t.Errorf("%v", err)
			return
		default:
			seen.cut.Add(1)
			c.close()
		}
	}
}

var soakRequests = []string{
	"GET /self HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /r HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /r HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
	"POST /r HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
}

// calm sends requests that must all be served.
func calm(t *testing.T, p *proxy, n int) {
	t.Helper()
	c := keepAlive{address: p.http}
	defer c.close()
	for i := range n {
		if body, err := c.exchange("GET /r HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil || body != "alive" {
			t.Fatalf("request %d in the calm: %q, %v", i, body, err)
		}
	}
}

// number returns a sample of the metrics as a number.
func (p *proxy) number(name string) float64 {
	p.t.Helper()
	v, err := strconv.ParseFloat(p.series(name), 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}
