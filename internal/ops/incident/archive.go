package incident

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Archive writes the folder of an incident as one gzipped tar file beside it and returns its
// path. An archive that is there is replaced once the new one is whole.
func (s *Store) Archive(id string) (path string, err error) {
	if _, err := s.load(id); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(s.Folder, ".archive-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	err = writeArchive(f, s.Folder, id)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", err
	}
	path = s.Path(id + ".tar.gz")
	return path, os.Rename(f.Name(), path)
}

func writeArchive(w io.Writer, root, id string) error {
	zip := gzip.NewWriter(w)
	out := tar.NewWriter(zip)
	err := filepath.WalkDir(filepath.Join(root, id), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !e.Type().IsRegular() && !e.IsDir() {
			return nil
		}
		return addFile(out, root, path)
	})
	return errors.Join(err, out.Close(), zip.Close())
}

// addFile adds one file as large as it is now; one that grows meanwhile is cut there.
func addFile(out *tar.Writer, root, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	head, err := tar.FileInfoHeader(info, "")
	if err != nil {
		return err
	}
	if head.Name, err = filepath.Rel(root, path); err != nil {
		return err
	}
	head.Uid, head.Gid, head.Uname, head.Gname = 0, 0, "", ""
	if err := out.WriteHeader(head); err != nil || info.IsDir() {
		return err
	}
	_, err = io.CopyN(out, f, info.Size())
	return err
}
