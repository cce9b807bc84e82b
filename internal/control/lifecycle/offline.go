package lifecycle

import (
	"errors"
	"io/fs"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/history"
)

// StateDir returns the state folder that the configuration at path names; where its text is
// broken, that of its last known good text, or the default.
func StateDir(path string) string {
	cfg, _, diags := schema.Load(path, schema.Options{})
	if diags.HasErrors() && cfg.System.StateDir.From.File == "" {
		if text, ok := history.Present(history.BackupOf(path)); ok {
			cfg, _, _ = schema.LoadBytes(path, text, schema.Options{})
		}
	}
	return cfg.System.StateDir.V
}

// KeptBy returns the history of the configuration at path, the newest entry first, without
// asking a process.
func KeptBy(path string) ([]admin.HistoryEntry, error) {
	list, err := history.In(StateDir(path)).Entries()
	hash := history.Hash(sourcesOnDisk(path))
	for i := range list {
		list[i].InFiles = list[i].Hash == hash
	}
	return list, err
}

// RollbackFiles puts a kept configuration into the files of the configuration at path while
// no process runs: without a number the newest that is good and isn't in the files.
func RollbackFiles(path string, q admin.RollbackRequest) (r admin.RollbackResult, err error) {
	store := history.In(StateDir(path))
	if q.Number == 0 {
		list, err := store.Entries()
		if err != nil {
			return r, err
		}
		e, err := RollbackTarget(list, admin.HistoryEntry{Hash: history.Hash(sourcesOnDisk(path))})
		if err != nil {
			return r, err
		}
		q.Number = e.Number
	}
	e, sources, err := store.Texts(q.Number)
	if errors.Is(err, fs.ErrNotExist) && e.Number == 0 {
		err = noEntry(store, q.Number)
	}
	if err != nil {
		return r, err
	}
	by := admin.Self()
	r = admin.RollbackResult{DryRun: q.DryRun, Number: q.Number}
	_, loaded, err := CheckTexts(path, sources)
	if err != nil {
		d := describe(err)
		r.Outcome.Error, r.Outcome.Details = d.kind, d.lines
		return r, nil
	}
	r.Outcome = admin.Outcome{OK: true, Cause: "rollback", By: &by}
	to := rollbackTo{q.Number, e, sources}
	if r.Files, err = history.Plan(sources, loaded.Globs, to.modes()); err != nil || q.DryRun || len(r.Files) == 0 {
		return r, err
	}
	r.Kept, err = KeepFiles(store, path, r.Files, "a rollback", &by, q.Number)
	return r, err
}
