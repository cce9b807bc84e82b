// Package history keeps the configurations that have served, and puts one back into its
// files.
//
// A history is a folder. Entry 7 is the folder 000007, in which the texts lie as they lay
// beside the main file, and 000007.json, which says where each belongs, when it served and
// who wanted that. An entry is whole or not there.
package history

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/statefile"
)

const (
	// entriesMax is how many configurations are kept.
	entriesMax = 20
	// noteBytesMax bounds what is read about an entry.
	noteBytesMax = 4 << 20
	// textBytesMax bounds what is read of one text.
	textBytesMax = 64 << 20
	// version is that of the form of notes.
	version = 1
)

// Source is one text of a configuration.
type Source struct {
	Path string
	Text []byte
}

// Store is a history. Its methods may be called from several goroutines, but those that
// change it from one at a time.
type Store struct{ dir string }

// In returns the history in a state folder. Nothing is read or made.
func In(stateDir string) Store { return Store{filepath.Join(stateDir, "config")} }

// Dir returns the folder of the history.
func (s Store) Dir() string { return s.dir }

// note is the content of an entry's JSON.
type note struct {
	Version int `json:"version"`
	admin.HistoryEntry
}

// Keep keeps texts, the main file's first, as the next entry and returns its number. Where
// the newest entry has the same texts it is that one; it takes over what e says when its
// state was another. The oldest entries are removed, but those that protected names.
func (s Store) Keep(sources []Source, e admin.HistoryEntry, protected ...int) (int, error) {
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return 0, err
	}
	if err := describe(sources, &e); err != nil {
		return 0, err
	}
	numbers, err := s.numbers()
	if err != nil {
		return 0, err
	}
	e.Number = 1
	if n := len(numbers); n > 0 {
		newest, err := s.Entry(numbers[n-1])
		if err == nil && newest.Hash == e.Hash {
			return newest.Number, s.renew(newest, e)
		}
		e.Number = numbers[n-1] + 1
	}
	if err := s.write(e, sources); err != nil {
		return 0, err
	}
	return e.Number, s.trim(append(numbers, e.Number), append(protected, e.Number))
}

// renew has an entry say what is new of it.
func (s Store) renew(old, e admin.HistoryEntry) error {
	if old.State == e.State || e.State == admin.KeptUnserved {
		return nil
	}
	e.Number = old.Number
	return s.writeNote(e)
}

// SetState changes the state of an entry.
func (s Store) SetState(number int, state, why string) error {
	e, err := s.Entry(number)
	if err != nil {
		return err
	}
	e.State, e.Why = state, why
	return s.writeNote(e)
}

