package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/history"
	"sentinel/internal/observe/metric"
)

// KeptTexts returns an entry of a history with its texts; the error of a number that isn't
// there is a *admin.Problem that names those that are.
func KeptTexts(s history.Store, number int) (admin.HistoryTexts, error) {
	e, sources, err := s.Texts(number)
	if errors.Is(err, fs.ErrNotExist) && e.Number == 0 {
		return admin.HistoryTexts{}, noEntry(s, number)
	}
	if err != nil {
		return admin.HistoryTexts{}, err
	}
	h := admin.HistoryTexts{HistoryEntry: e}
	for _, src := range sources {
		h.Texts = append(h.Texts, string(src.Text))
	}
	return h, nil
}

func noEntry(s history.Store, number int) error {
	list, err := s.Entries()
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return &admin.Problem{Status: http.StatusNotFound, Message: "no configuration is kept in " + s.Dir()}
	}
	return &admin.Problem{Status: http.StatusNotFound, Message: fmt.Sprintf(
		"there is no kept configuration %d: there are %d to %d (sentinel config history)", number, list[len(list)-1].Number, list[0].Number)}
}

// sourcesOnDisk returns the texts of the configuration at path as far as they can be read,
// whether they are right or not.
func sourcesOnDisk(path string) []Source {
	_, sources, _ := schema.Load(path, schema.Options{})
	return sourcesOf(sources)
}

// RollbackTarget returns the entry that a rollback without a number goes back to from cur,
// which is what serves or the zero entry: the newest that is good and was there before.
func RollbackTarget(list []admin.HistoryEntry, cur admin.HistoryEntry) (admin.HistoryEntry, error) {
	origin := cur
	for range list { // a copy of a copy, and so on
		for _, e := range list {
			if e.Number == origin.CopyOf {
				origin = e
			}
		}
	}
	for _, e := range list {
		if e.State == admin.KeptGood && e.Hash != cur.Hash && (origin.Number == 0 || e.Number < origin.Number) {
			return e, nil
		}
	}
	return admin.HistoryEntry{}, &admin.Problem{Status: http.StatusConflict, Message: "no configuration is kept that served before this one: sentinel config history shows what there is"}
}

// rollbackTo is what a rollback makes serve.
type rollbackTo struct {
	number  int // 0 for what serves and isn't kept
	entry   admin.HistoryEntry
	sources []Source
}

func (p *Process) rollbackTo(q admin.RollbackRequest) (rollbackTo, error) {
	p.mu.Lock()
	current, entry := p.mu.current, p.mu.entry
	p.mu.Unlock()
	back := q.Number == 0 && len(history.Differences(current.Sources, current.Globs)) > 0
	if q.Serving || back {
		return rollbackTo{number: entry, sources: current.Sources}, nil
	}
	number := q.Number
	if number == 0 {
		list, err := p.kept().Entries()
		if err != nil {
			return rollbackTo{}, err
		}
		cur, _ := p.kept().Entry(entry)
		if cur.Number == 0 {
			cur.Hash = history.Hash(current.Sources)
		}
		e, err := RollbackTarget(list, cur)
		if err != nil {
			return rollbackTo{}, err
		}
		number = e.Number
	}
	e, sources, err := p.kept().Texts(number)
	if errors.Is(err, fs.ErrNotExist) && e.Number == 0 {
		err = noEntry(p.kept(), number)
	}
	return rollbackTo{number, e, sources}, err
}

// Rollback implements admin.Configs.
func (p *Process) Rollback(ctx context.Context, q admin.RollbackRequest, by admin.Actor) (r admin.RollbackResult, err error) {
	if !p.request(ctx, func() { r, err = p.rollback(q, &by) }) {
		return r, &admin.Problem{Status: http.StatusServiceUnavailable, Message: "the process is stopping"}
	}
	return r, err
}

