package netio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// pair returns the two ends of a TCP connection on the loopback; the first is wrapped.
func pair(t *testing.T, clock *Clock) (*Conn, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := NewConn(clock, nc)
	t.Cleanup(func() { c.Close(); peer.Close() })
	peer.SetDeadline(time.Now().Add(10 * time.Second))
	return c, peer.(*net.TCPConn)
}

func startClock(t *testing.T) *Clock {
	t.Helper()
	k := NewClock()
	t.Cleanup(k.Stop)
	return k
}

func TestReadDeadline(t *testing.T) {
	k := startClock(t)
	c, _ := pair(t, k)
	c.SetReadDeadline(k.Now() + 100*time.Millisecond)
	if _, err := c.Read(make([]byte, 1)); err != ErrTimeout {
		t.Fatalf("Read = %v, want %v", err, ErrTimeout)
	}
	if at := k.Now(); at < 100*time.Millisecond {
		t.Errorf("the deadline fired at %v", at)
	}
}

// A deadline that is moved on while the clock wakes the wait must not end it.
func TestDeadlineMovedOn(t *testing.T) {
	k := startClock(t)
	c, peer := pair(t, k)
	c.SetReadDeadline(k.Now() + time.Minute)
	c.nc.SetReadDeadline(longAgo) // a wake-up that came late
	go peer.Write([]byte("x"))
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Fatalf("Read = %d, %v, want 1 byte", n, err)
	}
}

func TestInterrupt(t *testing.T) {
	k := startClock(t)
	c, _ := pair(t, k)
	go c.Interrupt()
	if _, err := c.Read(make([]byte, 1)); err != ErrInterrupted {
		t.Fatalf("Read = %v, want %v", err, ErrInterrupted)
	}
	if _, _, err := c.WriteThenRead([]byte("x"), into(make([]byte, 1))); err != ErrInterrupted {
		t.Errorf("WriteThenRead = %v, want %v", err, ErrInterrupted)
	}
}

// into is a Room that is there from the start.
type into []byte

func (b into) Room() []byte { return b }

func TestWriteThenRead(t *testing.T) {
	k := startClock(t)
	c, peer := pair(t, k)
	go io.Copy(peer, peer)
	big := bytes.Repeat([]byte("abcdefgh"), 1<<10)
	in := make([]byte, 4)
	for i := range 3 {
		written, n, err := c.WriteThenRead(big, into(in))
		if written != len(big) || n == 0 || err != nil {
			t.Fatalf("round %d: WriteThenRead = %d, %d, %v", i, written, n, err)
		}
		for got := n; got < len(big); {
			k, err := c.Read(make([]byte, len(big)-got))
			if err != nil {
				t.Fatal(err)
			}
			got += k
		}
	}
}

func TestWriteThenReadOfClosedPeer(t *testing.T) {
	k := startClock(t)
	c, peer := pair(t, k)
	c.SetReadDeadline(k.Now() + 5*time.Second)
	peer.Close()
	_, n, err := c.WriteThenRead([]byte("x"), into(make([]byte, 1)))
	if n != 0 || err == nil || err == ErrTimeout {
		t.Errorf("WriteThenRead = %d, %v, want an error at once", n, err)
	}
}

// The bytes and the FIN may come in one edge of the poller. The turn's short read doesn't
// show the FIN; the clock's look must.
func TestFINBehindBytes(t *testing.T) {
	k := startClock(t)
	c, peer := pair(t, k)
	if _, err := peer.Write([]byte("request")); err != nil {
		t.Fatal(err)
	}
	peer.CloseWrite()
	var got []byte
	c.SetReadDeadline(k.Now() + 5*time.Second)
	err := c.Turns(func() Verdict {
		b := make([]byte, 64)
		n, err := c.TryRead(b)
		got = append(got, b[:n]...)
		if err == io.EOF {
			return Leave
		}
		c.Waiting(int64(k.Now()))
		return Park
	})
	if err != nil || string(got) != "request" {
		t.Fatalf("Turns = %v with %q, want the FIN seen behind %q", err, got, "request")
	}
}

func TestTurnsTimeOut(t *testing.T) {
	k := startClock(t)
	c, _ := pair(t, k)
	c.SetReadDeadline(k.Now() + 100*time.Millisecond)
	err := c.Turns(func() Verdict {
		if _, err := c.TryRead(make([]byte, 1)); err != ErrAgain {
			t.Errorf("TryRead = %v, want %v", err, ErrAgain)
		}
		return Park
	})
	if err != ErrTimeout {
		t.Errorf("Turns = %v, want %v", err, ErrTimeout)
	}
}

// A peer that reads nothing stalls a write; one that reads slowly doesn't.
func TestWriteTimeout(t *testing.T) {
	k := startClock(t)
	c, peer := pair(t, k)
	c.SetWriteTimeout(200 * time.Millisecond)
	data := make([]byte, 16<<20)
	if n, err := c.Write(data); err != ErrTimeout || n == len(data) {
		t.Errorf("Write to a stalled peer = %d, %v, want %v", n, err, ErrTimeout)
	}
	_ = peer
}

// A peer that reads in drops is let go on, unless it must keep a pace.
func TestWritePace(t *testing.T) {
	const window = 200 * time.Millisecond
	for _, test := range []struct {
		name string
		rate int64
		want error
	}{{"any pace", 0, nil}, {"slow enough", 10_000, nil}, {"too slow", 10_000_000, ErrTimeout}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			k := startClock(t)
			c, peer := pair(t, k)
			peer.SetReadBuffer(8 << 10)
			unix.SetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 8<<10)
			c.SetWritePace(window, test.rate)
			drops := time.NewTicker(10 * time.Millisecond)
			defer drops.Stop()
			go func() {
				b := make([]byte, 4<<10) // 400 kB a second
				for range drops.C {
					if _, err := peer.Read(b); err != nil {
						return
					}
				}
			}()
			n, err := c.Write(make([]byte, 600<<10))
			if err != test.want {
				t.Errorf("Write = %d, %v, want %v", n, err, test.want)
			}
			peer.Close()
		})
	}
}

