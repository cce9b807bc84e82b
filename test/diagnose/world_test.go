package diagnose

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/testkit/program"
)

// patience bounds every wait for something that must happen.
const patience = 20 * time.Second

// world is what an incident is planted in: a folder, a proxy perhaps, and the programs of the
// machine that tell of it, silent unless the test says otherwise.
type world struct {
	*testing.T
	dir           string
	http, metrics string // host:port
	bin           string // programs that stand in for those of the machine
	limit         int    // of open files; 0 is that of the test
	cmd           *exec.Cmd
	ended         chan struct{}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, dir: t.TempDir(), http: program.FreeAddress(t), metrics: program.FreeAddress(t)}
	w.bin = filepath.Join(w.dir, "bin")
	if err := os.Mkdir(w.bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dmesg", "journalctl", "systemctl"} {
		w.fake(name, "exit 1")
	}
	return w
}

// fake puts a program in place of one of the machine.
func (w *world) fake(name, script string) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		w.Fatal(err)
	}
}

func (w *world) config() string { return filepath.Join(w.dir, "config.kdl") }
func (w *world) socket() string { return filepath.Join(w.dir, "admin.sock") }

// expand completes a configuration: $HTTP and $DIR get their values, and what all need is added.
func (w *world) expand(text string) string {
	if !strings.Contains(text, "system {") {
		text += "\nsystem { $FILES }\n"
	}
	if !strings.Contains(text, "listeners {") {
		text += "\nlisteners { listener \"http\" { address \"$HTTP\" } }\n"
	}
	text += "\nobservability { metrics { address \"$METRICS\" }; logging { file \"$DIR/log\" } }\n"
	text = strings.ReplaceAll(text, "$FILES", `pid-file "$DIR/pid"; state-dir "$DIR/state"; admin-socket "$DIR/admin.sock"; graceful-shutdown-timeout-secs 1`)
	return strings.NewReplacer("$HTTP", w.http, "$METRICS", w.metrics, "$DIR", w.dir).Replace(text)
}

func (w *world) write(text string) {
	w.Helper()
	if err := os.WriteFile(w.config(), []byte(w.expand(text)), 0o644); err != nil {
		w.Fatal(err)
	}
}

// env is the environment of what is run: this program first, then what stands in for others.
func (w *world) env() []string {
	return append(os.Environ(), "PATH="+programs+":"+w.bin+":"+os.Getenv("PATH"), "SSH_CONNECTION=", "EDITOR=true")
}

// start runs the proxy with a configuration and returns once it serves.
func (w *world) start(text string) {
	w.Helper()
	w.write(text)
	w.launch()
	w.await("the proxy serves", func() bool {
		s, err := w.admin().Status(context.Background())
		return err == nil && s.State == admin.StateServing
	})
}

// launch starts the process and doesn't wait for anything.
func (w *world) launch() {
	w.Helper()
	line := "exec sentinel --config " + w.config()
	if w.limit > 0 {
		line = fmt.Sprintf("ulimit -n %d; %s", w.limit, line)
	}
	out, err := os.OpenFile(filepath.Join(w.dir, "stderr"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		w.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("bash", "-c", line)
	cmd.Env, cmd.Stdout, cmd.Stderr = w.env(), out, out
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	ended := make(chan struct{})
	w.cmd, w.ended = cmd, ended
	go func() { cmd.Wait(); close(ended) }()
	w.Cleanup(func() { cmd.Process.Kill(); <-ended })
}

func (w *world) awaitEnd() {
	w.Helper()
	select {
	case <-w.ended:
	case <-time.After(patience):
		w.Fatal("the process doesn't end")
	}
}

func (w *world) admin() *admin.Client { return admin.NewClient(w.socket(), patience) }

func (w *world) await(what string, yes func() bool) {
	w.Helper()
	w.awaitFor(what, patience, yes)
}

// awaitLong waits for what takes several steps of the series.
func (w *world) awaitLong(what string, yes func() bool) {
	w.Helper()
	w.awaitFor(what, 4*patience, yes)
}

func (w *world) awaitFor(what string, atMost time.Duration, yes func() bool) {
	w.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(atMost); time.Now().Before(end); <-tick.C {
		if yes() {
			return
		}
	}
	w.Fatalf("never came true: %s", what)
}

// get asks for a path from an address of this machine and returns the status, 0 for none.
func (w *world) get(from, path string) int {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c := http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}, Timeout: patience}
	r, err := c.Get("http://" + w.http + path)
	if err != nil {
		return 0
	}
	io.Copy(io.Discard, r.Body)
	r.Body.Close()
	return r.StatusCode
}

