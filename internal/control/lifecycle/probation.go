package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/history"
	"sentinel/internal/control/statefile"
	"sentinel/internal/observe/event"
	"sentinel/internal/observe/metric"
)

// A configuration is on probation while it may yet be taken back: until it is confirmed, or
// until enough is known of how requests fare with it. What serves again then is what served
// before the probation began, however many configurations came since.

const (
	// confirmationFile is the name in the state folder of a confirmation that is awaited.
	confirmationFile = "confirmation.json"
	// confirmationBytesMax bounds what is read of it.
	confirmationBytesMax = 1 << 20
	confirmationVersion  = 1
	// confirmSecondsMax is the longest that a confirmation may be awaited: a week.
	confirmSecondsMax = 7 * 24 * 3600
	// lookAgain bounds how long a deadline is slept for, since the clock may be set, and is
	// when a revert that failed is tried again.
	lookAgain = time.Minute
)

// probation is what the configuration that serves is on; the zero value is none.
type probation struct {
	before *Loaded // what serves again; nil when only the history has it
	number int     // of that in the history
	wait   *confirmation
	failed *failedRevert
}

// failedRevert is one that is tried again.
type failedRevert struct {
	cause     metric.Rollback
	word, why string
	at        time.Time // when
}

// confirmation is one that is awaited, as it is kept in its file.
type confirmation struct {
	Version int    `json:"version"`
	Config  string `json:"config"` // absolute path of the main file
	Hash    string `json:"sha256"` // of the texts that await it
	admin.Confirmation
}

func (p *Process) on() bool { return p.probation.number != 0 || p.probation.before != nil }

// promise does for a reload that is to be confirmed what can fail, before it is felt: after
// a restart the deadline must still be known.
func (p *Process) promise(q *order, l *Loaded) error {
	if q.ConfirmSeconds == 0 {
		return nil
	}
	p.mu.Lock()
	current, number := p.mu.current, p.mu.entry
	p.mu.Unlock()
	if p.on() {
		number = p.probation.number
	}
	switch {
	case q.ConfirmSeconds < 0 || q.ConfirmSeconds > confirmSecondsMax:
		return &admin.Problem{Status: http.StatusBadRequest, Message: fmt.Sprintf("a confirmation may be awaited for 1 to %d seconds, not %d", confirmSecondsMax, q.ConfirmSeconds)}
	case number == 0:
		return errors.New("what serves is not kept in the history, so a restart could not go back to it: see the log for why, or reload without --confirm")
	case l.Settings.StateDir != current.Settings.StateDir:
		return errors.New("state-dir changes, so the way back would be lost by a restart: reload without --confirm")
	}
	if history.Hash(l.Sources) == history.Hash(current.Sources) && !p.on() {
		q.ConfirmSeconds = 0
		l.Notes = append(l.Notes, "the texts are what serves already, so no confirmation is awaited")
		return nil
	}
	now := time.Now()
	w := &confirmation{Config: absolute(p.opt.ConfigFile), Hash: history.Hash(l.Sources), Confirmation: admin.Confirmation{
		Since: now, Until: now.Add(time.Duration(q.ConfirmSeconds) * time.Second), Cause: q.cause, By: q.by, Before: number,
	}}
	if err := w.save(l.Settings.StateDir); err != nil {
		return fmt.Errorf("the confirmation can't be kept over a restart: %w", err)
	}
	q.wait = w
	return nil
}

// promiseError is why a confirmation can't be awaited.
type promiseError struct{ error }

// Unwrap returns the cause.
func (e *promiseError) Unwrap() error { return e.error }

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func (w *confirmation) save(stateDir string) error {
	w.Version = confirmationVersion
	return statefile.WriteJSON(filepath.Join(stateDir, confirmationFile), w)
}

// readConfirmation returns what is awaited for the configuration at path; nil for nothing.
func readConfirmation(stateDir, path string) (*confirmation, error) {
	var w confirmation
	err := statefile.ReadJSON(filepath.Join(stateDir, confirmationFile), confirmationBytesMax, &w)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case w.Version != confirmationVersion:
		return nil, fmt.Errorf("its version is %d, known is %d", w.Version, confirmationVersion)
	case w.Config != absolute(path):
		return nil, nil
	}
	return &w, nil
}

