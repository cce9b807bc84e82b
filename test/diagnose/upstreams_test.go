package diagnose

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"sentinel/internal/observe/series"
	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/pki"
	"sentinel/internal/testkit/program"
)

// well is an upstream that answers.
func well(w *world) string { return origin.Start(w, origin.OK(10)).Addr() }

// hanging is one that takes requests and never answers.
func hanging(w *world) string {
	return origin.Start(w, origin.Acts(func(origin.Request) origin.Act { return origin.Hang })).Addr()
}

// twoRoutes is a configuration with a route that works and one to an upstream with a body.
func twoRoutes(good, body string) string {
	return fmt.Sprintf(`
routes {
	route "bad" { matches { path-prefix "/bad" }; upstream "bad"; timeouts { request-secs 1 } }
	route "good" { upstream "good" }
}
upstreams {
	upstream "good" { target %q }
	upstream "bad" { %s }
}`, good, body)
}

const checked = `health-check { type "http" { path "/health" }; interval-secs 1; timeout-secs 1 }`

// blackHole is an address where connecting times out: the queue of who listens is full.
func blackHole(w *world) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		w.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		w.Fatal(err)
	}
	at, _ := syscall.Getsockname(fd)
	address := fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port)
	for range 4 {
		c, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
		if err != nil {
			return address
		}
		w.Cleanup(func() { c.Close() })
	}
	w.Fatal("connections still come through")
	return ""
}

// nameServer answers that there is no such name.
func nameServer(w *world) string {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	s := &dns.Server{PacketConn: c, Handler: dns.HandlerFunc(func(rw dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetRcode(q, dns.RcodeNameError)
		rw.WriteMsg(m)
	})}
	go s.ActivateAndServe()
	w.Cleanup(func() { s.Shutdown() })
	return c.LocalAddr().String()
}

// secure is an upstream with TLS.
func secure(w *world, leaf *pki.Leaf) string {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(200) }))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}}
	s.StartTLS()
	w.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// requests sends n to a path and returns the last status.
func (w *world) requests(n int, path string) (status int) {
	for range n {
		status = w.get("127.0.0.1", path)
	}
	return status
}

