package system

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/race"
)

// residentMiB is the resident memory of the proxy.
func (p *proxy) residentMiB() int {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return kib >> 10
}

// TestMemoryBudget floods a proxy that has little memory with uploads that never end: it
// lives, goes on answering what is urgent, and recovers.
func TestMemoryBudget(t *testing.T) {
	if race.Enabled() {
		t.Skip("the race detector takes more memory than the budget")
	}
	hold := make(chan struct{})
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			<-hold
			return
		}
		io.WriteString(w, "ok")
	}))
	t.Cleanup(func() { o.CloseClientConnections(); o.Close() })
	defer close(hold)
	const budget = 96
	p := start(t, fmt.Sprintf(`
limits { max-memory "%dMiB"; max-body-size 0 }
timeouts { read-secs 60 }
routes {
    route "urgent" { matches { path "/urgent" }; upstream "u"; queue-priority "high" }
    route "rest" { upstream "u" }
}
upstreams { upstream "u" { target %q; connection-pool { max-connections 0 } } }
`, budget, o.Listener.Addr().String()))
	var flood []net.Conn
	defer func() {
		for _, c := range flood {
			c.Close()
		}
	}()
	piece := "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + strings.Repeat("x", 4000)
	peak := 0
	for range 4000 {
		c, err := net.Dial("tcp", p.http)
		if err != nil {
			break // nobody new comes in any more
		}
		flood = append(flood, c)
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, piece)
		if len(flood)%50 == 0 {
			peak = max(peak, p.residentMiB())
			if p.series("sentinel_memory_stage") == "3" {
				break
			}
		}
	}
	p.awaitLog(0, "memory short", `from=`)
	if code, body := get(t, p.url("/health")); code != 200 {
		t.Errorf("/health while memory is short = %d %s", code, body)
	}
	t.Logf("memory was short after %d uploads, at most %d MiB resident of a budget of %d", len(flood), peak, budget)
	if peak > budget*5/4 {
		t.Errorf("%d MiB were resident with a budget of %d", peak, budget)
	}
	for _, c := range flood {
		c.Close()
	}
	flood = nil
	p.awaitSeries("sentinel_memory_stage", "0")
	if code, body := get(t, p.url("/")); code != 200 {
		t.Errorf("after the flood / = %d %s", code, body)
	}
}
