package incident

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"sentinel/internal/control/statefile"

	"golang.org/x/sys/unix"
)

const (
	// folderMode keeps what a bundle holds from others.
	folderMode = 0o700
	fileMode   = 0o600
	recordName = "incident.json"
	lockName   = ".lock"
	// perDayMax is how many incidents of one day there can be.
	perDayMax = 999
	// recordBytesMax bounds a record that is read.
	recordBytesMax = 16 << 20
)

// ErrNone is returned where no incident is open.
var ErrNone = errors.New("no incident is open: begin one with 'sentinel incident start'")

// idForm is the form of an id, and so of a folder that counts.
var idForm = regexp.MustCompile(`^INC-[0-9]{8}-[0-9]{3}$`)

// Store is the folder of all incidents. Several processes may use it at a time.
type Store struct {
	Folder string
}

// Create makes the folder of a new incident and keeps its record; it fills in version and ID.
func (s *Store) Create(r *Record) error {
	return s.locked(func() error {
		day := r.Started.UTC().Format("20060102")
		for n := 1; n <= perDayMax; n++ {
			id := fmt.Sprintf("INC-%s-%03d", day, n)
			err := os.Mkdir(filepath.Join(s.Folder, id), folderMode)
			if errors.Is(err, fs.ErrExist) {
				continue
			}
			if err != nil {
				return err
			}
			r.Version, r.ID = recordVersion, id
			return s.save(r)
		}
		return fmt.Errorf("%s has %d incidents of this day already", s.Folder, perDayMax)
	})
}

// Update changes the record of an incident: an empty id is the newest that is open, or
// ErrNone. What change returns an error for isn't kept.
func (s *Store) Update(id string, change func(*Record) error) (r *Record, err error) {
	err = s.locked(func() error {
		if r, err = s.Find(id); err != nil {
			return err
		}
		if err := change(r); err != nil {
			return err
		}
		return s.save(r)
	})
	return r, err
}

// Find returns the record of an incident; an empty id is the newest that is open, or ErrNone.
func (s *Store) Find(id string) (*Record, error) {
	if id != "" {
		return s.load(id)
	}
	all, err := s.List()
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Open() {
			return all[i], nil
		}
	}
	return nil, errors.Join(err, ErrNone)
}

// Last returns the newest incident, open or not, or ErrNone.
func (s *Store) Last() (*Record, error) {
	all, err := s.List()
	if len(all) == 0 {
		return nil, errors.Join(err, ErrNone)
	}
	return all[len(all)-1], nil
}

// List returns all incidents, the oldest first. Its error tells of records that can't be
// read; the others are there all the same.
func (s *Store) List() ([]*Record, error) {
	entries, err := os.ReadDir(s.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []*Record
	errs := []error{err}
	for _, e := range entries {
		if !e.IsDir() || !idForm.MatchString(e.Name()) {
			continue
		}
		r, err := s.load(e.Name())
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *Record) int { return a.Started.Compare(b.Started) })
	return all, errors.Join(errs...)
}

// Path returns the path of name in the folder of an incident.
func (s *Store) Path(id string, name ...string) string {
	return filepath.Join(append([]string{s.Folder, id}, name...)...)
}

func (s *Store) load(id string) (*Record, error) {
	if !idForm.MatchString(id) {
		return nil, fmt.Errorf("%q is no incident's name: they are like INC-20261124-001, see 'sentinel incident list'", id)
	}
	text, err := readAtMost(s.Path(id, recordName), recordBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no incident %s in %s: see 'sentinel incident list'", id, s.Folder)
	}
	if err != nil {
		return nil, err
	}
	r := &Record{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Path(id, recordName), err)
	}
	if r.Version != recordVersion || r.ID != id {
		return nil, fmt.Errorf("%s: version %d of %q isn't one this sentinel reads", s.Path(id, recordName), r.Version, r.ID)
	}
	return r, nil
}

func (s *Store) save(r *Record) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return statefile.Replace(s.Path(r.ID, recordName), append(text, '\n'), fileMode)
}

// lockWait is how long another process is waited for.
const lockWait = 5 * time.Second

// locked runs do while no other process changes a record.
func (s *Store) locked(do func() error) error {
	if err := os.MkdirAll(s.Folder, folderMode); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.Folder, lockName), os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return err
	}
	defer f.Close() // which lets go of the lock, too
	for end := time.Now().Add(lockWait); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return do()
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(end) {
			return fmt.Errorf("%s: another process holds it: %w", f.Name(), err)
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
