package lifecycle

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func writeConfig(t *testing.T, dir, text string) Source {
	t.Helper()
	s := Source{Path: filepath.Join(dir, "config.kdl"), Text: []byte(text)}
	if err := os.WriteFile(s.Path, s.Text, 0o640); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLastKnownGoodIsKept(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	main := writeConfig(t, dir, "first")
	inside := Source{filepath.Join(dir, "conf.d", "a.kdl"), []byte("included")}
	outside := Source{"/nowhere/b.kdl", []byte("from afar")}
	if err := keepLastKnownGood([]Source{main, inside, outside}, state); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		main.Path + ".backup":                            "first",
		state + "/config/000001/config.kdl":              "first",
		state + "/config/000001/conf.d/a.kdl":            "included",
		state + "/config/000001/elsewhere/nowhere/b.kdl": "from afar",
	} {
		if got, err := os.ReadFile(path); string(got) != want {
			t.Errorf("%s holds %q, %v, want %q", path, got, err, want)
		}
	}
	if info, err := os.Stat(main.Path + ".backup"); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode of the backup = %v, %v, want that of the file", info.Mode(), err)
	}
}

func TestSameConfigurationIsKeptOnce(t *testing.T) {
	state := t.TempDir()
	main := writeConfig(t, t.TempDir(), "same")
	extra := Source{main.Path + ".more", []byte("more")}
	for _, sources := range [][]Source{{main}, {main}, {main, extra}, {main, extra}, {main}} {
		if err := keepLastKnownGood(sources, state); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := historyEntries(state + "/config"); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("entries = %v, want 1 to 3", got)
	}
}

func TestHistoryIsTrimmed(t *testing.T) {
	state := t.TempDir()
	os.MkdirAll(state+"/config/notes", 0o755)
	main := writeConfig(t, t.TempDir(), "")
	const n = historyMax + 7
	for i := range n {
		main.Text = fmt.Append(nil, i+1)
		if err := keepLastKnownGood([]Source{main}, state); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := historyEntries(state + "/config")
	if len(got) != historyMax || got[0] != n-historyMax+1 || got[historyMax-1] != n {
		t.Errorf("entries = %v, want the last %d of %d", got, historyMax, n)
	}
	if b, _ := os.ReadFile(fmt.Sprintf("%s/config/%06d/config.kdl", state, n)); string(b) != fmt.Sprint(n) {
		t.Errorf("the newest entry holds %q, want %d", b, n)
	}
	if _, err := os.Stat(state + "/config/notes"); err != nil {
		t.Errorf("a folder that is no entry: %v, want it kept", err)
	}
	if left, _ := filepath.Glob(state + "/config/.new-*"); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestHistoryThatCannotBeWritten(t *testing.T) {
	main := writeConfig(t, t.TempDir(), "text")
	blocked := filepath.Join(t.TempDir(), "file")
	os.WriteFile(blocked, nil, 0o644)
	err := keepLastKnownGood([]Source{main}, blocked)
	if err == nil || !strings.Contains(err.Error(), "history of configurations") {
		t.Errorf("keepLastKnownGood = %v, want an error of the history", err)
	}
	if b, _ := os.ReadFile(main.Path + ".backup"); string(b) != "text" {
		t.Errorf("backup holds %q, want it kept all the same", b)
	}
}

func TestFolderThatIsNotOursIsNoError(t *testing.T) {
	if !notWritable(&fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}) || notWritable(fs.ErrClosed) {
		t.Error("notWritable doesn't tell permission from other errors")
	}
}
