// Package statefile writes and reads small files that outlive the process: whoever reads
// one sees the old content or the new, also after a crash.
package statefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// privateMode lets only the owner read what the process remembers.
const privateMode = 0o600

// Replace replaces the file at path as a whole and returns once that outlives a crash. The
// folder must be there. Where path is a symbolic link, the file that it leads to is
// replaced, which may not exist yet.
func Replace(path string, content []byte, mode fs.FileMode) error {
	path = Target(path)
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(dir)
}

// linksMax bounds how many symbolic links one name may lead through.
const linksMax = 8

// Target returns where a path leads that may be a symbolic link.
func Target(path string) string {
	for range linksMax {
		to, err := os.Readlink(path)
		if err != nil {
			return path
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return path
}

// SyncDir returns once the names in a folder outlive a crash.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// WriteJSON replaces the file at path by v as JSON that only the owner may read, and makes
// its folder where there is none.
func WriteJSON(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return Replace(path, append(text, '\n'), privateMode)
}

// ReadJSON reads the JSON of a file of at most bytesMax bytes into v. The error of a file
// that isn't there is an fs.ErrNotExist.
func ReadJSON(path string, bytesMax int64, v any) error {
	text, err := Read(path, bytesMax)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// Read returns the content of a file of at most bytesMax bytes.
func Read(path string, bytesMax int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, bytesMax+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(text)) > bytesMax:
		return nil, fmt.Errorf("%s has more than %d bytes", path, bytesMax)
	}
	return text, nil
}