// rollback makes a kept configuration serve and puts it into the files, all or nothing. The
// traffic comes last: all that can fail is done before. Where this process may not write
// the files, they are left to the one who asks.
func (p *Process) rollback(q admin.RollbackRequest, by *admin.Actor) (r admin.RollbackResult, err error) {
	to, err := p.rollbackTo(q)
	if err != nil {
		return r, err
	}
	p.mu.Lock()
	current, entry, generation := p.mu.current, p.mu.entry, p.mu.generation
	p.mu.Unlock()
	r = admin.RollbackResult{DryRun: q.DryRun, Number: to.number, Undo: entry}
	o := order{kind: orderRollback, cause: fmt.Sprintf("rollback to %d", to.number), by: by, copyOf: to.number}
	loaded, err := p.opt.Engine.Load(p.opt.ConfigFile, to.sources)
	switch {
	case err != nil && q.DryRun:
		d := describe(err)
		r.Outcome = admin.Outcome{Generation: generation, Cause: o.cause, By: by, Error: d.kind, Details: d.lines}
		return r, nil
	case err != nil:
		r.Outcome = p.reloadFailed(o, err)
		return r, nil
	}
	r.Changes = current.changesTo(loaded)
	if r.Files, err = history.Plan(to.sources, loaded.Globs, to.modes()); err != nil || q.DryRun {
		r.Outcome = admin.Outcome{OK: err == nil, Generation: generation}
		return r, err
	}
	if history.Hash(to.sources) == history.Hash(current.Sources) { // only the files change
		r.Outcome, r.Undo = admin.Outcome{At: time.Now(), OK: true, Generation: generation, Cause: o.cause, By: by}, 0
		return r, p.putBack(&r, o)
	}
	began := time.Now()
	p.notify.reloading()
	defer func() { p.notify.ready(fmt.Sprintf("serving, generation %d", r.Outcome.Generation)) }()
	g, err := p.prepareLoaded(loaded)
	if err == nil {
		err = p.movePID(g)
	}
	if err != nil {
		r.Outcome = p.reloadFailed(o, err)
		return r, nil
	}
	if err := p.putBack(&r, o); err != nil {
		g.abort()
		r.Outcome.Generation = generation
		return r, err
	}
	r.Outcome = p.reloadSucceeded(o, g, began)
	p.setDeviation(nil)
	if p.opt.Safety != nil {
		p.opt.Safety.ConfigRolledBack(metric.RollbackCommand)
	}
	p.checkFiles()
	return r, nil
}

func (t *rollbackTo) modes() map[string]fs.FileMode {
	m := make(map[string]fs.FileMode, len(t.entry.Files))
	for _, f := range t.entry.Files {
		m[f.Path] = fs.FileMode(f.Mode)
	}
	return m
}

// putBack makes the files hold what a rollback wants, once what they hold is kept.
func (p *Process) putBack(r *admin.RollbackResult, o order) (err error) {
	if len(r.Files) == 0 {
		return nil
	}
	if r.Kept, err = KeepFiles(p.kept(), p.opt.ConfigFile, r.Files, o.cause, o.by, r.Number, r.Undo); err != nil {
		return fmt.Errorf("what the files hold can't be kept, so nothing was changed: %w", err)
	}
	if _, err = history.Apply(r.Files); err == nil || !history.NotAllowed(err) {
		return err
	}
	for i := range r.Files {
		r.Files[i].Error = err.Error()
	}
	// What the file holds must not come back by the next HUP or restart.
	if r.Kept == r.Undo && r.Kept != 0 {
		return p.kept().SetState(r.Kept, admin.KeptReverted, "it was rolled back "+askedBy(o.by))
	}
	return nil
}

// KeepFiles keeps what the configuration at path and the files of changes hold now, and
// returns its number: that of an entry that has it already, or of a new one. 0 means that
// they hold nothing.
func KeepFiles(s history.Store, path string, changes []admin.FileChange, cause string, by *admin.Actor, protected ...int) (int, error) {
	sources := sourcesOnDisk(path)
	if len(sources) == 0 {
		if text, ok := history.Present(path); ok {
			sources = []Source{{Path: path, Text: text}}
		}
	}
	for _, c := range changes {
		known := slices.ContainsFunc(sources, func(s Source) bool { return history.SamePath(s.Path, c.Path) })
		if known || c.Before == "" {
			continue
		}
		if text, ok := history.Present(c.Path); ok {
			sources = append(sources, Source{Path: c.Path, Text: text})
		}
	}
	if len(sources) == 0 {
		return 0, nil
	}
	hash := history.Hash(sources)
	list, err := s.Entries()
	if err != nil {
		return 0, err
	}
	for _, e := range list {
		if e.Hash == hash {
			return e.Number, nil
		}
	}
	e := history.New("in the files before "+cause, by, 0)
	e.State = admin.KeptUnserved
	return s.Keep(sources, e, protected...)
}
