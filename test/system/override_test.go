package system

import (
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// sentinel runs a command against the proxy and returns what it prints.
func (p *proxy) sentinel(args ...string) string {
	p.t.Helper()
	out, err := exec.Command(binary(), append(args, "--config", p.config())...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("sentinel %q: %v\n%s", args, err, out)
	}
	return string(out)
}

func (p *proxy) status(path string) int {
	p.t.Helper()
	r, err := http.Get(p.url(path))
	if err != nil {
		p.t.Fatal(err)
	}
	io.Copy(io.Discard, r.Body)
	r.Body.Close()
	return r.StatusCode
}

// TestOverridesOverRestart has emergency changes hold in a new process, after a good end and
// after a bad one, those whose time is over end meanwhile, and one that doesn't fit what the
// file holds by then left out.
func TestOverridesOverRestart(t *testing.T) {
	const routes = `
routes {
    route "a" { matches { path "/a" }; respond 200 "a" }
    route "b" { upstream "u" }
}
upstreams { upstream "u" { target "127.0.0.1:1" }; upstream "spare" { target "127.0.0.1:2" } }
`
	p := start(t, routes)
	p.sentinel("emergency", "disable-route", "a", "--status", "410", "--for", "1h")
	p.sentinel("emergency", "limits", "--max-connections", "77", "--for", "1h")
	p.sentinel("emergency", "fallback", "b", "spare", "--use", "--for", "1h")
	p.sentinel("emergency", "disable-route", "b", "--for", "1s")
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		p.signal(end)
		p.awaitEnd()
		p.launch()
		if got := p.status("/a"); got != 410 {
			t.Errorf("after %v a disabled route answers %d, want 410", end, got)
		}
		if got := p.series("sentinel_max_connections"); got != "77" {
			t.Errorf("after %v at most %s connections, want 77", end, got)
		}
	}
	p.awaitSeries(`sentinel_overrides{kind="disable-route"}`, "1")
	shown := p.sentinel("config", "show")
	if !strings.Contains(shown, "max-connections 77 // override 2 by ") || !strings.Contains(shown, "status 410 // override 1 by ") {
		t.Errorf("config show lacks the origins:\n%s", shown)
	}
	if bare := p.sentinel("config", "show", "--bare"); strings.Contains(bare, "override 2") {
		t.Errorf("config show --bare has overrides:\n%s", bare)
	}
	p.signal(syscall.SIGTERM)
	p.awaitEnd()
	if shown := p.sentinel("config", "show"); !strings.Contains(shown, "override 2 by ") {
		t.Errorf("config show without a process lacks the origins:\n%s", shown)
	}
	p.write(strings.Replace(routes, `upstream "spare" { target "127.0.0.1:2" }`, "", 1))
	from := p.log.mark()
	p.launch()
	p.awaitLog(from, "override without effect")
	if got := p.status("/a"); got != 410 {
		t.Errorf("beside an override that doesn't fit, a disabled route answers %d, want 410", got)
	}
	list := p.sentinel("emergency", "list")
	if !strings.Contains(list, "Override 3 is WITHOUT EFFECT: it doesn't fit the configuration") {
		t.Errorf("the list says %s", list)
	}
	p.sentinel("reload")
	p.sentinel("emergency", "revert", "--all")
	if got := p.status("/a"); got != 200 {
		t.Errorf("after the revert the route answers %d", got)
	}
}
