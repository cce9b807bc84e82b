package behaviour

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"sentinel/internal/control/admin"
	"sentinel/internal/testkit/origin"
	testproxy "sentinel/internal/testkit/proxy"
	"sentinel/internal/testkit/rawclient"
)

// from connects to the proxy from an address of this machine, such as 127.0.0.7.
func (p *proxy) from(client string) (*rawclient.Client, error) {
	p.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}, Timeout: rawclient.DefaultTimeout}
	conn, err := d.Dial("tcp", p.addr)
	if err != nil {
		return nil, err
	}
	c := rawclient.New(conn)
	p.t.Cleanup(func() { c.Close() })
	return c, nil
}

const getRoot = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"

// getFrom asks for a path from an address and returns the status, or -1 for a reset.
func (p *proxy) getFrom(client, path string, fields ...string) int {
	p.t.Helper()
	c, err := p.from(client)
	if err == nil {
		raw := "GET " + path + " HTTP/1.1\r\nHost: example.com\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
		var r rawclient.Response
		sent := c.Send(raw)
		if r, err = c.ReadFinalResponse("GET"); err == nil {
			c.Close()
			return r.Status
		}
		err = errors.Join(sent, err)
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		p.t.Errorf("a request of %s for %s ends with %v, want an answer or a reset", client, path, err)
	}
	return -1
}

// expectFrom checks what addresses get, each "ADDRESS STATUS".
func (p *proxy) expectFrom(path string, want ...string) {
	p.t.Helper()
	for _, w := range want {
		client, status, _ := strings.Cut(w, " ")
		if got := p.getFrom(client, path); fmt.Sprint(got) != status {
			p.t.Errorf("%s asks for %s and gets %d, want %s", client, path, got, status)
		}
	}
}

