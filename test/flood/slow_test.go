package flood

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slowConfig has short deadlines, so that a test sees them all.
const slowConfig = `
limits { max-connections 5000 }
timeouts { header-secs 1; read-secs 1; write-secs 1; idle-secs 1; request-secs 20; min-body-rate 1000; min-response-rate 20000 }
routes { route "app" { upstream "app"; allow-upgrade "websocket" } }
`

const (
	slowConnections = 300
	// slowShare of them must end by the deadline that the attack is about; on a busy machine
	// another one, such as the origin's, is first now and then.
	slowShare = 0.75
	// slowTogether bounds how long all connections of an attack may take to come and, after
	// the deadline of each, to go: the clock's tick, a linger, a busy machine.
	slowTogether = 6 * time.Second
	// goodFactorMax is how much longer the p99 of good clients may be during an attack, and
	// goodNoise below which length nobody counts: one more wake-up on a busy machine.
	goodFactorMax = 2
	goodNoise     = 5 * time.Millisecond
	// slowLong is how long the attack is repeated in the long run.
	slowLong = 5 * time.Second
)

// slowness is one attack by slow clients, and how long each of their connections may last.
type slowness struct {
	name string
	args string // of slowhttptest; empty: own is it
	own  func(ctx context.Context, c *net.TCPConn)
	last time.Duration
	what string // the fault that it is counted as; empty where it is none
}

func slownesses() []slowness {
	return []slowness{
		{name: "slowloris", args: "-H -i 1", last: time.Second, what: "head_timeout"},
		{name: "slow body", args: "-B -i 1 -s 100000", last: 2 * time.Second, what: "content_too_slow"},
		{name: "ranges", args: "-R -a 5 -b 500", last: time.Second},
		{name: "slow read", own: readNothing, last: 2 * time.Second, what: "client_stalled"},
		{name: "drops of a response", own: readDrops, last: 3 * time.Second, what: "client_stalled"},
		{name: "nothing sent", own: sayNothing, last: time.Second},
		{name: "head byte by byte", own: dripHead, last: time.Second, what: "head_timeout"},
		{name: "chunks byte by byte", own: dripChunks, last: 2 * time.Second, what: "content_too_slow"},
		{name: "idle", own: stayIdle, last: time.Second},
	}
}

// TestSlow has slow clients take some hundreds of connections beside good clients.
func TestSlow(t *testing.T) {
	each, long := length(t)
	p := start(t, slowConfig)
	calm := p.calm(each)
	t.Logf("%d slow connections of each kind; good clients without any: p50 %v, p99 %v", slowConnections,
		short(calm.quantile(0.5)), short(calm.quantile(0.99)))
	t.Logf(slowFormat, "attack", "lasted", "at most", "good", "lost", "p50", "p99", "late p99", "faults")
	for _, s := range slownesses() {
		t.Run(s.name, func(t *testing.T) {
			p.t = t
			if long { // as calm as it is now
				calm = p.calm(each)
			}
			p.endure(&s, &calm, long)
		})
	}
}

const slowFormat = "%-20s %8v %8v %6v %5v %8v %8v %8v  %v"

// calm returns what good clients meet with without an attack.
func (p *proxy) calm(each time.Duration) experience {
	good := gather(p.http, "/")
	time.Sleep(each)
	return good.part()
}

// endure has one attack go on until its last connection has ended.
func (p *proxy) endure(s *slowness, calm *experience, long bool) {
	t := p.t
	faults := `sentinel_faults_total{fault="` + s.what + `",route="app",side="client"}`
	if s.what == "head_timeout" {
		faults = `sentinel_faults_total{fault="head_timeout",route="-",side="client"}`
	}
	before := p.series(faults)
	good := gather(p.http, "/")
	began := time.Now()
	p.attackSlowly(s)
	lasted := time.Since(began)
	for long && time.Since(began) < slowLong { // enough requests for a p99
		p.attackSlowly(s)
	}
	e := good.part()
	counted := p.series(faults) - before
	limit := s.last + slowTogether
	t.Logf(slowFormat, s.name, lasted.Round(time.Millisecond), limit, e.requests(), len(e.lost), short(e.quantile(0.5)),
		short(e.quantile(0.99)), short(e.late()), fmt.Sprintf("%s×%v", s.what, counted))
	if lasted > limit {
		t.Errorf("%s: the last connection ended after %v, want %v", s.name, lasted, limit)
	}
	if s.what != "" && counted < slowShare*slowConnections {
		t.Errorf("%s: %v connections ended by %s, want nearly all of %d", s.name, counted, s.what, slowConnections)
	}
	if n := len(e.lost); n > 0 {
		t.Errorf("%s: %d good requests were lost, the first: %s", s.name, n, e.lost[0])
	}
	bound := max(goodFactorMax*calm.quantile(0.99), goodNoise) + 2*e.late()
	if got := e.quantile(0.99); long && got > bound {
		t.Errorf("%s: p99 of good clients = %v, want at most %v", s.name, got, bound)
	}
}

