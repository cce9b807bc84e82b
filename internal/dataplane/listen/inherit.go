package listen

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// firstInheritedFD is where passed descriptors begin (sd_listen_fds(3)).
const firstInheritedFD = 3

// Inherited are listening sockets that the process was started with, by a service
// manager or by the process it replaces. Each is used once, for the first address that
// asks for it. A nil *Inherited holds none.
type Inherited struct {
	sockets []inheritedSocket
}

type inheritedSocket struct {
	name string // as given in LISTEN_FDNAMES; may be empty
	ln   net.Listener
}

// Inherit takes the sockets that LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES announce to
// this process and clears those variables, so that no child believes them. sender is the
// id of a process that may announce them in its own name, since it can't know the id of the
// one it starts; 0 for none. It returns the names of descriptors that it can't use. One that
// isn't a listening socket was not passed, whatever the variables say: it may be the
// process's own and is left alone.
func Inherit(sender int) (in *Inherited, ignored []string) {
	defer os.Unsetenv("LISTEN_PID")
	defer os.Unsetenv("LISTEN_FDS")
	defer os.Unsetenv("LISTEN_FDNAMES")
	pid, err := strconv.Atoi(os.Getenv("LISTEN_PID"))
	if err != nil || pid <= 0 || pid != os.Getpid() && pid != sender {
		return nil, nil
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n <= 0 {
		return nil, nil
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	var files []*os.File
	for i := range n {
		name := ""
		if i < len(names) {
			name = names[i]
		}
		fd := firstInheritedFD + i
		if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || on == 0 {
			ignored = append(ignored, name)
			continue
		}
		syscall.CloseOnExec(fd)
		files = append(files, os.NewFile(uintptr(fd), name))
	}
	in, more := InheritFiles(files)
	return in, append(ignored, more...)
}

// InheritFiles takes listening sockets, TCP and unix, from files, which it closes. The name
// of a file may name its socket or its listener.
func InheritFiles(files []*os.File) (in *Inherited, ignored []string) {
	in = &Inherited{}
	for _, f := range files {
		ln, err := net.FileListener(f)
		f.Close()
		if err != nil {
			ignored = append(ignored, f.Name())
			continue
		}
		in.sockets = append(in.sockets, inheritedSocket{f.Name(), ln})
	}
	return in, ignored
}

// take returns the inherited socket for w, or nil: the one of its own name (see PassName), or
// bound to that address, else one of the listener's name on that port.
func (in *Inherited) take(w *wanted) *net.TCPListener {
	if in == nil {
		return nil
	}
	own := PassName(w.key)
	for _, fits := range []func(s *inheritedSocket) bool{
		func(s *inheritedSocket) bool { return s.name == own },
		func(s *inheritedSocket) bool { return sameAddress(s.ln.Addr(), w) && sameStack(s.ln, w) },
		func(s *inheritedSocket) bool { return s.name == w.spec.Name && samePort(s.ln.Addr(), w.address) },
	} {
		for i := range in.sockets {
			ln, ok := in.sockets[i].ln.(*net.TCPListener)
			if ok && fits(&in.sockets[i]) {
				in.sockets = slices.Delete(in.sockets, i, i+1)
				return ln
			}
		}
	}
	return nil
}

// Take returns the inherited socket called name if it is bound to address, host:port or the
// path of a unix socket, or nil.
func (in *Inherited) Take(name, address string) net.Listener {
	if in == nil {
		return nil
	}
	for i, s := range in.sockets {
		_, unixSocket := s.ln.(*net.UnixListener)
		if s.name != name || unixSocket && s.ln.Addr().String() != address ||
			!unixSocket && !sameAddress(s.ln.Addr(), &wanted{network: "tcp", address: address}) {
			continue
		}
		in.sockets = slices.Delete(in.sockets, i, i+1)
		return s.ln
	}
	return nil
}

// Socket names a socket that nothing has asked for.
type Socket struct {
	Name    string // as it was announced
	Address string
}

// Unused returns the sockets that nothing has asked for.
func (in *Inherited) Unused() []Socket {
	if in == nil {
		return nil
	}
	var all []Socket
	for _, s := range in.sockets {
		all = append(all, Socket{s.name, s.ln.Addr().String()})
	}
	return all
}

// overlapping returns the sockets that nothing has asked for and that are in the way of an
// address.
func (in *Inherited) overlapping(address string) []*net.TCPListener {
	if in == nil {
		return nil
	}
	var all []*net.TCPListener
	for _, s := range in.sockets {
		if ln, ok := s.ln.(*net.TCPListener); ok && overlaps(ln.Addr().String(), address) {
			all = append(all, ln)
		}
	}
	return all
}

// Close closes what nothing has asked for.
func (in *Inherited) Close() {
	if in == nil {
		return
	}
	for _, s := range in.sockets {
		s.ln.Close()
	}
	in.sockets = nil
}

func sameAddress(bound net.Addr, w *wanted) bool {
	want, err := net.ResolveTCPAddr(w.network, w.address)
	have, ok := bound.(*net.TCPAddr)
	if err != nil || !ok || want.Port != have.Port {
		return false
	}
	return want.IP.Equal(have.IP) || len(want.IP) == 0 && have.IP.IsUnspecified()
}

func samePort(bound net.Addr, address string) bool {
	_, port, err := net.SplitHostPort(bound.String())
	_, want, wantErr := net.SplitHostPort(address)
	return err == nil && wantErr == nil && port == want
}

// sameStack reports whether a socket on an IPv6 wildcard takes IPv4 clients just as w wants it.
func sameStack(ln net.Listener, w *wanted) bool {
	a, ok := ln.Addr().(*net.TCPAddr)
	if !ok || a.IP.To4() != nil || !a.IP.IsUnspecified() {
		return true
	}
	raw, err := ln.(*net.TCPListener).SyscallConn()
	if err != nil {
		return false
	}
	only := -1
	raw.Control(func(fd uintptr) { only, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY) })
	return (only == 1) == (w.network == "tcp6")
}
