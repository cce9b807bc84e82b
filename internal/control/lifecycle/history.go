package lifecycle

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sentinel/internal/control/statefile"
)

const (
	// historyMax is how many configurations are kept in the state folder.
	historyMax = 20
	// backupSuffix names the last known good text beside the file itself.
	backupSuffix = ".backup"
)

// keepLastKnownGood keeps the texts of a configuration that serves: the main file as
// FILE.backup beside it when that folder is writable, and all of them as the next entry
// of the history. It returns what could not be kept.
func keepLastKnownGood(sources []Source, stateDir string) error {
	if len(sources) == 0 {
		return nil
	}
	var errs []error
	if err := keepBackup(sources[0]); err != nil && !notWritable(err) {
		errs = append(errs, err)
	}
	if err := keepHistory(sources, filepath.Join(stateDir, "config")); err != nil {
		errs = append(errs, fmt.Errorf("history of configurations: %w", err))
	}
	return errors.Join(errs...)
}

// notWritable reports that a folder isn't for us to write, which may be on purpose.
func notWritable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), "read-only file system")
}

func keepBackup(main Source) error {
	path := main.Path + backupSuffix
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, main.Text) {
		return nil
	}
	return statefile.Replace(path, main.Text, modeOf(main.Path))
}

// modeOf is the mode of a file without the right to execute: a copy of a text must not be
// easier to read than the text.
func modeOf(path string) fs.FileMode {
	info, err := os.Stat(path)
	if err != nil {
		return 0o600
	}
	return info.Mode().Perm() &^ 0o111
}

// keepHistory adds an entry, a numbered folder in which the texts lie as they lay beside
// the main file, unless the newest entry is the same. Then it removes the oldest ones.
func keepHistory(sources []Source, dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	entries, err := historyEntries(dir)
	if err != nil {
		return err
	}
	next := 1
	if n := len(entries); n > 0 {
		if sameEntry(entryPath(dir, entries[n-1]), sources) {
			return nil
		}
		next = entries[n-1] + 1
	}
	if err := writeEntry(dir, next, sources); err != nil {
		return err
	}
	entries = append(entries, next)
	for len(entries) > historyMax {
		if err := os.RemoveAll(entryPath(dir, entries[0])); err != nil {
			return err
		}
		entries = entries[1:]
	}
	return nil
}

// writeEntry writes into a hidden folder first, so that an entry is whole or not there.
func writeEntry(dir string, number int, sources []Source) error {
	temp, err := os.MkdirTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) // fails once it is renamed
	for _, s := range sources {
		path := filepath.Join(temp, entryName(s.Path, sources[0].Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return err
		}
		if err := statefile.Replace(path, s.Text, modeOf(s.Path)); err != nil {
			return err
		}
	}
	return os.Rename(temp, entryPath(dir, number))
}

func sameEntry(entry string, sources []Source) bool {
	for _, s := range sources {
		old, err := os.ReadFile(filepath.Join(entry, entryName(s.Path, sources[0].Path)))
		if err != nil || !bytes.Equal(old, s.Text) {
			return false
		}
	}
	return countFiles(entry) == len(sources)
}

func countFiles(dir string) int {
	n := 0
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return nil
	})
	return n
}

// entryName is where a text lies in its entry: its path from the folder of the main
// file, or below "elsewhere" when it isn't inside of that.
func entryName(path, main string) string {
	rel, err := filepath.Rel(filepath.Dir(main), path)
	if err != nil || !filepath.IsLocal(rel) {
		return filepath.Join("elsewhere", filepath.Clean("/"+path))
	}
	return rel
}

func entryPath(dir string, number int) string { return filepath.Join(dir, fmt.Sprintf("%06d", number)) }

// historyEntries returns the numbers of the entries, the oldest first.
func historyEntries(dir string) ([]int, error) {
	all, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range all {
		if n, err := strconv.Atoi(e.Name()); err == nil && n > 0 && e.IsDir() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}
