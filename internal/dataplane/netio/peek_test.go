package netio

import (
	"io"
	"net"
	"testing"
	"time"
)

// peekPair returns a client and what has accepted it.
func peekPair(t *testing.T) (net.Conn, *Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	clock := NewClock()
	c := NewConn(clock, nc)
	t.Cleanup(func() {
		client.Close()
		c.Close()
		clock.Stop()
	})
	return client, c
}

func TestPeekLeavesWhatItShows(t *testing.T) {
	client, c := peekPair(t)
	go func() {
		for _, part := range []string{"ab", "cd", "ef"} {
			io.WriteString(client, part)
		}
	}()
	var b [16]byte
	if n, err := c.Peek(b[:], 6); err != nil || string(b[:n]) != "abcdef" {
		t.Fatalf("Peek = %q, %v, want abcdef", b[:n], err)
	}
	if err := c.Discard(4); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(b[:]); err != nil || string(b[:n]) != "ef" {
		t.Errorf("Read after Discard(4) = %q, %v, want ef", b[:n], err)
	}
}

// The end may come in the same edge as the last bytes.
func TestPeekSeesTheEnd(t *testing.T) {
	client, c := peekPair(t)
	io.WriteString(client, "ab")
	client.Close()
	var b [16]byte
	if n, err := c.Peek(b[:], 6); err != io.EOF || string(b[:n]) != "ab" {
		t.Errorf("Peek = %q, %v, want ab and the end", b[:n], err)
	}
}

func TestPeekEnds(t *testing.T) {
	_, c := peekPair(t)
	c.SetReadDeadline(c.Clock().Now() + 10*time.Millisecond)
	var b [1]byte
	if _, err := c.Peek(b[:], 1); err != ErrTimeout {
		t.Errorf("Peek after its deadline = %v, want %v", err, ErrTimeout)
	}
	c.SetReadDeadline(0)
	go c.Interrupt()
	if _, err := c.Peek(b[:], 1); err != ErrInterrupted {
		t.Errorf("Peek interrupted = %v, want %v", err, ErrInterrupted)
	}
}
