package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// socketMode lets only the owner connect.
	socketMode = 0o600
	// folderMode is for the socket's folder where it has to be made.
	folderMode = 0o750
	// pathBytesMax is what fits into sockaddr_un with its closing NUL (unix(7)).
	pathBytesMax = 107
)

// Listen opens the socket at path for its owner only. The folder is made where it is
// missing and a socket that no process serves any more is replaced.
func Listen(path string) (net.Listener, error) {
	if len(path) > pathBytesMax {
		return nil, fmt.Errorf("admin socket %s: the path has %d bytes, a unix socket allows %d: choose a shorter admin-socket",
			path, len(path), pathBytesMax)
	}
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	cfg := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		// Before bind, the mode of the socket becomes that of its file: at no moment may
		// others connect.
		var err error
		return errors.Join(raw.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), socketMode) }), err)
	}}
	ln, err := cfg.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	return ln, nil
}

// Open gives the socket at path a mode and, unless gid is negative, a group. Who has opened a
// connection says the kernel, whatever they are.
func Open(path string, mode fs.FileMode, gid int) error {
	var err error
	if gid >= 0 {
		err = os.Chown(path, -1, gid)
	}
	if err = errors.Join(err, os.Chmod(path, mode)); err != nil {
		return fmt.Errorf("admin socket: %w", err)
	}
	return nil
}

// Reachable returns why users of this machine other than the owner can't come to a socket of
// that mode; "" if they can.
func Reachable(path string, mode fs.FileMode) string {
	wants := fs.FileMode(0)
	if mode&0o060 != 0 {
		wants |= 0o010
	}
	if mode&0o006 != 0 {
		wants |= 0o001
	}
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&wants == wants {
		return ""
	}
	return fmt.Sprintf("the admin socket has mode %04o, but its folder %s has %04o, so that others can't come to it: chmod %04o %s, or RuntimeDirectoryMode= of the unit",
		mode, dir, info.Mode().Perm(), info.Mode().Perm()|wants, dir)
}

// removeStale removes a socket file that is left of a dead process. It refuses to touch
// anything else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("admin socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("admin socket %s: there is a file of that name that is no socket: move it away or choose another admin-socket", path)
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return fmt.Errorf("admin socket %s: address in use: another process serves it", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("admin socket: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("admin socket: %w", err)
	}
	return nil
}
