package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"sentinel/internal/config/compile"
	"sentinel/internal/dataplane/limit"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/observe/event"
	"sentinel/internal/observe/metric"
)

func connect(t *testing.T, m *miniredis.Miniredis) *store {
	t.Helper()
	s, err := open(&compile.Store{Network: "tcp", Address: m.Addr(), Prefix: "p", Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	return s
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// One key through its life: a number that only its own time makes smaller.
func TestSettleScript(t *testing.T) {
	m := miniredis.RunT(t)
	s := connect(t, m)
	for _, c := range []struct {
		name            string
		at              time.Duration // since noon
		cost, age, most int           // milliseconds
		want            int
	}{
		{"a question alone", 0, 0, 0, 1000, 0},
		{"the first spending", 0, 200, 0, 1000, 200},
		{"time earns", 50 * time.Millisecond, 0, 0, 1000, 150},
		{"spending adds", 50 * time.Millisecond, 200, 40, 1000, 350},
		{"no more than the most", 50 * time.Millisecond, 2000, 0, 1000, 1000},
		{"after all is earned", 5 * time.Second, 0, 0, 1000, 0},
		{"spent a while ago", 5 * time.Second, 200, 150, 1000, 50},
		{"spent long ago", 6 * time.Second, 200, 900, 1000, 0},
		{"another proxy's clock was ahead", 3 * time.Second, 0, 0, 1000, 1000},
	} {
		m.SetTime(noon.Add(c.at))
		if c.name == "another proxy's clock was ahead" {
			m.Set("k", fmt.Sprint(noon.Add(time.Hour).UnixMicro()))
		}
		got, err := s.ask(t.Context(), []question{{
			script: &s.settle, key: "k", n: 3, args: [3]string{fmt.Sprint(c.cost * 1000), fmt.Sprint(c.age * 1000), fmt.Sprint(c.most * 1000)},
		}})
		if err != nil || got[0] != int64(c.want*1000) {
			t.Errorf("%s: %v, %v, want %d ms", c.name, got, err, c.want)
		}
	}
	m.FlushAll()
	s.ask(t.Context(), []question{{script: &s.settle, key: "k", n: 3, args: [3]string{"1500000", "0", "9000000"}}})
	if ttl := m.TTL("k"); ttl < time.Second || ttl > 2*time.Second {
		t.Errorf("a key that counts for 1.5 s expires in %v", ttl)
	}
}

func TestGreet(t *testing.T) {
	m := miniredis.RunT(t)
	s := connect(t, m)
	for _, c := range []struct {
		at   time.Duration
		name string
		life time.Duration
		want int
	}{
		{0, "a", gone, 1},
		{time.Second, "b", gone, 2},
		{2 * time.Second, "a", gone, 2},
		{6 * time.Second, "a", gone, 1}, // b has said nothing since
		{7 * time.Second, "c", gone, 2},
		{7 * time.Second, "a", 0, 1},
	} {
		m.SetTime(noon.Add(c.at))
		if got, err := s.greet(t.Context(), c.name, c.life); err != nil || got != c.want {
			t.Errorf("after %v, %s: %d, %v, want %d", c.at, c.name, got, err, c.want)
		}
	}
}

// fixture is a keeper whose steps the test takes.
type fixture struct {
	*Keeper
	redis *miniredis.Miniredis
	table *limit.Table
	log   *event.Log
	clock *netio.Clock
}

func newFixture(t *testing.T, s compile.Store) *fixture {
	m, clock := miniredis.RunT(t), netio.NewClock()
	t.Cleanup(clock.Stop)
	log := event.New(64, slog.New(slog.NewTextHandler(io.Discard, nil)))
	r := limit.Rule{Requests: 1, Per: time.Minute, Burst: 10}
	f := &fixture{Keeper: New(Options{Clock: clock, Events: log, Metrics: metric.New(metric.Options{}).Store()}), redis: m, table: limit.NewShared(r), log: log, clock: clock}
	s.Network, s.Address, s.Prefix, s.Timeout, s.Lease = "tcp", m.Addr(), "p", 5*time.Second, 20*time.Millisecond
	f.adopt(&compile.Fleet{Store: s, Limits: []compile.SharedLimit{{ID: "l", Table: f.table, Rule: r}}})
	t.Cleanup(func() { f.tasks.Wait() })
	return f
}

func (f *fixture) take(n int) (allowed int) {
	for range n {
		if f.table.Take(1, f.clock.Now(), 1).Allowed {
			allowed++
		}
	}
	return allowed
}

// What other proxies have spent isn't there any more, and what this one spends they hear of.
func TestKeeperSettles(t *testing.T) {
	f := newFixture(t, compile.Store{})
	other := connect(t, f.redis)
	other.greet(t.Context(), "other", gone)
	f.step(t.Context())
	if f.proxies != 2 {
		t.Fatalf("%d proxies, want 2", f.proxies)
	}
	if got := f.take(20); got != 5 {
		t.Errorf("the first lease is %d requests, want half of 10", got)
	}
	f.step(t.Context())
	name := f.keyName("l", 1)
	ask := question{script: &other.settle, key: name, n: 3, args: [3]string{"0", "0", "600000000"}}
	if got, err := other.ask(t.Context(), []question{ask}); err != nil || got[0] < 299e6 || got[0] > 300e6 {
		t.Errorf("the store has %v, %v, want 5 minutes", got, err)
	}
	ask.args[0] = "180000000" // the other spends three
	other.ask(t.Context(), []question{ask})
	total := f.take(1)
	for range 5 {
		f.step(t.Context())
		total += f.take(20)
	}
	if total < 2 || total > 3 { // it may be one ahead
		t.Errorf("%d of 2 requests that are left were let through", total)
	}
}

// While the store is away each proxy has its share; when it is back what is owed is settled.
func TestKeeperAway(t *testing.T) {
	for _, whole := range []bool{false, true} {
		f := newFixture(t, compile.Store{Whole: whole})
		other := connect(t, f.redis)
		other.greet(t.Context(), "other", gone)
		f.step(t.Context())
		f.redis.SetError("READONLY You can't write against a read only replica.")
		f.met = time.Time{}
		if wait := f.step(t.Context()); wait != retryFirst {
			t.Errorf("tried again in %v, want %v", wait, retryFirst)
		}
		want := 5
		if whole {
			want = 10
		}
		if got := f.take(20); got != want {
			t.Errorf("away, whole %v: %d requests, want %d", whole, got, want)
		}
		f.retryAt = time.Time{}
		if wait := f.step(t.Context()); wait != 2*retryFirst {
			t.Errorf("the second time tried again in %v, want %v", wait, 2*retryFirst)
		}
		f.redis.SetError("")
		f.retryAt = time.Time{}
		f.step(t.Context())
		if f.store == nil {
			t.Fatal("the store isn't back")
		}
		ask := question{script: &other.settle, key: f.keyName("l", 1), n: 3, args: [3]string{"0", "0", "600000000"}}
		if got, err := other.ask(t.Context(), []question{ask}); err != nil || got[0] < int64(want-1)*60e6 || got[0] > int64(want)*60e6 {
			t.Errorf("the store hears of %v, %v, want %d minutes", got, err, want)
		}
		var said []string
		for _, e := range f.log.Since(0, 64) {
			said = append(said, e.To+" "+strings.Fields(e.Cause)[0])
		}
		if got := strings.Join(said, ", "); got != "up it, away readonly:, up it" {
			t.Errorf("events: %s", got)
		}
		f.leave()
	}
}

func TestReasonOf(t *testing.T) {
	for err, want := range map[error]string{
		context.DeadlineExceeded:                    "timeout",
		fmt.Errorf("x: %w", context.Canceled):       "connection",
		errors.New("dial unix: connection refused"): "connection",
	} {
		if got := reasonOf(err); got != want {
			t.Errorf("reasonOf(%v) = %s, want %s", err, got, want)
		}
	}
	for text, want := range map[string]string{
		"READONLY no": "readonly", "NOAUTH x": "auth", "WRONGPASS x": "auth", "NOPERM x": "auth", "OOM command not allowed": "refused", "": "refused",
	} {
		if got := reasonOfRefusal(text); got != want {
			t.Errorf("reasonOfRefusal(%q) = %s, want %s", text, got, want)
		}
	}
}
