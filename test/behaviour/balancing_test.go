package behaviour

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/sticky"
	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// among is a configuration with a route "r" to an upstream "u" of several targets.
func among(up string, targets ...*origin.Origin) string {
	var b strings.Builder
	for _, o := range targets {
		fmt.Fprintf(&b, "target %q; ", o.Addr())
	}
	return `routes { route "r" { upstream "u" } }
upstreams { upstream "u" { ` + b.String() + up + " } }\n"
}

// reload puts another configuration in the place of what start was given.
func (p *proxy) reload(rest string) {
	p.t.Helper()
	if o := p.Reload("listeners { listener \"l\" { address \"127.0.0.1:0\" } }\n" + rest); !o.OK {
		p.t.Fatalf("reload = %+v", o)
	}
}

// session sends requests on one connection, each when the one before has ended on the
// proxy's side, too.
func (p *proxy) session() func(target string, fields ...string) rawclient.Response {
	p.t.Helper()
	return p.sessionOn(p.dial())
}

func (p *proxy) sessionOn(c *rawclient.Client) func(target string, fields ...string) rawclient.Response {
	return func(target string, fields ...string) rawclient.Response {
		p.t.Helper()
		if !slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, "Host:") }) {
			fields = append([]string{"Host: h"}, fields...)
		}
		raw := "GET " + target + " HTTP/1.1\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n"
		c.Send(raw)
		r, err := c.ReadFinalResponse("GET")
		if err != nil {
			p.t.Fatalf("%q: %v", raw, err)
		}
		return r
	}
}

// tally counts who answers n requests that are sent one after the other.
func (p *proxy) tally(n int) map[string]int {
	p.t.Helper()
	ask, count := p.session(), map[string]int{}
	for range n {
		count[ask("/").Text()]++
	}
	return count
}

// turnstile holds requests for paths that begin with /hold at the origins that it makes.
type turnstile struct {
	t       *testing.T
	entered chan string   // "NAME /hold..." of each that has come
	release chan struct{} // a value lets one go on, closing it all
}

func newTurnstile(t *testing.T) *turnstile {
	return &turnstile{t, make(chan string, 1000), make(chan struct{})}
}

// origin is an origin that answers its name.
func (g *turnstile) origin(name string) *origin.Origin {
	return origin.Start(g.t, func(c *origin.Conn) {
		for {
			r, err := c.ReadRequest()
			if err != nil {
				return
			}
			if strings.HasPrefix(r.Target, "/hold") {
				g.entered <- name + " " + r.Target
				if c.Stall(g.release) != nil {
					return
				}
			}
			if c.WriteString(origin.Response(r, 200, name)) != nil {
				return
			}
		}
	})
}

// next returns the next request that has come to an origin.
func (g *turnstile) next() (name, path string) {
	g.t.Helper()
	select {
	case s := <-g.entered:
		name, path, _ = strings.Cut(s, " ")
	case <-time.After(20 * time.Second):
		g.t.Fatal("no request has come to an origin")
	}
	return name, path
}

