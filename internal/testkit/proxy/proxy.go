// Package proxy runs a whole proxy in the process of a test: files, admin socket, metrics
// and all. Listeners in its configuration take port 0 and the proxy says which port it
// got, so that no test can take the port of another:
//
//	p := proxy.Start(t, `listeners { listener "l" { address "127.0.0.1:0" } }
//	routes { route "r" { respond 200 "hello" } }`)
//	r, err := rawclient.Do(p.Addr("l"), "GET", "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
//
// What belongs to the process as a whole, such as worker-threads and signals, is felt by
// the test too: start the binary to test that.
package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/lifecycle"
	"sentinel/internal/testkit/notify"
)

// patience bounds every wait for something that must happen.
const patience = 20 * time.Second

// logFile is the name of the file that Logs reads.
const logFile = "log"

// Proxy is a running proxy. Its methods end the test when the proxy doesn't answer.
type Proxy struct {
	tb     testing.TB
	dir    string
	admin  *admin.Client
	cancel context.CancelFunc
	ended  chan error // holds the result of the run
	done   bool       // the result was taken
}

// Start runs a proxy with a configuration until the test ends, and returns once it
// serves. In the text, $DIR stands for a folder of the proxy's own and $FILES for the
// keys of system that name files; see Expand. It sets an environment variable, so that
// the test can't be parallel to others.
func Start(tb testing.TB, text string) *Proxy {
	tb.Helper()
	p := &Proxy{tb: tb, dir: tb.TempDir(), ended: make(chan error, 1)}
	p.admin = admin.NewClient(p.AdminSocket(), patience)
	p.write(text)
	manager, err := notify.Listen(filepath.Join(p.dir, "notify"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Setenv(notify.Variable, filepath.Join(p.dir, "notify"))
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	tb.Cleanup(func() {
		p.Stop()
		manager.Close()
	})
	ready := make(chan error, 1)
	go func() { ready <- manager.Await("READY=1", patience) }()
	go func() { p.ended <- lifecycle.Run(ctx, p.config(), admin.Version{Version: "test"}) }()
	select {
	case err = <-ready:
	case err = <-p.ended:
		p.done = true
		if err == nil {
			err = errors.New("it has ended")
		}
	}
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(p.dir, logFile))
		tb.Fatalf("the proxy doesn't serve: %v\n%s\n%s", err, p.Expand(text), log)
	}
	return p
}

// Expand completes a configuration: $DIR and $FILES get their values, and the blocks
// system and observability are added where the text has none. Unless the text says
// otherwise events and requests are logged to the file that Logs reads, and the metrics
// listen on a free port.
func (p *Proxy) Expand(text string) string {
	if !strings.Contains(text, "system {") {
		text += "\nsystem { $FILES }\n"
	}
	if !strings.Contains(text, "observability {") {
		text += "\nobservability { metrics { address \"127.0.0.1:0\" }; logging { file \"$DIR/" + logFile + "\" } }\n"
	}
	text = strings.ReplaceAll(text, "$FILES", `pid-file "$DIR/pid"; state-dir "$DIR/state"; admin-socket "$DIR/admin.sock"`)
	return strings.ReplaceAll(text, "$DIR", p.dir)
}

func (p *Proxy) config() string { return filepath.Join(p.dir, "config.kdl") }

// AdminSocket returns the path of the admin socket.
func (p *Proxy) AdminSocket() string { return filepath.Join(p.dir, "admin.sock") }

func (p *Proxy) write(text string) {
	p.tb.Helper()
	if err := os.WriteFile(p.config(), []byte(p.Expand(text)), 0o600); err != nil {
		p.tb.Fatal(err)
	}
}

// Status returns what the proxy tells about itself.
func (p *Proxy) Status() admin.Status {
	p.tb.Helper()
	s, err := p.admin.Status(context.Background())
	if err != nil {
		p.tb.Fatal(err)
	}
	return s
}

// Addr returns the first address, host:port, of a listener.
func (p *Proxy) Addr(listener string) string {
	p.tb.Helper()
	for _, l := range p.Status().Listeners {
		if l.Name == listener && len(l.Addresses) > 0 {
			return l.Addresses[0]
		}
	}
	p.tb.Fatalf("no listener %q", listener)
	return ""
}

// MetricsAddr returns the address, host:port, of the metrics.
func (p *Proxy) MetricsAddr() string {
	p.tb.Helper()
	return p.Status().Metrics
}

// Metrics returns a scrape of /metrics.
func (p *Proxy) Metrics() string {
	p.tb.Helper()
	code, text := p.get("http://" + p.MetricsAddr() + "/metrics")
	if code != http.StatusOK {
		p.tb.Fatalf("/metrics = %d %s", code, text)
	}
	return text
}

func (p *Proxy) get(url string) (code int, text string) {
	p.tb.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	r, err := c.Get(url)
	if err != nil {
		p.tb.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		p.tb.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// Reload puts another configuration in place, expanded as by Start, and returns the
// outcome, which may be that the proxy refuses it.
func (p *Proxy) Reload(text string) admin.Outcome {
	p.tb.Helper()
	p.write(text)
	o, err := p.admin.Reload(context.Background())
	if err != nil {
		p.tb.Fatal(err)
	}
	return o
}

// Stop drains the proxy and waits for its end. It may be called again.
func (p *Proxy) Stop() {
	p.tb.Helper()
	p.cancel()
	if p.done {
		return
	}
	p.done = true
	if err := <-p.ended; err != nil {
		p.tb.Errorf("the proxy ended with %v", err)
	}
}

// File stops the proxy, so that all is written, and returns a file of its folder.
func (p *Proxy) File(name string) string {
	p.tb.Helper()
	p.Stop()
	b, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.tb.Fatal(err)
	}
	return string(b)
}

// Logs stops the proxy and returns what it has logged, unless its configuration logs
// elsewhere.
func (p *Proxy) Logs() string {
	p.tb.Helper()
	return p.File(logFile)
}
