// Package notify is the service manager's side of sd_notify(3) for tests: a socket that
// collects what a process tells about itself, such as READY=1.
package notify

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// Variable names the environment variable that tells a process where its socket is.
const Variable = "NOTIFY_SOCKET"

// messageBytesMax is what one message may hold; more is cut off.
const messageBytesMax = 4096

// Socket collects messages. It takes them as they come, whether or not somebody asks for
// them, so that a process never waits for its test.
type Socket struct {
	conn  *net.UnixConn
	ended chan struct{} // closed when nothing more comes
	more  chan struct{} // holds a value when messages may have grown
	mu    struct {
		sync.Mutex
		messages []string
	}
}

// Listen opens the socket called name: a path, or an abstract name that begins with @.
// The caller closes it.
func Listen(name string) (*Socket, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	s := &Socket{conn: conn, ended: make(chan struct{}), more: make(chan struct{}, 1)}
	go s.collect()
	return s, nil
}

// Close closes the socket and waits until it reads no more.
func (s *Socket) Close() error {
	err := s.conn.Close()
	<-s.ended
	return err
}

// Next takes the oldest message, a list of assignments with a line for each. It waits
// for one until limit has passed.
func (s *Socket) Next(limit time.Duration) (string, error) {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for {
		if m, ok := s.take(); ok {
			return m, nil
		}
		select {
		case <-s.more:
		case <-s.ended:
			return "", net.ErrClosed
		case <-timeout.C:
			return "", fmt.Errorf("no message within %v", limit)
		}
	}
}

// Await takes messages until one begins with begin, for as long as limit in all.
func (s *Socket) Await(begin string, limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; {
		m, err := s.Next(time.Until(deadline))
		if err != nil {
			return fmt.Errorf("waiting for %q: %w", begin, err)
		}
		if strings.HasPrefix(m, begin) {
			return nil
		}
	}
}

func (s *Socket) take() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.messages) == 0 {
		return "", false
	}
	m := s.mu.messages[0]
	s.mu.messages = s.mu.messages[1:]
	return m, true
}

func (s *Socket) collect() {
	defer close(s.ended)
	buf := make([]byte, messageBytesMax)
	for {
		n, err := s.conn.Read(buf)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.mu.messages = append(s.mu.messages, string(buf[:n]))
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
	}
}
