package proxy_test

import (
	"strings"
	"testing"

	"sentinel/internal/testkit/proxy"
	"sentinel/internal/testkit/rawclient"
)

func TestLifeOfAProxy(t *testing.T) {
	const text = `listeners { listener "a" { address "127.0.0.1:0" }; listener "b" { address "127.0.0.1:0" } }
routes { route "r" { respond 200 "first" } }`
	p := proxy.Start(t, text)
	ask := func(listener, want string) {
		t.Helper()
		r, err := rawclient.Do(p.Addr(listener), "GET", "GET /asked HTTP/1.1\r\nHost: h\r\n\r\n")
		if err != nil || r.Text() != want {
			t.Errorf("listener %s = %q, %v, want %q", listener, r.Text(), err, want)
		}
	}
	ask("a", "first")
	ask("b", "first")
	if a, b := p.Addr("a"), p.Addr("b"); a == b {
		t.Errorf("both listeners have the address %s", a)
	}
	before := p.Addr("a")
	if o := p.Reload(strings.Replace(text, "first", "second", 1)); !o.OK || o.Generation != 2 {
		t.Errorf("reload = %+v", o)
	}
	if after := p.Addr("a"); after != before {
		t.Errorf("listener a moved from %s to %s", before, after)
	}
	ask("a", "second")
	if o := p.Reload("routes { nonsense }"); o.OK || len(o.Details) == 0 {
		t.Errorf("reload of nonsense = %+v", o)
	}
	ask("b", "second")
	if m := p.Metrics(); !strings.Contains(m, "sentinel_config_generation 2\n") {
		t.Errorf("metrics = %s", m)
	}
	if log := p.Logs(); !strings.Contains(log, "Configuration reload failed") || !strings.Contains(log, `path="/asked"`) {
		t.Errorf("logs = %s", log)
	}
	p.Stop()
}

// Two proxies in one test don't get in each other's way.
func TestTwoProxies(t *testing.T) {
	const text = `listeners { listener "l" { address "127.0.0.1:0" } }
routes { route "r" { respond 200 "here" } }`
	p, q := proxy.Start(t, text), proxy.Start(t, text)
	if p.Addr("l") == q.Addr("l") || p.MetricsAddr() == q.MetricsAddr() {
		t.Error("two proxies share an address")
	}
}
