package lifecycle

import (
	"fmt"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/history"
)

// keep keeps the texts of what serves in the history and, unless it may yet be taken back for
// want of a confirmation, as last known good beside the main file.
func (p *Process) keep(l *Loaded, q order) {
	if len(l.Sources) == 0 {
		return
	}
	p.mu.Lock()
	e := history.New(q.cause, q.by, p.mu.generation)
	p.mu.Unlock()
	e.CopyOf = q.copyOf
	if p.probation.wait != nil {
		e.State = admin.KeptPending
	} else {
		p.backup(l)
	}
	number, err := p.kept().Keep(l.Sources, e, p.probation.number)
	if err != nil {
		p.log.Warn("last known good configuration not kept", "detail", fmt.Sprintf("history of configurations: %v", err))
	}
	p.mu.Lock()
	p.mu.entry = number
	p.mu.Unlock()
}

// backup keeps the main text of l as FILE.backup beside the file when that may be written.
func (p *Process) backup(l *Loaded) {
	if len(l.Sources) == 0 {
		return
	}
	if err := history.Backup(l.Sources[0]); err != nil && !history.NotAllowed(err) {
		p.log.Warn("last known good configuration not kept", "detail", err.Error())
	}
}

// checkFiles tells the metrics whether the files hold what serves.
func (p *Process) checkFiles() {
	if p.opt.Safety != nil {
		p.opt.Safety.SetConfigFilesServe(len(p.configState().FilesDiffer) == 0)
	}
}

// kept is the history, in the state folder of what serves.
func (p *Process) kept() history.Store {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.current == nil {
		return history.In("")
	}
	return history.In(p.mu.current.Settings.StateDir)
}

// mayServe refuses a configuration that was taken back, unless that is asked for.
func (p *Process) mayServe(l *Loaded, again bool) error {
	if again || len(l.Sources) == 0 {
		return nil
	}
	if e, ok := newestOf(p.kept(), history.Hash(l.Sources)); ok && e.State == admin.KeptReverted {
		return &revertedError{file: p.opt.ConfigFile, entry: e}
	}
	return nil
}

// revertedError is a configuration that serves only when it is asked for by name.
type revertedError struct {
	file  string
	entry admin.HistoryEntry
}

// Error says why the configuration doesn't serve and what to do.
func (e *revertedError) Error() string {
	return fmt.Sprintf("%s is as it was when it was taken back at %s, because %s: mend it, put what serves back into it (sentinel rollback --serving), or load it all the same (sentinel reload --again)",
		e.file, e.entry.At.Local().Format(time.DateTime), e.entry.Why)
}

// configState says how what serves stands to its files.
func (p *Process) configState() admin.ConfigState {
	p.mu.Lock()
	current, s := p.mu.current, p.mu.state
	s.Entry = p.mu.entry
	p.mu.Unlock()
	if current != nil {
		s.FilesDiffer = history.Differences(current.Sources, current.Globs)
	}
	return s
}

// History implements admin.Configs.
func (p *Process) History() ([]admin.HistoryEntry, error) {
	list, err := p.kept().Entries()
	if err != nil {
		return nil, err
	}
	hash := history.Hash(sourcesOnDisk(p.opt.ConfigFile))
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range list {
		list[i].Serving = list[i].Number == p.mu.entry
		list[i].InFiles = list[i].Hash == hash
	}
	return list, nil
}

// Kept implements admin.Configs.
func (p *Process) Kept(number int) (admin.HistoryTexts, error) {
	return KeptTexts(p.kept(), number)
}
