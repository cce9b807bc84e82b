package compile

import (
	"strings"
	"testing"
	"time"
)

const twoOfAll = `listeners {
    listener "a" { address "127.0.0.1:80"; timeouts { idle-secs 9 } }
    listener "b" { address "127.0.0.1:81" }
}
routes {
    route "cut" { matches { path "/cut" }; split { upstream "u" weight=1; upstream "v" weight=1 } }
    route "one" { matches { path "/one" }; upstream "u" }
    route "own" { respond 204 }
}
upstreams {
    upstream "u" { target "127.0.0.1:1"; timeouts { connect-secs 3 } }
    upstream "v" { target "127.0.0.1:2" }
}
`

// TestNearestBlockWins checks what listeners, upstreams and routes say of request-secs and
// max-body-size: each its own, so that an exchange can take the nearest.
func TestNearestBlockWins(t *testing.T) {
	slots := map[string]int{"a": 0, "b": 1}
	for _, c := range []struct {
		name, old, with string
		timeouts        [4]time.Duration // of listener a and b, upstream u, route one; 0: not its own
		bodies          [3]int64         // of listener a and b, route one
	}{
		{"defaults", "", "", [4]time.Duration{30 * time.Second, 30 * time.Second}, [3]int64{10 << 20, 10 << 20, -1}},
		{
			"top level", "listeners {", "timeouts { request-secs 7 }\nlimits { max-body-size 7 }\nlisteners {",
			[4]time.Duration{7 * time.Second, 7 * time.Second},
			[3]int64{7, 7, -1},
		},
		{
			"one listener", "idle-secs 9 }", "request-secs 9 }; limits { max-body-size 5 }",
			[4]time.Duration{9 * time.Second, 30 * time.Second},
			[3]int64{5, 10 << 20, -1},
		},
		{
			"upstream", "connect-secs 3", "connect-secs 3; request-secs 4",
			[4]time.Duration{30 * time.Second, 30 * time.Second, 4 * time.Second},
			[3]int64{10 << 20, 10 << 20, -1},
		},
		{"route", `upstream "u" }
`, `upstream "u"; timeouts { request-secs 2 }; limits { max-body-size 0 } }
`, [4]time.Duration{30 * time.Second, 30 * time.Second, 0, 2 * time.Second}, [3]int64{10 << 20, 10 << 20, 0}},
	} {
		s, _, diags := Build(load(t, strings.Replace(twoOfAll, c.old, c.with, 1)), newLive(t), func(name string) int { return slots[name] })
		if diags.HasErrors() {
			t.Fatalf("%s: %v", c.name, diags)
		}
		a, b, r := s.Listeners[0], s.Listeners[1], s.Routes[1]
		if got := [4]time.Duration{a.RequestTimeout, b.RequestTimeout, s.Upstreams[0].RequestTimeout, r.Timeout}; got != c.timeouts {
			t.Errorf("%s: timeouts %v, want %v", c.name, got, c.timeouts)
		}
		if got := [3]int64{a.BodyBytesMax, b.BodyBytesMax, r.BodyBytesMax}; got != c.bodies {
			t.Errorf("%s: body limits %v, want %v", c.name, got, c.bodies)
		}
	}
}
