package system

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/testkit/program"
)

// patience bounds every wait for something that must happen.
const patience = 20 * time.Second

// logBuffer keeps what a process writes and wakes those who wait for a line.
type logBuffer struct {
	mu    sync.Mutex
	text  []byte
	grown chan struct{}
}

func newLogBuffer() *logBuffer { return &logBuffer{grown: make(chan struct{})} }

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	close(b.grown)
	b.grown = make(chan struct{})
	return len(p), nil
}

// mark returns the present end, for await.
func (b *logBuffer) mark() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.text)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}

// await returns the first whole line behind from that holds one of words.
func (b *logBuffer) await(from int, stop <-chan struct{}, words ...string) (string, error) {
	timeout := time.After(patience)
	for ended := false; ; {
		b.mu.Lock()
		rest, grown := b.text[from:], b.grown
		for {
			line, after, whole := bytes.Cut(rest, []byte("\n"))
			if !whole {
				break
			}
			for _, w := range words {
				if bytes.Contains(line, []byte(w)) {
					b.mu.Unlock()
					return string(line), nil
				}
			}
			rest = after
			from += len(line) + 1
		}
		b.mu.Unlock()
		if ended {
			return "", fmt.Errorf("the process ended without logging %q", words)
		}
		select {
		case <-grown:
		case <-stop:
			ended = true
		case <-timeout:
			return "", fmt.Errorf("no log line with %q within %v", words, patience)
		}
	}
}

// proxy is a running sentinel with addresses, configuration and state of its own.
type proxy struct {
	t             *testing.T
	dir           string
	http, metrics string // host:port
	log           *logBuffer
	cmd           *exec.Cmd
	ended         chan struct{} // closed when the process is gone
	err           error         // of Wait, valid when ended is closed
}

// newProxy prepares a proxy without starting it.
func newProxy(t *testing.T) *proxy {
	t.Helper()
	return &proxy{t: t, dir: t.TempDir(), http: program.FreeAddress(t), metrics: program.FreeAddress(t), log: newLogBuffer()}
}

// start starts a proxy with a configuration; see expand for what may stand in it.
func start(t *testing.T, text string) *proxy {
	t.Helper()
	p := newProxy(t)
	p.write(text)
	p.launch()
	return p
}

func (p *proxy) config() string  { return filepath.Join(p.dir, "config.kdl") }
func (p *proxy) pidFile() string { return filepath.Join(p.dir, "sentinel.pid") }
func (p *proxy) url(path string) string {
	return "http://" + p.http + path
}

// expand completes a configuration: $HTTP, $DIR and $METRICS get the proxy's values, and
// what every test needs is added.
func (p *proxy) expand(text string) string {
	text = strings.TrimRight(text, "\n") + "\n"
	if !strings.Contains(text, "system {") {
		text += `
system {
    pid-file "$DIR/sentinel.pid"
    state-dir "$DIR/state"
    admin-socket "$DIR/admin.sock"
    graceful-shutdown-timeout-secs 10
}
`
	}
	if !strings.Contains(text, "listeners {") {
		text += `listeners { listener "http" { address "$HTTP" } }` + "\n"
	}
	if !strings.Contains(text, "observability {") {
		text += `observability { metrics { address "$METRICS" }; logging { access-log { enabled #false } } }` + "\n"
	}
	return strings.NewReplacer("$HTTP", p.http, "$METRICS", p.metrics, "$DIR", p.dir).Replace(text)
}

// write puts a configuration in place in one step, as careful editors do.
func (p *proxy) write(text string) {
	p.t.Helper()
	p.writeRaw(p.expand(text))
}

func (p *proxy) writeRaw(text string) {
	p.t.Helper()
	next := p.config() + ".next"
	if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(next, p.config()); err != nil {
		p.t.Fatal(err)
	}
}

// spawn starts the process without waiting for anything.
func (p *proxy) spawn() {
	p.t.Helper()
	p.cmd = exec.Command(binary(), "--config", p.config())
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	p.ended = ended
	go func() {
		p.err = p.cmd.Wait()
		close(ended)
	}()
	p.t.Cleanup(p.cleanup)
}

// launch starts the process and waits until it serves.
func (p *proxy) launch() {
	p.t.Helper()
	from := p.log.mark()
	p.spawn()
	if _, err := p.log.await(from, p.ended, "INFO started"); err != nil {
		p.t.Fatalf("%v\n%s", err, p.log)
	}
}

func (p *proxy) cleanup() {
	p.cmd.Process.Kill()
	<-p.ended
	if p.t.Failed() {
		text := p.log.String()
		if len(text) > 8000 {
			text = text[len(text)-8000:]
		}
		p.t.Logf("log of the proxy (its end):\n%s", text)
	}
	for _, word := range []string{"panic:", "goroutine ", "DATA RACE"} {
		if strings.Contains(p.log.String(), word) {
			p.t.Errorf("the proxy logged %q:\n%s", word, p.log)
			break
		}
	}
}

func (p *proxy) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// awaitEnd waits until the process is gone and returns its exit code.
func (p *proxy) awaitEnd() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatal("the process doesn't end")
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		p.t.Fatal(p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// hup asks for a reload and returns the log line that tells its outcome.
func (p *proxy) hup() string {
	p.t.Helper()
	from := p.log.mark()
	p.signal(syscall.SIGHUP)
	return p.awaitLog(from, "Configuration reload ")
}

func (p *proxy) awaitLog(from int, words ...string) string {
	p.t.Helper()
	line, err := p.log.await(from, p.ended, words...)
	if err != nil {
		p.t.Fatal(err)
	}
	return line
}

// reload makes a configuration serve.
func (p *proxy) reload(text string) {
	p.t.Helper()
	p.write(text)
	if line := p.hup(); !strings.Contains(line, "Configuration reload succeeded") {
		p.t.Fatalf("reload: %s", line)
	}
}

// scrape returns the metrics.
func (p *proxy) scrape() string {
	p.t.Helper()
	_, body := get(p.t, "http://"+p.metrics+"/metrics")
	return body
}

// series returns the sample of the metrics that begins with name and its labels.
func (p *proxy) series(name string) string {
	p.t.Helper()
	for line := range strings.Lines(p.scrape()) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	p.t.Fatalf("no series %s", name)
	return ""
}

// awaitSeries polls the metrics until a sample has a value.
func (p *proxy) awaitSeries(name, want string) {
	p.t.Helper()
	await(p.t, name+" = "+want, func() bool { return p.series(name) == want })
}

// await asks until the answer is yes.
func await(t *testing.T, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if yes() {
			return
		}
	}
	t.Fatalf("never came true: %s", what)
}

// get fetches over a connection of its own.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	code, body, err := tryGet(url)
	if err != nil {
		t.Fatal(err)
	}
	return code, body
}

func tryGet(url string) (int, string, error) {
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := c.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// wantGet fetches and compares.
func wantGet(t *testing.T, url string, code int, body string) {
	t.Helper()
	gotCode, gotBody := get(t, url)
	if gotCode != code || gotBody != body {
		t.Errorf("GET %s = %d %q, want %d %q", url, gotCode, gotBody, code, body)
	}
}

// shell runs a line as an operator pastes it and returns what it prints.
func shell(t *testing.T, dir, line string) string {
	t.Helper()
	cmd := exec.Command("bash", "-c", line)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out)
}
