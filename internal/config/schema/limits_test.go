package schema

import (
	"strings"
	"testing"
)

const shadowedLimits = `
limits { max-connections 500; max-body-size 900 }
limits { mode "shadow"; max-connections 100; max-connections-per-client 7 }
limits { max-connections 400; mode "enforce" }
limits { max-connections-per-client 9; max-connections 90; mode "shadow" }
listeners {
    listener "own" { address "127.0.0.1:1"; limits { mode "shadow"; max-connections 20 } }
    listener "plain" { address "127.0.0.1:2" }
    listener "stream" { address "127.0.0.1:3"; protocol "tcp"; tcp { upstream "u" }; limits { mode "shadow"; max-connections 3 } }
}
routes { route "r" { upstream "u"; limits { max-body-size 800; mode "shadow" } } }
upstreams { upstream "u" { target "127.0.0.1:4" } }
`

// Blocks in shadow mode merge with each other and with no other; the nearest wins for each key.
func TestShadowLimitsMergeApart(t *testing.T) {
	c := load(t, shadowedLimits)
	for round := range 2 {
		for _, x := range []struct {
			what      string
			got, want int64
		}{
			{"max-connections", c.Limits.MaxConnections.V, 400},
			{"max-connections-per-client", c.Limits.MaxConnectionsPerClient.V, 0},
			{"max-connections in shadow mode", c.Limits.Shadow.MaxConnections.V, 90},
			{"max-connections-per-client in shadow mode", c.Limits.Shadow.MaxConnectionsPerClient.V, 7},
			{"max-body-size in shadow mode", c.Limits.Shadow.MaxBodySize.V, 0},
			{"max-connections of own", c.Listeners[0].Limits.MaxConnections.V, 400},
			{"max-connections of own in shadow mode", c.Listeners[0].Limits.Shadow.MaxConnections.V, 20},
			{"max-connections-per-client of own in shadow mode", c.Listeners[0].Limits.Shadow.MaxConnectionsPerClient.V, 7},
			{"max-connections of plain in shadow mode", c.Listeners[1].Limits.Shadow.MaxConnections.V, 90},
			{"max-body-size of the route in shadow mode", c.Routes[0].Limits.Shadow.MaxBodySize.V, 800},
		} {
			if x.got != x.want {
				t.Errorf("round %d: %s = %d, want %d", round, x.what, x.got, x.want)
			}
		}
		if c.Routes[0].Limits.MaxBodySize.IsSet() {
			t.Errorf("round %d: a bound in shadow mode holds in a route", round)
		}
		c = load(t, string(Show(c))) // means the same
	}
	got := strings.Join(Diff(load(t, shadowedLimits), load(t, strings.Replace(shadowedLimits, "max-connections 90", "max-connections 80", 1))), "\n")
	if want := "limits in shadow mode: max connections changes from 90 to 80"; got != want {
		t.Errorf("Diff = %q, want %q", got, want)
	}
}

func TestShadowLimitsThatCountNothing(t *testing.T) {
	for _, c := range []struct{ block, want string }{
		{`limits { mode "shadow" }`, "limits in shadow mode bound nothing"},
		{`limits { mode "shadow"; max-memory "1GB" }`, "max-memory has no shadow mode"},
		{`limits { mode "shadow"; max-requests-per-connection 5 }`, "max-requests-per-connection has no shadow mode"},
		{`limits { mode "shadw"; max-connections 5 }`, `"shadw"`},
		{"limits { mode \"shadow\"; max-connections 5 }\nlimits { mode \"shadow\"; max-connections 6 }", "limits stand more than once"},
	} {
		_, sources, diags := LoadBytes("config.kdl", []byte(c.block+"\n"+minimal), Options{Env: noEnv})
		if text := string(diags.AppendText(nil, sources.Text)); !strings.Contains(text, c.want) {
			t.Errorf("%s: diagnostics %q, want %q", c.block, text, c.want)
		}
	}
}

const minimal = `listeners { listener "l" { address "127.0.0.1:1" } }
routes { route "r" { respond 200 "ok" } }
`