// load sends requests until the test ends, each from the address that from gives for its number.
func (w *world) load(every time.Duration, path string, from func(i int) string) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	w.Cleanup(func() { cancel(); all.Wait() })
	all.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				all.Go(func() { w.get(from(i), path) })
			}
		}
	})
}

func home(int) string { return "127.0.0.1" }

// awaitFaults waits until so many requests of the last minute have failed by a fault.
func (w *world) awaitFaults(label string, n uint64) {
	w.Helper()
	w.await(label, func() bool {
		t, err := w.admin().Top(context.Background(), "faults", time.Minute, 256)
		if err != nil {
			return false
		}
		for _, e := range t.Entries {
			if e.Key == label {
				return e.Count >= n
			}
		}
		return false
	})
}

// report is what of the JSON the tests read.
type report struct {
	Severity string
	Exit     int
	Verdict  string
	Findings []finding
	Unseen   []string
	Took     int64 `json:"took_millis"`
}

type finding struct {
	Code, Severity, What string
	Evidence             []string
	Commands             []struct{ Why, Run string }
}

// diagnose runs the command and holds it to what it promises each time.
func (w *world) diagnose() report {
	w.Helper()
	cmd := exec.Command(filepath.Join(programs, "sentinel"), "diagnose", "--json", "--config", w.config())
	cmd.Env = w.env()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		w.Errorf("diagnose took %v, at most 10 s are allowed", took)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		w.Fatalf("diagnose printed %q %q: %v", out.String(), errs.String(), err)
	}
	if code := cmd.ProcessState.ExitCode(); code != r.Exit || code != map[string]int{"well": 0, "SEV4": 1, "SEV3": 2, "SEV2": 3, "SEV1": 4}[r.Severity] {
		w.Errorf("exit code %d for %s and exit %d", code, r.Severity, r.Exit)
	}
	return r
}

// String tells the report for a failed test.
func (r report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Severity, r.Verdict)
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "  %s %s: %s\n", f.Severity, f.Code, f.What)
		for _, e := range f.Evidence {
			fmt.Fprintf(&b, "      %s\n", e)
		}
	}
	fmt.Fprintf(&b, "  unseen %q", r.Unseen)
	return b.String()
}

// ours finds calls of this program in a line of shell.
var ours = regexp.MustCompile(`(?:^|[;&|] *)sentinel ([^|;&]*)`)

// checkCommands tries every command as far as can be without running it: it is a line of shell,
// and calls of this program name a command and flags that exist.
func (w *world) checkCommands(r report) {
	w.Helper()
	for _, f := range r.Findings {
		if len(f.Commands) == 0 {
			w.Errorf("%s has no command", f.Code)
		}
		for _, c := range f.Commands {
			if out, err := w.shell("bash -n -c " + quoted(c.Run)); err != nil {
				w.Errorf("%s: %s: %v %s", f.Code, c.Run, err, out)
			}
			for _, m := range ours.FindAllStringSubmatch(c.Run, -1) {
				args := strings.TrimSpace(m[1])
				out, err := w.shell("sentinel " + args + " --help")
				name := ""
				if !strings.HasPrefix(args, "-") {
					name = " " + strings.Fields(args)[0]
				}
				if err != nil || !strings.Contains(out, "Usage:\n  sentinel"+name) {
					w.Errorf("%s: %s: the command doesn't exist so: %v\n%s", f.Code, c.Run, err, out)
				}
			}
		}
	}
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// shell runs a line as an operator pastes it.
func (w *world) shell(line string) (string, error) {
	cmd := exec.Command("bash", "-c", line)
	cmd.Env, cmd.Dir = w.env(), w.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// paste runs the commands of the first finding that hold one of parts, in their order.
func (w *world) paste(r report, parts ...string) {
	w.Helper()
	ran := 0
	for _, c := range r.Findings[0].Commands {
		for _, p := range parts {
			if strings.Contains(c.Run, p) {
				ran++
				if out, err := w.shell(c.Run); err != nil {
					w.Fatalf("%s: %v\n%s", c.Run, err, out)
				}
				break
			}
		}
	}
	if ran < len(parts) {
		w.Errorf("only %d of the commands %q are told: %+v", ran, parts, r.Findings[0].Commands)
	}
}

// gone wants that a cause isn't found any more.
func (w *world) gone(code string) {
	w.Helper()
	r := w.diagnose()
	for _, f := range r.Findings {
		if f.Code == code {
			w.Errorf("after the mitigation there is still %s:\n%s", code, r)
		}
	}
}
