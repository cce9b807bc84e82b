package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sentinel/internal/testkit/machine"
)

// patience bounds every request: longer than any restart and drain.
const patience = 30 * time.Second

// load is a steady load on port 8080 of a machine. Half of its requests come over a
// connection each, whether or not those before were answered; the others over connections
// that are kept.
type load struct {
	m     *machine.Machine
	stop  context.CancelFunc
	ended sync.WaitGroup

	answered, failed atomic.Int64
	slowest          atomic.Int64 // nanoseconds

	mu       sync.Mutex
	failures []string // the first ones
	began    time.Time
}

const (
	keptConnections = 20
	failuresShown   = 10
	address         = "127.0.0.1:8080"
	requestText     = "GET /load HTTP/1.1\r\nHost: load.test\r\n"
)

// startLoad sends that many requests a second until end.
func startLoad(m *machine.Machine, perSecond int) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{m: m, stop: stop, began: time.Now()}
	l.ended.Go(func() {
		m.Inside(func() { l.sendAlone(ctx, time.Second/time.Duration(perSecond/2)) })
	})
	for range keptConnections {
		l.ended.Go(func() { l.sendKept(ctx, time.Second*keptConnections/time.Duration(perSecond/2)) })
	}
	return l
}

// sendAlone opens a connection for each request, at a rate that nothing slows down.
func (l *load) sendAlone(ctx context.Context, every time.Duration) {
	var open sync.WaitGroup
	defer open.Wait()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	begin := time.Now()
	for sent := 0; ctx.Err() == nil; <-tick.C {
		for due := int(time.Since(begin) / every); sent < due; sent++ {
			started := time.Now()
			c, err := net.DialTimeout("tcp4", address, patience)
			if err != nil {
				l.fail("connect", err)
				continue
			}
			open.Go(func() {
				defer c.Close()
				l.exchange(c, bufio.NewReader(c), "Connection: close\r\n", started)
			})
		}
	}
}

// idleMax is how long a kept connection may rest before it isn't used again: a proxy that
// drains closes those that rest longer.
const idleMax = 120 * time.Millisecond

// sendKept sends one request after the other over a connection until it is closed.
func (l *load) sendKept(ctx context.Context, every time.Duration) {
	var c net.Conn
	var in *bufio.Reader
	drop := func() {
		if c != nil {
			c.Close()
			c = nil
		}
	}
	defer drop()
	tick := time.NewTicker(every)
	defer tick.Stop()
	used := time.Now()
	for ; ctx.Err() == nil; <-tick.C {
		if time.Since(used) > idleMax {
			drop()
		}
		if c == nil {
			var err error
			if c, err = l.m.Dial(context.Background(), "tcp4", address); err != nil {
				c = nil
				l.fail("connect", err)
				continue
			}
			in = bufio.NewReader(c)
		}
		if again := l.exchange(c, in, "", time.Now()); !again {
			drop()
		}
		used = time.Now()
	}
}

// exchange sends a request and reads the answer. It reports whether another may follow.
func (l *load) exchange(c net.Conn, in *bufio.Reader, field string, started time.Time) (again bool) {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, requestText+field+"\r\n"); err != nil {
		l.fail("send", err)
		return false
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		l.fail("answer", err)
		return false
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || string(body) != "hello") {
		err = fmt.Errorf("status %d, content %q", resp.StatusCode, body)
	}
	if err != nil {
		l.fail("answer", err)
		return false
	}
	l.answered.Add(1)
	took := int64(time.Since(started))
	for old := l.slowest.Load(); took > old && !l.slowest.CompareAndSwap(old, took); old = l.slowest.Load() {
	}
	return !resp.Close
}

func (l *load) fail(step string, err error) {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	l.failed.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) < failuresShown {
		l.failures = append(l.failures, fmt.Sprintf("%v after the start: %s: %v", time.Since(l.began).Round(time.Millisecond), step, err))
	}
}

// end stops the load, waits for what is under way and reports failures.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.ended.Wait()
	took := time.Since(l.began)
	t.Logf("%d requests in %v, %.0f a second, %d failed, the slowest took %v", l.answered.Load(), took.Round(time.Millisecond),
		float64(l.answered.Load())/took.Seconds(), l.failed.Load(), time.Duration(l.slowest.Load()).Round(time.Millisecond))
	if n := l.failed.Load(); n > 0 {
		t.Errorf("%d requests failed, the first ones: %q", n, l.failures)
	}
	if l.answered.Load() == 0 {
		t.Error("no request was answered")
	}
}
