package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// memory is what one proxy holds for idle connections.
type memory struct {
	Proxy         string  `json:"proxy"`
	Conns         int     `json:"conns"`
	BeforeKiB     float64 `json:"beforeKiB"` // resident after one request
	IdleKiB       float64 `json:"idleKiB"`   // resident with all connections idle
	KiBConnection float64 `json:"kibPerConnection"`
}

// measureIdle starts p alone, opens n connections that do one request each,
// and compares resident memory before with that at rest. Some of the
// connections must then still work.
func (b *bench) measureIdle(ctx context.Context, p peer, n int) (memory, error) {
	m := memory{Proxy: p.name, Conns: n}
	defer b.stop()
	if err := b.startSides(ctx, p); err != nil {
		return m, err
	}
	if err := b.startPeer(ctx, p); err != nil {
		return m, err
	}
	pid, address := b.running[0].child.pid(), b.running[0].place.Listen
	before, err := settledResident(ctx, pid)
	if err != nil {
		return m, err
	}
	conns, err := openAll(b.scenario.settings, address, b.scenario.path, n)
	defer closeAll(conns)
	if err != nil {
		return m, err
	}
	idle, err := settledResident(ctx, pid)
	if err != nil {
		return m, err
	}
	for i := 0; i < n; i += max(1, n/100) {
		if err := request(conns[i], b.scenario.path); err != nil {
			return m, fmt.Errorf("connection %d after idling: %w", i, err)
		}
	}
	m.BeforeKiB, m.IdleKiB = float64(before)/1024, float64(idle)/1024
	m.KiBConnection = (m.IdleKiB - m.BeforeKiB) / float64(n)
	fmt.Fprintf(os.Stderr, "idle %-8s %.2f KiB per connection\n", p.name, m.KiBConnection)
	return m, nil
}

// settledResident waits until the resident memory of the tree of pid has
// stopped falling, so that work just done doesn't count as memory at rest, and
// returns it in bytes.
func settledResident(ctx context.Context, pid int) (int64, error) {
	const looks, pause = 10, 2 * time.Second
	last := int64(-1)
	for range looks {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(pause):
		}
		now, err := treeResident(pid)
		if err != nil {
			return 0, err
		}
		if last >= 0 && now >= last-last/200 {
			return now, nil
		}
		last = now
	}
	return last, nil
}

// openAll opens n connections to address, 32 at a time, and does one request on
// each. On failure it returns those that are open.
func openAll(s settings, address, path string, n int) ([]net.Conn, error) {
	const atOnce = 32
	conns := make([]net.Conn, n)
	errs := make([]error, atOnce)
	var workers sync.WaitGroup
	for w := range atOnce {
		workers.Go(func() {
			for i := w; i < n && errs[w] == nil; i += atOnce {
				c, err := s.dial(address)
				if err != nil {
					errs[w] = err
					return
				}
				conns[i] = c
				errs[w] = request(c, path)
			}
		})
	}
	workers.Wait()
	return conns, errors.Join(errs...)
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
}

// request does one keep-alive request on c.
func request(c net.Conn, path string) error {
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || resp.Close {
		return fmt.Errorf("status %s, connection closing: %v", resp.Status, resp.Close)
	}
	return nil
}
