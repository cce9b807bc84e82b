package schema

import (
	"slices"
	"testing"
)

// full uses every kind of value and block.
const full = `system { trusted-proxies "10.0.0.0/8" "::1"; pid-file "$${X} \"\\ \u{e9}"; graceful-shutdown-timeout-secs 0.25 }
limits { max-connections 7 }
timeouts { read-secs 4; request-secs 0.29 }
policies { request-headers { set "X-Top" "1" }; response-headers { remove "Server" } }
listeners {
    listener "a" { address "127.0.0.1:1" "127.0.0.1:2"; timeouts { write-secs 3 }; limits { max-header-size 2048 } }
    listener "b" { address "127.0.0.1:3"; path-normalization { backslash "slash"; double-slash "keep" } }
}
routes {
    route "fwd" {
        priority "critical"
        matches {
            host "*.example.com" "[::1]"; path "/x"; path-prefix "/y/"; path-regex "^/z\\d+"; method "GET"
            header "A" "b"; header "C"; header "D" regex="e|f"; query "q r" "1"
        }
        upstream "u"
        allow-upgrade "websocket"
        rewrite { path-regex "^/(a)" "/$1\u{e9}" }
        timeouts { read-secs 2 }
        limits { max-body-size "1MB" }
        policies {
            request-headers { rename "Old" "New"; remove "B"; set "X-A" "${client_ip} $${x}"; add { "C" "1"; "D" "" } }
            response-headers { add "E" "f" }
        }
    }
    route "cut" { matches { path "/cut" }; split { upstream "u" weight=3; upstream "v" weight=0; sticky-key "cookie:s" }; rewrite { replace-prefix "/cut" "" } }
    route "away" { matches { path "/away" }; redirect "https://${host}${path}" status=308 }
    route "own" { respond 200 "line\n\u{1}\u{200e}${HOME:-x}" content-type="text/html" }
    route "empty" { priority -1; respond 204 }
}
upstreams {
    upstream "u" { target "h:1" weight=5; target "h:2"; timeouts { connect-secs 1 }; connection-pool { max-idle 0 } }
    upstream "v" { target "[::1]:2" }
}
observability { metrics { path "/m" }; logging { level "debug"; file "/tmp/l"; access-log { enabled #false; format "json" } } }
`

// guarded uses the policies of access.
const guarded = base + `policies {
    basic-auth { users-file "/etc/users"; forward-user-header "X-User" }
    cors { allow-origin "https://a.example" "https://*.example.com"; allow-method "PUT"; allow-credentials #true }
    jwt-auth { jwks-file "/k"; algorithms "RS256"; token-from "cookie:t"; require-claim "a" "b"; forward-claims { "X-A" "a" } }
    forward-auth { upstream "u"; method "HEAD"; response-headers "X-B" }
    security-headers "strict"
}
`

// TestShowLoadsAgain checks that what Show prints is a configuration, the same one.
func TestShowLoadsAgain(t *testing.T) {
	for _, text := range []string{base, full, guarded} {
		c := load(t, text)
		shown := Show(c)
		again, sources, diags := LoadBytes("shown.kdl", shown, Options{Env: noEnv})
		if len(diags) > 0 {
			t.Fatalf("what Show prints is refused:\n%s\n%s", diags.AppendText(nil, sources.Text), shown)
		}
		if d := Diff(c, again); len(d) > 0 {
			t.Errorf("what Show prints differs: %q\n%s", d, shown)
		}
		for i, r := range c.Routes {
			for j, l := range c.Listeners {
				for k, u := range c.Upstreams {
					was, now := EffectiveTimeouts(l, r, u), EffectiveTimeouts(again.Listeners[j], again.Routes[i], again.Upstreams[k])
					if was.Read.V != now.Read.V || was.Request.V != now.Request.V || was.Connect.V != now.Connect.V || was.Write.V != now.Write.V {
						t.Errorf("timeouts of %s are %+v, want %+v", r.Name.V, now, was)
					}
				}
			}
		}
	}
}

func TestDiffReadsAsWords(t *testing.T) {
	const before = `timeouts { read-secs 4 }
listeners { listener "l" { address "127.0.0.1:80" } }
routes { route "a" { upstream "u" }; route "gone" { priority 3; upstream "u" } }
upstreams { upstream "u" { target "h:1"; target "h:2" } }
`
	const after = `timeouts { read-secs 6 }
limits { max-body-size "1KiB" }
listeners { listener "l" { address "127.0.0.1:80" } }
routes { route "a" { priority 9; upstream "u"; rewrite { strip-prefix "/a" } } }
upstreams { upstream "u" { target "h:1" weight=4; target "h:3" } }
`
	want := []string{
		`limits: max body size changes from 10485760 bytes to 1024 bytes`,
		`route "a", rewrite: strip prefix "/a" is set`,
		`route "a": priority changes from 0 to 9`,
		`route "gone" is removed`,
		`timeouts: read timeout changes from 4 seconds to 6 seconds`,
		`upstream "u", target "h:1": weight changes from 1 to 4`,
		`upstream "u", target "h:2" is removed`,
		`upstream "u", target "h:3" is new`,
	}
	got := Diff(load(t, before), load(t, after))
	if !slices.Equal(got, want) {
		t.Errorf("Diff = %q\nwant %q", got, want)
	}
	if same := Diff(load(t, full), load(t, full)); len(same) > 0 {
		t.Errorf("Diff of a configuration and itself = %q", same)
	}
}
