package ban

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/statefile"
	"sentinel/internal/dataplane/block"
)

const (
	// version is that of the file's form.
	version = 1
	// fileBytesMax bounds what is read: BansMax bans with long reasons.
	fileBytesMax = 256 << 20
)

// state is the content of the file.
type state struct {
	Version int         `json:"version"`
	Bans    []admin.Ban `json:"bans"`
}

// saver knows where bans are saved.
type saver struct {
	mu struct {
		sync.Mutex
		path string // "" until Open
	}
}

// Open makes path the file of the bans from now on. The first call takes over what the file
// holds; a later one, for another path, writes what there is. Whatever goes wrong is logged
// and costs no more than the bans of the file: one that can't be understood is moved aside.
func (k *Keeper) Open(path string) {
	k.saver.mu.Lock()
	before := k.saver.mu.path
	k.saver.mu.path = path
	k.saver.mu.Unlock()
	switch {
	case before == path:
	case before != "":
		k.saveOrTell()
	default:
		k.restore(path)
	}
}

// restore takes over what the file holds.
func (k *Keeper) restore(path string) {
	list, err := read(path)
	if err != nil {
		k.putAside(path, err)
		return
	}
	now := time.Now()
	var over []*ban
	var entries []*block.Entry
	k.mu.Lock()
	for _, b := range list {
		if !b.until.IsZero() && !b.until.After(now) {
			over = append(over, b)
			continue
		}
		k.mu.bans[b.entry.Prefix()] = b
		entries = append(entries, b.entry)
	}
	k.opt.Table.Change(entries, nil)
	k.mu.Unlock()
	k.follow()
	k.expired(over)
	k.wake()
	if len(entries) > 0 {
		k.opt.Log.Info("bans restored", "count", len(entries), "file", path)
	}
}

// putAside moves a file that can't be used away, so that the next save doesn't destroy it.
func (k *Keeper) putAside(path string, why error) {
	aside := fmt.Sprintf("%s.broken-%d", path, time.Now().Unix())
	args := []any{"error", "bans lost", "file", path, "detail", why.Error()}
	if err := os.Rename(path, aside); err != nil {
		args = append(args, "aside", "not moved: "+err.Error())
	} else {
		args = append(args, "aside", aside)
	}
	k.opt.Log.Error("the bans of before the start can't be read: nobody is banned", args...)
}

// read returns the bans of a file; none where it isn't there.
func read(path string) ([]*ban, error) {
	text, err := statefile.Read(path, fileBytesMax)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return decode(text)
}

func decode(text []byte) ([]*ban, error) {
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, err
	}
	if s.Version != version {
		return nil, fmt.Errorf("its version is %d, known is %d", s.Version, version)
	}
	if len(s.Bans) > BansMax {
		return nil, fmt.Errorf("it holds %d bans, more than %d", len(s.Bans), BansMax)
	}
	list := make([]*ban, len(s.Bans))
	for i, b := range s.Bans {
		p, err := netip.ParsePrefix(b.Prefix)
		if err != nil {
			return nil, fmt.Errorf("ban %d of it: %w", i+1, err)
		}
		list[i] = &ban{entry: newEntry(p, b.Hits, b.Shadow), by: b.By, reason: b.Reason, since: b.Since, until: b.Until}
	}
	return list, nil
}

// save writes the bans there are. It returns when they are on the disk.
func (k *Keeper) save() error {
	k.saver.mu.Lock() // over the writing: the newest state is written last
	defer k.saver.mu.Unlock()
	path := k.saver.mu.path
	if path == "" {
		return nil
	}
	k.mu.Lock()
	list := slices.Collect(maps.Values(k.mu.bans))
	k.mu.Unlock()
	return statefile.WriteJSON(path, state{Version: version, Bans: show(list)})
}
