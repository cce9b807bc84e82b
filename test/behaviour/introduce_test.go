package behaviour

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"sentinel/internal/testkit/pki"
	"sentinel/internal/testkit/program"
)

// reader is a web server that reads PROXY headers, by the program of others, and tells whom
// they name and on which of its connections.
type reader struct{ plain, secure, log string }

const readerConfig = `
daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log %[1]s/error.log;
events { worker_connections 256; }
http {
    log_format who '$proxy_protocol_addr $request_uri'; access_log %[1]s/access.log who;
    client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
    uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
    server {
        listen %[2]s proxy_protocol;
        listen %[3]s ssl proxy_protocol;
        ssl_certificate %[4]s; ssl_certificate_key %[5]s;
        add_header X-User $proxy_protocol_addr;
        location / { return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $connection"; }
    }
}
`

func startReader(t *testing.T, ca *pki.Authority) *reader {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is missing: apt-get install nginx-light")
	}
	dir := t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) { // run by root, its worker is another user
		os.Chmod(d, 0o755)
	}
	cert, key := ca.Issue(t, pki.Server("app.test")).Write(t, dir, "app")
	r := &reader{program.FreeAddress(t), program.FreeAddress(t), filepath.Join(dir, "access.log")}
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, readerConfig, dir, r.plain, r.secure, cert, key), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(nginx, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	eventually(t, "nginx listens", func() bool {
		c, err := net.Dial("tcp", r.plain)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return r
}

// Each client's requests come to the upstream on connections that name it, which it has to
// itself: kept for its next request, and given to nobody else.
func TestProxyHeaderOfRequests(t *testing.T) {
	ca := pki.New(t, "an authority")
	r := startReader(t, ca)
	authority := ca.Write(t, t.TempDir(), "ca.pem")
	for _, c := range []struct{ name, target, more string }{
		{"v1", r.plain, `proxy-protocol "v1"`},
		{"v2", r.plain, `proxy-protocol "v2"`},
		{"v2 before TLS", r.secure, fmt.Sprintf(`proxy-protocol "v2"; tls { ca-cert %q; sni "app.test" }`, authority)},
		{"the oldest makes room", r.plain, `proxy-protocol "v2"; connection-pool { max-idle 1 }`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, "", fmt.Sprintf(`routes { route "r" { upstream "u" } }
upstreams { upstream "u" { target %q; %s; health-check { type "http" { path "/check" }; interval-secs 1 } } }`, c.target, c.more))
			ask := func(client string) func() (who, connection string) {
				c, err := p.from(client)
				if err != nil {
					t.Fatal(err)
				}
				return func() (string, string) {
					c.Send(getRoot)
					r, err := c.ReadFinalResponse("GET")
					if err != nil || r.Status != 200 {
						t.Fatalf("%s is answered %d, %v", client, r.Status, err)
					}
					at := strings.LastIndex(r.Text(), " ")
					if want := "^" + regexp.QuoteMeta(client) + ` [1-9]\d* 127\.0\.0\.1$`; !regexp.MustCompile(want).MatchString(r.Text()[:at]) {
						t.Errorf("%s asks, and the upstream hears of %q", client, r.Text()[:at])
					}
					return r.Text()[:at], r.Text()[at:]
				}
			}
			a, b, again := ask("127.0.0.7"), ask("127.0.0.9"), ask("127.0.0.7")
			who, first := a()
			_, second := b()
			other, third := again()
			if first == second || first == third || second == third || who == other {
				t.Errorf("three client connections came on%s,%s and%s, as %s and %s; want one each", first, second, third, who, other)
			}
			if _, next := again(); next != third {
				t.Errorf("the next request of a client came on%s, want%s again", next, third)
			}
			p.expectMetrics(`sentinel_upstream_health{target="` + c.target + `",upstream="u"} 1`)
		})
	}
}

// Behind a trusted proxy the client of each request is named; copies and questions to services
// name it, too.
func TestProxyHeaderOfSideRequests(t *testing.T) {
	r := startReader(t, pki.New(t, "an authority"))
	o := named(t, "app")
	p := start(t, "", fmt.Sprintf(`system { $FILES; trusted-proxies "127.0.0.1" }
routes {
    route "asked" {
        matches { path "/asked" }
        upstream "app"
        policies { forward-auth { upstream "u"; path "/auth"; response-headers "X-User" } }
    }
    route "copied" { matches { path "/copied" }; upstream "app"; mirror { upstream "u" } }
    route "r" { upstream "u" }
}
upstreams { upstream "u" { target %q; proxy-protocol "v2" }; %s }`, r.plain, upstream("app", o, "")))
	// The reader shows port 0 as none.
	for _, client := range []string{"192.0.2.7", "198.51.100.9", "2001:db8::7"} {
		if got := p.do("GET", "/", "X-Forwarded-For: "+client).Text(); !strings.HasPrefix(got, client+"  ") {
			t.Errorf("a request of %s comes to the upstream as %q", client, got)
		}
		if got := p.do("GET", "/asked", "X-Forwarded-For: "+client); got.Status != 200 || !strings.Contains(string(o.Received()), "X-User: "+client+"\r\n") {
			t.Errorf("the service is asked about %s and answers %d; the upstream got\n%s", client, got.Status, o.Received())
		}
		p.do("GET", "/copied", "X-Forwarded-For: "+client)
		eventually(t, "the copy names the client", func() bool {
			log, _ := os.ReadFile(r.log)
			return strings.Contains(string(log), client+" /copied\n")
		})
	}
}