// send sends a request on a connection of its own and doesn't wait for the answer.
func (p *proxy) send(target string, fields ...string) *rawclient.Client {
	p.t.Helper()
	c := p.dial()
	c.SetTimeout(20 * time.Second)
	if err := c.Send("GET " + target + " HTTP/1.1\r\nHost: h\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// answered checks the status of an answer to send.
func answered(t *testing.T, c *rawclient.Client, want int) rawclient.Response {
	t.Helper()
	r, err := c.ReadFinalResponse("GET")
	if err != nil || r.Status != want {
		t.Errorf("answer = %d %q, %v; want %d", r.Status, r.Text(), err, want)
	}
	return r
}

// balancing writes load-balancing.
func balancing(word string) string { return fmt.Sprintf("load-balancing %q; ", word) }

func TestTargetsTakeTurns(t *testing.T) {
	a, b, c := named(t, "a"), named(t, "b"), named(t, "c")
	for _, word := range []string{"round_robin", "weighted"} {
		ask := start(t, "", among(balancing(word), a, b, c)).session()
		for range 10 {
			if seen := []string{ask("/").Text(), ask("/").Text(), ask("/").Text()}; len(slices.Compact(slices.Sorted(slices.Values(seen)))) != 3 {
				t.Errorf("%s: one turn of three targets = %v", word, seen)
			}
		}
	}
}

func TestTargetsAreDrawn(t *testing.T) {
	a, b, c := named(t, "a"), named(t, "b"), named(t, "c")
	for _, word := range []string{"random", "power_of_two_choices", "least_connections"} {
		ask, count, last, again := start(t, "", among(balancing(word), a, b, c)).session(), map[string]int{}, "", 0
		for range 120 {
			name := ask("/").Text()
			if count[name]++; name == last {
				again++
			}
			last = name
		}
		if count["a"] < 15 || count["b"] < 15 || count["c"] < 15 || again == 0 {
			t.Errorf("%s: 120 requests reach %v, %d times the same target again; want a draw", word, count, again)
		}
	}
}

func TestBusyTargetIsAvoided(t *testing.T) {
	for _, word := range []string{"least_connections", "least-conn", "power_of_two_choices", "p2c"} {
		t.Run(word, func(t *testing.T) {
			g := newTurnstile(t)
			p := start(t, "", among(balancing(word), g.origin("a"), g.origin("b")))
			first := p.send("/hold")
			busy, _ := g.next()
			if count := p.tally(40); count[busy] > 12 || len(count) > 2 {
				t.Errorf("%s: while %s is busy 40 requests reach %v", word, busy, count)
			}
			close(g.release)
			answered(t, first, 200)
		})
	}
}

func TestFastTargetIsPreferred(t *testing.T) {
	slow := origin.Start(t, origin.Answer(func(r origin.Request) string {
		time.Sleep(100 * time.Millisecond)
		return origin.Response(r, 200, "slow")
	}))
	fast := named(t, "fast")
	for _, word := range []string{"peak_ewma", "adaptive", "least_time"} {
		if count := start(t, "", among(balancing(word), slow, fast)).tally(50); count["slow"] > 15 || count["fast"] < 35 {
			t.Errorf("%s: 50 requests reach %v", word, count)
		}
	}
}

// keyed is a request whose parts all differ from those of others, but for the one that hash
// says, which stands for a key.
func keyed(hash string, key, nonce int) (target string, fields []string) {
	n := func(part string) string {
		if strings.HasPrefix(hash, part) {
			return "k" + strconv.Itoa(key)
		}
		return "n" + strconv.Itoa(nonce)
	}
	return "/" + n("path") + "?other=" + strconv.Itoa(nonce) + "&q=" + n("query"), []string{
		"Host: " + n("host"), "X-Key: " + n("header"), "Cookie: o=" + strconv.Itoa(nonce) + "; c=" + n("cookie"),
	}
}

// homes returns who answers each of the keys, each of which is sent twice.
func homes(t *testing.T, p *proxy, hash string, nonce *int) map[int]string {
	t.Helper()
	const keys = 40
	ask, home := p.session(), map[int]string{}
	for i := range 2 * keys {
		*nonce++
		if hash == "client_ip" {
			ask = p.sessionFrom(net.IPv4(127, 0, 1, byte(i%keys+1)))
		}
		target, fields := keyed(hash, i%keys, *nonce)
		name := ask(target, fields...).Text()
		if was := home[i%keys]; was != "" && was != name {
			t.Errorf("key %d by %s goes to %s, then to %s", i%keys, hash, was, name)
		}
		home[i%keys] = name
	}
	return home
}

// sessionFrom is session from another address of this machine.
func (p *proxy) sessionFrom(ip net.IP) func(target string, fields ...string) rawclient.Response {
	p.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: ip}, Timeout: rawclient.DefaultTimeout}
	conn, err := d.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	return p.sessionOn(rawclient.New(conn))
}

func TestHashKeys(t *testing.T) {
	a, b, c := named(t, "a"), named(t, "b"), named(t, "c")
	for _, x := range []struct{ words, hash string }{
		{`load-balancing "ip_hash"`, "client_ip"},
		{`load-balancing "consistent_hash"; hash-load-percent 1000`, "client_ip"},
		{`load-balancing "maglev"; hash-key "client_ip"`, "client_ip"},
		{`load-balancing "ring-hash"; hash-key "path"`, "path"},
		{`load-balancing "maglev"; hash-key "host"`, "host"},
		{`load-balancing "consistent_hash"; hash-key "header:X-Key"`, "header:X-Key"},
		{`load-balancing "maglev"; hash-key "cookie:c"`, "cookie:c"},
		{`load-balancing "consistent-hash"; hash-key "query:q"`, "query:q"},
	} {
		t.Run(x.words, func(t *testing.T) {
			nonce := 0
			p := start(t, "", among(x.words, a, b, c))
			before := homes(t, p, x.hash, &nonce)
			if seen := slices.Compact(slices.Sorted(maps.Values(before))); !slices.Equal(seen, []string{"a", "b", "c"}) {
				t.Errorf("40 keys reach %v only", seen)
			}
			p.reload(among(x.words, a, b))
			moved := 0
			for key, name := range homes(t, p, x.hash, &nonce) {
				if before[key] != "c" && before[key] != name {
					moved++
				}
			}
			if moved > 8 {
				t.Errorf("%d of 40 keys have moved although their target is still there", moved)
			}
		})
	}
}