// conclude says what a change that succeeded means for the configurations before and after
// it, and keeps the new one. was is what served before it.
func (p *Process) conclude(q order, l *Loaded, was served) {
	hash := history.Hash(l.Sources)
	wasOn := p.on()
	switch {
	case q.kind != orderReload:
		p.endProbation(admin.KeptReverted, "it was taken back before it was confirmed")
	case q.wait != nil:
		if !wasOn {
			p.probation = probation{before: was.loaded, number: was.entry}
		}
		p.await(q.wait)
	case p.probation.wait != nil && hash == p.hashBefore():
		p.endProbation(admin.KeptReverted, "what served before was loaded again before it was confirmed")
		p.emit(event.Event{Kind: event.KindConfig, To: "confirmed", Cause: "what served before serves again", Detail: askedBy(q.by)})
	case p.probation.wait != nil:
		w := *p.probation.wait
		w.Hash = hash
		p.probation.wait = &w
		if err := w.save(l.Settings.StateDir); err != nil {
			p.log.Error("the confirmation that is awaited is not kept over a restart", "error", "file error", "detail", err.Error())
		}
	}
	if q.kind == orderReload {
		p.setDeviation(nil)
	}
	p.watch(q, l, was)
	p.keep(l, q)
}

// hashBefore returns the hash of what serves again when the probation fails.
func (p *Process) hashBefore() string {
	if p.probation.before != nil {
		return history.Hash(p.probation.before.Sources)
	}
	e, _ := p.kept().Entry(p.probation.number)
	return e.Hash
}

// await has w awaited from now on.
func (p *Process) await(w *confirmation) {
	p.probation.wait = w
	p.showConfirmation(&w.Confirmation)
	p.emit(event.Event{
		Kind: event.KindConfig, To: "pending", Cause: "it is to be confirmed until " + w.Until.Format(time.RFC3339),
		Detail: fmt.Sprintf("else number %d of the history serves again; %s", w.Before, askedBy(w.By)),
	})
	p.arm()
}

func (p *Process) showConfirmation(c *admin.Confirmation) {
	p.mu.Lock()
	p.mu.state.Confirmation = c
	p.mu.Unlock()
	if p.opt.Safety != nil {
		p.opt.Safety.SetConfigPending(c != nil)
	}
}

func (p *Process) setDeviation(d *admin.Deviation) {
	p.mu.Lock()
	p.mu.state.Deviation, p.mu.state.Regression = d, nil
	p.mu.Unlock()
}

// endProbation ends it; what was pending in the history gets a state.
func (p *Process) endProbation(state, why string) {
	if !p.on() {
		return
	}
	p.probation, p.watching.now = probation{}, nil
	p.showConfirmation(nil)
	p.showWatch()
	p.arm()
	p.closePending(p.kept(), state, why)
	p.forgetConfirmation(p.stateDir())
}

