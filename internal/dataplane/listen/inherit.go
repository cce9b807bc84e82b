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
	ln   *net.TCPListener
}

// Inherit takes the sockets that LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES announce to
// this process and clears those variables, so that no child believes them. It returns the
// names of descriptors that it can't use. One that isn't a listening socket was not
// passed, whatever the variables say: it may be the process's own and is left alone.
func Inherit() (in *Inherited, ignored []string) {
	defer os.Unsetenv("LISTEN_PID")
	defer os.Unsetenv("LISTEN_FDS")
	defer os.Unsetenv("LISTEN_FDNAMES")
	pid, err := strconv.Atoi(os.Getenv("LISTEN_PID"))
	if err != nil || pid != os.Getpid() {
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

// InheritFiles takes listening sockets from files, which it closes. The name of a file
// may name its listener.
func InheritFiles(files []*os.File) (in *Inherited, ignored []string) {
	in = &Inherited{}
	for _, f := range files {
		ln, err := net.FileListener(f)
		tcp, ok := ln.(*net.TCPListener)
		f.Close()
		switch {
		case err == nil && ok:
			in.sockets = append(in.sockets, inheritedSocket{f.Name(), tcp})
		default:
			if err == nil {
				ln.Close()
			}
			ignored = append(ignored, f.Name())
		}
	}
	return in, ignored
}

// take returns the inherited socket for w, or nil: the one bound to that address, else
// one of the listener's name on that port.
func (in *Inherited) take(w *wanted) *net.TCPListener {
	if in == nil {
		return nil
	}
	i := slices.IndexFunc(in.sockets, func(s inheritedSocket) bool { return sameAddress(s.ln.Addr(), w) })
	if i < 0 {
		i = slices.IndexFunc(in.sockets, func(s inheritedSocket) bool {
			return s.name == w.spec.Name && samePort(s.ln.Addr(), w.address)
		})
	}
	if i < 0 {
		return nil
	}
	ln := in.sockets[i].ln
	in.sockets = slices.Delete(in.sockets, i, i+1)
	return ln
}

// Unused returns the addresses of the sockets that nothing has asked for.
func (in *Inherited) Unused() []string {
	if in == nil {
		return nil
	}
	var all []string
	for _, s := range in.sockets {
		all = append(all, s.ln.Addr().String())
	}
	return all
}

// close closes what nothing has asked for.
func (in *Inherited) close() {
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