// attackSlowly returns when the last connection of an attack has ended.
func (p *proxy) attackSlowly(s *slowness) {
	p.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), s.last+2*slowTogether)
	defer stop()
	if s.args != "" {
		p.runSlowHTTPTest(ctx, s)
		return
	}
	var all sync.WaitGroup
	var standing atomic.Int64
	for i := range slowConnections {
		all.Go(func() {
			if c, err := dialSlow(p.http, i); err == nil {
				defer c.Close()
				standing.Add(1)
				s.own(ctx, c)
			}
		})
	}
	// What counts is what the proxy has open: who reads nothing doesn't see its own end.
	p.await("all attackers", func() bool { return standing.Load() == slowConnections })
	for ctx.Err() == nil && p.series(`sentinel_open_connections{listener="http"}`) > goodClients {
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	all.Wait()
}

var (
	exitStatus = regexp.MustCompile(`Exit status: ([^\n]*)`)
	colours    = regexp.MustCompile(`\x1b\[[0-9;]*m`)
)

// runSlowHTTPTest runs Debian's slowhttptest, which ends by itself when no connection is left.
func (p *proxy) runSlowHTTPTest(ctx context.Context, s *slowness) {
	p.t.Helper()
	path, err := exec.LookPath("slowhttptest")
	if err != nil {
		p.t.Skip("slowhttptest is missing: install the Debian package of that name")
	}
	args := strings.Fields(s.args + fmt.Sprintf(" -c %d -r %d -l 60 -p 5 -u http://%s/", slowConnections, slowConnections, p.http))
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if m := exitStatus.FindSubmatch(colours.ReplaceAll(out, nil)); ctx.Err() != nil || m == nil || !strings.HasPrefix(string(m[1]), "No open connections left") {
		p.t.Errorf("slowhttptest %s: %v, %q; want that no connection is left", s.args, err, m)
	}
}

// segment is how much an attacker takes in one packet: the loopback's 64 KiB would give each a
// hundred times of what it has in the kernel elsewhere.
const segment = 1400

// dialSlow connects attacker number i with little room for answers.
func dialSlow(address string, i int) (*net.TCPConn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: hostile(i % attackers)}, Timeout: attackPatience}
	d.Control = func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10)
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, segment)
		})
	}
	c, err := d.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(2 * attackPatience))
	return c.(*net.TCPConn), nil
}

// drip writes a text byte by byte, and then more of the same byte, until the peer has ended
// the connection.
func drip(ctx context.Context, c *net.TCPConn, text, more string) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for b := make([]byte, 1024); ; {
			if _, err := c.Read(b); err != nil {
				return
			}
		}
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for at := 0; ; at++ {
		next := more
		if at < len(text) {
			next = text[at : at+1]
		}
		if _, err := c.Write([]byte(next)); err != nil {
			<-ended
			return
		}
		select {
		case <-ended:
			return
		case <-ctx.Done():
			c.Close()
			<-ended
			return
		case <-tick.C:
		}
	}
}

func dripHead(ctx context.Context, c *net.TCPConn) {
	drip(ctx, c, "GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ", "s")
}

func dripChunks(ctx context.Context, c *net.TCPConn) {
	c.Write([]byte("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"))
	drip(ctx, c, "", "1\r\nx\r\n")
}

func sayNothing(_ context.Context, c *net.TCPConn) { c.Read(make([]byte, 1)) }

func stayIdle(_ context.Context, c *net.TCPConn) {
	c.Write([]byte(request("/", programAsks)))
	r := bufio.NewReader(c)
	if _, err := skipAnswer(r); err == nil {
		r.ReadByte()
	}
}

// readNothing asks for a large answer and leaves it where it is.
func readNothing(ctx context.Context, c *net.TCPConn) {
	c.Write([]byte(request(pathLarge, programAsks)))
	<-ctx.Done()
}

// readDrops reads a little of it all the time, so that it never stands still.
func readDrops(ctx context.Context, c *net.TCPConn) {
	c.Write([]byte(request(pathLarge, programAsks)))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for b := make([]byte, 256); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}
