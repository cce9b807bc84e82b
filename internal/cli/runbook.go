package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"sentinel/docs"
	"sentinel/internal/ops/runbook"

	"github.com/spf13/cobra"
)

func (a *app) runbookCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "runbook",
		Short: "Go through the procedures for incidents",
		Long: `Go through the procedures of docs/runbook.md, which this binary carries, so that they are
there when nothing else is: list them, show one, or have its steps run.`,
		Args: a.noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.runbookListCommand(), a.runbookShowCommand(), a.runbookRunCommand())
	return cmd
}

func (a *app) runbookListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the procedures",
		Args:  exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			all, err := runbook.Parse(docs.Runbook)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(all)
			}
			tw := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
			fmt.Fprintln(tw, "PROCEDURE\tSTEPS\tFOR")
			for i := range all {
				fmt.Fprintf(tw, "%s\t%d\t%s\n", all[i].Name, len(all[i].Steps), all[i].Symptom())
			}
			return tw.Flush()
		},
	}
}

func (a *app) runbookShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show PROCEDURE",
		Short:             "Show a procedure with its commands",
		Example:           "  sentinel runbook show upstream-failure",
		Args:              exactly(1, "the name of a PROCEDURE"),
		ValidArgsFunction: completeProcedure,
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := procedure(args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(p)
			}
			_, err = io.WriteString(a.out, p.Source)
			return err
		},
	}
}

// runbookFlags are the flags of runbook run.
type runbookFlags struct {
	byHand, undo, yes, dryRun bool
	steps                     []string
	record                    string
}

