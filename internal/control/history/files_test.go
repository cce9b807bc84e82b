package history

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// scene is a main file with two included ones, and what is wanted instead: one other, one
// new, one gone.
func scene(t *testing.T) (dir string, want []Source) {
	dir = t.TempDir()
	source(t, dir+"/config.kdl", "new main")
	source(t, dir+"/conf.d/a.kdl", "a")
	source(t, dir+"/conf.d/b.kdl", "b, not wanted")
	return dir, []Source{{dir + "/config.kdl", []byte("old main")}, {dir + "/conf.d/a.kdl", []byte("a")}, {dir + "/conf.d/sub/c.kdl", []byte("c")}}
}

func files(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, strings.TrimPrefix(path, dir+"/")+"="+read(t, path))
		}
		return err
	})
	return strings.Join(all, "; ")
}

func TestFilesAreReplacedAndPutBack(t *testing.T) {
	dir, want := scene(t)
	before := files(t, dir)
	globs := []string{dir + "/conf.d/*.kdl"}
	if got := Differences(want, globs); !slices.Equal(got, []string{
		dir + "/config.kdl holds another text", dir + "/conf.d/sub/c.kdl isn't there", dir + "/conf.d/b.kdl would be included",
	}) {
		t.Errorf("Differences = %q", got)
	}
	changes, err := Plan(want, globs, map[string]fs.FileMode{dir + "/conf.d/sub/c.kdl": 0o604})
	if err != nil || len(changes) != 3 || !changes[2].Remove {
		t.Fatalf("Plan = %+v, %v, want two files written and one removed", changes, err)
	}
	undo, err := Apply(changes)
	if err != nil || files(t, dir) != "conf.d/a.kdl=a; conf.d/sub/c.kdl=c; config.kdl=old main" {
		t.Fatalf("Apply = %v, files %s", err, files(t, dir))
	}
	for name, mode := range map[string]fs.FileMode{"config.kdl": 0o640, "conf.d/sub/c.kdl": 0o604} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("mode of %s = %v, %v, want %v", name, info.Mode(), err, mode)
		}
	}
	if got := Differences(want, globs); len(got) != 0 {
		t.Errorf("Differences afterwards = %q, want none", got)
	}
	if err := undo(); err != nil || files(t, dir) != before {
		t.Errorf("undo = %v, files %s, want %s", err, files(t, dir), before)
	}
	if changes[0].Done {
		t.Error("a change that was undone is told as done")
	}
}

// What can't be made for one file is made for none.
func TestReplacingIsAllOrNothing(t *testing.T) {
	for name, spoil := range map[string]func(dir string){
		"a file that changed meanwhile": func(dir string) { os.WriteFile(dir+"/conf.d/b.kdl", []byte("edited"), 0o600) },
		"a folder in the way":           func(dir string) { os.WriteFile(dir+"/conf.d/sub", []byte("a file"), 0o600) },
	} {
		dir, want := scene(t)
		changes, err := Plan(want, []string{dir + "/conf.d/*.kdl"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		spoil(dir)
		before := files(t, dir)
		if _, err := Apply(changes); err == nil || files(t, dir) != before {
			t.Errorf("%s: Apply = %v, files %s, want an error and %s", name, err, files(t, dir), before)
		}
	}
}

func TestLinksAreFollowed(t *testing.T) {
	dir := t.TempDir()
	source(t, dir+"/real/config.kdl", "new")
	link := dir + "/config.kdl"
	if err := os.Symlink("real/config.kdl", link); err != nil {
		t.Fatal(err)
	}
	changes, err := Plan([]Source{{link, []byte("old")}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(changes); err != nil || read(t, dir+"/real/config.kdl") != "old" {
		t.Errorf("Apply = %v, behind the link %q, want old", err, read(t, dir+"/real/config.kdl"))
	}
	if to, err := os.Readlink(link); err != nil || to != "real/config.kdl" {
		t.Errorf("link = %q, %v, want it kept", to, err)
	}
}

func TestNotAllowed(t *testing.T) {
	if !NotAllowed(&fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}) || NotAllowed(fs.ErrClosed) || NotAllowed(errors.New("x")) {
		t.Error("NotAllowed doesn't tell permission from other errors")
	}
}
