package override

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
)

// Layer is what an override lays over the configuration.
type Layer struct {
	ID    int
	Name  string // what diagnostics call it
	Text  string // KDL 2
	Aside bool   // it didn't fit when the process started, and is left out if it still doesn't
	Words string // what it does, and until when
}

// fileName is the name of the overrides' file in the state folder.
const fileName = "overrides.json"

// Layers returns what is laid over the configuration now, or is tried to be. The first call
// takes over what the file in the state folder holds.
func (k *Keeper) Layers(stateDir string) []Layer {
	k.mu.Lock()
	first := k.mu.path == ""
	if first {
		k.mu.path = filepath.Join(stateDir, fileName)
	}
	k.mu.Unlock()
	if first {
		k.restore()
	}
	at := now()
	k.mu.Lock()
	defer k.mu.Unlock()
	list := k.mu.list
	if k.mu.trying {
		list = k.mu.trial
	}
	var layers []Layer
	for _, o := range list {
		if o.Until.After(at) || k.mu.trying {
			layers = append(layers, Layer{
				ID: o.ID, Name: fmt.Sprintf("override %d", o.ID), Text: o.Text, Aside: k.mu.aside[o.ID],
				Words: Words(o) + ", by " + o.By.String() + ", until " + o.Until.UTC().Format(time.RFC3339),
			})
		}
	}
	return layers
}

// Trying reports whether a change is tried: whoever asked for it is told what doesn't fit.
func (k *Keeper) Trying() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mu.trying
}

// Story says of the override of that number, as the origin of a value: whose it is and until
// when.
func (k *Keeper) Story(id int) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, o := range slices.Concat(k.mu.list, k.mu.trial) {
		if o.ID == id {
			return Origin(o)
		}
	}
	return fmt.Sprintf("override %d, which has ended", id)
}

// Origin says of an override, as the origin of a value, whose it is, until when and why, in
// one line.
func Origin(o *admin.Override) string {
	s := fmt.Sprintf("override %d by %s until %s", o.ID, o.By.Name(), o.Until.UTC().Format(time.RFC3339))
	if o.Reason != "" {
		s += ": " + strconv.Quote(o.Reason)
	}
	return s
}

// Effect is what became of a layer.
type Effect struct {
	ID    int
	Idle  string // why it is without effect; empty when it holds
	Aside bool   // because it doesn't fit the configuration
}

// Serves is told of the layers of what serves from now on, in the folder where they are to be
// kept.
func (k *Keeper) Serves(stateDir string, effects []Effect) {
	var told []event.Event
	path := filepath.Join(stateDir, fileName)
	k.mu.Lock()
	moved := k.mu.path != path
	k.mu.path = path
	list := slices.Clone(k.mu.list)
	changed := moved
	for i, o := range list {
		e := slices.IndexFunc(effects, func(e Effect) bool { return e.ID == o.ID })
		if e < 0 {
			continue
		}
		k.mu.aside[o.ID] = effects[e].Aside
		if o.Idle == effects[e].Idle {
			continue
		}
		now := *o
		now.Idle = effects[e].Idle
		list[i], changed = &now, true
		told = append(told, idleEvent(o, &now))
	}
	k.mu.list = list
	k.mu.Unlock()
	for _, e := range told {
		k.opt.Events.Emit(e)
	}
	k.count()
	if changed {
		k.saveOrTell()
	}
}

// idleEvent tells that an override is without effect from now on, or no longer.
func idleEvent(was, is *admin.Override) event.Event {
	e := event.Event{Kind: event.KindOverride, Route: is.Route, Upstream: is.Upstream, From: "active", To: "without effect", Worse: true, Cause: is.Idle, Detail: story(is)}
	if is.Idle == "" {
		e.From, e.To, e.Worse, e.Cause = e.To, e.From, false, "no longer: "+was.Idle
	}
	return e
}
