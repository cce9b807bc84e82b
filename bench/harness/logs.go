package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// logSink takes log lines by TCP and appends them to a file, as a log daemon
// beside the proxy does.
type logSink struct {
	listener net.Listener
	file     *os.File
	mu       struct {
		sync.Mutex
		conns []net.Conn
	}
	readers sync.WaitGroup
}

func startLogSink(address, file string) (*logSink, error) {
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		f.Close()
		return nil, err
	}
	s := &logSink{listener: l, file: f}
	s.readers.Go(s.accept)
	return s, nil
}

func (s *logSink) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.mu.conns = append(s.mu.conns, c)
		s.mu.Unlock()
		s.readers.Go(func() {
			io.CopyBuffer(struct{ io.Writer }{s.file}, struct{ io.Reader }{c}, make([]byte, 256<<10))
		})
	}
}

// stop closes everything and waits for the readers.
func (s *logSink) stop() {
	s.listener.Close()
	s.mu.Lock()
	for _, c := range s.mu.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.readers.Wait()
	s.file.Close()
}

// logFile is where the access log of p ends up.
func (b *bench) logFile(p runningPeer) string {
	if p.name == reference {
		return b.sink.file.Name()
	}
	return p.place.LogFile
}

// logLines counts the lines p has logged so far.
func (b *bench) logLines(p runningPeer) (int64, error) {
	if !b.scenario.Log {
		return 0, nil
	}
	f, err := os.Open(b.logFile(p))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var lines int64
	for buf := make([]byte, 1<<20); ; {
		n, err := f.Read(buf)
		lines += int64(bytes.Count(buf[:n], []byte("\n")))
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
	}
}

// newLogLines waits until p has logged what was requested and returns how many
// lines are new. A proxy that leaves out more than one line in a hundred did
// not do the work that is compared here, so that is an error.
func (b *bench) newLogLines(ctx context.Context, p runningPeer, before, requests int64) (int64, error) {
	if !b.scenario.Log {
		return 0, nil
	}
	var added int64
	for range 20 {
		now, err := b.logLines(p)
		if err != nil {
			return 0, err
		}
		if added = now - before; added >= requests {
			return added, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(100 * time.Millisecond): // buffers are flushed each second
		}
	}
	if added < requests-requests/100 {
		return 0, fmt.Errorf("%d lines logged for %d requests", added, requests)
	}
	return added, nil
}
