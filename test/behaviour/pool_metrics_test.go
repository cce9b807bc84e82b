package behaviour

import (
	"strings"
	"testing"

	"sentinel/internal/testkit/origin"
)

// The metrics tell how connections to targets are used.
func TestUpstreamConnectionMetrics(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", forward(o, "", ""))
	client := p.dial() // the next request of a connection is read when the upstream's is back in the pool
	for range 3 {
		client.Send(ask)
		if r, err := client.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
			t.Fatalf("GET = %d %v", r.Status, err)
		}
	}
	for _, want := range []string{
		`sentinel_upstream_connections_opened_total{upstream="u"} 1`,
		`sentinel_upstream_connections_reused_total{upstream="u"} 2`,
		`sentinel_upstream_connections{state="idle",upstream="u"} 1`,
		`sentinel_upstream_connections{state="active",upstream="u"} 0`,
	} {
		eventually(t, "the metrics have "+want, func() bool { return strings.Contains(p.Metrics(), want) })
	}
}