// ban bans for five minutes, by force: all of this machine is loopback.
func (p *proxy) ban(prefixes ...string) admin.BanResult {
	p.t.Helper()
	r, err := p.client().Ban(context.Background(), admin.BanRequest{Prefixes: prefixes, Seconds: 300, Force: true, Reason: "test"})
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

func (p *proxy) unban(prefixes ...string) {
	p.t.Helper()
	if _, err := p.client().Unban(context.Background(), admin.UnbanRequest{Prefixes: prefixes}); err != nil {
		p.t.Fatal(err)
	}
}

// hits returns the hits of each ban, such as "127.0.0.7/32=2".
func (p *proxy) hits() string {
	p.t.Helper()
	list, err := p.client().Bans(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
	var words []string
	for _, b := range list {
		words = append(words, fmt.Sprintf("%s=%d", b.Prefix, b.Hits))
	}
	return strings.Join(words, " ")
}

func TestBan(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", forward(o, "", ""))
	p.expectFrom("/", "127.0.0.7 200", "127.0.0.9 200")
	p.ban("127.0.0.7", "127.0.1.0/24")
	p.expectFrom("/", "127.0.0.7 -1", "127.0.1.7 -1", "127.0.1.8 -1", "127.0.0.9 200", "127.0.0.1 200")
	if got, want := p.hits(), "127.0.0.7/32=1 127.0.1.0/24=2"; got != want {
		t.Errorf("hits %s, want %s", got, want)
	}
	if n := o.Requests(); n != 4 {
		t.Errorf("the upstream got %d requests, want the 4 of clients that aren't banned", n)
	}
	p.expectMetrics(`sentinel_refused_connections_total{reason="client_banned"} 3`, `sentinel_refused_connections_total{reason="access_denied"} 0`,
		`sentinel_faults_total{fault="client_banned",route="-",side="client"} 3`, `sentinel_open_connections{listener="l"} 0`)
	if strings.Contains(p.Metrics(), "127.0.1") {
		t.Error("a client's address is in the metrics")
	}
	p.unban("127.0.0.7/32")
	p.expectFrom("/", "127.0.0.7 200", "127.0.1.7 -1")
}

// Health is answered to the machine itself whatever is banned.
func TestBanOfEverybodyLeavesHealth(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", forward(o, "", ""))
	p.ban("0.0.0.0/0", "::/0")
	p.expectFrom("/health", "127.0.0.1 200", "127.0.0.2 -1")
	p.expectFrom("/ready", "127.0.0.1 200")
	p.expectFrom("/", "127.0.0.1 403")
}

// Open connections of a banned client end, idle ones at once.
func TestBanEndsConnections(t *testing.T) {
	held, release := make(chan struct{}, 1), make(chan struct{})
	o := origin.Start(t, origin.Answer(func(r origin.Request) string {
		if r.Target == "/slow" {
			held <- struct{}{}
			<-release
		}
		return origin.Response(r, 200, "done")
	}))
	p := start(t, "", forward(o, "", ""))
	open := func(client string) *rawclient.Client {
		c, err := p.from(client)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(getRoot); err != nil {
			t.Fatal(err)
		}
		if r, err := c.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
			t.Fatalf("%d, %v", r.Status, err)
		}
		return c
	}
	idle, busy, other := open("127.0.0.7"), open("127.0.0.7"), open("127.0.0.9")
	if err := busy.Send("GET /slow HTTP/1.1\r\nHost: example.com\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-held
	if r := p.ban("127.0.0.7"); r.Connections != 2 {
		t.Errorf("%d connections are said to end, want 2", r.Connections)
	}
	if n, err := idle.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("Read of the idle connection = %d, %v, want its end", n, err)
	}
	close(release)
	r, err := busy.ReadFinalResponse("GET")
	if err != nil || r.Text() != "done" {
		t.Errorf("the request in hand is answered %q, %v, want it done", r.Raw, err)
	}
	if n, err := busy.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("Read after the answer = %d, %v, want the end", n, err)
	}
	if err := other.Send(getRoot); err != nil {
		t.Fatal(err)
	}
	if r, err := other.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
		t.Errorf("another client's connection answers %d, %v", r.Status, err)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// Behind a trusted proxy the ban hits the client that it names, not the proxy.
func TestBanBehindATrustedProxy(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", "system { $FILES; trusted-proxies \"127.0.0.1\" }\n"+forward(o, "", ""))
	p.ban("192.0.2.0/24")
	for _, c := range []struct {
		peer, forwarded string
		want            int
	}{
		{"127.0.0.1", "192.0.2.7", 403},
		{"127.0.0.1", "198.51.100.7, 192.0.2.7", 403},
		{"127.0.0.1", "192.0.2.7, 198.51.100.7", 200}, // what stands left of the client is its own claim
		{"127.0.0.1", "::ffff:192.0.2.7", 403},
		{"127.0.0.1", "198.51.100.7", 200},
		{"127.0.0.7", "192.0.2.7", 200}, // nobody believes this peer
	} {
		if got := p.getFrom(c.peer, "/", "X-Forwarded-For: "+c.forwarded); got != c.want {
			t.Errorf("X-Forwarded-For %q from %s gets %d, want %d", c.forwarded, c.peer, got, c.want)
		}
	}
	r := p.do("GET", "/", "X-Forwarded-For: 192.0.2.7", "Accept: application/json")
	for _, want := range []string{"HTTP/1.1 403 ", "\r\nConnection: close\r\n", `"code":"C30"`} {
		if !strings.Contains(string(r.Raw), want) {
			t.Errorf("the refusal is %q, want %q in it", r.Raw, want)
		}
	}
	if got, want := p.hits(), "192.0.2.0/24=4"; got != want {
		t.Errorf("hits %s, want %s", got, want)
	}
	p.expectMetrics(`sentinel_faults_total{fault="client_banned",route="r",side="client"} 4`)
}

func TestBanOverReload(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", forward(o, "", ""))
	p.ban("127.0.0.7")
	if out := p.Reload("listeners { listener \"l\" { address \"127.0.0.1:0\" } }\nsystem { pid-file \"$DIR/pid\"; state-dir \"$DIR/other\"; admin-socket \"$DIR/admin.sock\" }\n" + forward(o, "", "")); !out.OK {
		t.Fatal(out.Details)
	}
	p.addr = p.Addr("l")
	p.expectFrom("/", "127.0.0.7 -1", "127.0.0.9 200")
	if text := p.File("other/bans.json"); !strings.Contains(text, `"prefix":"127.0.0.7/32"`) {
		t.Errorf("the file in the new state folder is %q", text)
	}
}

// Who runs into a target, a trusted proxy or the loopback is told so, and how to do it all
// the same.
func TestBanProtects(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	host, _, _ := net.SplitHostPort(o.Addr())
	p := start(t, "", "system { $FILES; trusted-proxies \"10.0.0.0/8\" }\n"+
		"routes { route \"r\" { upstream \"u\" } }\nupstreams { upstream \"u\" { target \""+o.Addr()+"\"; target \"198.51.100.80:80\" } }\n")
	for prefix, want := range map[string]string{
		host: "the loopback", "198.51.100.0/24": `198.51.100.80, a target of upstream "u"`, "10.1.1.1": "a trusted proxy",
		"192.0.2.0/24": "192.0.2.9, the address from which you are logged in", "0.0.0.0/0": "everybody",
	} {
		_, err := p.client().Ban(context.Background(), admin.BanRequest{Prefixes: []string{prefix}, Seconds: 60, Session: []string{"192.0.2.9"}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--force") {
			t.Errorf("a ban of %s is answered %v, want %q and --force", prefix, err, want)
		}
	}
	if got := p.hits(); got != "" {
		t.Errorf("banned: %s", got)
	}
}

// A new process knows the bans of the last one.
func TestBanOverRestart(t *testing.T) {
	dir := t.TempDir()
	text := "listeners { listener \"l\" { address \"127.0.0.1:0\" } }\nsystem { pid-file \"$DIR/pid\"; admin-socket \"$DIR/admin.sock\"; state-dir \"" + dir + "\" }\n" +
		"routes { route \"r\" { respond 200 } }\n"
	begin := func() *proxy {
		first := testproxy.Start(t, text)
		return &proxy{first, t, first.Addr("l")}
	}
	p := begin()
	p.ban("127.0.0.7")
	p.expectFrom("/", "127.0.0.7 -1")
	p.Stop()
	p = begin()
	p.expectFrom("/", "127.0.0.7 -1", "127.0.0.9 200")
	if got, want := p.hits(), "127.0.0.7/32=2"; got != want {
		t.Errorf("hits %s, want %s", got, want)
	}
}
