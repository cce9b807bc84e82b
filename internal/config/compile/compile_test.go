package compile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/observe/metric"
)

func load(t testing.TB, text string) *schema.Config {
	t.Helper()
	c, sources, diags := schema.LoadBytes("config.kdl", []byte(text), schema.Options{})
	if diags.HasErrors() {
		t.Fatalf("refused:\n%s", diags.AppendText(nil, sources.Text))
	}
	return c
}

func newLive(t testing.TB) *Live {
	clock := netio.NewClock()
	t.Cleanup(clock.Stop)
	live := NewLive(LiveOptions{Clock: clock, Metrics: metric.New(metric.Options{Cells: 1})})
	t.Cleanup(live.Close)
	return live
}

func build(t testing.TB, live *Live, text string) (*snapshot.Snapshot, func()) {
	t.Helper()
	s, commit, diags := Build(load(t, text), live, func(string) int { return 0 })
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return s, commit
}

const base = `listeners { listener "l" { address "127.0.0.1:80" } }
routes { route "r" { upstream "u" } }
upstreams { upstream "u" { target "127.0.0.1:1"; target "127.0.0.1:2" } }
`

// TestPoolsOutliveReloads checks that a target keeps its pool as long as it is named.
func TestPoolsOutliveReloads(t *testing.T) {
	live := newLive(t)
	first, commit := build(t, live, base)
	commit()
	second, commit := build(t, live, strings.Replace(base, "127.0.0.1:2", "127.0.0.1:3", 1))
	commit()
	third, commit := build(t, live, base)
	commit()
	pool := func(s *snapshot.Snapshot, i int) any { return s.Upstreams[0].Targets()[i].Pool }
	if pool(first, 0) != pool(second, 0) || pool(second, 0) != pool(third, 0) {
		t.Error("a target that stayed has another pool")
	}
	if pool(first, 1) == pool(second, 1) || pool(first, 1) == pool(third, 1) {
		t.Error("a target that left and came back has its old pool")
	}
}

// manyRoutes is a configuration with n routes of mixed kinds.
func manyRoutes(n int) []byte {
	var b strings.Builder
	b.WriteString("listeners { listener \"l\" { address \"127.0.0.1:80\" } }\nroutes {\n")
	for i := range n {
		fmt.Fprintf(&b, "    route \"r%d\" { matches { host \"h%d.example.com\"; path-prefix \"/p%d/\" }; upstream \"u\" }\n", i, i%1000, i)
	}
	b.WriteString("}\nupstreams { upstream \"u\" { target \"127.0.0.1:1\" } }\n")
	return []byte(b.String())
}

// TestTenThousandRoutes checks that a large reload is quick: reading, checking, compiling
// and handing over take less than half a second, here with a margin of two.
func TestTenThousandRoutes(t *testing.T) {
	text, live := manyRoutes(10000), newLive(t)
	best := time.Hour
	for range 3 {
		start := time.Now()
		c, _, diags := schema.LoadBytes("config.kdl", text, schema.Options{})
		if diags.HasErrors() {
			t.Fatal(diags[0])
		}
		loaded := time.Since(start)
		_, commit, diags := Build(c, live, func(string) int { return 0 })
		if diags.HasErrors() {
			t.Fatal(diags[0])
		}
		built := time.Since(start)
		commit()
		took := time.Since(start)
		t.Logf("10000 routes: read and checked in %v, compiled after %v, handed over after %v", loaded, built, took)
		best = min(best, took)
	}
	if limit := slowdown * time.Second; best > limit {
		t.Errorf("10000 routes took %v, want at most %v", best, limit)
	}
}

// A request timeout covers the content where somebody wrote it, at the listener or above it.
func TestRequestTimeoutIsHardWhereWritten(t *testing.T) {
	for _, test := range []struct {
		text string
		want bool
	}{
		{base, false},
		{"timeouts { request-secs 5 }\n" + base, true},
		{strings.Replace(base, `"127.0.0.1:80" }`, `"127.0.0.1:80"; timeouts { request-secs 5 } }`, 1), true},
	} {
		s, _ := build(t, newLive(t), test.text)
		if got := s.Listeners[0].RequestTimeoutSet; got != test.want {
			t.Errorf("RequestTimeoutSet = %v, want %v, in\n%s", got, test.want, test.text)
		}
	}
}
