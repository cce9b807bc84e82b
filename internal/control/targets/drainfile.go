package targets

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/statefile"
	"sentinel/internal/observe/event"
)

const (
	// drainsName is the name of the file of drains in the state folder.
	drainsName = "drains.json"
	// drainsVersion is that of its form.
	drainsVersion = 1
	// drainsBytesMax bounds what is read of it.
	drainsBytesMax = 16 << 20
)

// drainState is the content of the file.
type drainState struct {
	Version int         `json:"version"`
	Drains  []keptDrain `json:"drains"`
}

// keptDrain is one drain in the file.
type keptDrain struct {
	Upstream string      `json:"upstream"`
	Target   string      `json:"target,omitempty"`
	By       admin.Actor `json:"by"`
	Reason   string      `json:"reason,omitempty"`
	Until    time.Time   `json:"until,omitzero"`
}

// OpenDrains keeps the drains in a state folder from now on. The first call takes over what
// the file there holds; a later one, for another folder, writes what there is.
func (k *Keeper) OpenDrains(stateDir string) {
	path := filepath.Join(stateDir, drainsName)
	k.mu.Lock()
	before := k.mu.drainsPath
	k.mu.drainsPath = path
	k.mu.Unlock()
	switch {
	case before == path:
	case before != "":
		k.drainsSaved()
	default:
		k.restoreDrains(path)
	}
}

func (k *Keeper) restoreDrains(path string) {
	var s drainState
	err := statefile.ReadJSON(path, drainsBytesMax, &s)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err == nil && s.Version != drainsVersion:
		err = fmt.Errorf("its version is %d, known is %d", s.Version, drainsVersion)
	}
	if err != nil {
		aside := fmt.Sprintf("%s.broken-%d", path, time.Now().Unix())
		if moved := os.Rename(path, aside); moved != nil {
			aside = "not moved: " + moved.Error()
		}
		k.opt.Log.Error("the drains of before the start can't be read: nothing is drained", "error", "drains lost", "file", path, "detail", err.Error(), "aside", aside)
		return
	}
	k.mu.Lock()
	for _, d := range s.Drains {
		k.mu.drains[drainKey{d.Upstream, d.Target}] = &drain{by: d.By, reason: d.Reason, until: d.Until, settled: true}
	}
	k.mu.Unlock()
	if len(s.Drains) > 0 {
		k.opt.Log.Warn("drains restored", "count", len(s.Drains), "file", path)
	}
	k.endDrains(time.Now())
}

// drainsSaved writes the drains there are, and returns as a note when that fails.
func (k *Keeper) drainsSaved() []string {
	k.saving.Lock() // over the writing: the newest state is written last
	defer k.saving.Unlock()
	k.mu.Lock()
	path, s := k.mu.drainsPath, drainState{Version: drainsVersion, Drains: []keptDrain{}}
	for key, d := range k.mu.drains {
		s.Drains = append(s.Drains, keptDrain{Upstream: key.upstream, Target: key.target, By: d.by, Reason: d.reason, Until: d.until})
	}
	k.mu.Unlock()
	if path == "" {
		return nil
	}
	slices.SortFunc(s.Drains, func(a, b keptDrain) int {
		return cmp.Or(cmp.Compare(a.Upstream, b.Upstream), cmp.Compare(a.Target, b.Target))
	})
	if err := statefile.WriteJSON(path, s); err != nil {
		k.opt.Log.Error("drains not saved: after a restart those of before hold", "error", "file error", "detail", err.Error())
		return []string{"it holds now, but a restart forgets it: " + err.Error()}
	}
	return nil
}

// endDrains ends the drains whose time is over.
func (k *Keeper) endDrains(now time.Time) {
	var over []event.Event
	k.mu.Lock()
	for key, d := range k.mu.drains {
		if d.until.IsZero() || d.until.After(now.Round(0)) {
			continue
		}
		delete(k.mu.drains, key)
		over = append(over, event.Event{
			Kind: event.KindDrain, Upstream: key.upstream, Target: key.target, From: admin.TargetDrained, To: "serving",
			Cause: "its time is over", Detail: "asked by " + d.by.String(),
		})
	}
	k.mu.Unlock()
	if len(over) == 0 {
		return
	}
	k.applyDrains()
	for _, e := range over {
		k.opt.Events.Emit(e)
	}
	k.drainsSaved()
}

// Drains returns how many drains there are.
func (k *Keeper) Drains() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.mu.drains)
}
