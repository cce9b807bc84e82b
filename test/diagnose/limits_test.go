package diagnose

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// hold opens n connections from an address and keeps them, with a text sent on each.
func (w *world) hold(n int, from, text string) {
	w.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	for range n {
		c, err := d.Dial("tcp", w.http)
		if err != nil {
			w.Fatal(err)
		}
		w.Cleanup(func() { c.Close() })
		io.WriteString(c, text)
	}
}

// crowd gives each request an address of its own.
func crowd(i int) string { return fmt.Sprintf("127.0.%d.%d", 1+i/200%200, 2+i%200) }

func (w *world) sends(n uint64) {
	w.Helper()
	w.await(fmt.Sprintf("%d requests are counted", n), func() bool {
		t, err := w.admin().Top(w.Context(), "clients", time.Minute, 256)
		return err == nil && t.Total >= n
	})
}

func limits() []incident {
	return []incident{
		{
			name: "limit of a route too low", code: "route-limited", severity: "SEV2", evidence: `\d+ requests of the last minute were answered 429`,
			plant: func(w *world) {
				w.start(`routes {
					route "tight" { matches { path-prefix "/tight" }; respond 200 "x"; policies { rate-limit { requests-per-second 2; key "host" } } }
					route "r" { respond 200 "x" } }`)
				w.load(10*time.Millisecond, "/tight", crowd)
				w.awaitFaults("rate_limited", 60)
			},
		},
		{
			name: "attack by one client", code: "attack-one-client", severity: "SEV3", evidence: `127\.0\.0\.66, sends \d+ %`,
			plant: func(w *world) {
				w.start(`routes { route "r" { respond 200 "x"; policies { rate-limit { requests-per-second 5; key "client_ip" } } } }`)
				w.load(10*time.Millisecond, "/", func(int) string { return "127.0.0.66" })
				w.load(100*time.Millisecond, "/", crowd)
				w.sends(150)
				w.awaitFaults("rate_limited", 60)
			},
			mend: func(w *world, r report) {
				if len(r.Findings[0].Commands) == 0 || !strings.HasPrefix(r.Findings[0].Commands[0].Run, "sentinel ban 127.0.0.66 ") {
					w.Fatalf("no ban is told: %s", r)
				}
				if out, err := w.shell(r.Findings[0].Commands[0].Run + " --force"); err != nil { // it is on the loopback
					w.Fatal(out)
				}
				w.await("it is kept out", func() bool { return w.get("127.0.0.66", "/") == 0 })
			},
		},
		{
			name: "queue full", code: "queue-full", severity: "SEV2", evidence: `queue_full \(U20\)`,
			plant: func(w *world) {
				w.start(fmt.Sprintf(`routes { route "r" { upstream "u"; timeouts { request-secs 30 } }
					route "fine" { matches { path "/fine" }; respond 200 "x" } }
					upstreams { upstream "u" { target %q; connection-pool { max-connections 1 }; queue { max-pending 1; timeout-secs 60 } } }`, hanging(w)))
				w.load(20*time.Millisecond, "/", home)
				w.load(20*time.Millisecond, "/fine", home)
				w.awaitFaults("queue_full", 30)
			},
		},
		{
			name: "limit of connections reached", code: "connection-limit", severity: "SEV2", evidence: `20 client connections are open, max-connections is 20`,
			plant: func(w *world) {
				w.start(answering + "\nlimits { max-connections 20 }")
				w.hold(20, "127.0.0.9", "")
				w.await("they are counted", func() bool {
					s, err := w.admin().Status(w.Context())
					return err == nil && s.Connections >= 20
				})
			},
		},
		{
			name: "one client at its limit of connections", code: "client-limit", severity: "SEV4", evidence: `127\.0\.0\.9 with \d+ connections`,
			plant: func(w *world) {
				w.start(answering + "\nlimits { max-connections-per-client 5 }")
				w.hold(15, "127.0.0.9", "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				w.requests(20, "/")
				w.await("refusals are counted", func() bool {
					s, err := w.admin().Status(w.Context())
					return err == nil && s.Listeners[0].Refused >= 10
				})
			},
			mend: func(w *world, r report) {
				w.paste(r, "emergency limits --max-connections-per-client 10")
				w.await("it may have more", func() bool { return w.get("127.0.0.9", "/") == 200 })
			},
		},
		{
			name: "slow clients", code: "slow-clients", severity: "SEV3", evidence: `head_timeout \(C19\)`,
			plant: func(w *world) {
				w.start(answering + "\ntimeouts { header-secs 1 }")
				w.hold(40, "127.0.0.9", "GET / HTTP/1.1\r\nHost: x\r\nX-")
				w.requests(20, "/")
				w.awaitFaults("head_timeout", 40)
				w.hold(40, "127.0.0.9", "GET / HTTP/1.1\r\nHost: x\r\nX-")
			},
			mend: func(w *world, r report) {
				w.paste(r, "emergency limits")
				if s, err := w.admin().Status(w.Context()); err != nil || s.Limit != 32768 {
					w.Errorf("the limit is %d, %v", s.Limit, err)
				}
			},
		},
	}
}

func machine() []incident {
	return []incident{
		{
			name: "descriptors near their limit", code: "descriptors-near-limit", severity: "SEV3", evidence: `files open of 100 that it may`,
			plant: func(w *world) {
				w.limit = 100
				w.start(answering)
				w.hold(80, "127.0.0.9", "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				w.await("they are open", func() bool {
					files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.cmd.Process.Pid))
					return err == nil && len(files) >= 88
				})
			},
			mend: func(w *world, r report) {
				if out, _ := w.shell("prlimit --pid $$ --nofile=2000000:2000000"); out != "" {
					w.Skipf("limits can't be raised here: %s", out)
				}
				w.paste(r, "prlimit")
				w.gone("descriptors-near-limit")
			},
		},
		{
			name: "memory short", code: "memory-shedding", severity: "SEV2", evidence: `memory is short: \d+ of 16 MiB`,
			plant: func(w *world) {
				w.start(answering + "\nlimits { max-memory \"16MiB\" }")
				w.await("memory is short", func() bool {
					list, err := w.admin().Events(w.Context(), 0)
					return err == nil && len(list) > 0 && list[len(list)-1].To == "short"
				})
			},
		},
		{
			name: "disk full", code: "disk-full", severity: "SEV3", evidence: `of 1 MiB are free`,
			plant: func(w *world) {
				w.mount(0)
				w.start(answering)
				f, err := os.Create(filepath.Join(w.dir, "state", "junk"))
				if err != nil {
					w.Fatal(err)
				}
				defer f.Close()
				for err == nil {
					_, err = f.Write(make([]byte, 4096))
				}
			},
		},
		{
			name: "state folder read-only", code: "state-read-only", severity: "SEV4", evidence: `can't be kept`,
			plant: func(w *world) {
				w.start(answering)
				w.mount(syscall.MS_RDONLY)
			},
			mend: func(w *world, r report) {
				w.paste(r, "mount -o remount,rw")
				w.gone("state-read-only")
			},
		},
	}
}

// mount puts a small file system of its own where the state is.
func (w *world) mount(flags uintptr) {
	w.Helper()
	dir := filepath.Join(w.dir, "state")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		w.Fatal(err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", flags, "size=1m"); err != nil {
		w.Skipf("a file system can't be mounted: %v", err)
	}
	w.Cleanup(func() {
		w.cmd.Process.Kill()
		<-w.ended
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			w.Error(err)
		}
	})
}
