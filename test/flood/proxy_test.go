package flood

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sentinel/internal/testkit/program"
)

// patience bounds every wait for something that must happen.
const patience = 20 * time.Second

// proxy is the running program with an origin behind it.
type proxy struct {
	t                     *testing.T
	dir                   string
	http, metrics, origin string // host:port
	cmd                   *exec.Cmd
	ended                 chan struct{}
}

// start starts a proxy. In its configuration $HTTP and $ORIGIN are addresses; what every test
// needs is added. wrap, unless empty, is a command that starts the program.
func start(t *testing.T, text string, wrap ...string) *proxy {
	t.Helper()
	p := &proxy{t: t, dir: t.TempDir(), http: program.FreeAddress(t), metrics: program.FreeAddress(t), ended: make(chan struct{})}
	p.origin = spawn(t, roleOrigin).line()
	p.write(text)
	log, err := os.Create(p.file("log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	line := append(append([]string{}, wrap...), binary(), "--config", p.file("config.kdl"))
	p.cmd = exec.Command(line[0], line[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(p.stop)
	p.await("a start", func() bool { return strings.Contains(p.log(), "INFO started") })
	return p
}

func (p *proxy) stop() {
	p.cmd.Process.Kill()
	<-p.ended
	log := p.log()
	for _, word := range []string{"panic:", "goroutine ", "DATA RACE"} {
		if at := strings.Index(log, word); at >= 0 {
			p.t.Errorf("the proxy logged %q: %.2000s", word, log[at:])
		}
	}
	if p.t.Failed() {
		p.t.Logf("log of the proxy (its end):\n%s", log[max(0, len(log)-3000):])
	}
}

func (p *proxy) file(name string) string { return filepath.Join(p.dir, name) }

func (p *proxy) log() string {
	text, err := os.ReadFile(p.file("log"))
	if err != nil {
		p.t.Error(err)
	}
	return string(text)
}

// write puts a configuration in place.
func (p *proxy) write(text string) {
	p.t.Helper()
	if !strings.Contains(text, "listeners {") {
		text += "listeners {}"
	}
	text = strings.Replace(text, "listeners {", `listeners { listener "http" { address "$HTTP" }; `, 1)
	text += `
system { pid-file "$DIR/sentinel.pid"; state-dir "$DIR/state"; admin-socket "$DIR/admin.sock" }
upstreams { upstream "app" { target "$ORIGIN"; connection-pool { max-connections 0 } } }
observability { metrics { address "$METRICS" }; logging { access-log { file "$DIR/access.log" } } }
`
	text = strings.NewReplacer("$HTTP", p.http, "$METRICS", p.metrics, "$ORIGIN", p.origin, "$DIR", p.dir).Replace(text)
	if err := os.WriteFile(p.file("config.kdl"), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *proxy) await(what string, ok func() bool) {
	p.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
		select {
		case <-p.ended:
			p.t.Fatalf("the proxy has ended:\n%s", p.log())
		default:
		}
	}
	p.t.Fatalf("no %s within %v", what, patience)
}

// command runs an operator's command.
func (p *proxy) command(args ...string) string {
	p.t.Helper()
	out, err := exec.Command(binary(), append(args, "--admin-socket", p.file("admin.sock"))...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("sentinel %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// series returns a sample of the metrics; 0 where there is none.
func (p *proxy) series(name string) float64 {
	p.t.Helper()
	resp, err := http.Get("http://" + p.metrics + "/metrics")
	if err != nil {
		p.t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	text.ReadFrom(resp.Body)
	for s := bufio.NewScanner(&text); s.Scan(); {
		if value, ok := strings.CutPrefix(s.Text(), name+" "); ok {
			v, _ := strconv.ParseFloat(value, 64)
			return v
		}
	}
	return 0
}

// cpu returns how much processor time the proxy has used (the processor clock of a process,
// clock_getcpuclockid(3)).
func (p *proxy) cpu() time.Duration {
	p.t.Helper()
	const scheduler = 2 // CPUCLOCK_SCHED of the kernel
	var at unix.Timespec
	if err := unix.ClockGettime(int32(^p.pid()<<3|scheduler), &at); err != nil {
		p.t.Fatal(err)
	}
	return time.Duration(at.Nano())
}

func (p *proxy) pid() int { return p.cmd.Process.Pid }

// resident returns the resident memory of the proxy in KiB.
func (p *proxy) resident() int {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid()))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return kib
}
