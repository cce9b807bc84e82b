// Package framing sends hostile and odd messages through a running proxy, with a raw client
// and a raw origin, and checks what RFC 9110 and RFC 9112 allow for each.
package framing

import (
	"strconv"
	"strings"
	"testing"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/proxy"
	"sentinel/internal/testkit/rawclient"
)

const config = `
listeners { listener "l" { address "127.0.0.1:0" } }
routes {
    route "up" { matches { path-prefix "/ws" }; allow-upgrade "websocket"; upstream "o" }
    route "rest" { upstream "o" }
}
upstreams { upstream "o" { target "$ORIGIN" } }
limits { max-body-size 1000 }
observability { metrics { address "127.0.0.1:0" }; logging { file "$DIR/log"; access-log { enabled #false } } }
`

// start runs a proxy in front of o and returns its address once it serves.
func start(t *testing.T, o *origin.Origin) string {
	t.Helper()
	return proxy.Start(t, strings.ReplaceAll(config, "$ORIGIN", o.Addr())).Addr("l")
}

// exchange sends raw and returns everything until the proxy closes, or the first response
// when it keeps the connection.
func exchange(t *testing.T, addr, raw string) (status int, all string, closed bool) {
	t.Helper()
	c, err := rawclient.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Send(raw); err != nil {
		t.Fatal(err)
	}
	c.CloseWrite()
	answer, err := c.ReadUntilClose()
	if err != nil && len(answer) == 0 {
		t.Fatalf("%.60q: no answer: %v", raw, err)
	}
	return statusOf(string(answer)), string(answer), strings.Contains(string(answer), "Connection: close")
}

func statusOf(answer string) int {
	if len(answer) < 12 {
		return 0
	}
	n, _ := strconv.Atoi(answer[9:12])
	return n
}
