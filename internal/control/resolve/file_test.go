package resolve

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func fileSource(path string) Source { return Source{Upstream: "web", Kind: File, Value: path} }

func TestFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := hostsZone()
		path := filepath.Join(t.TempDir(), "targets")
		write(t, path, "# ours\n192.0.2.9:80 weight=3\n\na.example:81   # the old one\n[2001:db8::9]:82 weight=0\n")
		f := start(t, z, Options{}, fileSource(path))
		first := ": 192.0.2.1:81*1 192.0.2.9:80*3 [2001:db8::9]:82*0"
		f.want(path + first)
		f.after(time.Minute)
		f.want()

		write(t, path, "192.0.2.9:80\n")
		f.after(2 * pollEvery)
		f.want(path + ": 192.0.2.9:80*1")

		next := path + ".next"
		write(t, next, "b.example:83\n")
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
		f.after(2 * pollEvery)
		f.want(path + ": 192.0.2.2:83*1 [2001:db8::2]:83*1")
	})
}

func TestFileThatCannotBeTaken(t *testing.T) {
	for _, tt := range []struct {
		name   string
		mangle func(t *testing.T, path string)
		err    string // PATH stands for the file's
	}{
		{"broken line", func(t *testing.T, path string) { write(t, path, "192.0.2.1:80\n192.0.2.2\n") }, `PATH:2: "192.0.2.2" is not host:port`},
		{"empty", func(t *testing.T, path string) { write(t, path, "# nothing\n") }, "PATH: file lists no targets"},
		{"gone", func(t *testing.T, path string) { os.Remove(path) }, "open PATH: no such file or directory"},
		{"folder", func(t *testing.T, path string) { os.Remove(path); os.Mkdir(path, 0o700) }, "PATH: not a regular file"},
		{"huge", func(t *testing.T, path string) { os.Truncate(path, fileBytesMax+1) }, "PATH: longer than 4194304 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "targets")
				write(t, path, "192.0.2.9:80\n")
				f := start(t, newZone(), Options{StaleMax: time.Minute}, fileSource(path))
				f.want(path + ": 192.0.2.9:80*1")
				tt.mangle(t, path)
				f.after(time.Hour)
				f.want(path + ": 192.0.2.9:80*1 stale failed")
				res := f.Results()[0]
				if got := res.Err.Error(); got != strings.ReplaceAll(tt.err, "PATH", path) {
					t.Errorf("error = %q, want %q", got, tt.err)
				}
				if since := time.Since(res.Since); since < 59*time.Minute || since > time.Hour {
					t.Errorf("error since %v, want the change", since)
				}
				os.Remove(path)
				write(t, path, "192.0.2.9:80\n")
				f.after(2 * pollEvery)
				f.want(path + ": 192.0.2.9:80*1")
			})
		})
	}
}

func TestFileNotThereAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "targets")
		f := start(t, newZone(), Options{}, fileSource(path))
		f.want(path + ":  failed")
		if err := f.Results()[0].Err; !errors.Is(err, os.ErrNotExist) {
			t.Errorf("error = %v, want %v", err, os.ErrNotExist)
		}
		write(t, path, "192.0.2.9:80\n")
		f.after(2 * pollEvery)
		f.want(path + ": 192.0.2.9:80*1")
	})
}

func TestFileWithNameThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := hostsZone()
		path := filepath.Join(t.TempDir(), "targets")
		write(t, path, "gone.example:80\ngone2.example:80\n192.0.2.9:80\na.example:80\n")
		f := start(t, z, Options{}, fileSource(path))
		f.want(path + ": 192.0.2.1:80*1 192.0.2.9:80*1 failed")
		if err := f.Results()[0].Err; !errors.Is(err, ErrNotFound) || !strings.HasSuffix(err.Error(), "and 1 more") {
			t.Errorf("error = %v, want %v and 1 more", err, ErrNotFound)
		}
		z.fail("a.example.", dns.RcodeServerFailure)
		f.RefreshNow()
		f.after(time.Second)
		f.want(path + ": 192.0.2.1:80*1 192.0.2.9:80*1 stale failed")
	})
}

func TestWatchedSeesRenameAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	past := time.Now().Add(-time.Hour)
	put := func(path, content string) {
		write(t, path, content)
		if err := os.Chtimes(path, past, past); err != nil {
			t.Fatal(err)
		}
	}
	w := watched{path: path, bytesMax: 100}
	read := func(want string, wantNews bool) {
		t.Helper()
		data, news, err := w.read()
		if string(data) != want || news != wantNews || err != nil {
			t.Errorf("read() = %q, %v, %v, want %q, %v", data, news, err, want, wantNews)
		}
	}
	put(path, "one")
	read("one", true)
	read("", false)
	put(path+"2", "two") // same size and time: only the inode differs
	if err := os.Rename(path+"2", path); err != nil {
		t.Fatal(err)
	}
	read("two", true)
	read("", false)
	os.Remove(path)
	if _, news, err := w.read(); !news || err == nil {
		t.Errorf("read() of a file that is gone: %v, %v, want news", news, err)
	}
	if _, news, err := w.read(); news || err == nil {
		t.Errorf("read() of it again: %v, %v, want no news", news, err)
	}
	write(t, path, "now") // just written: a second write could look the same
	read("now", true)
	read("now", true)
}
