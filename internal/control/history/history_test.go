package history

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sentinel/internal/control/admin"
)

func source(t *testing.T, path, text string) Source {
	t.Helper()
	s := Source{path, []byte(text)}
	os.MkdirAll(filepath.Dir(path), 0o755)
	if err := os.WriteFile(path, s.Text, 0o640); err != nil {
		t.Fatal(err)
	}
	return s
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAllTextsComeBack(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	far := t.TempDir()
	want := []Source{source(t, dir+"/config.kdl", "first"), source(t, dir+"/conf.d/a.kdl", "included"), source(t, far+"/b.kdl", "from afar")}
	s := In(state)
	e := New("SIGHUP", &admin.Actor{UID: 7}, 3)
	number, err := s.Keep(want, e)
	if err != nil || number != 1 {
		t.Fatalf("Keep = %d, %v, want 1", number, err)
	}
	for path, want := range map[string]string{
		"000001/config.kdl": "first", "000001/conf.d/a.kdl": "included", "000001/elsewhere" + far + "/b.kdl": "from afar",
	} {
		if got := read(t, filepath.Join(state, "config", path)); got != want {
			t.Errorf("%s holds %q, want %q", path, got, want)
		}
	}
	got, texts, err := s.Texts(1)
	if err != nil || got.Cause != "SIGHUP" || got.By.UID != 7 || got.Generation != 3 || got.State != admin.KeptGood || got.Bytes != 22 || got.Hash != Hash(want) {
		t.Errorf("Texts(1) = %+v, %v, want what was kept", got, err)
	}
	for i := range want {
		if texts[i].Path != want[i].Path || string(texts[i].Text) != string(want[i].Text) || got.Files[i].Mode != 0o640 {
			t.Errorf("text %d = %s %q, mode %o, want %s %q, 640", i, texts[i].Path, texts[i].Text, got.Files[i].Mode, want[i].Path, want[i].Text)
		}
	}
}

func TestSameTextsAreKeptOnce(t *testing.T) {
	s := In(t.TempDir())
	dir := t.TempDir()
	main, extra := source(t, dir+"/config.kdl", "same"), source(t, dir+"/more.kdl", "more")
	for i, sources := range [][]Source{{main}, {main}, {main, extra}, {main, extra}, {main}} {
		number, err := s.Keep(sources, New("SIGHUP", nil, uint64(i+1)))
		if want := []int{1, 1, 2, 2, 3}[i]; err != nil || number != want {
			t.Errorf("Keep %d = %d, %v, want %d", i, number, err, want)
		}
	}
	if e, _ := s.Entry(1); e.Generation != 1 {
		t.Errorf("generation of entry 1 = %d, want that which brought it", e.Generation)
	}
}

// An entry that never served says so until it does.
func TestStates(t *testing.T) {
	s := In(t.TempDir())
	main := source(t, t.TempDir()+"/config.kdl", "x")
	e := New("in the files", nil, 0)
	e.State = admin.KeptUnserved
	for _, next := range []admin.HistoryEntry{e, New("SIGHUP", nil, 2), e} {
		if _, err := s.Keep([]Source{main}, next); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := s.Entry(1); got.State != admin.KeptGood || got.Cause != "SIGHUP" || got.Generation != 2 {
		t.Errorf("entry = %+v, want good by SIGHUP, generation 2", got)
	}
	if err := s.SetState(1, admin.KeptReverted, "why"); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.Entry(1); got.State != admin.KeptReverted || got.Why != "why" || got.Cause != "SIGHUP" {
		t.Errorf("entry = %+v, want it reverted", got)
	}
	if err := s.SetState(9, admin.KeptGood, ""); err == nil {
		t.Error("SetState of an entry that isn't there = nil, want an error")
	}
}

func TestHistoryIsTrimmed(t *testing.T) {
	state := t.TempDir()
	s := In(state)
	os.MkdirAll(state+"/config/notes", 0o755)
	main := source(t, t.TempDir()+"/config.kdl", "")
	const n = entriesMax + 7
	for i := range n {
		main.Text = fmt.Append(nil, i+1)
		if _, err := s.Keep([]Source{main}, New("SIGHUP", nil, 0), 2); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.Entries()
	var got []int
	for _, e := range list {
		got = append(got, e.Number)
	}
	if err != nil || len(got) != entriesMax || got[0] != n || got[entriesMax-1] != 2 || slices.Contains(got, 3) {
		t.Errorf("entries = %v, %v, want the last %d of %d, and 2, which is protected", got, err, entriesMax-1, n)
	}
	if _, err := os.Stat(state + "/config/notes"); err != nil {
		t.Errorf("a folder that is no entry: %v, want it kept", err)
	}
	for _, pattern := range []string{"/config/.*", "/config/000003*"} {
		if left, _ := filepath.Glob(state + pattern); len(left) != 0 {
			t.Errorf("left over: %v", left)
		}
	}
}

func TestDamagedEntries(t *testing.T) {
	state := t.TempDir()
	s := In(state)
	main := source(t, t.TempDir()+"/config.kdl", "text")
	spoil := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(state+"/config/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := s.Entries(); list != nil || err != nil {
		t.Errorf("Entries of no history = %v, %v, want none", list, err)
	}
	for i := range 4 {
		main.Text = fmt.Append(nil, i)
		if _, err := s.Keep([]Source{main}, New("SIGHUP", nil, 0)); err != nil {
			t.Fatal(err)
		}
	}
	spoil("000001/config.kdl", "other")
	os.Remove(state + "/config/000002.json")
	spoil("000003.json", strings.Replace(read(t, state+"/config/000003.json"), `"name":"config.kdl"`, `"name":"../000004/config.kdl"`, 1))
	for number, want := range map[int]string{1: "isn't what was kept", 2: "no such file", 3: "names the file", 5: "no such file"} {
		if _, _, err := s.Texts(number); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Texts(%d) = %v, want an error with %q", number, err, want)
		}
	}
	if list, err := s.Entries(); err != nil || len(list) != 3 {
		t.Errorf("Entries = %d, %v, want those whose note can be read", len(list), err)
	}
}

func TestBackup(t *testing.T) {
	main := source(t, t.TempDir()+"/config.kdl", "good")
	if err := Backup(main); err != nil || read(t, BackupOf(main.Path)) != "good" {
		t.Errorf("Backup = %v, holds %q", err, read(t, BackupOf(main.Path)))
	}
	if info, err := os.Stat(BackupOf(main.Path)); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode of the backup = %v, %v, want that of the file", info.Mode(), err)
	}
}
