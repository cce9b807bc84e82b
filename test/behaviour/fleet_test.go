package behaviour

import (
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/testkit/pki"
	"sentinel/internal/testkit/program"
	"sentinel/internal/testkit/rawclient"
)

// fleetKey is a key-file's content.
const fleetKey = "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90\n"

// redis is a server of the test's own, at a unix socket.
type redis struct {
	t    *testing.T
	dir  string
	args []string
	cmd  *exec.Cmd
}

func startRedis(t *testing.T, args ...string) *redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed (Debian: apt-get install redis-server)")
	}
	dir, err := os.MkdirTemp("", "redis") // paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	r := &redis{t: t, dir: dir, args: args}
	t.Cleanup(func() {
		r.kill()
		os.RemoveAll(dir)
	})
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(fleetKey), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	return r
}

func (r *redis) socket() string { return filepath.Join(r.dir, "s") }

// start starts it, also again, and waits until it answers.
func (r *redis) start() {
	r.t.Helper()
	args := append([]string{"--port", "0", "--unixsocket", r.socket(), "--save", "", "--appendonly", "no", "--dir", r.dir, "--loglevel", "warning"}, r.args...)
	r.cmd = exec.Command("redis-server", args...)
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, "redis-server answers", func() bool { return r.says("PING") != "" })
}

// says sends a command and returns the first line of the answer; "" without any.
func (r *redis) says(command string) string {
	c, err := net.Dial("unix", r.socket())
	if err != nil {
		return ""
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	fmt.Fprintf(c, "%s\r\n", command)
	b := make([]byte, 1024)
	n, _ := c.Read(b)
	return string(b[:n])
}

func (r *redis) kill() {
	if r.cmd != nil {
		r.cmd.Process.Kill()
		r.cmd.Wait()
		r.cmd = nil
	}
}

// block is a rate-limit-store.
func (r *redis) block(more string) string {
	return fmt.Sprintf("rate-limit-store \"redis\" { url \"unix://%s\"; key-file %q; %s }\n", r.socket(), filepath.Join(r.dir, "key"), more)
}

// startFleet starts n proxies with one configuration and waits until they count together.
func startFleet(t *testing.T, n int, config string) []*proxy {
	t.Helper()
	all := make([]*proxy, n)
	for i := range all {
		all[i] = start(t, "", config)
	}
	for _, p := range all {
		p.await(fmt.Sprintf("sentinel_rate_limit_store_proxies %d\n", n))
	}
	return all
}

// await waits for a line of the metrics.
func (p *proxy) await(line string) {
	p.t.Helper()
	eventually(p.t, strings.TrimSpace(line), func() bool { return strings.Contains(p.Metrics(), line) })
}

// press sends requests for a while, rates[i] a second to the i-th proxy, and returns how many
// were let through, and the longest that any took.
func press(t *testing.T, all []*proxy, d time.Duration, rates []float64) (passed []int, longest time.Duration) {
	t.Helper()
	passed, took := make([]int, len(all)), make([]time.Duration, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		c, err := rawclient.Dial(p.addr)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer c.Close()
			every := time.Duration(float64(time.Second) / rates[i])
			for next, end := time.Now(), time.Now().Add(d); next.Before(end); next = next.Add(every) {
				time.Sleep(time.Until(next))
				began := time.Now()
				c.Send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
				r, err := c.ReadResponse("GET")
				took[i] = max(took[i], time.Since(began))
				if err != nil {
					t.Errorf("proxy %d: %v", i, err)
					return
				}
				if r.Status == 200 {
					passed[i]++
				}
			}
		})
	}
	wg.Wait()
	for _, x := range took {
		longest = max(longest, x)
	}
	return passed, longest
}

// expectTotal checks that together they let through a limit's worth, to within 5 %, where at
// least slack requests are allowed for.
func expectTotal(t *testing.T, passed []int, want, slack float64) {
	t.Helper()
	total := 0
	for _, n := range passed {
		total += n
	}
	if math.Abs(float64(total)-want) > math.Max(0.05*want, slack) {
		t.Errorf("the fleet let %v = %d requests through, want %.0f", passed, total, want)
	}
}

func limited(rate, burst int) string {
	return fmt.Sprintf("routes { route \"r\" { respond 200 \"x\"; rate-limit { requests-per-second %d; burst %d } } }\n", rate, burst)
}

