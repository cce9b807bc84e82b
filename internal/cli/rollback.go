package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/history"

	"github.com/spf13/cobra"
)

func (a *app) rollbackCommand() *cobra.Command {
	var q admin.RollbackRequest
	cmd := &cobra.Command{
		Use:   "rollback [N | --serving] [--dry-run]",
		Short: "Make an earlier configuration serve again",
		Long: `Make a kept configuration serve again, number N of sentinel config history. Without N it
goes one step back: files that differ from what serves get that again and the traffic stays
as it is; else what served before serves again, and its texts are put into the files.

It is all or nothing: the kept configuration is checked and made ready first; then what the
files hold is kept in the history; then all files that belong to the configuration are
replaced as a whole, and files that an include would find besides are removed; then it
serves. Where one step fails, the ones before it are undone. Files that the running process
may not write are written by this command.

When no sentinel runs only the files are put back, for the next start.

Exit code 1: nothing has changed, or the files differ from what serves.`,
		Example: "  sentinel rollback --dry-run\n  sentinel rollback\n  sentinel rollback 7",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && q.Serving {
				return usagef("one number wanted, or --serving, or neither")
			}
			return nil
		},
		ValidArgsFunction: a.completeEntry,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) == 1 {
				if q.Number, err = entryNumber(args[0]); err != nil {
					return err
				}
			}
			return a.rollback(cmd.Context(), q)
		},
	}
	cmd.Flags().BoolVar(&q.DryRun, "dry-run", false, "say what would change and change nothing")
	cmd.Flags().BoolVar(&q.Serving, "serving", false, "put what serves into the files; the traffic stays as it is")
	a.socketFlagOn(cmd)
	return cmd
}

func (a *app) rollback(ctx context.Context, q admin.RollbackRequest) error {
	r, err := a.client(reloadTimeout).Rollback(ctx, q)
	running := !errors.Is(err, admin.ErrNotRunning)
	if !running {
		if q.Serving {
			return err
		}
		r, err = a.rollbackFiles(a.configFile(), q)
	}
	if err != nil {
		return err
	}
	left := error(nil)
	if r.Outcome.OK && !q.DryRun {
		left = a.writeLeft(r.Files)
	}
	if a.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		a.printRollback(&r, running)
	}
	switch {
	case left != nil:
		return fmt.Errorf("the files aren't what serves: %w", left)
	case !r.Outcome.OK:
		return errReported
	}
	return nil
}

// writeLeft makes the changes of files that the process was not allowed to make. This
// command may run as root, and the process may not: so only what lies below the folder of
// the configuration that was named is written.
func (a *app) writeLeft(changes []admin.FileChange) error {
	config, err := filepath.Abs(a.configFile())
	if err != nil {
		return err
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(config))
	if err != nil {
		return err
	}
	for _, c := range changes {
		if !c.Done && c.Path != config && !below(folder, c.Path) {
			return fmt.Errorf("%s isn't below the folder of %s, so it isn't written here; sentinel config history show prints its text", c.Path, config)
		}
	}
	_, err = history.Apply(changes)
	return err
}

// below reports whether path leads to a place below folder, which has no links in it.
func below(folder, path string) bool {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if real, err = filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
			real = filepath.Join(real, filepath.Base(path))
		}
	}
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(folder, real)
	return err == nil && filepath.IsLocal(rel)
}

func (a *app) printRollback(r *admin.RollbackResult, running bool) {
	if !r.Outcome.OK {
		for _, line := range r.Outcome.Details {
			fmt.Fprintln(a.err, line)
		}
		fmt.Fprintf(a.err, "sentinel: configuration %d can't serve: %s. Nothing has changed.\n", r.Number, r.Outcome.Error)
		return
	}
	would := ""
	if r.DryRun {
		would = "would be "
	}
	for _, c := range r.Changes {
		fmt.Fprintln(a.out, c)
	}
	for _, f := range r.Files {
		what := "written"
		if f.Remove {
			what = "removed"
		}
		if r.DryRun || f.Done {
			fmt.Fprintf(a.out, "%s %s%s\n", f.Path, would, what)
		}
	}
	if r.Kept > 0 {
		fmt.Fprintf(a.out, "What the files held is kept as configuration %d.\n", r.Kept)
	}
	a.printRolledBack(r, running)
}

func (a *app) printRolledBack(r *admin.RollbackResult, running bool) {
	which := "what serves"
	if r.Number > 0 {
		which = fmt.Sprintf("configuration %d", r.Number)
	}
	switch {
	case len(r.Files) == 0 && len(r.Changes) == 0 && (r.Undo == 0 || r.Undo == r.Number):
		fmt.Fprintf(a.out, "Nothing to do: %s is there already.\n", which)
	case r.DryRun && running:
		fmt.Fprintf(a.out, "Nothing was changed; %s would serve.\n", which)
	case r.DryRun:
		fmt.Fprintf(a.out, "Nothing was changed; the files would hold %s.\n", which)
	case !running:
		fmt.Fprintf(a.out, "No sentinel runs. The files hold %s, for the next start.\n", which)
	default:
		fmt.Fprintf(a.out, "Rolled back: %s serves, as generation %d.\n", which, r.Outcome.Generation)
		a.printNotes(r.Outcome.Notes)
	}
	undo := r.Kept
	if undo == 0 {
		undo = r.Undo
	}
	if undo > 0 && !r.DryRun {
		fmt.Fprintf(a.out, "To undo: %s%s\n", strings.TrimSpace(fmt.Sprintf("sentinel rollback %d", undo)), a.whereFlags())
	}
}
