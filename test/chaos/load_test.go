package chaos

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// requestPatience is how long a client waits for a whole answer.
	requestPatience = 15 * time.Second
	// inProgressMax bounds the load when nothing is answered.
	inProgressMax = 10000
	// idleMax is how long a client keeps an idle connection.
	idleMax = 30 * time.Second
)

// load sends requests at a steady rate whatever becomes of them (an open loop), over
// connections that are kept alive.
type load struct {
	address string
	rate    int
	phase   atomic.Pointer[phase] // that new requests belong to

	all        sync.WaitGroup
	inProgress atomic.Int64
	mu         sync.Mutex
	idle       []*client // the last used last
}

// client is a connection to the proxy.
type client struct {
	conn net.Conn
	r    *bufio.Reader
	used time.Time
}

// run sends until ctx ends and waits for the last answer. A request that is due while the
// sender sleeps is sent late, and its latency counts from when it was due.
func (l *load) run(ctx context.Context) {
	began := time.Now()
	for n := 0; ctx.Err() == nil; n++ {
		due := began.Add(time.Duration(n) * time.Second / time.Duration(l.rate))
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		p := l.phase.Load()
		p.sent.Add(1)
		if l.inProgress.Add(1) > inProgressMax {
			l.inProgress.Add(-1)
			p.add(&result{n: n, due: due, verdict: verdictBroken, what: "not sent: too many requests in progress"})
			continue
		}
		l.all.Go(func() {
			defer l.inProgress.Add(-1)
			r := result{n: n, due: due, late: time.Since(due)}
			l.do(&r)
			r.took = time.Since(due)
			p.add(&r)
		})
	}
	l.all.Wait()
	for _, c := range l.idle {
		c.conn.Close()
	}
}

// The idempotent methods of the load (RFC 9110 section 9.2.2).
var methods = [...]string{"GET", "GET", "GET", "GET", "PUT", "GET", "HEAD", "GET", "GET", "DELETE"}

// do sends one request and judges the answer.
func (l *load) do(r *result) {
	r.method = methods[r.n%len(methods)]
	c, err := l.take()
	if err != nil {
		r.verdict, r.what = verdictBroken, err.Error()
		return
	}
	var content []byte
	if r.method == "PUT" {
		content = bytes.Repeat([]byte{byte('a' + r.n%26)}, 900)
	}
	id := strconv.Itoa(r.n)
	request := fmt.Appendf(nil, "%s /chaos/%s HTTP/1.1\r\nHost: chaos.test\r\n%s: %s\r\n", r.method, id, idField, id)
	if content != nil {
		request = fmt.Appendf(request, "Content-Length: %d\r\n", len(content))
	}
	request = append(append(request, "\r\n"...), content...)
	c.conn.SetDeadline(time.Now().Add(requestPatience))
	if _, err := c.conn.Write(request); err != nil {
		r.verdict, r.what = verdictBroken, "request not written: "+err.Error()
		c.conn.Close()
		return
	}
	if c.judge(r, id, content) {
		l.put(c)
	} else {
		c.conn.Close()
	}
}

// judge reads the answer and reports whether the connection can be used again.
func (c *client) judge(r *result, id string, content []byte) bool {
	resp, err := http.ReadResponse(c.r, &http.Request{Method: r.method})
	if err != nil {
		r.verdict, r.what = verdictBroken, "no answer: "+err.Error()
		return false
	}
	r.status = resp.StatusCode
	text, err := io.ReadAll(resp.Body)
	switch name := resp.Header.Get(nameField); {
	case err != nil:
		r.verdict, r.what = verdictBroken, fmt.Sprintf("status %d, broken off after %d bytes: %v", r.status, len(text), err)
		return false
	case r.status != 200:
		r.verdict, r.what = verdictRefused, fmt.Sprintf("status %d: %.120q", r.status, text)
	case name != "0" && name != "1" && name != "2":
		r.verdict, r.what = verdictWrong, fmt.Sprintf("an answer of %q", name)
	case r.method == "HEAD" && len(text) == 0:
	case string(text) != answerText(name, id, r.method, content):
		r.verdict, r.what = verdictWrong, fmt.Sprintf("%d bytes of content taken for whole: %.60q", len(text), text)
	}
	return !resp.Close
}

func (l *load) take() (*client, error) {
	l.mu.Lock()
	for len(l.idle) > 0 {
		c := l.idle[len(l.idle)-1]
		l.idle = l.idle[:len(l.idle)-1]
		if time.Since(c.used) < idleMax {
			l.mu.Unlock()
			return c, nil
		}
		c.conn.Close()
	}
	l.mu.Unlock()
	conn, err := net.DialTimeout("tcp", l.address, requestPatience)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, r: bufio.NewReader(conn)}, nil
}

func (l *load) put(c *client) {
	c.used = time.Now()
	l.mu.Lock()
	l.idle = append(l.idle, c)
	l.mu.Unlock()
}

// verdict is what a client thinks of an answer.
type verdict uint8

// The verdicts. Broken is what a client can't take for a whole answer; wrong is a whole
// answer that isn't the origin's to this request.
const (
	verdictGood verdict = iota
	verdictRefused
	verdictBroken
	verdictWrong
	verdicts
)

// result is one request. Its times count from when it was due.
type result struct {
	n          int
	method     string
	due        time.Time
	late, took time.Duration
	status     int
	verdict    verdict
	what       string
}

// phase is what came of the requests that were sent while one thing was wrong.
type phase struct {
	name  string
	began time.Time
	sent  atomic.Int64

	mu       sync.Mutex
	counts   [verdicts]int
	statuses map[int]int
	took     []time.Duration // by all
	late     []time.Duration
	bad      []result // the first that weren't good
	lastBad  time.Time
}

// badMax is how many failed requests are kept.
const badMax = 2000

func newPhase(name string) *phase {
	return &phase{name: name, began: time.Now(), statuses: make(map[int]int)}
}

func (p *phase) add(r *result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[r.verdict]++
	p.statuses[r.status]++
	p.took = append(p.took, r.took)
	p.late = append(p.late, r.late)
	if r.verdict != verdictGood {
		if len(p.bad) < badMax {
			p.bad = append(p.bad, *r)
		}
		if r.due.After(p.lastBad) {
			p.lastBad = r.due
		}
	}
}

// requests returns how many requests were answered or given up.
func (p *phase) requests() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.counts {
		n += k
	}
	return n
}

// quantile returns the value that a share of all doesn't exceed; 0 of none.
func quantile(values []time.Duration, share float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}
