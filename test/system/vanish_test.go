package system

import (
	"fmt"
	"io"
	"testing"
	"time"
)

// TestVanishedClients has clients close right behind part of a request: the end that
// comes along with bytes must be seen, not waited for until the head's time is over.
func TestVanishedClients(t *testing.T) {
	p := start(t, answering)
	for _, part := range []string{"", "GET /par", "GET / HTTP/1.1\r\nHost: x\r\n"} {
		t.Run(fmt.Sprintf("%.10q", part), func(t *testing.T) {
			for range 500 {
				c := keepAlive{address: p.http}
				if _, err := c.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				io.WriteString(c.conn, part)
				c.close()
			}
			began := time.Now()
			p.awaitSeries(`sentinel_open_connections{listener="http"}`, "0")
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the last connection was given up after %v", took)
			}
		})
	}
}