func (p *Process) forgetConfirmation(stateDir string) {
	err := os.Remove(filepath.Join(stateDir, confirmationFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.log.Error("a confirmation that is no longer awaited can't be forgotten", "error", "file error", "detail", err.Error())
	}
}

// closePending gives all entries that are pending another state.
func (p *Process) closePending(s history.Store, state, why string) {
	list, err := s.Entries()
	for _, e := range list {
		if e.State == admin.KeptPending {
			err = errors.Join(err, s.SetState(e.Number, state, why))
		}
	}
	if err != nil {
		p.log.Warn("the history of configurations isn't up to date", "detail", err.Error())
	}
}

// Confirm implements admin.Configs.
func (p *Process) Confirm(ctx context.Context, by admin.Actor) (c admin.Confirmed, err error) {
	if !p.request(ctx, func() { c, err = p.confirm(&by) }) {
		return c, &admin.Problem{Status: http.StatusServiceUnavailable, Message: "the process is stopping"}
	}
	return c, err
}

func (p *Process) confirm(by *admin.Actor) (admin.Confirmed, error) {
	w := p.probation.wait
	if w == nil {
		return admin.Confirmed{}, &admin.Problem{Status: http.StatusConflict, Message: "nothing awaits a confirmation"}
	}
	p.mu.Lock()
	current := p.mu.current
	c := admin.Confirmed{Generation: p.mu.generation, Entry: p.mu.entry, Undo: w.Before}
	p.mu.Unlock()
	if err := p.kept().SetState(c.Entry, admin.KeptGood, ""); err != nil {
		p.log.Warn("the history of configurations isn't up to date", "detail", err.Error())
	}
	p.endProbation(admin.KeptReverted, "it was replaced before it was confirmed")
	p.backup(current)
	p.emit(event.Event{Kind: event.KindConfig, From: "pending", To: "confirmed", Cause: "generation " + fmt.Sprint(c.Generation), Detail: askedBy(by)})
	return c, nil
}

// arm sets the alarm to when something is due.
func (p *Process) arm() {
	p.alarm.Stop()
	var at time.Time
	first := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if f := p.probation.failed; f != nil {
		first(f.at)
	} else if w := p.probation.wait; w != nil {
		first(w.Until)
	}
	first(p.watching.next)
	if !at.IsZero() {
		p.alarm.Reset(min(max(time.Until(at), 0), lookAgain))
	}
}

// due does what is due now.
func (p *Process) due() {
	now := time.Now()
	w, f := p.probation.wait, p.probation.failed
	switch {
	case f != nil && !now.Before(f.at):
		p.revert(f.cause, f.word, f.why)
	case f == nil && w != nil && !now.Before(w.Until):
		why := fmt.Sprintf("nobody confirmed it until %s", w.Until.Local().Format(time.DateTime))
		p.revert(metric.RollbackUnconfirmed, admin.DeviationUnconfirmed, why)
	}
	if at := p.watching.next; !at.IsZero() && !now.Before(at) {
		p.look()
	}
	p.arm()
}

// revert has what served before serve again. Where that fails the configuration stays, and
// it is tried again.
func (p *Process) revert(cause metric.Rollback, word, why string) (ok bool) {
	was, number := p.served(), p.probation.number
	q := order{kind: orderRevert, cause: "revert: " + word, copyOf: number}
	began := time.Now()
	p.notify.reloading()
	g, err := p.prepareBefore()
	if err == nil {
		err = p.movePID(g)
	}
	if err != nil {
		p.probation.failed = &failedRevert{cause, word, why, time.Now().Add(lookAgain)}
		o := p.reloadFailed(q, err)
		p.notify.ready(fmt.Sprintf("serving, generation %d", o.Generation))
		p.emit(event.Event{Kind: event.KindConfig, Worse: true, To: "pending", Cause: "it can't be taken back: " + o.Error, Detail: why})
		return false
	}
	p.endProbation(admin.KeptReverted, why)
	if was.entry != 0 {
		if err := p.kept().SetState(was.entry, admin.KeptReverted, why); err != nil {
			p.log.Warn("the history of configurations isn't up to date", "detail", err.Error())
		}
	}
	o := p.reloadSucceeded(q, g, began)
	p.notify.ready(fmt.Sprintf("serving, generation %d", o.Generation))
	p.mu.Lock()
	d := &admin.Deviation{At: o.At, Cause: word, Why: why, Entry: p.mu.entry, Instead: was.entry}
	p.mu.Unlock()
	p.setDeviation(d)
	p.checkFiles()
	if p.opt.Safety != nil {
		p.opt.Safety.ConfigRolledBack(cause)
	}
	p.emit(event.Event{
		Kind: event.KindConfig, Worse: true, To: "reverted", Cause: why,
		Detail: fmt.Sprintf("number %d of the history is in its place as generation %d; the files are as they were", number, o.Generation),
	})
	return true
}

// prepareBefore makes ready what served before the probation: its texts with the files that
// they name as these are now, or else as it was.
func (p *Process) prepareBefore() (*generation, error) {
	before := p.probation.before
	var sources []Source
	if before != nil {
		sources = before.Sources
	} else {
		var err error
		if _, sources, err = p.kept().Texts(p.probation.number); err != nil {
			return nil, err
		}
	}
	loaded, err := p.opt.Engine.Load(p.opt.ConfigFile, sources)
	if err == nil {
		var g *generation
		if g, err = p.prepareLoaded(loaded); err == nil {
			return g, nil
		}
	}
	if before == nil {
		return nil, err
	}
	return p.prepareLoaded(before)
}
