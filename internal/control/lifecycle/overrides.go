package lifecycle

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/history"
	"sentinel/internal/control/override"
)

// overrideKeeping is what may become of an override: the keeper extends it, the process
// commits it.
type overrideKeeping struct {
	*override.Keeper
	p *Process
}

// CommitOverride implements admin.OverrideKeeping.
func (k overrideKeeping) CommitOverride(ctx context.Context, q admin.CommitRequest, by admin.Actor) (r admin.CommitResult, err error) {
	err = k.Committing(q.ID, by, func(o admin.Override, t override.Trial) (done bool, err error) {
		if !k.p.request(ctx, func() { r, err = k.p.commitOverride(&o, q.DryRun, t, &by) }) {
			err = stopping()
		}
		return err == nil && !q.DryRun && r.Outcome.OK, err
	})
	return r, err
}

func stopping() error {
	return &admin.Problem{Status: http.StatusServiceUnavailable, Message: "the process is stopping"}
}

func conflict(format string, args ...any) error {
	return &admin.Problem{Status: http.StatusConflict, Message: fmt.Sprintf(format, args...)}
}

// applyLayers has the configuration serve with the layers of a trial. What the files hold now
// isn't read: what an operator is just writing must not go live with an emergency change.
func (p *Process) applyLayers(ctx context.Context, t override.Trial) (a override.Applied, err error) {
	if !p.request(ctx, func() { a, err = p.layer(t) }) {
		return a, stopping()
	}
	return a, err
}

func (p *Process) layer(t override.Trial) (a override.Applied, err error) {
	t.Begin()
	defer t.End()
	p.mu.Lock()
	current := p.mu.current
	p.mu.Unlock()
	loaded, err := p.opt.Engine.Load(p.opt.ConfigFile, current.Sources)
	if err != nil {
		return a, refused(err)
	}
	if err := known(t.Of, loaded); err != nil {
		return a, err
	}
	a = override.Applied{Changes: append([]string{}, current.changesTo(loaded)...)}
	g, err := p.prepareLoaded(loaded)
	if err != nil {
		return a, refused(err)
	}
	if t.Of != nil {
		a.Notes = nearer(t.Of, loaded)
	}
	if t.Commit == nil {
		g.abort()
		return a, nil
	}
	t.Commit()
	g.commit()
	n := p.install(loaded)
	if p.opt.SetGeneration != nil {
		p.opt.SetGeneration(n)
	}
	return a, nil
}

// refused is the problem of an emergency change that can't serve.
func refused(err error) error {
	return &admin.Problem{
		Status:  http.StatusConflict,
		Message: "nothing was changed, the configuration can't serve so: " + strings.Join(describe(err).lines, "; "),
	}
}

// commitOverride writes an override into the files of the configuration, keeps what they held,
// and has them serve in its place, all or nothing.
func (p *Process) commitOverride(o *admin.Override, dry bool, t override.Trial, by *admin.Actor) (r admin.CommitResult, err error) {
	p.mu.Lock()
	current, entry, generation := p.mu.current, p.mu.entry, p.mu.generation
	p.mu.Unlock()
	r = admin.CommitResult{Override: *o, DryRun: dry, Files: []admin.FileChange{}, Outcome: admin.Outcome{Generation: generation, By: by}}
	if o.Idle != "" {
		return r, conflict("override %d is without effect, so there is nothing to commit: %s", o.ID, o.Idle)
	}
	if lines := history.Differences(current.Sources, current.Globs); len(lines) > 0 {
		return r, conflict("the files hold what doesn't serve (%s): sentinel reload makes it serve, sentinel rollback takes it back; then commit", strings.Join(lines, "; "))
	}
	if p.on() {
		return r, conflict("a configuration is on probation: sentinel confirm or sentinel rollback first, then commit")
	}
	want, err := p.committed(o, current)
	if err != nil {
		return r, err
	}
	r.Diff = override.DiffTexts(current.Sources, want)
	t.Begin()
	defer t.End()
	loaded, err := p.opt.Engine.Load(p.opt.ConfigFile, want)
	if err != nil {
		return r, refused(err)
	}
	back := admin.RollbackResult{Undo: entry}
	if back.Files, err = history.Plan(want, loaded.Globs, nil); err != nil {
		return r, err
	}
	began, cause := time.Now(), order{cause: t.Cause, by: by}
	g, err := p.prepareLoaded(loaded)
	if err != nil {
		return r, refused(err)
	}
	if dry {
		g.abort()
		r.Outcome.OK, r.Files = true, back.Files
		return r, nil
	}
	if err := p.putBack(&back, cause); err != nil {
		g.abort()
		return r, err
	}
	r.Files, r.Kept = back.Files, back.Kept
	t.Commit()
	r.Outcome = p.reloadSucceeded(cause, g, began)
	return r, nil
}

// committed returns the texts of a configuration with an override written into them, once it
// is sure that they mean what the override does.
func (p *Process) committed(o *admin.Override, current *Loaded) ([]Source, error) {
	y := &schema.Overlay{Name: fmt.Sprintf("override %d", o.ID), Text: []byte(o.Text)}
	base, sources, err := loadTexts(p.opt.ConfigFile, current.Sources)
	if err != nil {
		return nil, err
	}
	laid, _, err := loadTexts(p.opt.ConfigFile, current.Sources, y)
	if err != nil {
		return nil, err
	}
	changed, err := schema.Commit(base, sources, y)
	if err != nil {
		return nil, conflict("override %d can't be written into the files (%v): edit them by hand, sentinel reload, sentinel emergency revert %d", o.ID, err, o.ID)
	}
	var want []Source
	for _, s := range current.Sources {
		if text, ok := changed[s.Path]; ok {
			s.Text = text
		}
		want = append(want, s)
	}
	next, _, err := loadTexts(p.opt.ConfigFile, want)
	if err != nil {
		return nil, err
	}
	if d := schema.Diff(laid, next); len(d) > 0 {
		return nil, conflict("written into the files, override %d would mean something else (%s): edit them by hand, sentinel reload, sentinel emergency revert %d", o.ID, strings.Join(d, "; "), o.ID)
	}
	return want, nil
}

// loadTexts reads a configuration from texts, with overlays.
func loadTexts(path string, texts []Source, overlays ...*schema.Overlay) (*schema.Config, *schema.Sources, error) {
	c, sources, diags := schema.Load(path, schema.Options{Texts: byPath(texts), Overlays: func(string) []*schema.Overlay { return overlays }})
	if diags.HasErrors() {
		return nil, nil, NewConfigError(diags, sources.Text)
	}
	return c, sources, nil
}

// known refuses an override that is new and whose place isn't there; nil is none.
func known(o *admin.Override, l *Loaded) error {
	if o == nil || l.config == nil || !slices.ContainsFunc(l.effects, func(e override.Effect) bool { return e.ID == o.ID && e.Idle != "" }) {
		return nil
	}
	var names []string
	switch {
	case o.Listener != "":
		for _, x := range l.config.Listeners {
			names = append(names, x.Name.V)
		}
		return admin.Unknown("listener", o.Listener, names)
	case o.Route != "":
		for _, x := range l.config.Routes {
			names = append(names, x.Name.V)
		}
		return admin.Unknown("route", o.Route, names)
	}
	for _, x := range l.config.Upstreams {
		names = append(names, x.Name.V)
	}
	return admin.Unknown("upstream", o.Upstream, names)
}
