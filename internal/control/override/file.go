package override

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/statefile"
)

const (
	// version is that of the file's form.
	version = 1
	// fileBytesMax bounds what is read: OverridesMax overrides with long reasons and settings.
	fileBytesMax = 16 << 20
)

// state is the content of the file.
type state struct {
	Version   int              `json:"version"`
	Next      int              `json:"next"` // the number of the next override
	Overrides []admin.Override `json:"overrides"`
}

// restore takes over what the file holds. One that can't be understood is moved aside: then
// nothing is laid over the configuration, which is logged.
func (k *Keeper) restore() {
	k.mu.Lock()
	path := k.mu.path
	k.mu.Unlock()
	s, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		k.putAside(path, err)
		return
	}
	at := now()
	var list, over []*admin.Override
	next := max(s.Next, 1)
	for i := range s.Overrides {
		o := &s.Overrides[i]
		next = max(next, o.ID+1)
		if o.Until.After(at) {
			list = append(list, o)
		} else {
			over = append(over, o)
		}
	}
	sortByID(list)
	k.mu.Lock()
	k.mu.list, k.mu.next = list, next
	k.mu.Unlock()
	k.wake()
	for _, o := range over {
		k.tell(o, "ended", "its time is over")
	}
	for _, o := range list {
		k.opt.Log.Warn("override restored", "override", o.ID, "detail", story(o))
	}
	k.count()
}

// putAside moves a file that can't be used away, so that the next save doesn't destroy it.
func (k *Keeper) putAside(path string, why error) {
	aside := fmt.Sprintf("%s.broken-%d", path, now().Unix())
	args := []any{"error", "overrides lost", "file", path, "detail", why.Error()}
	if err := os.Rename(path, aside); err != nil {
		args = append(args, "aside", "not moved: "+err.Error())
	} else {
		args = append(args, "aside", aside)
	}
	k.opt.Log.Error("the overrides of before the start can't be read: none is in force", args...)
}

// InFile returns the overrides that a state folder keeps and whose time isn't over; none where
// it keeps none.
func InFile(stateDir string) ([]admin.Override, error) {
	s, err := read(filepath.Join(stateDir, fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	at := now()
	return slices.DeleteFunc(s.Overrides, func(o admin.Override) bool { return !o.Until.After(at) }), err
}

// read returns what the file at path holds, and checks it.
func read(path string) (s state, err error) {
	if err := statefile.ReadJSON(path, fileBytesMax, &s); err != nil {
		return s, err
	}
	switch {
	case s.Version != version:
		return s, fmt.Errorf("its version is %d, known is %d", s.Version, version)
	case len(s.Overrides) > OverridesMax:
		return s, errTooMany
	}
	for i := range s.Overrides {
		o := &s.Overrides[i]
		if o.Text, err = fragment(o); err != nil {
			return s, fmt.Errorf("override %d of it: %w", o.ID, err)
		}
	}
	return s, nil
}

// save writes the overrides there are. It returns when they are on the disk.
func (k *Keeper) save() error {
	k.saving.Lock() // over the writing: the newest state is written last
	defer k.saving.Unlock()
	k.mu.Lock()
	path, s := k.mu.path, state{Version: version, Next: k.mu.next, Overrides: []admin.Override{}}
	for _, o := range k.mu.list {
		s.Overrides = append(s.Overrides, *o)
	}
	k.mu.Unlock()
	if path == "" {
		return nil
	}
	return statefile.WriteJSON(path, s)
}

// saved saves, and returns as a note when that fails.
func (k *Keeper) saved() []string {
	if err := k.save(); err != nil {
		k.opt.Log.Error("overrides not saved: after a restart those of before hold", "error", "file error", "detail", err.Error())
		return []string{"it holds now, but a restart forgets it: " + err.Error()}
	}
	return nil
}

func (k *Keeper) saveOrTell() { k.saved() }
