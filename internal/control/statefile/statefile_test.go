package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type remembered struct {
	Version int
	Names   []string
}

func TestJSONComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "state.json")
	var none remembered
	if err := ReadJSON(path, 1000, &none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadJSON of a file that isn't there = %v, want fs.ErrNotExist", err)
	}
	for _, names := range [][]string{{"a"}, {"b", "c"}} {
		if err := WriteJSON(path, remembered{1, names}); err != nil {
			t.Fatal(err)
		}
		var got remembered
		if err := ReadJSON(path, 1000, &got); err != nil || len(got.Names) != len(names) {
			t.Errorf("ReadJSON = %+v, %v, want %v", got, err, names)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestReadIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	os.WriteFile(path, []byte("12345"), 0o600)
	if b, err := Read(path, 5); err != nil || string(b) != "12345" {
		t.Errorf("Read(5) = %q, %v, want all", b, err)
	}
	if _, err := Read(path, 4); err == nil || !strings.Contains(err.Error(), "more than 4 bytes") {
		t.Errorf("Read(4) = %v, want an error", err)
	}
}

func TestReplaceThatFailsChangesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	os.MkdirAll(filepath.Join(path, "in the way"), 0o700)
	if err := Replace(path, []byte("x"), 0o600); err == nil {
		t.Error("Replace of a folder = nil, want an error")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".f.*")); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}
