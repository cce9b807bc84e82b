package chaos

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/testkit/program"
)

// What the proxy is told. The limits of a phase follow from them.
const (
	perTry       = 500 * time.Millisecond
	backoffMax   = 20 * time.Millisecond
	downInterval = 500 * time.Millisecond
	checkTimeout = 500 * time.Millisecond
	clockTick    = 50 * time.Millisecond // of the clock that ends a try: it may be so late
)

// text is the configuration of one generation.
func (p *proxy) text(generation int) string {
	return fmt.Sprintf(`
system {
    pid-file "%[1]s/sentinel.pid"
    state-dir "%[1]s/state"
    admin-socket "%[1]s/admin.sock"
}
listeners { listener "http" { address %[2]q } }
routes {
    route "chaos" {
        upstream "origins"
        policies { response-headers { set "X-Generation" "%[4]d" } }
        retry-policy {
            max-attempts 3
            per-try-timeout-secs %[5]g
            retry-on "connect_failure" "reset" "timeout" "gateway_error"
            retryable-status-codes 500
            backoff-secs 0.01
            max-backoff-secs %[6]g
        }
    }
    route "generation-%[4]d" { matches { path "/generation/%[4]d" }; respond 200 "here" }
}
upstreams {
    upstream "origins" {
        %[7]s
        load-balancing "least_connections"
        health-check {
            type "http" { path %[8]q }
            interval-secs 1
            timeout-secs %[9]g
            healthy-threshold 1
            unhealthy-threshold 2
            down-interval-secs %[10]g
        }
        passive-health { ejection-secs 1; max-ejection-secs 3 }
        circuit-breaker { timeout-secs 10 }
    }
}
observability { metrics { address %[3]q }; logging { access-log { enabled #false } } }
`, p.dir, p.http, p.metrics, generation, perTry.Seconds(), backoffMax.Seconds(), p.targets, checkPath,
		checkTimeout.Seconds(), downInterval.Seconds())
}

// proxy is the running program.
type proxy struct {
	t             *testing.T
	dir, targets  string
	http, metrics string // host:port
	cmd           *exec.Cmd
	ended         chan struct{}
	log           *logText
	generation    int
}

func startProxy(t *testing.T, origins []*originProcess) *proxy {
	t.Helper()
	p := &proxy{t: t, dir: t.TempDir(), http: program.FreeAddress(t), metrics: program.FreeAddress(t), ended: make(chan struct{}), log: &logText{}}
	for _, o := range origins {
		p.targets += fmt.Sprintf("target %q; ", o.address)
	}
	p.write()
	p.cmd = exec.Command(binary(), "--config", p.config())
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() { p.cmd.Process.Kill(); <-p.ended })
	p.await("a start", func() bool { return strings.Contains(p.log.since(0), "INFO started") })
	return p
}

func (p *proxy) config() string { return filepath.Join(p.dir, "config.kdl") }

// write puts the next generation in place.
func (p *proxy) write() {
	p.generation++
	next := p.config() + ".next"
	if err := os.WriteFile(next, []byte(p.text(p.generation)), 0o644); err != nil {
		p.t.Error(err)
	}
	if err := os.Rename(next, p.config()); err != nil {
		p.t.Error(err)
	}
}

// reload has the proxy read a changed file and reports whether it did.
func (p *proxy) reload() bool {
	from := p.log.mark()
	p.write()
	p.cmd.Process.Signal(syscall.SIGHUP)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if text := p.log.since(from); strings.Contains(text, "Configuration reload ") {
			return strings.Contains(text, "Configuration reload succeeded")
		}
	}
	return false
}

func (p *proxy) await(what string, ok func() bool) {
	p.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
		select {
		case <-p.ended:
			p.t.Fatalf("the proxy has ended:\n%s", p.log.since(0))
		default:
		}
	}
	p.t.Fatalf("no %s within %v; the proxy's log ends:\n%s", what, patience, tail(p.log.since(0), 4000))
}

// ask runs an operator's command and decodes the JSON it prints, value by value.
func (p *proxy) ask(each func(*json.Decoder) error, args ...string) {
	p.t.Helper()
	cmd := exec.Command(binary(), append(args, "--json", "--admin-socket", filepath.Join(p.dir, "admin.sock"))...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		p.t.Errorf("sentinel %s: %v\n%s", strings.Join(args, " "), err, &problems)
		return
	}
	for d := json.NewDecoder(&out); d.More(); {
		if err := each(d); err != nil {
			p.t.Errorf("sentinel %s: %v", strings.Join(args, " "), err)
			return
		}
	}
}

// change is an event as an operator's tools see it.
type change struct {
	Seq    uint64
	Kind   string
	Worse  bool
	Target string
	To     string
	Cause  string
}

// changes returns the events behind number after.
func (p *proxy) changes(after uint64) (list []change) {
	p.ask(func(d *json.Decoder) error {
		var c change
		err := d.Decode(&c)
		if c.Seq > after {
			list = append(list, c)
		}
		return err
	}, "events")
	return list
}

// ailing returns what isn't well with the targets, empty when all are.
func (p *proxy) ailing() (ills []string) {
	p.ask(func(d *json.Decoder) error {
		var list []struct {
			Targets []struct {
				Address, State, Cause string
				Breaker               struct{ State string }
			}
		}
		err := d.Decode(&list)
		for _, u := range list {
			for _, t := range u.Targets {
				if t.State != "healthy" || t.Breaker.State != "closed" {
					ills = append(ills, fmt.Sprintf("%s %s, breaker %s", t.Address, t.State, t.Breaker.State))
				}
			}
		}
		return err
	}, "upstreams")
	return ills
}

// series returns a sample of the metrics; 0 where there is none.
func (p *proxy) series(name string) float64 {
	resp, err := http.Get("http://" + p.metrics + "/metrics")
	if err != nil {
		p.t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		if value, ok := strings.CutPrefix(s.Text(), name+" "); ok {
			v, _ := strconv.ParseFloat(value, 64)
			io.Copy(io.Discard, resp.Body)
			return v
		}
	}
	return 0
}

// logText keeps what the proxy writes.
type logText struct {
	mu   sync.Mutex
	text []byte
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	return len(b), nil
}

func (l *logText) mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.text)
}

func (l *logText) since(mark int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text[mark:])
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
