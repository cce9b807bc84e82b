package lifecycle

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// ReplaceFile replaces the file at path as a whole: whoever reads it sees the old or the
// new content, also after a crash. Where path is a symbolic link, the file that it leads to
// is replaced, which may not exist yet.
func ReplaceFile(path string, content []byte, mode fs.FileMode) error {
	path = target(path)
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// linksMax bounds how many symbolic links one name may lead through.
const linksMax = 8

// target returns where a path leads that may be a symbolic link.
func target(path string) string {
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
