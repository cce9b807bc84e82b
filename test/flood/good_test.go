package flood

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	goodClients = 20
	goodRate    = 5 // requests a second of each
	// goodPatience is how long a good client waits for an answer.
	goodPatience = 10 * time.Second
)

// crowd is the good clients. Each sends at its rate over a connection that it keeps, whatever
// becomes of its requests.
type crowd struct {
	address, path string

	stop context.CancelFunc
	all  sync.WaitGroup
	mu   sync.Mutex
	took []time.Duration // of the good answers, counted from when the request was due
	lag  []time.Duration // by which this process was late to send
	lost []string        // why others were lost
}

func gather(address, path string) *crowd {
	g := &crowd{address: address, path: path}
	ctx, cancel := context.WithCancel(context.Background())
	g.stop = cancel
	for i := range goodClients {
		g.all.Go(func() { g.run(ctx, i) })
	}
	return g
}

// part has the clients go and returns what they met with.
func (g *crowd) part() experience {
	g.stop()
	g.all.Wait()
	slices.Sort(g.took)
	slices.Sort(g.lag)
	return experience{took: g.took, lag: g.lag, lost: g.lost}
}

// experience is what good clients met with.
type experience struct {
	took, lag []time.Duration // ascending
	lost      []string
}

func (e *experience) quantile(share float64) time.Duration { return quantile(e.took, share) }

// late returns how late this process was to send, at its p99: so late may the proxy have been
// as well for want of a processor.
func (e *experience) late() time.Duration { return quantile(e.lag, 0.99) }

// quantile returns a quantile of ascending values; 0 of none.
func quantile(values []time.Duration, share float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	return values[min(int(share*float64(len(values))), len(values)-1)]
}

func (e *experience) requests() int { return len(e.took) + len(e.lost) }

// run is one client. A request that is late because the one before it took so long counts
// from when it was due; one that is late because this process was, from when it was sent.
func (g *crowd) run(ctx context.Context, i int) {
	var c net.Conn
	var r *bufio.Reader
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	every := time.Second / goodRate
	due := time.Now().Add(every + every*time.Duration(i)/goodClients) // not too soon after a crowd before it
	for ; ; due = due.Add(every) {
		if wait := time.Until(due); wait > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			g.noteLag(time.Since(due))
			due = time.Now()
		} else if ctx.Err() != nil {
			return
		}
		var err error
		if c == nil {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, 0, byte(i+1))}, Timeout: goodPatience}
			if c, err = d.Dial("tcp", g.address); err == nil {
				r = bufio.NewReader(c)
			}
		}
		status := ""
		if err == nil {
			c.SetDeadline(time.Now().Add(goodPatience))
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: good.test\r\nUser-Agent: good\r\nAccept: */*\r\n\r\n", g.path)
			status, err = skipAnswer(r)
		}
		g.note(due, status, err)
		if err != nil && c != nil {
			c.Close()
			c = nil
		}
	}
}

func skipAnswer(r *bufio.Reader) (status string, err error) {
	status, length, err := readHead(r)
	if err == nil {
		_, err = r.Discard(length)
	}
	return status, err
}

func (g *crowd) noteLag(lag time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lag = append(g.lag, lag)
}

func (g *crowd) note(due time.Time, status string, err error) {
	took := time.Since(due)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil && status == "200" {
		g.took = append(g.took, took)
	} else {
		g.lost = append(g.lost, fmt.Sprintf("status %q, %v", status, err))
	}
}

// median returns the middle of a few values.
func median[T cmp.Ordered](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}