func TestHashLoadPercent(t *testing.T) {
	for _, x := range []struct {
		words string
		want  int // targets
	}{{"hash-load-percent 100", 3}, {"hash-load-percent 1000", 1}, {"", 2}} {
		t.Run(x.words, func(t *testing.T) {
			g := newTurnstile(t)
			p := start(t, "", among(`load-balancing "consistent_hash"; hash-key "header:X-Key"; `+x.words, g.origin("a"), g.origin("b"), g.origin("c")))
			var clients []*rawclient.Client
			seen := map[string]bool{}
			for range 3 {
				clients = append(clients, p.send("/hold", "X-Key: same"))
				name, _ := g.next()
				seen[name] = true
			}
			if len(seen) != x.want {
				t.Errorf("%q: 3 requests of one key at once reach %v, want %d targets", x.words, seen, x.want)
			}
			close(g.release)
			for _, c := range clients {
				answered(t, c, 200)
			}
		})
	}
}

func TestTargetWeightZero(t *testing.T) {
	a, b := named(t, "a"), named(t, "b")
	for _, word := range []string{"round_robin", "least_connections", "random", "power_of_two_choices", "peak_ewma", "least_time", "ip_hash", "consistent_hash", "maglev"} {
		p := start(t, "", fmt.Sprintf("routes { route \"r\" { upstream \"u\" } }\nupstreams { upstream \"u\" { target %q weight=0; target %q; %s } }\n", a.Addr(), b.Addr(), balancing(word)))
		if count := p.tally(10); count["b"] != 10 {
			t.Errorf("%s: 10 requests reach %v although a has weight 0", word, count)
		}
	}
}

// drain takes a target out, or back in.
func (p *proxy) drain(target *origin.Origin, undo bool) {
	p.t.Helper()
	if _, err := admin.NewClient(p.AdminSocket(), 20*time.Second).Drain(context.Background(), admin.DrainRequest{Upstream: "u", Target: target.Addr(), Undo: undo}); err != nil {
		p.t.Fatal(err)
	}
}

func TestSlowStart(t *testing.T) {
	a, b := named(t, "a"), named(t, "b")
	p := start(t, "", among("slow-start-secs 3600", a, b))
	if count := p.tally(40); count["a"] != 20 {
		t.Errorf("after the start 40 requests reach %v, want halves: nobody comes back", count)
	}
	p.drain(a, false)
	if count := p.tally(10); count["a"] != 0 {
		t.Errorf("10 requests reach %v although a is drained", count)
	}
	p.drain(a, true)
	if count := p.tally(80); count["a"] == 0 || count["a"] > 20 {
		t.Errorf("80 requests after a came back reach %v, want few for a", count)
	}
	p.reload(among("slow-start-secs 0.2", a, b))
	eventually(t, "a gets its whole share", func() bool { return p.tally(40)["a"] == 20 })
}

func TestPanicThreshold(t *testing.T) {
	sick := func(name string) *origin.Origin {
		return origin.Start(t, origin.Answer(func(r origin.Request) string {
			if r.Target == "/up" {
				return origin.Response(r, 500, "sick")
			}
			return origin.Response(r, 200, name)
		}))
	}
	a, b, c := named(t, "a"), sick("b"), sick("c")
	config := func(percent string) string {
		return among(`health-check { type "http" { path "/up" }; interval-secs 0.1; unhealthy-threshold 1 }; `+percent, a, b, c)
	}
	p := start(t, "", config("panic-threshold-percent 0"))
	onlyA := func() bool { return p.tally(12)["a"] == 12 }
	eventually(t, "the sick get nothing", onlyA)
	for _, x := range []struct {
		percent string
		all     bool
	}{{"", true}, {"panic-threshold-percent 30", false}, {"panic-threshold-percent 40", true}} {
		p.reload(config(x.percent))
		if x.all {
			eventually(t, "all are used with "+x.percent, func() bool { return len(p.tally(12)) == 3 })
		} else {
			eventually(t, "only the healthy is used with "+x.percent, onlyA)
		}
	}
}

func TestUpstreamMaxConnections(t *testing.T) {
	g := newTurnstile(t)
	p := start(t, "", among("max-connections 3", g.origin("a"), g.origin("b")))
	var held []*rawclient.Client
	for range 3 {
		held = append(held, p.send("/hold"))
		g.next()
	}
	if r := p.do("GET", "/"); r.Status != 503 || r.Fields.Get("Retry-After") == "" {
		t.Errorf("a fourth request = %s, want 503 with Retry-After", r.Raw)
	}
	close(g.release)
	for _, c := range held {
		answered(t, c, 200)
	}
	eventually(t, "a place is free", func() bool { return p.do("GET", "/").Status == 200 })
}

