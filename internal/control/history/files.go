package history

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/statefile"
)

// Plan returns what must become of the files on the disk so that they hold want: files are
// written, and those are removed that globs, the patterns of want's includes, would find
// besides. Files that are as wanted are left alone. modes are those of new files, by path.
func Plan(want []Source, globs []string, modes map[string]fs.FileMode) ([]admin.FileChange, error) {
	var changes []admin.FileChange
	wanted := make(map[string]bool, len(want))
	for _, s := range want {
		path, err := filepath.Abs(s.Path)
		if err != nil {
			return nil, err
		}
		wanted[path] = true
		old, mode, err := present(path)
		switch {
		case err != nil:
			return nil, err
		case old != nil && string(old) == string(s.Text):
			continue
		}
		if old == nil {
			mode = modes[path]
		}
		changes = append(changes, admin.FileChange{Path: path, Text: string(s.Text), Mode: uint32(mode), Before: sumOf(old)})
	}
	extra, err := besides(globs, wanted)
	if err != nil {
		return nil, err
	}
	for _, path := range extra {
		old, mode, err := present(path)
		if err != nil {
			return nil, err
		}
		changes = append(changes, admin.FileChange{Path: path, Remove: true, Mode: uint32(mode), Before: sumOf(old)})
	}
	return changes, nil
}

// besides returns the files that patterns find and that aren't wanted.
func besides(globs []string, wanted map[string]bool) ([]string, error) {
	var extra []string
	for _, g := range globs {
		found, err := filepath.Glob(g)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			path, err := filepath.Abs(f)
			if err != nil {
				return nil, err
			}
			if !wanted[path] && !slices.Contains(extra, path) {
				extra = append(extra, path)
			}
		}
	}
	return extra, nil
}

// present returns what a file holds and its mode; nil where it isn't there.
func present(path string) ([]byte, fs.FileMode, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0o600, nil
	}
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is no regular file", path)
	}
	text, err := statefile.Read(path, textBytesMax)
	if text == nil {
		text = []byte{}
	}
	return text, info.Mode().Perm(), err
}

// Present returns what a file holds; ok is false where it isn't there or can't be read.
func Present(path string) (text []byte, ok bool) {
	text, _, err := present(path)
	return text, err == nil && text != nil
}

// SamePath reports that two paths name one place.
func SamePath(a, b string) bool {
	x, errA := filepath.Abs(a)
	y, errB := filepath.Abs(b)
	return errA == nil && errB == nil && x == y
}

// sumOf returns the hash of a text, nothing for none.
func sumOf(text []byte) string {
	if text == nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Apply makes the changes that aren't done yet, all or none. A file that is no longer what
// it was when the changes were planned is an error. undo puts everything back.
func Apply(changes []admin.FileChange) (undo func() error, err error) {
	var undos []func() error
	undo = func() error {
		var errs []error
		for _, f := range slices.Backward(undos) {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	for i := range changes {
		c := &changes[i]
		if c.Done {
			continue
		}
		back, err := applyOne(c)
		if err != nil {
			return nil, errors.Join(err, undo())
		}
		c.Done = true
		undos = append(undos, func() error { c.Done = false; return back() })
	}
	return undo, nil
}

func applyOne(c *admin.FileChange) (undo func() error, err error) {
	old, mode, err := present(c.Path)
	switch {
	case err != nil:
		return nil, err
	case sumOf(old) != c.Before:
		return nil, fmt.Errorf("%s has changed meanwhile", c.Path)
	case c.Remove:
		if err := os.Remove(c.Path); err != nil {
			return nil, err
		}
	default:
		if err := write(c.Path, []byte(c.Text), fs.FileMode(c.Mode)); err != nil {
			return nil, err
		}
	}
	if old == nil {
		return func() error { return os.Remove(c.Path) }, nil
	}
	return func() error { return write(c.Path, old, mode) }, nil
}

// write replaces a file; who owned it still does, where this process may see to that.
func write(path string, text []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	info, statErr := os.Stat(path)
	if err := statefile.Replace(path, text, mode); err != nil {
		return err
	}
	if statErr != nil {
		return nil
	}
	if old, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		return os.Chown(path, int(old.Uid), int(old.Gid))
	}
	return nil
}

// NotAllowed reports that a file or folder isn't for this process to write, which may be on
// purpose.
func NotAllowed(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EBUSY)
}

// Backup keeps a main text beside its file as last known good.
func Backup(main Source) error {
	path := main.Path + backupSuffix
	if old, err := os.ReadFile(path); err == nil && string(old) == string(main.Text) {
		return nil
	}
	return statefile.Replace(path, main.Text, modeOf(main.Path))
}

// backupSuffix names the last known good text beside the file itself.
const backupSuffix = ".backup"

// BackupOf returns the name of the last known good text of the configuration at path.
func BackupOf(path string) string { return path + backupSuffix }

// Differences says, a line each, how the files on the disk differ from sources; globs are
// the patterns of their includes.
func Differences(sources []Source, globs []string) []string {
	var lines []string
	wanted := make(map[string]bool, len(sources))
	for _, s := range sources {
		path, err := filepath.Abs(s.Path)
		if err != nil {
			path = s.Path
		}
		wanted[path] = true
		old, _, err := present(s.Path)
		switch {
		case err != nil:
			lines = append(lines, s.Path+" can't be read: "+strings.TrimPrefix(err.Error(), "open "+s.Path+": "))
		case old == nil:
			lines = append(lines, s.Path+" isn't there")
		case string(old) != string(s.Text):
			lines = append(lines, s.Path+" holds another text")
		}
	}
	extra, _ := besides(globs, wanted) // the patterns were good when they were loaded
	for _, path := range extra {
		lines = append(lines, path+" would be included")
	}
	return lines
}
