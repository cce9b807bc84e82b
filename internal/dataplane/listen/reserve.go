package listen

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// reserveSize is how many descriptors are kept back, so that as many health probes can
// be answered at once when the process has none left.
const reserveSize = 4

// reserve keeps descriptors back that accept loops may spend when the process is out of
// them. Whoever closes a connection refills it first.
type reserve struct {
	short atomic.Bool
	mu    struct {
		sync.Mutex
		fds    []int
		closed bool
	}
}

// spend gives one descriptor back to the system and reports whether there was one.
func (r *reserve) spend() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.mu.fds)
	if n == 0 {
		return false
	}
	unix.Close(r.mu.fds[n-1])
	r.mu.fds = r.mu.fds[:n-1]
	r.short.Store(true)
	return true
}

// refill takes descriptors until the reserve is whole and reports whether it is.
func (r *reserve) refill() bool {
	if !r.short.Load() {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.mu.closed && len(r.mu.fds) < reserveSize {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			return false
		}
		r.mu.fds = append(r.mu.fds, fd)
	}
	r.short.Store(false)
	return true
}

func (r *reserve) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, fd := range r.mu.fds {
		unix.Close(fd)
	}
	r.mu.fds, r.mu.closed = nil, true
}
