package certs

import (
	"fmt"
	"hash"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// fingerprint returns a number that changes when one of the files does: is written, replaced,
// removed, or joins one of the folders.
func fingerprint(files []string) uint64 {
	h := fnv.New64a()
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || !info.IsDir() {
			add(h, f, info, err)
			continue
		}
		entries, err := os.ReadDir(f)
		add(h, f, nil, err)
		for _, e := range entries {
			path := filepath.Join(f, e.Name())
			info, err := os.Stat(path) // what a link leads to
			add(h, path, info, err)
		}
	}
	return h.Sum64()
}

// add takes one file into h. The time of its last change of state is seen even where a copy
// keeps the time of the last write.
func add(h hash.Hash, path string, info fs.FileInfo, err error) {
	fmt.Fprintf(h, "%q %t ", path, err == nil)
	if err != nil || info == nil {
		return
	}
	fmt.Fprintf(h, "%d %d ", info.Size(), info.ModTime().UnixNano())
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		fmt.Fprintf(h, "%d %d %d ", s.Dev, s.Ino, s.Ctim.Nano())
	}
}
