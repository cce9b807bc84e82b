package behaviour

import (
	"fmt"
	"strings"
	"testing"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

const app = "https://app.example.com"

// corsOf returns what a response says of CORS.
func corsOf(r rawclient.Response) string {
	var out []string
	for _, f := range r.Fields {
		if strings.HasPrefix(strings.ToLower(f.Name), "access-control-") || strings.EqualFold(f.Name, "vary") {
			out = append(out, f.Name+": "+f.Value)
		}
	}
	return strings.Join(out, "\n")
}

// preflight asks whether a request may be sent.
func (p *proxy) preflight(target, origin, method string, fields ...string) rawclient.Response {
	p.t.Helper()
	return p.do("OPTIONS", target, append([]string{"Origin: " + origin, "Access-Control-Request-Method: " + method}, fields...)...)
}

func TestCORSPreflights(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	users := usersFile(t, 4, "ann", "secret")
	p := start(t, "", fmt.Sprintf(`routes {
  route "r" {
    matches { method "GET" "PUT" }
    upstream "u"
    policies {
      basic-auth { users-file %q }
      cors { allow-origin %q; allow-method "PUT"; allow-header "Content-Type" "X-Token"; expose-header "X-Total"; allow-credentials #true; max-age-secs 77 }
    }
  }
  route "plain" { matches { path "/plain" }; upstream "u" }
}
upstreams { upstream "u" { target %q } }
`, users, app, o.Addr()))
	const varies = "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
	const yes = "Access-Control-Allow-Origin: " + app + "\nAccess-Control-Allow-Credentials: true\nAccess-Control-Allow-Methods: GET, HEAD, POST, PUT\n" +
		"Access-Control-Allow-Headers: Content-Type, X-Token\nAccess-Control-Max-Age: 77\n" + varies
	for _, c := range []struct {
		origin, method string
		fields         []string
		status         int
		says           string
	}{
		{app, "PUT", nil, 204, yes},
		{app, "GET", []string{"Access-Control-Request-Headers: content-type, x-token"}, 204, yes},
		{app, "PUT", []string{"Access-Control-Request-Headers: X-Other"}, 403, varies},
		{app, "PUT", []string{"Access-Control-Request-Headers: content-type", "Access-Control-Request-Headers: x-other"}, 403, varies},
		{app, "put", nil, 404, ""}, // methods are case-sensitive: no route takes it
		{"https://evil.example", "PUT", nil, 403, varies},
		{"null", "PUT", nil, 403, varies},
		{app + ".evil.example", "PUT", nil, 403, varies},
		{"http://app.example.com", "PUT", nil, 403, varies},
	} {
		r := p.preflight("/x", c.origin, c.method, c.fields...)
		if r.Status != c.status || corsOf(r) != c.says {
			t.Errorf("preflight of %s for %s %q = %d\n%s\nwant %d\n%s", c.origin, c.method, c.fields, r.Status, corsOf(r), c.status, c.says)
		}
	}
	if r := p.do("OPTIONS", "/x", "Origin: "+app, "Origin: https://evil.example", "Access-Control-Request-Method: PUT"); r.Status != 403 {
		t.Errorf("a preflight with two origins = %d", r.Status)
	}
	if n := o.Requests(); n != 0 {
		t.Errorf("the upstream got %d preflights", n)
	}
	p.expectMetrics(`sentinel_policy_decisions_total{outcome="allowed",policy="cors",route="r"} 2`, `sentinel_policy_decisions_total{outcome="denied",policy="cors",route="r"} 7`)
	if r := p.preflight("/plain", app, "GET"); r.Status != 200 || corsOf(r) != "" {
		t.Errorf("a preflight for a route without cors = %d %q, want the upstream's answer", r.Status, corsOf(r))
	}
	// Scripts must be able to read a refusal, too.
	r := p.do("GET", "/x", "Origin: "+app)
	if want := "Vary: Origin\nAccess-Control-Allow-Origin: " + app + "\nAccess-Control-Allow-Credentials: true\nAccess-Control-Expose-Headers: X-Total"; r.Status != 401 || corsOf(r) != want {
		t.Errorf("without a password = %d\n%s\nwant 401\n%s", r.Status, corsOf(r), want)
	}
}

// The upstream's own word is replaced, and Vary is right whoever asks.
func TestCORSResponses(t *testing.T) {
	o := origin.Start(t, origin.Answer(func(r origin.Request) string {
		vary := r.Fields.Get("X-Vary")
		if vary != "" {
			vary = "Vary: " + vary + "\r\n"
		}
		return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\naccess-control-max-age: 1\r\n" + vary + "\r\n"
	}))
	for _, c := range []struct {
		name, cors string
		fields     []string
		want       string
	}{
		{"allowed", `allow-origin "https://app.example.com"`, []string{"Origin: " + app}, "Vary: Origin\nAccess-Control-Allow-Origin: " + app},
		{"a host in another case", `allow-origin "https://App.example.com"`, []string{"Origin: " + app}, "Vary: Origin\nAccess-Control-Allow-Origin: " + app},
		{"another", `allow-origin "https://app.example.com"`, []string{"Origin: https://evil.example"}, "Vary: Origin"},
		{"none", `allow-origin "https://app.example.com"`, nil, "Vary: Origin"},
		{"the upstream varies", `allow-origin "https://app.example.com"`, []string{"Origin: " + app, "X-Vary: accept, ORIGIN"}, "Vary: accept, ORIGIN\nAccess-Control-Allow-Origin: " + app},
		{"the upstream varies by something else", `allow-origin "https://app.example.com"`, []string{"X-Vary: Accept"}, "Vary: Accept\nVary: Origin"},
		{"everybody", `allow-origin "*"`, []string{"Origin: https://evil.example"}, "Access-Control-Allow-Origin: *"},
		{"everybody, same origin", `allow-origin "*"`, nil, ""},
		{"null", `allow-origin "null"`, []string{"Origin: null"}, "Vary: Origin\nAccess-Control-Allow-Origin: null"},
		{"below", `allow-origin "https://*.example.com"`, []string{"Origin: https://a.b.example.com"}, "Vary: Origin\nAccess-Control-Allow-Origin: https://a.b.example.com"},
		{"not below", `allow-origin "https://*.example.com"`, []string{"Origin: https://example.com"}, "Vary: Origin"},
		{"a path before", `allow-origin "https://*.example.com"`, []string{"Origin: https://evil.example/.example.com"}, "Vary: Origin"},
		{"a port before", `allow-origin "https://*.example.com"`, []string{"Origin: https://evil.example:1.example.com"}, "Vary: Origin"},
		{"expose all", `allow-origin "*"; expose-header "*"`, []string{"Origin: https://a.example"}, "Access-Control-Allow-Origin: *\nAccess-Control-Expose-Headers: *"},
		{"off", `mode "off"`, []string{"Origin: " + app}, "Access-Control-Allow-Origin: *\nAccess-Control-Allow-Credentials: true\naccess-control-max-age: 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, "", policies(o, "cors { "+c.cors+" }"))
			r := p.do("GET", "/", c.fields...)
			if r.Status != 200 || corsOf(r) != c.want {
				t.Errorf("= %d\n%s\nwant\n%s", r.Status, corsOf(r), c.want)
			}
		})
	}
	t.Run("all methods and fields but Authorization", func(t *testing.T) {
		p := start(t, "", policies(o, `cors { allow-origin "*"; allow-method "*"; allow-header "*" }`))
		for field, want := range map[string]int{"x-any": 204, "x-any, Authorization": 403} {
			if r := p.preflight("/", app, "PURGE", "Access-Control-Request-Headers: "+field); r.Status != want {
				t.Errorf("a preflight for %s = %d, want %d", field, r.Status, want)
			}
		}
	})
}