func (a *app) runbookRunCommand() *cobra.Command {
	var f runbookFlags
	cmd := &cobra.Command{
		Use:   "run PROCEDURE [--step 1,5a] [--by-hand] [--undo] [--yes] [--dry-run]",
		Short: "Go through a procedure step by step",
		Long: `Go through a procedure step by step. A step that only looks runs at once; one that changes
something says what and is asked about, and left out when there is nobody to ask. Of steps
with letters, such as 5a and 5b, one is enough: the others are left out once one has had
its effect. Each step says whether it did what the page expects.

Blocks run in bash, as if pasted one after the other into one terminal: what they need can
be set before, as in UPSTREAM=shop sentinel runbook run upstream-failure. What was run and
what it printed is recorded in a file below /var/log/sentinel/runbook, if that can be
written.

Exit code 1: something wasn't as expected.`,
		Example: `  sentinel runbook run first-five-minutes
  sentinel runbook run upstream-failure
  sentinel runbook run attack --step 5a --yes
  sentinel runbook run attack --step 5a --undo --yes
  sentinel runbook run memory-exhaustion --dry-run --by-hand`,
		Args:              exactly(1, "the name of a PROCEDURE"),
		ValidArgsFunction: completeProcedure,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runProcedure(cmd.Context(), args[0], &f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.byHand, "by-hand", false, "by classic tools, where a step knows both ways")
	flags.BoolVar(&f.undo, "undo", false, "take back what the steps have changed, the last one first")
	flags.BoolVarP(&f.yes, "yes", "y", false, "make changes without asking, until one hasn't its effect")
	flags.BoolVar(&f.dryRun, "dry-run", false, "show the steps and run nothing")
	flags.StringSliceVar(&f.steps, "step", nil, "only these `STEPS`, with commas")
	flags.StringVar(&f.record, "record", "", "record into `FILE` instead")
	return cmd
}

// recordFolder is where runs are recorded.
const recordFolder = "/var/log/sentinel/runbook"

func procedure(name string) (*runbook.Procedure, error) {
	all, err := runbook.Parse(docs.Runbook)
	if err != nil {
		return nil, err
	}
	if p := runbook.Find(all, name); p != nil {
		return p, nil
	}
	return nil, usagef("there is no procedure %q: 'sentinel runbook list' has them all", name)
}

func completeProcedure(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if all, err := runbook.Parse(docs.Runbook); err == nil && len(args) == 0 {
		for i := range all {
			names = append(names, all[i].Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// procedureRun is the answer of runbook run as JSON.
type procedureRun struct {
	Procedure string           `json:"procedure"`
	Record    string           `json:"record,omitempty"`
	Steps     []runbook.Result `json:"steps"`
}

func (a *app) runProcedure(ctx context.Context, name string, f *runbookFlags) error {
	p, err := procedure(name)
	if err != nil {
		return err
	}
	for _, id := range f.steps {
		if p.Step(id) == nil {
			return usagef("%s has no step %s", p.Name, id)
		}
	}
	dir, err := os.MkdirTemp("", "sentinel-runbook-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	record, path, err := openRecord(p, f)
	if err != nil {
		return err
	}
	defer record.Close()
	w := a.walk(p, f, record)
	in := w.blocksRead()
	results, err := runbook.Run(ctx, p, runbook.NewShell(dir, a.blockEnvironment(in != nil), in), w.options())
	if err != nil {
		return err
	}
	return w.end(path, results)
}

// openRecord opens the file that a run is recorded in, and says where that is: nowhere if the
// usual place can't be written.
func openRecord(p *runbook.Procedure, f *runbookFlags) (record io.WriteCloser, path string, err error) {
	switch path = f.record; {
	case f.dryRun:
		return discarded{io.Discard}, "", nil
	case path == "":
		path = filepath.Join(recordFolder, time.Now().UTC().Format("20060102T150405Z-")+p.Name+".log")
	}
	if f.record == "" {
		_ = os.MkdirAll(recordFolder, 0o750)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	switch {
	case err == nil:
		return file, path, nil
	case f.record != "":
		return nil, "", err
	}
	return discarded{io.Discard}, "", nil
}

type discarded struct{ io.Writer }

func (discarded) Close() error { return nil }

// blockEnvironment lets blocks find this program, and the process that this call is about.
func (a *app) blockEnvironment(terminal bool) []string {
	env := []string{"PAGER=cat", "SYSTEMD_PAGER=cat"}
	if !terminal && a.getenv("EDITOR") == "" {
		env = append(env, "EDITOR=false") // vim would wait for keys
	}
	if a.configFlag != "" {
		env = append(env, "SENTINEL_CONFIG="+a.configFlag)
	}
	if exe, err := os.Executable(); err == nil {
		env = append(env, "PATH="+a.getenv("PATH")+":"+filepath.Dir(exe))
	}
	return env
}

// procedureWalk is one run of a procedure in a terminal.
type procedureWalk struct {
	*app
	p      *runbook.Procedure
	f      *runbookFlags
	people io.Writer // what a person reads: nothing with --json
	record io.Writer
	lines  *bufio.Reader // of answers
}

func (a *app) walk(p *runbook.Procedure, f *runbookFlags, record io.Writer) *procedureWalk {
	w := &procedureWalk{app: a, p: p, f: f, people: a.out, record: record, lines: bufio.NewReader(a.in)}
	if a.json {
		w.people = io.Discard
	}
	return w
}

// blocksRead is what blocks read: the terminal, if there is one, for an editor.
func (w *procedureWalk) blocksRead() io.Reader {
	if file, ok := w.in.(*os.File); ok && isTerminal(file) && !w.json {
		return file
	}
	return nil
}

func (w *procedureWalk) options() runbook.Options {
	o := runbook.Options{
		Form: runbook.OneCommand, Steps: w.f.steps, DryRun: w.f.dryRun, Yes: w.f.yes,
		Ask: w.ask, Tell: w.tell, Done: w.done, Show: io.MultiWriter(w.people, w.record),
	}
	switch {
	case w.f.byHand && w.f.undo:
		o.Form = runbook.UndoByHand
	case w.f.byHand:
		o.Form = runbook.ByHand
	case w.f.undo:
		o.Form = runbook.Undo
	}
	return o
}

func (w *procedureWalk) tell(s *runbook.Step, b *runbook.Block) {
	out := io.MultiWriter(w.people, w.record)
	fmt.Fprintf(out, "\n%s. %s\n", s.ID, s.Title)
	for line := range strings.Lines(b.Script) {
		fmt.Fprintf(out, "  $ %s", line)
	}
	if b.Changes != "" {
		fmt.Fprintf(out, "  changes: %s\n", b.Changes)
	}
}

// ask asks on the terminal; where nobody answers it is a no.
func (w *procedureWalk) ask(*runbook.Step, *runbook.Block) bool {
	if w.json {
		return false
	}
	fmt.Fprint(w.people, "  Do it? [y/N] ")
	answer, err := w.lines.ReadString('\n')
	if err != nil {
		fmt.Fprintln(w.people)
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

func (w *procedureWalk) done(r *runbook.Result) {
	out := io.MultiWriter(w.people, w.record)
	switch {
	case w.f.dryRun:
	case r.Skipped != "":
		fmt.Fprintf(out, "  left out: %s. %s: %s\n", r.Step, r.Title, r.Skipped)
	case r.AsExpected:
		fmt.Fprintf(out, "  -> as expected (%s)\n", r.Started.UTC().Format(time.TimeOnly+"Z"))
	default:
		fmt.Fprintf(out, "  -> not as expected: wanted %s\n", strings.Join(r.Misses, "; "))
	}
	if r.Undo != "" {
		fmt.Fprintf(out, "  to undo: %s\n", r.Undo)
	}
}

// end says how the run went.
func (w *procedureWalk) end(record string, results []runbook.Result) error {
	var other []string
	for i := range results {
		if results[i].Ran && !results[i].AsExpected {
			other = append(other, results[i].Step)
		}
	}
	if w.json {
		if err := w.printJSON(procedureRun{w.p.Name, record, results}); err != nil {
			return err
		}
	}
	fmt.Fprintln(w.people)
	switch {
	case len(results) == 0:
		fmt.Fprintln(w.people, "There is nothing to run.")
	case record != "":
		fmt.Fprintf(w.people, "Recorded in %s.\n", record)
	case !w.f.dryRun:
		fmt.Fprintf(w.people, "Not recorded: %s can't be written; --record names another file.\n", recordFolder)
	}
	if len(other) > 0 {
		fmt.Fprintf(w.people, "Not as expected: step %s.\n", strings.Join(other, ", "))
		return errReported
	}
	return nil
}

// isTerminal reports whether a person may type there.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