// describe fills in what e says of the texts.
func describe(sources []Source, e *admin.HistoryEntry) error {
	if len(sources) == 0 {
		return errors.New("a configuration without files")
	}
	main, err := filepath.Abs(sources[0].Path)
	if err != nil {
		return err
	}
	e.Files, e.Bytes, e.Hash = nil, 0, Hash(sources)
	for _, src := range sources {
		path, err := filepath.Abs(src.Path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(src.Text)
		e.Files = append(e.Files, admin.HistoryFile{
			Path: path, Name: nameOf(path, main), Bytes: int64(len(src.Text)), SHA256: hex.EncodeToString(sum[:]), Mode: uint32(modeOf(path)),
		})
		e.Bytes += int64(len(src.Text))
	}
	return nil
}

// Hash returns SHA-256 in hex over the absolute paths and the texts of a configuration, the
// main file first.
func Hash(sources []Source) string {
	h := sha256.New()
	for _, s := range sources {
		path, err := filepath.Abs(s.Path)
		if err != nil {
			path = s.Path
		}
		fmt.Fprintf(h, "%d %s %d ", len(path), path, len(s.Text))
		h.Write(s.Text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// modeOf is the mode of a file without the right to execute: a copy of a text must not be
// easier to read than the text.
func modeOf(path string) fs.FileMode {
	info, err := os.Stat(path)
	if err != nil {
		return 0o600
	}
	return info.Mode().Perm() &^ 0o111
}

// nameOf is where a text lies in its entry: its path from the folder of the main file, or
// below "elsewhere" when it isn't inside of that. Both paths are absolute.
func nameOf(path, main string) string {
	rel, err := filepath.Rel(filepath.Dir(main), path)
	if err != nil || !filepath.IsLocal(rel) {
		return filepath.Join("elsewhere", path)
	}
	return rel
}

// write writes into a hidden folder first, so that an entry is whole or not there.
func (s Store) write(e admin.HistoryEntry, sources []Source) error {
	temp, err := os.MkdirTemp(s.dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) // fails once it is renamed
	for i, f := range e.Files {
		path := filepath.Join(temp, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return err
		}
		if err := statefile.Replace(path, sources[i].Text, fs.FileMode(f.Mode)); err != nil {
			return err
		}
	}
	if err := s.writeNote(e); err != nil {
		return err
	}
	if err := os.Rename(temp, s.folder(e.Number)); err != nil {
		return err
	}
	return statefile.SyncDir(s.dir)
}

func (s Store) writeNote(e admin.HistoryEntry) error {
	e.Serving, e.InFiles = false, false
	return statefile.WriteJSON(s.folder(e.Number)+".json", note{version, e})
}

// trim removes the oldest entries until there are few enough.
func (s Store) trim(numbers, protected []int) error {
	left := len(numbers)
	for _, n := range numbers {
		if left <= entriesMax {
			break
		}
		if slices.Contains(protected, n) {
			continue
		}
		if err := errors.Join(os.RemoveAll(s.folder(n)), os.RemoveAll(s.folder(n)+".json")); err != nil {
			return err
		}
		left--
	}
	return nil
}

func (s Store) folder(number int) string { return filepath.Join(s.dir, fmt.Sprintf("%06d", number)) }

// numbers returns the numbers of the entries, the oldest first.
func (s Store) numbers() ([]int, error) {
	all, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range all {
		if n, err := strconv.Atoi(e.Name()); err == nil && n > 0 && e.IsDir() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// Entries returns the entries, the newest first; none where there is no history. Entries
// whose note can't be read are left out.
func (s Store) Entries() ([]admin.HistoryEntry, error) {
	numbers, err := s.numbers()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []admin.HistoryEntry
	for _, n := range slices.Backward(numbers) {
		if e, err := s.Entry(n); err == nil {
			list = append(list, e)
		}
	}
	return list, nil
}

// Entry returns what is known of one entry; its error is an fs.ErrNotExist where there is
// none of that number.
func (s Store) Entry(number int) (admin.HistoryEntry, error) {
	if _, err := os.Stat(s.folder(number)); err != nil {
		return admin.HistoryEntry{}, err
	}
	var n note
	if err := statefile.ReadJSON(s.folder(number)+".json", noteBytesMax, &n); err != nil {
		return admin.HistoryEntry{}, fmt.Errorf("entry %d of the history can't be used: %w", number, err)
	}
	if n.Version != version || n.Number != number || len(n.Files) == 0 {
		return admin.HistoryEntry{}, fmt.Errorf("entry %d of the history can't be used: %s.json isn't understood", number, s.folder(number))
	}
	return n.HistoryEntry, nil
}

// Texts returns an entry with its texts under the paths that they belong to. A text that
// isn't what was kept is an error.
func (s Store) Texts(number int) (admin.HistoryEntry, []Source, error) {
	e, err := s.Entry(number)
	if err != nil {
		return e, nil, err
	}
	sources := make([]Source, len(e.Files))
	for i, f := range e.Files {
		if !filepath.IsLocal(f.Name) || !filepath.IsAbs(f.Path) {
			return e, nil, fmt.Errorf("entry %d of the history can't be used: its note names the file %q", number, f.Name)
		}
		text, err := statefile.Read(filepath.Join(s.folder(number), f.Name), textBytesMax)
		if err != nil {
			return e, nil, fmt.Errorf("entry %d of the history can't be used: %w", number, err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != f.SHA256 {
			return e, nil, fmt.Errorf("entry %d of the history can't be used: its %s isn't what was kept", number, f.Name)
		}
		sources[i] = Source{f.Path, text}
	}
	return e, sources, nil
}

// New returns an entry for what serves from now on.
func New(cause string, by *admin.Actor, generation uint64) admin.HistoryEntry {
	return admin.HistoryEntry{At: time.Now(), Cause: cause, By: by, Generation: generation, State: admin.KeptGood}
}
