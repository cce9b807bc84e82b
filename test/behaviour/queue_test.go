package behaviour

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// pending waits until so many requests wait in the queue of upstream "u", as the metric says.
func (p *proxy) pending(want int) {
	p.t.Helper()
	line := fmt.Sprintf("\nsentinel_pending_requests{upstream=\"u\"} %d\n", want)
	eventually(p.t, fmt.Sprintf("%d requests wait", want), func() bool { return strings.Contains(p.Metrics(), line) })
}

// refused checks that a request is answered at once by 503 with Retry-After.
func (p *proxy) refused(what, target string) {
	p.t.Helper()
	if r := p.do("GET", target); r.Status != 503 || r.Fields.Get("Retry-After") == "" {
		p.t.Errorf("%s = %s, want 503 with Retry-After", what, r.Raw)
	}
}

func TestQueue(t *testing.T) {
	g := newTurnstile(t)
	p := start(t, "", among("max-connections 2; queue { max-pending 3; timeout-secs 60 }", g.origin("a"), g.origin("b")))
	p.pending(0)
	var clients []*rawclient.Client
	for i := range 5 {
		clients = append(clients, p.send("/hold"))
		if i < 2 {
			g.next()
		} else {
			p.pending(i - 1)
		}
	}
	p.refused("a request to a full queue", "/")
	g.release <- struct{}{} // the place of the one that leaves is for the first that waits
	g.next()
	p.pending(2)
	close(g.release)
	for _, c := range clients {
		answered(t, c, 200)
	}
	p.pending(0)
	if r := p.do("GET", "/"); r.Status != 200 {
		t.Errorf("a request after the rush = %s", r.Raw)
	}
	const full = `WARN queue full, upstream="u", from="room", to="full", cause="2 requests in progress, 3 wait"`
	if log := p.Logs(); strings.Count(log, full) != 1 {
		t.Errorf("the log doesn't tell once that the queue is full: %s", log)
	}
}

func TestQueueTimeout(t *testing.T) {
	g := newTurnstile(t)
	p := start(t, "", among("max-connections 1; queue { timeout-secs 0.3 }", g.origin("a")))
	first := p.send("/hold")
	g.next()
	began := time.Now()
	p.refused("a request that has waited too long", "/")
	if waited := time.Since(began); waited < 300*time.Millisecond {
		t.Errorf("timeout-secs 0.3: refused after %v", waited)
	}
	p.pending(0)
	close(g.release)
	answered(t, first, 200)
	if log := p.Logs(); !strings.Contains(log, `fault="queue_timeout"`) {
		t.Errorf("the log doesn't say that the queue was the cause: %s", log)
	}
}

// byPriority is a configuration with a route /hold/WORD for each queue-priority.
func byPriority(up string, o *origin.Origin) string {
	var routes strings.Builder
	for _, word := range []string{"low", "normal", "high", "critical"} {
		fmt.Fprintf(&routes, "route %q { matches { path \"/hold/%s\" }; upstream \"u\"; queue-priority %q }\n", word, word, word)
	}
	return "routes {\n" + routes.String() + "route \"r\" { upstream \"u\" }\n}\nupstreams { " + upstream("u", o, up) + "}\n"
}

func TestQueuePriority(t *testing.T) {
	g := newTurnstile(t)
	p := start(t, "", byPriority("max-connections 1; queue { max-pending 5; timeout-secs 60 }", g.origin("a")))
	clients := []*rawclient.Client{p.send("/hold")}
	g.next()
	for i, path := range []string{"/hold/low", "/hold/normal", "/hold/critical", "/hold/high", "/hold"} {
		clients = append(clients, p.send(path))
		p.pending(i + 1)
	}
	displacing := p.send("/hold/high") // the queue is full: the low one has to go
	answered(t, clients[1], 503)
	p.refused("a low one to a queue full of others", "/hold/low")
	var order []string
	for range 5 {
		g.release <- struct{}{}
		_, path := g.next()
		order = append(order, path)
	}
	if got, want := strings.Join(order, " "), "/hold/critical /hold/high /hold/high /hold/normal /hold"; got != want {
		t.Errorf("the queue is left in the order %s, want %s", got, want)
	}
	close(g.release)
	for i, c := range append(clients, displacing) {
		if i != 1 {
			answered(t, c, 200)
		}
	}
}

