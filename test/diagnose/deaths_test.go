package diagnose

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sentinel/internal/testkit/pki"
)

// answering is a configuration that needs nobody.
const answering = `routes { route "r" { respond 200 "hello" } }`

// end has the process end by a signal.
func (w *world) end(s syscall.Signal) {
	w.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		w.Fatal(err)
	}
	w.awaitEnd()
}

// again starts the proxy as the report says, and wants that it serves.
func again(w *world, r report) {
	w.Helper()
	for _, c := range r.Findings[0].Commands {
		if strings.HasPrefix(c.Run, "sentinel --config ") {
			w.launch()
			w.await("the proxy serves again", func() bool { return w.get("127.0.0.1", "/") == 200 })
			return
		}
	}
	w.Errorf("no command starts it: %+v", r.Findings[0].Commands)
}

func deaths() []incident {
	return []incident{
		{
			name: "crashed", code: "process-crashed", severity: "SEV1", evidence: `SIGABRT: abort`, also: "pid-file-stale",
			plant: func(w *world) { w.start(answering); w.end(syscall.SIGABRT) },
			mend: func(w *world, r report) {
				again(w, r)
				if r := w.diagnose(); len(r.Findings) != 1 || r.Findings[0].Code != "restarted" || r.Severity != "SEV3" {
					w.Errorf("after a restart: %s, want restarted, SEV3", r)
				}
			},
		},
		{
			name: "killed for memory", code: "process-oom-killed", severity: "SEV1", evidence: `Killed process \d+ \(sentinel\)`, mend: again,
			plant: func(w *world) {
				w.start(answering)
				w.end(syscall.SIGKILL)
				w.fake("dmesg", fmt.Sprintf("echo '%s Out of memory: Killed process %d (sentinel) total-vm:4096kB, anon-rss:2048kB'", kernelTime(time.Now()), w.cmd.Process.Pid))
			},
		},
		{
			name: "killed without a word", code: "process-killed", severity: "SEV1", evidence: `no kill by the kernel is seen`, mend: again,
			plant: func(w *world) {
				w.start(answering)
				w.end(syscall.SIGKILL)
				// An older process had the same number.
				w.fake("dmesg", fmt.Sprintf("echo '%s Out of memory: Killed process %d (other) total-vm:4096kB'", kernelTime(time.Now().Add(-time.Hour)), w.cmd.Process.Pid))
			},
		},
		{
			name: "stopped", code: "process-not-running", severity: "SEV1", evidence: `there is no admin socket`, mend: again,
			plant: func(w *world) { w.start(answering); w.end(syscall.SIGTERM) },
		},
		{
			name: "port taken", code: "port-in-use", severity: "SEV1", evidence: fmt.Sprintf(`process %d `, os.Getpid()), also: "process-not-running",
			plant: func(w *world) {
				l, err := net.Listen("tcp", w.http)
				if err != nil {
					w.Fatal(err)
				}
				w.Cleanup(func() { l.Close() })
				w.write(answering)
				w.launch()
				w.awaitEnd()
			},
		},
		{
			name: "parse error at start", code: "config-invalid", severity: "SEV1", evidence: `config\.kdl:2:\d+: .*`, also: "process-not-running",
			plant: func(w *world) { w.write("routes {\n  route \"r\" { respond 200 \"hello }\n"); w.launch(); w.awaitEnd() },
		},
		{
			name: "broken file after a crash, with a backup", code: "config-invalid", severity: "SEV1", evidence: `config\.kdl:1:10: .*rout`, also: "process-killed",
			plant: func(w *world) {
				w.start(answering)
				w.await("the backup is there", func() bool { return exists(w.config() + ".backup") })
				w.end(syscall.SIGKILL)
				w.write(`routes { rout "r" { respond 200 "hello" } }`)
			},
			mend: func(w *world, r report) { w.paste(r, ".broken", ".backup"); again(w, r) },
		},
		{
			name: "certificate missing at start", code: "certificate-missing", severity: "SEV1", evidence: `server\.crt: it can't be read`, also: "config-invalid",
			plant: func(w *world) { w.write(secured); w.launch(); w.awaitEnd() },
		},
		{
			name: "key of another certificate at start", code: "certificate-key-mismatch", severity: "SEV1", evidence: `isn't (that|the key) of the certificate`, also: "config-invalid",
			plant: func(w *world) {
				ca := pki.New(w, "ca")
				ca.Issue(w, pki.Server("localhost")).Write(w, w.dir, "other")
				cert, _ := ca.Issue(w, pki.Server("localhost")).Write(w, w.dir, "server")
				w.move(filepath.Join(w.dir, "other.key"), filepath.Join(w.dir, "server.key"))
				w.move(cert, filepath.Join(w.dir, "server.crt"))
				w.write(secured)
				w.launch()
				w.awaitEnd()
			},
		},
		{
			name: "frozen", code: "process-frozen", severity: "SEV1", evidence: `stopped`,
			plant: func(w *world) {
				w.start(answering)
				w.cmd.Process.Signal(syscall.SIGSTOP)
				w.await("it stands still", func() bool {
					text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.cmd.Process.Pid))
					return strings.Contains(string(text), ") T ")
				})
			},
			mend: func(w *world, r report) {
				w.paste(r, "kill -CONT")
				w.await("it goes on", func() bool { return w.get("127.0.0.1", "/") == 200 })
			},
		},
		{
			name: "pid file of a dead process", code: "pid-file-stale", severity: "SEV4", evidence: `doesn't reach sentinel`,
			plant: func(w *world) {
				w.start(answering)
				if err := os.WriteFile(filepath.Join(w.dir, "pid"), []byte("4194300\n"), 0o644); err != nil {
					w.Fatal(err)
				}
			},
			mend: func(w *world, r report) {
				w.paste(r, "echo "+strconv.Itoa(w.cmd.Process.Pid))
				w.gone("pid-file-stale")
			},
		},
		{
			name: "shutting down", code: "process-draining", severity: "SEV2", evidence: `takes nothing new`,
			plant: func(w *world) {
				o := hanging(w)
				w.start(fmt.Sprintf(`system { pid-file "$DIR/pid"; state-dir "$DIR/state"; admin-socket "$DIR/admin.sock"; graceful-shutdown-timeout-secs 60 }
					routes { route "r" { upstream "u" } }
					upstreams { upstream "u" { target %q } }`, o))
				go w.get("127.0.0.1", "/")
				w.await("a request is in progress", func() bool {
					u, err := w.admin().Upstreams(w.Context(), "")
					return err == nil && u[0].InProgress == 1
				})
				w.cmd.Process.Signal(syscall.SIGTERM)
				w.await("it drains", func() bool {
					s, err := w.admin().Status(w.Context())
					return err == nil && s.State == "draining"
				})
			},
		},
	}
}

// kernelTime is a time as dmesg tells it.
func kernelTime(t time.Time) string { return t.Format("2006-01-02T15:04:05,000000-07:00") }

// secured is a configuration with TLS.
const secured = `listeners { listener "https" { address "$HTTP"; protocol "https"; tls { cert-file "$DIR/server.crt"; key-file "$DIR/server.key" } } }
routes { route "r" { respond 200 "hello" } }`

func (w *world) move(from, to string) {
	w.Helper()
	if from == to {
		return
	}
	if err := os.Rename(from, to); err != nil {
		w.Fatal(err)
	}
}
