package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"

	"sentinel/internal/control/lifecycle"
	"sentinel/internal/ops/diagnose"
	"sentinel/internal/ops/incident"

	"github.com/spf13/cobra"
)

// exitDiagnoseUsage is the exit code of diagnose when it was called in the wrong way: the small
// ones are severities.
const exitDiagnoseUsage = 64

// exitCode is an error that only sets the exit code: all there is to say has been written.
type exitCode int

func (c exitCode) Error() string { return "exit code " + strconv.Itoa(int(c)) }

// exitError is an error with an exit code of its own.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

func (a *app) diagnoseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diagnose",
		Short: "Find out what is wrong, and what to do about it",
		Long: `Find out what is wrong, and what to do about it. It walks the triage tree of the runbook:
process, health, upstreams by layer, errors and their causes, saturation, certificates,
disk, configuration, what was changed. The first line is the verdict; then come the causes,
the likeliest first, with their evidence, and the commands that mitigate them, to paste.

It works with sentinel dead, changes nothing, and ends within 10 s. A user who may not see
all is told what wasn't seen. All causes: docs/reference/diagnose.md.

Exit codes: 0 nothing is wrong, 1 the worst is SEV4, 2 SEV3, 3 SEV2, 4 SEV1, 64 the command
was called in the wrong way.`,
		Example: "  sentinel diagnose\n  sentinel diagnose --json | jq -r '.findings[0].commands[].run'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return exitError{usagef("no argument wanted, %d given", len(args)), exitDiagnoseUsage}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := diagnose.Run(cmd.Context(), a.diagnosis())
			var err error
			if a.json {
				err = a.printJSON(r)
			} else {
				err = r.Print(a.out)
			}
			if err == nil && r.Exit != 0 {
				err = exitCode(r.Exit)
			}
			return err
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exitError{usageError{err}, exitDiagnoseUsage} })
	a.socketFlagOn(cmd)
	return cmd
}

// diagnosis is what a diagnosis looks at, and what it has done by the rest of the program.
func (a *app) diagnosis() diagnose.Options {
	o := diagnosisOf(a.configFile())
	if a.socketFlag != "" {
		o.AdminSocket, o.Flags = a.socketFlag, "--admin-socket "+diagnose.Word(a.socketFlag)
	}
	return o
}

// diagnosisOf is that of the proxy with a configuration.
func diagnosisOf(configFile string) diagnose.Options {
	o := diagnose.Options{ConfigFile: configFile, Prefix: "sentinel", Check: problemOf, Checks: lifecycle.Checks}
	if o.ConfigFile != defaultConfig {
		path, err := filepath.Abs(o.ConfigFile)
		if err != nil {
			path = o.ConfigFile
		}
		o.Flags = "--config " + diagnose.Word(path)
	}
	return o
}

// diagnosisSource gives a snapshot what is wrong.
func diagnosisSource(o diagnose.Options) incident.Source {
	return incident.Source{Name: "diagnosis.txt", Write: func(ctx context.Context, w io.Writer) error { return diagnose.Run(ctx, o).Print(w) }}
}

// problemOf returns what is wrong with a configuration.
func problemOf(path string) *diagnose.ConfigProblem {
	_, _, err := lifecycle.Check(path)
	var c *lifecycle.ConfigError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &c):
		return &diagnose.ConfigProblem{Kind: c.Kind, Lines: c.Lines}
	}
	return &diagnose.ConfigProblem{Kind: "read error", Lines: []string{err.Error()}, Denied: errors.Is(err, fs.ErrPermission)}
}
