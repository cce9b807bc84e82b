package system

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sentinel/internal/testkit/program"
	"sentinel/internal/testkit/race"
)

// echoGeneration answers with the name of the origin and the generation that the proxy
// wrote into the request.
func echoGeneration(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%s %s", r.Header.Get("X-Generation"), name)
	})
}

// movingTable is the configuration of a generation: a fixed answer that names it, and a
// route that goes to one origin when it is even and to the other when it is odd.
func movingTable(generation int, origins [2]string) string {
	return fmt.Sprintf(`
routes {
    route "fixed-%[1]d" { matches { path "/a" }; respond 200 "%[1]d self" }
    route "moving" {
        matches { path-prefix "/b" }
        upstream "u%[2]d"
        policies { request-headers { set "X-Generation" "%[1]d" } }
    }
}
upstreams { upstream "u%[2]d" { target "%[3]s" } }
`, generation, generation%2, origins[generation%2])
}

func TestReloadUnderLoad(t *testing.T) {
	reloads := 1000
	if testing.Short() || race.Enabled() { // the detector makes it ten times slower
		reloads = 100
	}
	var origins [2]string
	for i := range origins {
		s := httptest.NewServer(echoGeneration(strconv.Itoa(i)))
		t.Cleanup(s.Close)
		origins[i] = s.Listener.Addr().String()
	}
	p := start(t, movingTable(0, origins))

	var announced, settled atomic.Int64 // generations
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var served atomic.Int64
	for i := range 3 {
		clients.Go(func() {
			c := keepAlive{address: p.http}
			defer c.close()
			for n := i; ctx.Err() == nil && !t.Failed(); n++ {
				low := settled.Load()
				request := generationRequests[n%len(generationRequests)]
				body, err := c.exchange(request)
				if err == nil {
					err = legal(body, low, announced.Load(), strings.Contains(request, " /b"))
				}
				if err != nil {
					t.Errorf("request %d of client %d: %v", n, i, err)
				}
				served.Add(1)
			}
		})
	}
	began := time.Now()
	for g := 1; g <= reloads && !t.Failed(); g++ {
		announced.Store(int64(g))
		p.reload(movingTable(g, origins))
		settled.Store(int64(g))
	}
	took := time.Since(began)
	stop()
	clients.Wait()
	t.Logf("%d reloads in %v, %d requests", reloads, took, served.Load())
	if took > time.Minute {
		t.Errorf("%d reloads took %v, want less than a minute", reloads, took)
	}
	if served.Load() < int64(reloads) {
		t.Errorf("%d requests served, want more than reloads", served.Load())
	}
	p.awaitSeries(`sentinel_config_reload_total{result="success"}`, strconv.Itoa(reloads))
	p.awaitSeries("sentinel_config_generation", strconv.Itoa(reloads+1))
}

var generationRequests = []string{
	"GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /b/1 HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /b/2 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
}

// legal reports an error unless body names a generation that could serve between low and
// high, and the origin that belongs to it.
func legal(body string, low, high int64, proxied bool) error {
	number, by, _ := strings.Cut(body, " ")
	g, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return fmt.Errorf("response %q", body)
	}
	if g < low || g > high {
		return fmt.Errorf("served by generation %d, want %d to %d", g, low, high)
	}
	want := "self"
	if proxied {
		want = strconv.FormatInt(g%2, 10)
	}
	if by != want {
		return fmt.Errorf("generation %d was served by %q, want %q", g, by, want)
	}
	return nil
}

// keepAlive is a client with one connection. It dials again only when the peer said that
// it closes; a connection that fails is an error.
type keepAlive struct {
	address string
	conn    net.Conn
	r       *bufio.Reader
}

func (c *keepAlive) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// exchange sends a request and returns the content of a 200.
func (c *keepAlive) exchange(request string) (string, error) {
	if c.conn == nil {
		conn, err := net.Dial("tcp", c.address)
		if err != nil {
			return "", err
		}
		c.conn, c.r = conn, bufio.NewReader(conn)
	}
	c.conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c.conn, request); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.Close {
		c.close()
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	return string(body), nil
}

const answering = `routes { route "r" { respond 200 "here" } }` + "\n"

func refused(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return true
	}
	conn.Close()
	return false
}

func TestReloadChangesListeners(t *testing.T) {
	p := newProxy(t)
	second, third := program.FreeAddress(t), program.FreeAddress(t)
	listeners := func(addresses ...string) string {
		text := answering + "listeners {\n"
		for i, a := range addresses {
			text += fmt.Sprintf("listener \"l%d\" { address %q }\n", i, a)
		}
		return text + "}\n"
	}
	p.write(listeners(p.http))
	p.launch()
	kept := keepAlive{address: p.http}
	defer kept.close()
	if _, err := kept.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}

	p.reload(listeners(p.http, second)) // added
	wantGet(t, "http://"+second+"/", 200, "here")
	wantGet(t, p.url("/"), 200, "here")

	p.reload(listeners(p.http, third)) // moved
	wantGet(t, "http://"+third+"/", 200, "here")
	await(t, "the old address refuses", func() bool { return refused(second) })
	if _, err := kept.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Errorf("a connection of a listener that stays: %v", err)
	}

	p.reload(listeners(third)) // removed, and the name passes on
	await(t, "the removed address refuses", func() bool { return refused(p.http) })
	wantGet(t, "http://"+third+"/", 200, "here")
}

func TestFailedReloadChangesNothing(t *testing.T) {
	p := start(t, answering)
	free := program.FreeAddress(t)
	taken, err := net.Listen("tcp", program.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := p.config() + ":"
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"syntax", p.expand(answering) + "\nroutes {", []string{"parse error", at}},
		{"unknown key", "routes {\n  route \"r\" { rspond 200 \"there\" }\n}\n" + p.expand("routes { }"), []string{"validation error", at + "2:15"}},
		{"wrong type", strings.Replace(p.expand(answering), `200 "here"`, `"no" "there"`, 1), []string{"validation error", at + "1:"}},
		{
			"port taken", p.expand(fmt.Sprintf(`routes { route "r" { respond 200 "there" } }
listeners { listener "new" { address %q }; listener "taken" { address %q } }`, free, taken.Addr())),
			[]string{"address in use", "taken", at + "2:"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := p.series("sentinel_config_generation")
			p.writeRaw(c.text)
			line := p.hup()
			if !strings.Contains(line, "Configuration reload failed") {
				t.Fatalf("reload: %s", line)
			}
			for _, w := range c.want {
				if !strings.Contains(line, w) {
					t.Errorf("log %q, want %q in it", line, w)
				}
			}
			wantGet(t, p.url("/"), 200, "here")
			if !refused(free) {
				t.Error("a failed reload left a new listener open")
			}
			if got := p.series("sentinel_config_generation"); got != before {
				t.Errorf("generation %s, want %s", got, before)
			}
			if got := p.series("sentinel_config_reload_last_successful"); got != "0" {
				t.Errorf("last successful %s, want 0", got)
			}
		})
	}
	p.reload(answering)
	if got := p.series("sentinel_config_reload_last_successful"); got != "1" {
		t.Errorf("last successful %s after a good reload, want 1", got)
	}
}
