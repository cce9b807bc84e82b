package behaviour

import (
	"fmt"
	"strings"
	"testing"

	"sentinel/internal/testkit/origin"
)

// careful are the fields that presets are about, in lower case.
const careful = " strict-transport-security x-content-type-options referrer-policy permissions-policy cross-origin-opener-policy cross-origin-resource-policy" +
	" content-security-policy x-frame-options server x-powered-by x-aspnet-version "

func TestSecurityHeaders(t *testing.T) {
	o := origin.Start(t, origin.Answer(func(r origin.Request) string {
		own := ""
		for _, f := range r.Fields.Values("X-Own") {
			own += f + "\r\n"
		}
		return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: x\r\nX-Powered-By: y\r\nX-AspNet-Version: z\r\n" + own + "\r\n"
	}))
	const strictCSP = "Content-Security-Policy: default-src 'self'; base-uri 'self'; form-action 'self'; object-src 'none'"
	for _, c := range []struct {
		name, block string
		own         []string // fields of the upstream
		want        []string
	}{
		{"basic", `"basic"`, nil, []string{"X-AspNet-Version: z", "X-Content-Type-Options: nosniff", "Referrer-Policy: strict-origin-when-cross-origin", "Content-Security-Policy: frame-ancestors 'self'", "X-Frame-Options: SAMEORIGIN"}},
		{"strict", `"strict"`, nil, []string{
			"X-AspNet-Version: z", "X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer",
			"Permissions-Policy: camera=(), geolocation=(), microphone=(), payment=(), usb=()", "Cross-Origin-Opener-Policy: same-origin", "Cross-Origin-Resource-Policy: same-origin",
			strictCSP + "; frame-ancestors 'none'", "X-Frame-Options: DENY",
		}},
		{"api", `"api"`, nil, []string{"X-AspNet-Version: z", "X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer", "Cross-Origin-Resource-Policy: same-origin", "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'", "X-Frame-Options: DENY"}},
		{
			"the upstream's own stay, but nosniff", `"basic"`,
			[]string{"X-Own: Referrer-Policy: origin", "X-Own: content-security-policy: default-src *", "X-Own: X-Content-Type-Options: sniff"},
			[]string{"X-AspNet-Version: z", "Referrer-Policy: origin", "content-security-policy: default-src *", "X-Content-Type-Options: nosniff", "X-Frame-Options: SAMEORIGIN"},
		},
		{
			"what is written replaces", `"basic" { referrer-policy "same-origin"; content-security-policy "default-src 'self'"; permissions-policy "usb=()"; x-content-type-options "off"; cross-origin-opener-policy "unsafe-none"; cross-origin-resource-policy "cross-origin" }`,
			[]string{"X-Own: Referrer-Policy: origin", "X-Own: Referrer-Policy: origin", "X-Own: content-security-policy: default-src *", "X-Own: X-Content-Type-Options: sniff"},
			[]string{"X-AspNet-Version: z", "X-Content-Type-Options: sniff", "Referrer-Policy: same-origin", "Permissions-Policy: usb=()", "Cross-Origin-Opener-Policy: unsafe-none", "Cross-Origin-Resource-Policy: cross-origin", "Content-Security-Policy: default-src 'self'"},
		},
		{
			"frames beside the upstream's policy", `"strict" { frame-ancestors "self"; referrer-policy "off"; permissions-policy "off"; cross-origin-opener-policy "off"; cross-origin-resource-policy "off" }`,
			[]string{"X-Own: Content-Security-Policy: default-src *", "X-Own: X-Frame-Options: ALLOWALL"},
			[]string{"X-AspNet-Version: z", "Content-Security-Policy: default-src *", "X-Content-Type-Options: nosniff", "Content-Security-Policy: frame-ancestors 'self'", "X-Frame-Options: SAMEORIGIN"},
		},
		{"no frames, no removal", `"basic" { frame-ancestors "off"; remove "X-AspNet-Version" }`, nil, []string{"Server: x", "X-Powered-By: y", "X-Content-Type-Options: nosniff", "Referrer-Policy: strict-origin-when-cross-origin"}},
		{"off", `"off"`, nil, []string{"Server: x", "X-Powered-By: y", "X-AspNet-Version: z"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, "", policies(o, "security-headers "+c.block))
			var got []string
			for _, f := range p.do("GET", "/", c.own...).Fields {
				if strings.Contains(careful, " "+strings.ToLower(f.Name)+" ") {
					got = append(got, f.Name+": "+f.Value)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("the fields are\n%q\nwant\n%q", got, c.want)
			}
		})
	}
}

// The fields are on every response, also where no route is found; header edits have the last
// word, and what a route says itself lifts what the top level says.
func TestSecurityHeadersEverywhere(t *testing.T) {
	dead := origin.Start(t, origin.OK(2))
	dead.Close()
	p := start(t, "", fmt.Sprintf(`policies { security-headers "strict" { strict-transport-security "max-age=7" } }
routes {
  route "own" { matches { path "/own" }; respond 200 "x"; policies { response-headers { set "Referrer-Policy" "origin" } } }
  route "dead" { matches { path "/dead" }; upstream "u" }
  route "off" { matches { path "/off" }; respond 200 "x"; policies { security-headers "off" } }
}
upstreams { upstream "u" { target %q } }
`, dead.Addr()))
	for _, c := range []struct {
		target   string
		status   int
		referrer string
	}{{"/own", 200, "origin"}, {"/dead", 502, "no-referrer"}, {"/nothing", 404, "no-referrer"}, {"/health", 200, "no-referrer"}, {"/%00", 400, "no-referrer"}, {"/off", 200, ""}} {
		r := p.do("GET", c.target)
		if got := strings.Join(r.Fields.Values("Referrer-Policy"), "|"); r.Status != c.status || got != c.referrer {
			t.Errorf("GET %s = %d with Referrer-Policy %q, want %d with %q", c.target, r.Status, got, c.status, c.referrer)
		}
		if hsts := r.Fields.Has("Strict-Transport-Security"); hsts {
			t.Errorf("GET %s without TLS has Strict-Transport-Security", c.target)
		}
	}
}
