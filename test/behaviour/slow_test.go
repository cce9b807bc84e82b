package behaviour

import (
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/testkit/origin"
)

// deafAddress returns an address whose queue of connections is full, so that a connection
// to it never stands.
func deafAddress(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}).String()
	for range 8 {
		c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue is never full")
	return ""
}

func TestConnectTimeout(t *testing.T) {
	p := start(t, "", `routes { route "r" { upstream "u" } }
upstreams { upstream "u" { target "`+deafAddress(t)+`"; timeouts { connect-secs 0.2 } } }
`)
	if r := p.do("GET", "/"); r.Status != 504 {
		t.Errorf("connect-secs = %d %s, want 504", r.Status, r.Text())
	}
}

// TestSlowPeers checks clients that send or take a message too slowly.
func TestSlowPeers(t *testing.T) {
	ended := make(chan struct{})
	o := origin.Start(t, func(c *origin.Conn) {
		r, err := c.ReadHead()
		if err != nil || r.Method == "POST" {
			c.ReadUntilClose()
			return
		}
		c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		for block := strings.Repeat("x", 1<<16); ; {
			if err := c.WriteString(block); err != nil {
				close(ended)
				return
			}
		}
	})
	p := start(t, "timeouts { read-secs 0.2; write-secs 0.2; min-body-rate 100000 }", forward(o, "", ""))
	deaf := p.dial()
	deaf.Send(ask)
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("write-secs: a client that takes nothing isn't cut off")
	}

	slow := p.dial()
	slow.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n")
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if r, err := slow.ReadFinalResponse("POST"); err != nil || r.Status != 408 {
			t.Errorf("min-body-rate = %d %v, want 408", r.Status, err)
		}
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-answered:
			return
		case <-tick.C:
			slow.Send("x") // well within read-secs, far below the rate
		}
	}
}

// A client that takes a response in drops is cut off, and one that takes more than it must
// isn't.
func TestSlowReaders(t *testing.T) {
	const size = 4 << 20
	o := origin.Start(t, func(c *origin.Conn) {
		for block := strings.Repeat("x", 1<<16); ; {
			if _, err := c.ReadRequest(); err != nil {
				return
			}
			c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(size) + "\r\n\r\n")
			for range size >> 16 {
				if c.WriteString(block) != nil {
					return
				}
			}
		}
	})
	for _, c := range []struct {
		rate int
		cut  bool
	}{{1 << 30, true}, {0, false}} {
		t.Run(strconv.Itoa(c.rate), func(t *testing.T) {
			p := start(t, "", "timeouts { write-secs 0.3; min-response-rate "+strconv.Itoa(c.rate)+" }\n"+forward(o, "", ""))
			client := p.dial()
			client.Conn().(*net.TCPConn).SetReadBuffer(16 << 10)
			client.Send(ask)
			got, b := 0, make([]byte, 32<<10)
			tick := time.NewTicker(10 * time.Millisecond) // 3 MB a second
			defer tick.Stop()
			for range tick.C {
				n, err := client.Read(b)
				if got += n; err != nil || got > size {
					break
				}
			}
			if cut := got < size; cut != c.cut {
				t.Errorf("min-response-rate %d: the client got %d of %d bytes", c.rate, got, size)
			}
		})
	}
}

func TestPoolTimes(t *testing.T) {
	t.Run("max-lifetime-secs", func(t *testing.T) {
		o := named(t, "ok")
		p := start(t, "", forward(o, "", "connection-pool { max-lifetime-secs 0.05 }"))
		for end := time.Now().Add(10 * time.Second); o.Connections() < 2; {
			if p.do("GET", "/"); time.Now().After(end) {
				t.Fatal("a connection is used for longer than its lifetime")
			}
		}
	})
	t.Run("idle-timeout-secs", func(t *testing.T) {
		ended := make(chan struct{}, 1)
		answer := origin.OK(2)
		o := origin.Start(t, func(c *origin.Conn) {
			answer(c)
			ended <- struct{}{}
		})
		p := start(t, "", forward(o, "", "connection-pool { idle-timeout-secs 0.05 }"))
		p.do("GET", "/")
		select {
		case <-ended:
		case <-time.After(15 * time.Second):
			t.Error("an idle connection is kept for longer than its time")
		}
	})
}
