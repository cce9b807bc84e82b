package lifecycle

import (
	"errors"
	"fmt"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/history"
	"sentinel/internal/observe/event"
	"sentinel/internal/observe/metric"
)

// first is what a process starts with: what the files hold, or what serves in their place.
type first struct {
	loaded     *Loaded
	generation *generation
	entry      int              // of the history; 0 for what the files hold
	deviation  *admin.Deviation // nil for what the files hold
	broken     *ConfigError     // why the files don't serve; nil when they could
	on         probation        // what goes on from before the start
	cause      metric.Rollback  // when taken is set
	taken      bool             // the start takes a configuration back
}

// prepareStart does all of a start that can fail, but for the pid file.
func (p *Process) prepareStart() (*first, error) {
	f, err := p.choose()
	if err != nil {
		return nil, err
	}
	f.generation, err = p.prepareLoaded(f.loaded)
	return f, err
}

// choose says what to start with.
func (p *Process) choose() (*first, error) {
	loaded, err := p.opt.Engine.Load(p.opt.ConfigFile, nil)
	var broken *ConfigError
	switch {
	case err == nil:
	case p.opt.FallbackLastGood && errors.As(err, &broken):
		return p.lastGood(broken)
	default:
		return nil, err
	}
	f := &first{loaded: loaded}
	store, hash := history.In(loaded.Settings.StateDir), history.Hash(loaded.Sources)
	w, err := readConfirmation(loaded.Settings.StateDir, p.opt.ConfigFile)
	if err != nil {
		p.log.Error("a confirmation may be awaited, but what for can't be read", "error", "file error", "detail", err.Error())
	}
	if w == nil {
		if e, ok := newestOf(store, hash); ok && e.State == admin.KeptReverted {
			p.instead(f, store, e)
		}
		return f, nil
	}
	before, _ := store.Entry(w.Before)
	switch open := time.Now().Before(w.Until); {
	case open && hash != before.Hash:
		f.on = probation{number: w.Before, wait: w}
		return f, nil
	case !open && hash == w.Hash:
		f.taken, f.cause = true, metric.RollbackUnconfirmed
		p.closePending(store, admin.KeptReverted, fmt.Sprintf("nobody confirmed it until %s", w.Until.Local().Format(time.DateTime)))
		if e, ok := newestOf(store, hash); ok {
			p.instead(f, store, e)
		}
	default: // the files hold what served before, or what was put there since
		p.closePending(store, admin.KeptReverted, "another text was in the files at a start before it was confirmed")
	}
	p.forgetConfirmation(loaded.Settings.StateDir)
	return f, nil
}

// newestOf returns the newest entry of these texts.
func newestOf(s history.Store, hash string) (admin.HistoryEntry, bool) {
	list, err := s.Entries()
	if err != nil {
		return admin.HistoryEntry{}, false
	}
	for _, e := range list {
		if e.Hash == hash {
			return e, true
		}
	}
	return admin.HistoryEntry{}, false
}

// instead has the newest good entry serve in place of one that was taken back. Where that
// can't be, the files serve all the same: a proxy that doesn't start helps nobody.
func (p *Process) instead(f *first, s history.Store, taken admin.HistoryEntry) {
	e, loaded, err := p.newestGood(s)
	if err != nil {
		f.taken = false
		p.log.Error("the files hold a configuration that was taken back, and none is there to serve in its place", "error", "no last known good configuration", "detail", err.Error())
		return
	}
	f.loaded, f.entry = loaded, e.Number
	word := admin.DeviationRegression
	if f.taken {
		word = admin.DeviationUnconfirmed
	}
	f.deviation = &admin.Deviation{Cause: word, Why: "the files hold a configuration that was taken back: " + taken.Why, Instead: taken.Number}
}

// newestGood returns the newest good entry that can be loaded.
func (p *Process) newestGood(s history.Store) (admin.HistoryEntry, *Loaded, error) {
	list, err := s.Entries()
	if err != nil {
		return admin.HistoryEntry{}, nil, err
	}
	var errs []error
	for _, e := range list {
		if e.State != admin.KeptGood || e.Files[0].Path != absolute(p.opt.ConfigFile) {
			continue
		}
		_, sources, err := s.Texts(e.Number)
		if err == nil {
			var l *Loaded
			if l, err = p.opt.Engine.Load(p.opt.ConfigFile, sources); err == nil {
				return e, l, nil
			}
		}
		errs = append(errs, fmt.Errorf("number %d of the history: %w", e.Number, err))
	}
	if len(errs) == 0 {
		errs = append(errs, errors.New("the history in "+s.Dir()+" has no good configuration of this file"))
	}
	return admin.HistoryEntry{}, nil, errors.Join(errs...)
}

// lastGood starts with the last known good configuration: that of the history with all its
// files, or else the copy of the main file with the included ones as they are.
func (p *Process) lastGood(broken *ConfigError) (*first, error) {
	stateDir := StateDir(p.opt.ConfigFile)
	store := history.In(stateDir)
	f := &first{broken: broken, deviation: &admin.Deviation{
		Cause: admin.DeviationFallback, Why: p.opt.ConfigFile + " can't be used: " + broken.Kind, Details: broken.Lines,
	}}
	e, loaded, err := p.newestGood(store)
	if err != nil {
		var copyErr error
		if loaded, copyErr = p.loadBackup(); copyErr != nil {
			broken.Lines = append(broken.Lines, fmt.Sprintf("no last known good configuration can serve in its place: %v; %v", err, copyErr))
			return nil, broken
		}
	}
	f.loaded, f.entry = loaded, e.Number
	if w, err := readConfirmation(stateDir, p.opt.ConfigFile); w != nil || err != nil {
		p.closePending(store, admin.KeptReverted, "the files were broken at a start before it was confirmed")
		p.forgetConfirmation(stateDir)
	}
	return f, nil
}

// loadBackup loads the copy of the main file that is kept beside it.
func (p *Process) loadBackup() (*Loaded, error) {
	path := history.BackupOf(p.opt.ConfigFile)
	text, ok := history.Present(path)
	if !ok {
		return nil, fmt.Errorf("there is no %s", path)
	}
	_, sources, _ := schema.LoadBytes(p.opt.ConfigFile, text, schema.Options{})
	l, err := p.opt.Engine.Load(p.opt.ConfigFile, sourcesOf(sources))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

// tellFirst says what is out of the ordinary about what the process has started with.
func (p *Process) tellFirst(f *first) {
	if w := f.on.wait; w != nil {
		p.await(w)
	}
	p.checkFiles()
	d := f.deviation
	if d == nil {
		return
	}
	p.mu.Lock()
	d.At, d.Entry = time.Now(), p.mu.entry
	p.mu.Unlock()
	p.setDeviation(d)
	to := "reverted"
	if f.broken != nil {
		to = "last-good"
		describe(f.broken).log(p.log, "started with the last known good configuration, because the file is broken", "config", p.opt.ConfigFile)
	}
	if f.taken && p.opt.Safety != nil {
		p.opt.Safety.ConfigRolledBack(f.cause)
	}
	p.emit(event.Event{
		Kind: event.KindConfig, Worse: true, To: to, Cause: d.Why,
		Detail: fmt.Sprintf("number %d of the history serves; the files are as they were", d.Entry),
	})
}
