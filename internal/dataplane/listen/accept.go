package listen

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// acceptPauseMin and acceptPauseMax bound the pause after an accept that failed; it
	// doubles in between.
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = 100 * time.Millisecond
	// queueGrace is how long a socket that is going away still takes what has already
	// connected to it: a close would reset those.
	queueGrace = 10 * time.Millisecond
	// idleCloseBatch is how many connections, idle the longest, are closed at once to
	// come by descriptors.
	idleCloseBatch = 16
)

// socket is one bound address with its accept loop. The listener it feeds may change.
type socket struct {
	ln      *net.TCPListener
	key     string // the address as configured, with its network
	owner   atomic.Pointer[Listener]
	turns   atomic.Uint64 // of the accept loop
	started bool          // the registry's changer owns it
	stopped chan struct{} // closed by stop
	done    chan struct{} // closed by the accept loop
}

func newSocket(ln *net.TCPListener, key string) *socket {
	return &socket{ln: ln, key: key, stopped: make(chan struct{}), done: make(chan struct{})}
}

// start starts the accept loop, once.
func (s *socket) start() {
	if !s.started {
		s.started = true
		go s.run()
	}
}

// stop makes the accept loop take what is queued and end. A socket that was never started
// leaves its queue to others who have it.
func (s *socket) stop() {
	close(s.stopped)
	if !s.started {
		s.ln.Close()
		close(s.done)
		return
	}
	s.ln.SetDeadline(time.Now().Add(queueGrace))
}

func (s *socket) stopping() bool {
	select {
	case <-s.stopped:
		return true
	default:
		return false
	}
}

// run is the accept loop.
func (s *socket) run() {
	defer close(s.done)
	defer s.ln.Close()
	pause := acceptPauseMin
	for ; ; s.turns.Add(1) {
		nc, err := s.ln.AcceptTCP()
		if err == nil {
			l := s.owner.Load()
			l.admit(nc, !l.registry.reserve.refill())
			pause = acceptPauseMin
			continue
		}
		if s.stopping() && (errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed)) {
			return
		}
		if errors.Is(err, syscall.ECONNABORTED) || outOfDescriptors(err) && s.spendReserve() {
			continue
		}
		s.owner.Load().registry.acceptFailed(s.owner.Load(), err)
		if !s.wait(pause) {
			return
		}
		pause = min(2*pause, acceptPauseMax)
	}
}

// spendReserve frees a descriptor for a connection that waits to be accepted. It reports
// false when none waits or the reserve is spent: the loop should pause then, since
// accept(2) asks for a descriptor before it looks for a connection.
func (s *socket) spendReserve() bool {
	r := s.owner.Load().registry
	if !s.pending() {
		return false
	}
	r.closeIdle(r.clock.Now(), idleCloseBatch)
	return r.reserve.spend()
}

// pending reports whether a connection waits to be accepted.
func (s *socket) pending() bool {
	raw, err := s.ln.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	raw.Control(func(fd uintptr) {
		n, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	})
	return n > 0
}

// wait pauses and reports false when the socket was stopped meanwhile.
func (s *socket) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.stopped:
		return false
	}
}

func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
