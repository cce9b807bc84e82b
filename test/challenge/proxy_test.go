package challenge_test

import (
	"strings"
	"testing"

	"sentinel/internal/testkit/proxy"
)

// TestThroughTheProxy walks the real proxy, with script in two tabs and then without.
func TestThroughTheProxy(t *testing.T) {
	p := proxy.Start(t, `security { challenge-mode "always"; wait-secs 1 }
listeners { listener "l" { address "127.0.0.1:0" } }
routes { route "r" { respond 200 { content-type "text/html"; body "<!doctype html><title>`+welcome+`</title><link rel=icon href=data:,>" } } }`)
	site := "http://" + p.Addr("l")
	for _, script := range []bool{true, false} {
		b := start(t, "")
		one, two := b.newTab(), b.newTab()
		for _, tab := range []*tab{one, two} {
			if !script {
				tab.run("Emulation.setScriptExecutionDisabled", map[string]any{"value": true})
			}
		}
		one.open(site + "/shop?x=1&y=%20")
		two.open(site + "/2")
		one.until(welcome, site+"/shop?x=1&y=%20")
		two.until(welcome, site+"/2")
		one.open(site + "/next")
		one.until(welcome, site+"/next")
		b.noTrouble()
	}
	m := p.Metrics()
	for _, outcome := range []string{"solved", "waited"} {
		if strings.Contains(m, `sentinel_challenges_total{outcome="`+outcome+`"} 0`) {
			t.Errorf("nobody has %s", outcome)
		}
	}
	for _, outcome := range []string{"failed", "looped", "replayed", "refused"} {
		if !strings.Contains(m, `sentinel_challenges_total{outcome="`+outcome+`"} 0`) {
			t.Errorf("there is %s in the metrics", outcome)
		}
	}
}
