package lifecycle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"sentinel/internal/control/statefile"
)

// pidFile is a file that names this process.
type pidFile struct{ path string }

// claimPID writes the id of this process to path. It replaces the file of a process that
// is gone and refuses to replace that of one that lives. A symbolic link is followed: a
// service that may not write /run has a link there into a folder of its own. former is a
// process that may be replaced though it lives; 0 for none.
func claimPID(path string, former int) (*pidFile, error) {
	if pid, ok := readPID(path); ok && pid != os.Getpid() && pid != former && livesAsOurs(pid) {
		return nil, fmt.Errorf("pid file %s names process %d, which is running: stop it first, or give this one a pid-file of its own", path, pid)
	}
	if err := os.MkdirAll(filepath.Dir(statefile.Target(path)), 0o755); err != nil {
		return nil, explainPID(path, err)
	}
	if err := statefile.Replace(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return nil, explainPID(path, err)
	}
	return &pidFile{path}, nil
}

func explainPID(path string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("pid file %s: permission denied: run as root, or set pid-file in the system block to a place this user may write", path)
	}
	return fmt.Errorf("pid file %s: %w", path, err)
}

// remove removes the file if it still names this process.
func (f *pidFile) remove() {
	if f == nil {
		return
	}
	if pid, ok := readPID(f.path); ok && pid == os.Getpid() {
		os.Remove(statefile.Target(f.path))
	}
}

func readPID(path string) (int, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid, err == nil && pid > 0
}

// livesAsOurs reports whether the process lives and runs a program of our name: the id of
// a dead process may have passed to any other.
func livesAsOurs(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	ours, err := os.ReadFile("/proc/self/comm")
	theirs, theirErr := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil || theirErr != nil {
		return true // can't tell: be careful
	}
	return string(ours) == string(theirs)
}