func upstreams() []incident {
	tls := func(leaf func(*world, *pki.Authority) *pki.Leaf, trusted func(*world, *pki.Authority) *pki.Authority) func(*world) {
		return func(w *world) {
			ca := pki.New(w, "ca")
			file := trusted(w, ca).Write(w, w.dir, "trusted")
			w.start(twoRoutes(well(w), fmt.Sprintf(`target %q; tls { ca-cert %q; sni "app.test" }; %s`, secure(w, leaf(w, ca)), file, checked)))
		}
	}
	own := func(_ *world, ca *pki.Authority) *pki.Authority { return ca }
	return []incident{
		{
			name: "upstream refuses", code: "upstream-refused", severity: "SEV2", evidence: `connection refused`,
			plant: func(w *world) {
				w.start(twoRoutes(well(w), fmt.Sprintf("target %q; %s", program.FreeAddress(w), checked)))
			},
		},
		{
			name: "one target of two refuses", code: "upstream-refused", severity: "SEV3", evidence: `1 of 2 targets`,
			plant: func(w *world) {
				w.start(twoRoutes(well(w), fmt.Sprintf("target %q; target %q; %s", program.FreeAddress(w), well(w), checked)))
			},
			mend: func(w *world, r report) {
				w.paste(r, "sentinel drain")
				w.gone("upstream-refused")
			},
		},
		{
			name: "only upstream refuses, with errors", code: "upstream-refused", severity: "SEV1", evidence: `none has a fallback`, also: "error-rate",
			plant: func(w *world) {
				w.start(fmt.Sprintf(`routes { route "r" { upstream "u" } }
					upstreams { upstream "u" { target %q } }`, program.FreeAddress(w)))
				w.requests(10, "/")
			},
		},
		{
			name: "name not found", code: "upstream-dns", severity: "SEV2", evidence: `name not found`,
			plant: func(w *world) {
				w.start(twoRoutes(well(w), `target "app.internal.test:8080"; `+checked) + fmt.Sprintf(`
					system { $FILES; resolver { server %q } }`, nameServer(w)))
			},
		},
		{
			name: "upstream black-holed", code: "upstream-timeout", severity: "SEV2", evidence: `connect timed out`,
			plant: func(w *world) { w.start(twoRoutes(well(w), fmt.Sprintf("target %q; %s", blackHole(w), checked))) },
		},
		{
			name: "upstream of an unknown authority", code: "upstream-tls-authority", severity: "SEV2", evidence: `unknown authority`,
			plant: tls(func(w *world, ca *pki.Authority) *pki.Leaf { return ca.Issue(w, pki.Server("app.test")) },
				func(w *world, _ *pki.Authority) *pki.Authority { return pki.New(w, "stranger") }),
		},
		{
			name: "upstream certificate expired", code: "upstream-tls-expired", severity: "SEV2", evidence: `TLS certificate expired`,
			plant: tls(func(w *world, ca *pki.Authority) *pki.Leaf {
				return ca.Issue(w, pki.Server("app.test").Until(time.Now().Add(-time.Hour)))
			}, own),
		},
		{
			name: "upstream certificate for another name", code: "upstream-tls-name", severity: "SEV2", evidence: `another name`,
			plant: tls(func(w *world, ca *pki.Authority) *pki.Leaf { return ca.Issue(w, pki.Server("other.test")) }, own),
		},
		{
			name: "check answered with 500", code: "upstream-check-failed", severity: "SEV2", evidence: `status 500 \(expected 200.*body "status 500`,
			plant: func(w *world) {
				w.start(twoRoutes(well(w), fmt.Sprintf("target %q; %s", origin.Start(w, origin.Status(500)).Addr(), checked)))
			},
		},
		{
			name: "not ready since the start", code: "upstream-check-failed", severity: "SEV1", evidence: `status 503`, also: "not-ready",
			plant: func(w *world) {
				w.start(fmt.Sprintf(`routes { route "r" { upstream "u" } }
					upstreams { upstream "u" { target %q; %s } }`, origin.Start(w, origin.Status(503)).Addr(), checked))
			},
		},
		{
			name: "upstream answers garbage", code: "upstream-garbage", severity: "SEV1", evidence: `upstream_bad_response \(U11\)`,
			plant: func(w *world) {
				o := origin.Start(w, origin.Acts(func(origin.Request) origin.Act { return origin.Garbage }))
				w.start(twoRoutes(well(w), fmt.Sprintf("target %q", o.Addr())))
				w.requests(20, "/bad")
				w.awaitFaults("upstream_bad_response", 20)
			},
		},
		{
			name: "upstream breaks off", code: "upstream-breaks-off", severity: "SEV2", evidence: `route.*bad`,
			plant: func(w *world) {
				o := origin.Start(w, origin.Acts(func(origin.Request) origin.Act { return origin.Reset }))
				w.start(twoRoutes(well(w), fmt.Sprintf("target %q", o.Addr())))
				w.requests(20, "/bad")
				w.requests(20, "/")
				w.awaitFaults("upstream_reset", 20)
			},
		},
		{
			name: "upstream slow", code: "upstream-slow", severity: "SEV2", evidence: `U\d\d\).*deadline|U\d\d\)`,
			plant: func(w *world) {
				w.start(twoRoutes(well(w), fmt.Sprintf("target %q", hanging(w))))
				w.load(50*time.Millisecond, "/bad", home)
				w.load(50*time.Millisecond, "/", home)
				w.await("504", func() bool { return w.get("127.0.0.1", "/bad") == 504 })
				w.await("faults are counted", func() bool {
					t, err := w.admin().Top(w.Context(), "faults", time.Minute, 10)
					return err == nil && t.Total >= 20
				})
			},
		},
		{
			name: "upstream slower than before", code: "latency-raised", severity: "SEV3", evidence: `answers in 0\.\d+ s on average, 0\.0\d s before`,
			plant: func(w *world) {
				var act origin.Switch
				w.start(twoRoutes(well(w), fmt.Sprintf("target %q", origin.Start(w, origin.Acts(act.Choose)).Addr())))
				w.load(50*time.Millisecond, "/bad", home)
				steps := func(n int, slow bool) func() bool {
					return func() bool {
						s, err := w.admin().Series(w.Context(), time.Minute, series.Step)
						if err != nil || len(s.Moments) < n {
							return false
						}
						for _, u := range s.Upstreams {
							if u.Name == "bad" && slow {
								return u.Points[len(u.Points)-3].P50 > 0.3
							}
						}
						return !slow
					}
				}
				w.awaitLong("a step is over", steps(2, false))
				act.Set(func(c *origin.Conn, req origin.Request) bool {
					time.Sleep(400 * time.Millisecond)
					return c.WriteString(origin.Response(req, 200, "slow")) == nil
				})
				w.awaitLong("two slow steps are over", steps(4, true))
			},
		},
		{
			name: "application answers 500", code: "upstream-errors", severity: "SEV2", evidence: `status 500.*route bad`,
			plant: func(w *world) {
				w.start(twoRoutes(well(w), fmt.Sprintf("target %q", origin.Start(w, origin.Status(500)).Addr())))
				w.load(20*time.Millisecond, "/bad", home)
				w.load(20*time.Millisecond, "/", home)
				w.sends(100)
			},
		},
		{
			name: "breaker open", code: "breaker-open", severity: "SEV2", evidence: `open since .*failures in a row`,
			plant: func(w *world) {
				o := origin.Start(w, origin.Status(500)).Addr()
				w.start(twoRoutes(well(w), fmt.Sprintf("target %q; circuit-breaker { failure-threshold 3; timeout-secs 60 }", o)))
				w.await("the breaker is open", func() bool { return w.get("127.0.0.1", "/bad") == 503 })
				w.requests(10, "/bad")
				w.requests(30, "/")
				w.awaitFaults("breaker_open", 10)
			},
		},
		{
			name: "upstream drained by somebody", code: "upstream-drained", severity: "SEV2", evidence: `drained`,
			plant: func(w *world) {
				w.start(twoRoutes(well(w), fmt.Sprintf("target %q; target %q", well(w), well(w))))
				for _, u := range drainable(w) {
					if out, err := w.shell("sentinel drain " + u + " --reason 'kernel update' --config " + w.config()); err != nil {
						w.Fatal(out)
					}
				}
			},
			mend: func(w *world, r report) {
				w.paste(r, "--undo")
				w.gone("upstream-drained")
			},
		},
	}
}

// drainable are the targets of the upstream "bad".
func drainable(w *world) (names []string) {
	list, err := w.admin().Upstreams(w.Context(), "bad")
	if err != nil {
		w.Fatal(err)
	}
	for _, t := range list[0].Targets {
		names = append(names, "bad/"+strings.TrimSpace(t.Address))
	}
	return names
}
