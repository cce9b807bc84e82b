package lifecycle

import (
	"fmt"
	"slices"
	"strings"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/override"
)

// loadLayered reads a configuration with the overrides laid over it. Those whose place is gone
// are without effect. One that doesn't fit any more makes a reload fail, which then names it;
// a start leaves it out.
func (a *assembly) loadLayered(path string, texts []Source) (*Loaded, error) {
	if a.overrides == nil {
		return a.load(path, texts, nil)
	}
	var layers []override.Layer
	l, err := a.load(path, texts, func(stateDir string) []*schema.Overlay {
		layers = a.overrides.Layers(stateDir)
		return a.overlays(layers)
	})
	if err != nil {
		if len(layers) == 0 || a.overrides.Trying() {
			return nil, err
		}
		if l, layers, err = a.loadSome(path, texts, layers); err != nil {
			return nil, err
		}
	}
	l.judge(layers)
	return l, nil
}

// overlays are layers as the reader of configurations takes them, but for those left out.
func (a *assembly) overlays(layers []override.Layer) []*schema.Overlay {
	var list []*schema.Overlay
	for _, y := range layers {
		if !y.Aside {
			list = append(list, &schema.Overlay{Name: y.Name, Text: []byte(y.Text), Story: func() string { return a.overrides.Story(y.ID) }})
		}
	}
	return list
}

// loadSome is called when a configuration doesn't load with all layers. One after the other is
// tried on top of those that fit; the others are marked and left out.
func (a *assembly) loadSome(path string, texts []Source, layers []override.Layer) (*Loaded, []override.Layer, error) {
	with := func(layers []override.Layer) (*Loaded, error) {
		return a.load(path, texts, func(string) []*schema.Overlay { return a.overlays(layers) })
	}
	next := slices.Clone(layers)
	for i := range next {
		next[i].Aside = true
	}
	loaded, err := with(next)
	if err != nil {
		return nil, nil, err // by itself it doesn't load either
	}
	var why error
	for i := range next {
		next[i].Aside = false
		l, err := with(next)
		if err == nil {
			loaded = l
			continue
		}
		next[i].Aside = true
		if !layers[i].Aside {
			why = err
		}
	}
	if a.Current() != nil && why != nil {
		return nil, nil, blame(next, layers, why)
	}
	return loaded, next, nil
}

// blame says which overrides keep a configuration from serving, and how to end them.
func blame(culprits, before []override.Layer, why error) error {
	e := &ConfigError{Kind: kindValidation}
	for i, y := range culprits {
		if y.Aside && !before[i].Aside {
			e.Lines = append(e.Lines, fmt.Sprintf("%s doesn't fit this configuration, which is valid without it: %s; sentinel emergency revert %d", y.Name, y.Words, y.ID))
		}
	}
	e.Lines = append(e.Lines, describe(why).lines...)
	e.Report = strings.Join(e.Lines, "\n") + "\n"
	return e
}

// judge notes what became of each layer.
func (l *Loaded) judge(layers []override.Layer) {
	for _, y := range layers {
		e := override.Effect{ID: y.ID, Aside: y.Aside}
		if y.Aside {
			e.Idle = "it doesn't fit the configuration"
		}
		for i := range l.laid {
			if l.laid[i].Name == y.Name && l.laid[i].Gone != "" {
				e.Idle = l.laid[i].Gone + " is gone"
			}
		}
		if e.Idle != "" {
			l.Notes = append(l.Notes, fmt.Sprintf("%s (%s) is without effect: %s; sentinel emergency revert %d", y.Name, y.Words, e.Idle, y.ID))
		}
		l.effects = append(l.effects, e)
	}
}

// CheckLaid is Check with overrides laid over the configuration.
func CheckLaid(path string, overrides []admin.Override) (*schema.Config, *Loaded, error) {
	overlays := make([]*schema.Overlay, len(overrides))
	for i := range overrides {
		o := &overrides[i]
		overlays[i] = &schema.Overlay{Name: fmt.Sprintf("override %d", o.ID), Text: []byte(o.Text), Story: func() string { return override.Origin(o) }}
	}
	cfg, l, err := readLaid(path, nil, func(string) []*schema.Overlay { return overlays })
	if err != nil {
		return nil, nil, err
	}
	return checkCompiles(cfg, l)
}