func TestAlive(t *testing.T) {
	k := startClock(t)
	c, peer := pair(t, k)
	if !c.Alive() {
		t.Error("Alive of an idle connection = false")
	}
	peer.Write([]byte("x"))
	c.Read(nil)
	waitFor(t, func() bool { return !c.Alive() }, "a byte nobody asked for")
}

// waitFor polls a condition that the kernel brings about in its own time.
func waitFor(t *testing.T, done func() bool, what string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !done(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestTransfer(t *testing.T) {
	k := startClock(t)
	src, from := pair(t, k)
	dst, to := pair(t, k)
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go from.Write(want)
	got := make(chan []byte)
	go func() {
		b := make([]byte, len(want))
		io.ReadFull(to, b)
		got <- b
	}()
	n, readErr, writeErr := Transfer(dst, src, int64(len(want)), Patience{Silence: time.Second})
	if n != int64(len(want)) || readErr != nil || writeErr != nil {
		t.Fatalf("Transfer = %d, %v, %v", n, readErr, writeErr)
	}
	if !bytes.Equal(<-got, want) {
		t.Error("the bytes that arrived differ")
	}
}

func TestTransferEndsEarly(t *testing.T) {
	k := startClock(t)
	src, from := pair(t, k)
	dst, _ := pair(t, k)
	from.Write([]byte("half"))
	from.Close()
	n, readErr, writeErr := Transfer(dst, src, 100, Patience{Silence: time.Second})
	if n != 4 || readErr != io.EOF || writeErr != nil {
		t.Errorf("Transfer = %d, %v, %v, want 4, EOF, nil", n, readErr, writeErr)
	}
}

// A source that becomes slow is followed byte by byte: what has come isn't kept back until
// there is a batch of it.
func TestTransferFollowsSlowSource(t *testing.T) {
	k := startClock(t)
	src, origin := pair(t, k)
	dst, client := pair(t, k)
	const total = 4 * batchBytes
	done := make(chan error, 1)
	go func() {
		n, readErr, writeErr := Transfer(dst, src, total, Patience{Silence: 10 * time.Second})
		done <- errors.Join(readErr, writeErr)
		if n != total {
			t.Errorf("Transfer moved %d bytes, want %d", n, total)
		}
	}()
	piece := make([]byte, total/4)
	for sent := 0; sent < total; {
		size := 1000 // a trickle after a burst
		if sent == 0 || sent >= total/2 {
			size = min(len(piece), total-sent)
		}
		go origin.Write(piece[:size])
		client.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.ReadFull(client, make([]byte, size)); err != nil {
			t.Fatalf("after %d bytes: a piece of %d did not arrive: %v", sent, size, err)
		}
		sent += size
		if sent > total/4+3000 && sent < total/2 {
			rest := total/2 - sent
			go origin.Write(make([]byte, rest))
			io.ReadFull(client, make([]byte, rest))
			sent = total / 2
		}
	}
	if err := <-done; err != nil {
		t.Errorf("Transfer = %v", err)
	}
}

func TestTransferSilence(t *testing.T) {
	k := startClock(t)
	src, _ := pair(t, k)
	dst, _ := pair(t, k)
	src.SetReadDeadline(k.Now() + 100*time.Millisecond)
	n, readErr, writeErr := Transfer(dst, src, 100, Patience{Silence: 100 * time.Millisecond})
	if n != 0 || readErr != ErrTimeout || writeErr != nil {
		t.Errorf("Transfer = %d, %v, %v, want 0, %v, nil", n, readErr, writeErr, ErrTimeout)
	}
}

// Deadlines fire within a tick, whatever their order and length, also beyond the wheel.
func TestClockInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewClock()
		defer k.Stop()
		for _, after := range []time.Duration{time.Millisecond, tick, time.Second, 25 * time.Second, 75 * time.Second, time.Hour} {
			a, b := net.Pipe()
			c := NewConn(k, a)
			start := k.Now()
			c.SetReadDeadline(start + 2*after)
			c.SetReadDeadline(start + after) // earlier than it was armed for
			_, err := c.Read(make([]byte, 1))
			late := k.Now() - start - after
			if err != ErrTimeout || late < 0 || late > 2*tick {
				t.Errorf("deadline after %v: %v, late by %v", after, err, late)
			}
			c.Close()
			b.Close()
		}
	})
}

func TestClockDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewClock()
		defer k.Stop()
		time.Sleep(90 * time.Second)
		synctest.Wait()
		got, err := time.Parse(time.RFC1123, strings.Replace(string(k.AppendDate(nil)), "GMT", "UTC", 1))
		if age := time.Since(got); err != nil || age < 0 || age > 2*time.Second {
			t.Errorf("AppendDate is %v old (%v)", age, err)
		}
	})
}

func TestTask(t *testing.T) {
	boom := errors.New("boom")
	if err := Go(func() error { return boom }).Wait(); err != boom {
		t.Errorf("Wait = %v, want %v", err, boom)
	}
	if err := Go(func() error { panic("x") }).Wait(); err == nil || !strings.Contains(err.Error(), "panic") {
		t.Errorf("Wait after a panic = %v", err)
	}
}
