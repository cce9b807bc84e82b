package listen

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// passNameMax is how long the name of a passed descriptor may be (sd_pid_notify_with_fds(3)).
const passNameMax = 255

// PassName returns the name under which the socket of a key is passed on. What may not stand
// in such a name is written as %XX. A name that would be too long is cut; its socket is found
// again by its address.
func PassName(key string) string {
	var b strings.Builder
	for i := range len(key) {
		switch c := key[i]; {
		case c == ':':
			b.WriteByte(',') // as addresses are full of them
		case c > ' ' && c < 0x7f && c != '%' && c != ',':
			b.WriteByte(c)
		case c == ' ':
			b.WriteByte('/')
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	name := b.String()
	return name[:min(len(name), passNameMax)]
}

// Passable is a listening socket that another process can go on with.
type Passable struct {
	Name string // unique among those of the process
	Conn syscall.Conn
}

// File returns a new descriptor of the socket; the caller closes it. Unlike that of the File
// method of a listener, its Fd leaves the socket in non-blocking mode: that is a mode of the
// socket and not of the descriptor, and the accept loop that still runs relies on it.
func (p *Passable) File() (*os.File, error) {
	raw, err := p.Conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var dupErr error
	if err := raw.Control(func(from uintptr) { fd, dupErr = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, os.NewSyscallError("fcntl", dupErr)
	}
	return os.NewFile(uintptr(fd), p.Name), nil
}

// Passables returns the bound sockets for a process that goes on with them.
func (r *Registry) Passables() []Passable {
	var all []Passable
	for _, s := range r.sockets() {
		all = append(all, Passable{PassName(s.key), s.ln})
	}
	return all
}

// Open lets the sockets accept of a registry that was made with Hold.
func (r *Registry) Open() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.held = false
	for _, s := range r.mu.sockets {
		s.start()
	}
}

// startAll starts the accept loops of new sockets, unless Open shall do that.
func (r *Registry) startAll(fresh []*socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.held {
		return
	}
	for _, s := range fresh {
		s.start()
	}
}