func TestQueueSheds(t *testing.T) {
	g := newTurnstile(t)
	p := start(t, "", byPriority("max-connections 1; queue { max-pending 1000; timeout-secs 60; shed-after-secs 0.05 }", g.origin("a")))
	clients := []*rawclient.Client{p.send("/hold"), p.send("/hold/low")}
	g.next()
	eventually(t, "low requests are shed", func() bool {
		c := p.send("/hold/low")
		c.SetTimeout(100 * time.Millisecond)
		r, err := c.ReadFinalResponse("GET")
		if err != nil { // it waits
			clients = append(clients, c)
			return false
		}
		if r.Status != 503 || r.Fields.Get("Retry-After") == "" {
			t.Fatalf("shed = %s, want 503 with Retry-After", r.Raw)
		}
		return true
	})
	critical := p.send("/hold/critical")
	p.pending(len(clients)) // all but the one in progress, and the critical one
	close(g.release)
	for _, c := range append(clients, critical) {
		c.SetTimeout(20 * time.Second)
		answered(t, c, 200)
	}
}

func TestPoolMaxConnectionsOfEach(t *testing.T) {
	for _, queue := range []string{"", "queue { timeout-secs 60 }"} {
		t.Run(queue, func(t *testing.T) {
			g := newTurnstile(t)
			p := start(t, "", among("connection-pool { max-connections 2 }; "+queue, g.origin("a"), g.origin("b")))
			var clients []*rawclient.Client
			at := map[string]int{}
			for range 4 {
				clients = append(clients, p.send("/hold"))
				name, _ := g.next()
				at[name]++
			}
			if at["a"] != 2 || at["b"] != 2 {
				t.Errorf("4 requests at once are at %v, want 2 at each", at)
			}
			if queue == "" {
				p.refused("a fifth request", "/")
			} else {
				clients = append(clients, p.send("/"))
				p.pending(1)
			}
			close(g.release)
			for _, c := range clients {
				answered(t, c, 200)
			}
		})
	}
}

func TestAdaptiveConcurrencyLimits(t *testing.T) {
	for _, x := range []struct {
		words string
		want  int // places at the start
	}{{"max-limit 3; min-limit 1", 3}, {"min-limit 30", 30}, {"", 20}} {
		t.Run(x.words, func(t *testing.T) {
			g := newTurnstile(t)
			p := start(t, "", among("adaptive-concurrency { "+x.words+" }", g.origin("a")))
			var clients []*rawclient.Client
			for range x.want {
				clients = append(clients, p.send("/hold"))
				g.next()
			}
			p.refused("one more request", "/")
			close(g.release)
			for _, c := range clients {
				answered(t, c, 200)
			}
		})
	}
}

// rush is 20 clients that send requests without a pause, until stop is called.
func (p *proxy) rush() (done *atomic.Int64, stop func()) {
	var clients sync.WaitGroup
	var ended atomic.Bool
	done = new(atomic.Int64)
	for range 20 {
		c := p.dial()
		c.SetTimeout(20 * time.Second)
		clients.Go(func() {
			for !ended.Load() {
				c.Send(ask)
				if r, err := c.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
					p.t.Errorf("a request of the rush = %d, %v", r.Status, err)
					return
				}
				done.Add(1)
			}
		})
	}
	return done, func() {
		ended.Store(true)
		clients.Wait()
	}
}

// TestAdaptiveConcurrencyFalls makes a target slower and sees whether requests have to wait.
func TestAdaptiveConcurrencyFalls(t *testing.T) {
	for _, x := range []struct {
		words string
		falls bool
	}{
		{"tolerance-percent 100; window-secs 0.05", true},
		{"tolerance-percent 10000; window-secs 0.05", false},
		{"tolerance-percent 100; window-secs 3600", false},
	} {
		t.Run(x.words, func(t *testing.T) {
			var latency atomic.Int64
			latency.Store(int64(10 * time.Millisecond))
			o := origin.Start(t, origin.Answer(func(r origin.Request) string {
				time.Sleep(time.Duration(latency.Load()))
				return origin.Response(r, 200, "ok")
			}))
			p := start(t, "", forward(o, "", "queue { max-pending 100; timeout-secs 60 }; adaptive-concurrency { max-limit 20; min-limit 2; "+x.words+" }"))
			done, stop := p.rush()
			defer stop()
			eventually(t, "the latency without load is known", func() bool { return done.Load() > 400 })
			latency.Store(int64(150 * time.Millisecond))
			slow := done.Load()
			most := 0
			eventually(t, "requests wait", func() bool {
				for line := range strings.Lines(p.Metrics()) {
					n := 0
					if k, _ := fmt.Sscanf(line, "sentinel_pending_requests{upstream=\"u\"} %d", &n); k == 1 {
						most = max(most, n)
					}
				}
				return most > 8 || !x.falls && done.Load() > slow+200
			})
			if !x.falls && most > 8 {
				t.Errorf("%s: %d of 20 requests wait", x.words, most)
			}
		})
	}
}
