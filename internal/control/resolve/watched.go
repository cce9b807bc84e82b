package resolve

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// watched is a file that is read again when it changes. A single goroutine uses it.
type watched struct {
	path     string
	bytesMax int64

	seen    stamp
	problem string // the error that was returned last
}

// clockTick is more than the grain of the times of files.
const clockTick = 20 * time.Millisecond

// stamp tells two states of a file apart. The inode shows a rename over the file.
type stamp struct {
	inode, device uint64
	size          int64
	modified      time.Time
}

func stampOf(info os.FileInfo) stamp {
	s := stamp{size: info.Size(), modified: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode, s.device = sys.Ino, uint64(sys.Dev)
	}
	return s
}

// read returns the content when it has changed since the last call, at times when it has
// not, or the error when that is another one. news is false when there is nothing to say.
func (w *watched) read() (data []byte, news bool, err error) {
	data, changed, err := w.readChanged()
	if err != nil {
		news = err.Error() != w.problem
		w.problem, w.seen = err.Error(), stamp{}
		return nil, news, err
	}
	if changed {
		w.problem = ""
	}
	return data, changed, nil
}

func (w *watched) readChanged() (data []byte, changed bool, err error) {
	// A pipe in the file's place must not hold the goroutine.
	f, err := os.OpenFile(w.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	before, err := f.Stat()
	switch {
	case err != nil:
		return nil, false, err
	case !before.Mode().IsRegular():
		return nil, false, fmt.Errorf("%s: not a regular file", w.path)
	case stampOf(before) == w.seen:
		return nil, false, nil
	case before.Size() > w.bytesMax:
		return nil, false, fmt.Errorf("%s: longer than %d bytes", w.path, w.bytesMax)
	}
	data, err = io.ReadAll(io.LimitReader(f, w.bytesMax))
	if err != nil {
		return nil, false, err
	}
	if after, err := f.Stat(); err != nil || stampOf(after) != stampOf(before) {
		return nil, false, nil // being written: the next second will do
	}
	if time.Since(before.ModTime()) > clockTick { // else a second write may look the same
		w.seen = stampOf(before)
	}
	return data, true, nil
}
