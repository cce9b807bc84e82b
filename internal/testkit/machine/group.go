package machine

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// groupPrefix begins the name of each machine's cgroup; the id of the test's process follows.
const groupPrefix = "sentinel-machine-"

// groups counts the machines of this process.
var groups atomic.Int64

// newGroup makes a cgroup that a machine has for its root, and returns its folder.
func newGroup() (string, error) {
	mount, err := unifiedMount()
	if err != nil {
		return "", err
	}
	own, err := ownGroup()
	if err != nil {
		return "", err
	}
	parent := filepath.Join(mount, own)
	sweepGroups(parent)
	path := filepath.Join(parent, fmt.Sprintf("%s%d-%d", groupPrefix, os.Getpid(), groups.Add(1)))
	if err := os.Mkdir(path, 0o755); err != nil {
		return "", fmt.Errorf("no cgroup of its own: %w", err)
	}
	return path, nil
}

// unifiedMount returns where the second version of cgroups is mounted.
func unifiedMount() (string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		before, after, _ := strings.Cut(s.Text(), " - ")
		if fields := strings.Fields(before); len(fields) > 4 && strings.HasPrefix(after, "cgroup2 ") {
			return fields[4], nil
		}
	}
	return "", errors.New("the host has no cgroups of version 2")
}

// ownGroup returns the cgroup of this process below the mount.
func ownGroup() (string, error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path, nil
		}
	}
	return "", errors.New("this process has no cgroup of version 2")
}

// sweepGroups removes what machines of dead processes have left.
func sweepGroups(parent string) {
	old, _ := filepath.Glob(filepath.Join(parent, groupPrefix+"*"))
	for _, path := range old {
		var pid, n int
		name := strings.TrimPrefix(filepath.Base(path), groupPrefix)
		if _, err := fmt.Sscanf(name, "%d-%d", &pid, &n); err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			removeGroup(path)
		}
	}
}

// removeGroup kills what is in a cgroup and removes it with all below.
func removeGroup(path string) error {
	os.WriteFile(filepath.Join(path, "cgroup.kill"), []byte("1"), 0)
	var err error
	for deadline := time.Now().Add(endLimit); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = removeFolders(path); err == nil {
			return nil
		}
	}
	return err
}

// removeFolders removes the folders of a tree; their files are the kernel's.
func removeFolders(path string) error {
	var folders []string
	filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			folders = append(folders, path)
		}
		return nil
	})
	for _, folder := range slices.Backward(folders) {
		if err := os.Remove(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