func TestPassDeadline(t *testing.T) {
	o := origin.Start(t, origin.Answer(func(r origin.Request) string {
		return origin.Response(r, 200, strings.Join(r.Fields.Values("X-Left-Ms"), ","))
	}))
	for _, x := range []struct {
		words    string
		min, max int
	}{{`pass-deadline "X-Left-Ms"; timeouts { request-secs 40 }`, 20000, 40000}, {`pass-deadline "x-left-ms"; timeouts { request-secs 400 }`, 380000, 400000}} {
		p := start(t, "", forward(o, "", x.words))
		got := p.do("GET", "/", "X-Left-Ms: 999999").Text()
		if n, err := strconv.Atoi(got); err != nil || n < x.min || n > x.max {
			t.Errorf("%s: the upstream is told %q, want one number from %d to %d", x.words, got, x.min, x.max)
		}
	}
	if got := start(t, "", forward(o, "", "")).do("GET", "/").Text(); got != "" {
		t.Errorf("without pass-deadline the upstream is told %q", got)
	}
}

// keyFile writes a file with a new key for sticky cookies.
func keyFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(name, sticky.GenerateKeys(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestStickyCookieAttributes(t *testing.T) {
	o, key := named(t, "o"), keyFile(t)
	for _, x := range []struct{ words, name, attributes string }{
		{``, "sentinel_target", "; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{`name "t"; path "/app"; secure #false; same-site "strict"`, "t", "; Path=/app; HttpOnly; SameSite=Strict"},
		{`max-age-secs 3600; same-site "none"`, "sentinel_target", "; Path=/; HttpOnly; Max-Age=3600; Secure; SameSite=None"},
		{`max-age-secs 0.5`, "sentinel_target", "; Path=/; HttpOnly; Max-Age=1; Secure; SameSite=Lax"},
	} {
		p := start(t, "", forward(o, "", fmt.Sprintf("sticky-cookie { key-file %q; %s }", key, x.words)))
		pair, attributes, _ := strings.Cut(p.do("GET", "/").Fields.Get("Set-Cookie"), ";")
		if name, _, _ := strings.Cut(pair, "="); name != x.name || ";"+attributes != x.attributes {
			t.Errorf("%q: cookie %q with %q, want %q with %q", x.words, pair, ";"+attributes, x.name, x.attributes)
		}
	}
}

// cookieOf returns the cookie that a response sets, "" for none.
func cookieOf(r rawclient.Response) string {
	pair, _, _ := strings.Cut(r.Fields.Get("Set-Cookie"), ";")
	return pair
}

func TestStickyCookie(t *testing.T) {
	a, b, c := named(t, "a"), named(t, "b"), named(t, "c")
	config := func(key, more string) string {
		return among(fmt.Sprintf("sticky-cookie { name \"t\"; key-file %q; %s }", key, more), a, b, c)
	}
	key, other := keyFile(t), keyFile(t)
	p := start(t, "", config(key, ""))
	ask := p.session()
	ask("/") // so that the cookie isn't of the target whose turn is first
	first := ask("/")
	cookie, home := cookieOf(first), first.Text()
	if cookie == "" {
		t.Fatalf("the first response = %s, want a cookie", first.Raw)
	}
	stays := func(when string, p *proxy) {
		t.Helper()
		ask := p.session()
		for range 9 {
			if r := ask("/", "Cookie: a=b; "+cookie); r.Text() != home || r.Fields.Has("Set-Cookie") {
				t.Fatalf("%s the cookie of %s is answered by %s", when, home, r.Raw)
			}
		}
	}
	ignored := func(why string, p *proxy, cookie string) {
		t.Helper()
		ask, seen := p.session(), map[string]bool{}
		for range 9 {
			r := ask("/", "Cookie: "+cookie)
			if seen[r.Text()] = true; cookieOf(r) == "" {
				t.Fatalf("%s: no new cookie for the one that is ignored: %s", why, r.Raw)
			}
		}
		if len(seen) != 3 {
			t.Errorf("%s: the cookie keeps its client on %v", why, seen)
		}
	}
	stays("at once", p)
	name, value, _ := strings.Cut(cookie, "=")
	flipped := []byte(value)
	flipped[len(value)/2] ^= 1
	ignored("forged", p, name+"="+strings.Repeat("A", len(value)))
	ignored("a bit flipped", p, name+"="+string(flipped))
	ignored("empty", p, name+"=")
	p.Stop()
	p = start(t, "", config(key, ""))
	stays("after a restart", p)
	p.reload(config(other, ""))
	ignored("sealed by another key", p, cookie)
}

func TestStickyCookieAges(t *testing.T) {
	a, b := named(t, "a"), named(t, "b")
	p := start(t, "", among(fmt.Sprintf("sticky-cookie { key-file %q; max-age-secs 1 }", keyFile(t)), a, b))
	cookie := cookieOf(p.do("GET", "/"))
	eventually(t, "the cookie is too old", func() bool { return cookieOf(p.do("GET", "/", "Cookie: "+cookie)) != "" })
}