// Three proxies let through together what the limit says, whoever of them is asked.
func TestFleetLimit(t *testing.T) {
	r := startRedis(t)
	cases := []struct {
		rate, burst int
		rates       []float64
	}{
		{5, 5, []float64{10, 3, 1}},
		{5, 1, []float64{40, 40, 40}},
		{50, 10, []float64{70, 20, 5}},
		{100, 100, []float64{60, 60, 60}},
		{200, 50, []float64{400, 100, 10}},
	}
	fleets := make([][]*proxy, len(cases))
	for i, c := range cases {
		fleets[i] = startFleet(t, 3, limited(c.rate, c.burst)+r.block(fmt.Sprintf("prefix \"fleet.%d\"", i)))
	}
	var wg sync.WaitGroup
	for i, c := range cases {
		wg.Go(func() {
			began := time.Now()
			passed, _ := press(t, fleets[i], 5*time.Second, c.rates)
			expectTotal(t, passed, float64(c.burst)+float64(c.rate)*time.Since(began).Seconds(), 2)
		})
	}
	wg.Wait()
	if names := r.says("KEYS *"); strings.Contains(names, "127.0.0.1") {
		t.Errorf("the store holds addresses: %s", names)
	}
}

// The store is killed and comes back empty. Meanwhile each proxy applies its share, so that
// the total holds all along.
func TestFleetStoreKilled(t *testing.T) {
	r := startRedis(t)
	all := startFleet(t, 3, limited(50, 20)+r.block(""))
	began, events := time.Now(), make(chan struct{})
	go func() {
		defer close(events)
		time.Sleep(2 * time.Second)
		r.kill()
		time.Sleep(2 * time.Second)
		r.start()
	}()
	passed, longest := press(t, all, 7*time.Second, []float64{80, 70, 60})
	<-events
	expectTotal(t, passed, 20+50*time.Since(began).Seconds(), 2)
	if longest > time.Second {
		t.Errorf("a request took %v while the store was killed", longest)
	}
	p := all[0]
	p.await("sentinel_rate_limit_store_up 1\n")
	m := p.Metrics()
	for _, zero := range []string{"sentinel_rate_limit_store_fallbacks_total 0\n", "sentinel_rate_limit_store_lookups_total 0\n", `errors_total{reason="connection"} 0`} {
		if strings.Contains(m, zero) {
			t.Errorf("the metrics say %q", zero)
		}
	}
	log := p.Logs()
	for _, want := range []string{`rate limit store away, from="up", to="away", cause="connection: `, `rate limit store up, from="away", to="up"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
}

// A store that hangs holds up nobody; with on-unavailable "whole" each proxy applies the
// whole limit.
func TestFleetStoreHangs(t *testing.T) {
	r := startRedis(t)
	all := startFleet(t, 2, limited(20, 20)+r.block(`on-unavailable "whole"; timeout-ms 200; lease-ms 10`))
	r.cmd.Process.Signal(syscall.SIGSTOP)
	press(t, all, 100*time.Millisecond, []float64{20, 20})
	for _, p := range all {
		p.await("sentinel_rate_limit_store_up 0\n")
		p.await(`sentinel_rate_limit_store_errors_total{reason="timeout"} 1` + "\n")
	}
	began := time.Now()
	passed, longest := press(t, all, 2*time.Second, []float64{60, 60})
	if longest > 500*time.Millisecond {
		t.Errorf("a request took %v while the store hung", longest)
	}
	if least, most := 2*20*time.Since(began).Seconds()-10, 2*(22+20*time.Since(began).Seconds()); float64(passed[0]+passed[1]) < least || float64(passed[0]+passed[1]) > most {
		t.Errorf("two proxies by themselves let %v through, want the limit twice", passed)
	}
	r.cmd.Process.Signal(syscall.SIGCONT)
	for _, p := range all {
		p.await("sentinel_rate_limit_store_up 1\n")
	}
}

// What the store refuses is one kind of being away, and over when it is.
func TestFleetStoreRefuses(t *testing.T) {
	r := startRedis(t)
	p := startFleet(t, 1, limited(5, 5)+r.block(""))[0]
	for _, c := range []struct{ begin, end, reason string }{
		{"REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "readonly"},
		{"CONFIG SET requirepass secret", "", "auth"},
	} {
		if got := r.says(c.begin); !strings.HasPrefix(got, "+OK") {
			t.Fatalf("%s: %q", c.begin, got)
		}
		r.says("AUTH secret\r\nCLIENT KILL TYPE normal")
		eventually(t, c.reason, func() bool {
			m := p.Metrics()
			return strings.Contains(m, "sentinel_rate_limit_store_up 0\n") && !strings.Contains(m, fmt.Sprintf("{reason=%q} 0\n", c.reason))
		})
		if c.end == "" {
			continue
		}
		r.says(c.end)
		p.await("sentinel_rate_limit_store_up 1\n")
	}
	if got := p.statuses(8, "/")[200]; got < 5 || got > 6 {
		t.Errorf("without the store %d of 8 requests pass, want 5", got)
	}
	file := filepath.Join(r.dir, "password")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const listener = `listeners { listener "l" { address "127.0.0.1:0" } }` + "\n"
	if o := p.Reload(listener + limited(5, 5) + r.block(fmt.Sprintf("username \"default\"; password-file %q", file))); !o.OK {
		t.Fatalf("reload: %+v", o)
	}
	p.await("sentinel_rate_limit_store_up 1\n")
}

// Limits that say so count by themselves; proxies of another prefix, database or key do too.
func TestFleetApart(t *testing.T) {
	r := startRedis(t)
	t.Setenv("FLEET_SECRET", "something")
	config := func(limit, more string) string {
		return "routes { route \"r\" { respond 200 \"x\"; rate-limit { " + slow + "burst 4; " + limit + " } } }\n" + r.block(more)
	}
	a := start(t, "", config("", ""))
	a.await("sentinel_rate_limit_store_up 1\n")
	a.expectStatuses(map[int]int{200: 4, 429: 1}, 5, "/")
	a.await("sentinel_rate_limit_store_lookups_total 1\n")
	for _, c := range []struct {
		name, limit, more string
		want              int
	}{
		{"together", "", "", 0},
		{"not shared", "shared #false", "", 4},
		{"another prefix", "", `prefix "other"`, 4},
	} {
		b := start(t, "", config(c.limit, c.more))
		b.await("sentinel_rate_limit_store_up 1\n")
		eventually(t, c.name, func() bool { // the first lease is to be had before the store has spoken
			got := b.statuses(5, "/")[200]
			return got == c.want || c.want == 0
		})
		if c.want == 0 {
			eventually(t, "a has told b", func() bool { return b.do("GET", "/").Status == 429 })
		}
		b.Stop()
	}
	eventually(t, "counters are gone by themselves but for those that count", func() bool {
		return !strings.Contains(r.says("TTL "+"sentinel:proxies"), ":-1")
	})
}

// The address of a store by TCP, its database, and TLS with a certificate of its own.
func TestFleetAddress(t *testing.T) {
	t.Setenv("FLEET_PASSWORD", "secret")
	plain, secure := program.FreeAddress(t), program.FreeAddress(t)
	port := func(address string) string { return strings.TrimPrefix(address, "127.0.0.1:") }
	authority, dir := pki.New(t, "store"), t.TempDir()
	ca := authority.Write(t, dir, "ca")
	cert, key := authority.Issue(t, pki.Server("127.0.0.1")).Write(t, dir, "store")
	startRedis(t, "--port", port(plain), "--requirepass", "secret", "--tls-port", port(secure), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca, "--tls-auth-clients", "no")
	for _, way := range []string{
		`url "redis://` + plain + `/3"`,
		`url "rediss://` + secure + `"; ca-file "` + ca + `"`,
	} {
		p := start(t, "", limited(5, 5)+`rate-limit-store "redis" { `+way+`; password-env "FLEET_PASSWORD" }`)
		p.await("sentinel_rate_limit_store_up 1\n")
		p.do("GET", "/")
		p.await("sentinel_rate_limit_store_lookups_total 1\n")
	}
	p := start(t, "", limited(5, 5)+`rate-limit-store "redis" { url "rediss://`+secure+`"; password-env "FLEET_PASSWORD" }`)
	eventually(t, "a certificate that nobody vouches for is refused", func() bool {
		return !strings.Contains(p.Metrics(), `errors_total{reason="connection"} 0`)
	})
}
