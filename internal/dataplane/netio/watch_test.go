package netio

import (
	"net"
	"testing"
	"time"
)

// A wait for a client that goes ends, and only that.
func TestWaitFor(t *testing.T) {
	for _, test := range []struct {
		name   string
		leave  func(peer *net.TCPConn)
		forget bool // the wait is for nobody
		want   error
	}{
		{name: "closes", leave: func(p *net.TCPConn) { p.Close() }, want: ErrClientGone},
		{name: "resets", leave: func(p *net.TCPConn) { p.SetLinger(0); p.Close() }, want: ErrClientGone},
		{name: "stays", leave: func(*net.TCPConn) {}, want: ErrTimeout},
		{name: "sends on", leave: func(p *net.TCPConn) { p.Write([]byte("x")) }, want: ErrTimeout},
		{name: "closes, but nobody waits for it", leave: func(p *net.TCPConn) { p.Close() }, forget: true, want: ErrTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			clock := startClock(t)
			client, peer := pair(t, clock)
			up, _ := pair(t, clock)
			began := clock.Now()
			up.SetReadDeadline(began + 1500*time.Millisecond)
			up.WaitFor(client, began)
			if test.forget {
				up.WaitFor(nil, 0)
			}
			test.leave(peer)
			_, err := up.Read(make([]byte, 1))
			if took := clock.Now() - began; err != test.want || err == ErrClientGone && took < GoneAfter {
				t.Errorf("Read = %v after %v, want %v", err, took, test.want)
			}
		})
	}
}

// A wait that outlives one look is looked at again.
func TestWaitForLooksAgain(t *testing.T) {
	clock := startClock(t)
	client, peer := pair(t, clock)
	up, _ := pair(t, clock)
	up.WaitFor(client, clock.Now())
	go func() {
		for client.watchedUntil(up) < int64(GoneAfter+LookAgain) {
			time.Sleep(time.Millisecond)
		}
		peer.Close()
	}()
	if _, err := up.Read(make([]byte, 1)); err != ErrClientGone {
		t.Errorf("Read = %v, want %v", err, ErrClientGone)
	}
}

// watchedUntil returns when the clock looks at c next on behalf of up.
func (c *Conn) watchedUntil(up *Conn) int64 { return up.watch.at() }

// BenchmarkWaitFor is what a request pays that is answered at once.
func BenchmarkWaitFor(b *testing.B) {
	clock := NewClock()
	defer clock.Stop()
	client, up := NewConn(clock, nil), NewConn(clock, nil)
	defer clock.disarm(up)
	for b.Loop() {
		up.WaitFor(client, clock.Now())
		up.WaitFor(nil, 0)
	}
}
