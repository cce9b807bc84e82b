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

// TestNearestBlockWins checks which request-secs and max-body-size a route gets.
func TestNearestBlockWins(t *testing.T) {
	for _, c := range []struct {
		name, old, with string
		timeout         time.Duration // of route one
		body            int64         // of route one
	}{
		{"defaults", "", "", 30 * time.Second, 10 << 20},
		{"top level", "listeners {", "timeouts { request-secs 7 }\nlimits { max-body-size 7 }\nlisteners {", 7 * time.Second, 7},
		{"listeners", "\"127.0.0.1:81\" }", "\"127.0.0.1:81\"; timeouts { request-secs 30 }; limits { max-body-size \"10MiB\" } }", 30 * time.Second, 10 << 20},
		{"upstream", "connect-secs 3", "connect-secs 3; request-secs 30", 30 * time.Second, 10 << 20},
		{"route", `upstream "u" }
`, `upstream "u"; timeouts { request-secs 2 }; limits { max-body-size 0 } }
`, 2 * time.Second, 0},
	} {
		s, _ := build(t, newLive(t), strings.Replace(twoOfAll, c.old, c.with, 1))
		if r := s.Routes[1]; r.Timeout != c.timeout || r.BodyBytesMax != c.body {
			t.Errorf("%s: timeout %v, body %d, want %v and %d", c.name, r.Timeout, r.BodyBytesMax, c.timeout, c.body)
		}
	}
}

// TestAmbiguousValuesAreRefused checks that a route is not served by one of two values that
// would hold for it.
func TestAmbiguousValuesAreRefused(t *testing.T) {
	for _, c := range []struct{ name, old, with, want string }{
		{"split", `target "127.0.0.1:2"`, `target "127.0.0.1:2"; timeouts { request-secs 4 }`, `request-secs would hold for route "cut"`},
		{"listeners, time", "idle-secs 9", "request-secs 9", `request-secs would hold for route "cut"`},
		{"listeners, body", "timeouts { idle-secs 9 }", "limits { max-body-size 5 }", `max-body-size would hold for route "cut"`},
	} {
		_, _, diags := Build(load(t, strings.Replace(twoOfAll, c.old, c.with, 1)), newLive(t), nil)
		if !diags.HasErrors() || !strings.Contains(diags[0].Message, c.want) || len(diags[0].Related) == 0 {
			t.Errorf("%s: Build = %v, want %q with its places", c.name, diags, c.want)
		}
	}
}
