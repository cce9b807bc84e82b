package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"sentinel/internal/config/kdl"
	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/lifecycle"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitOK         = 0
	exitProblem    = 1
	exitUsage      = 2
	exitNotRunning = 3
)

// defaultConfig is read when neither --config nor SENTINEL_CONFIG names a file.
const defaultConfig = "/etc/sentinel/config.kdl"

// Main runs the command line of this process and returns its exit code.
func Main() int {
	a := &app{work: newWork(), in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	return a.main(os.Args[1:])
}

// app is one call of the command line.
type app struct {
	work
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string

	configFlag string // --config
	socketFlag string // --admin-socket
	remote     remoteFlags
	json       bool // --json
}

// work is what the commands have done by the rest of the program.
type work struct {
	// run serves until it is told to stop.
	run func(ctx context.Context, s lifecycle.Start) error
	// check reads a configuration as a start would and says what is in it. Its error is a
	// *lifecycle.ConfigError where the text is at fault.
	check func(path string) (summary, error)
	// show returns the effective configuration, with overrides laid over it, and the origin of
	// each value.
	show func(path string, overrides []admin.Override) (string, error)
	// overridesBy returns the overrides that are kept for the configuration at path, without
	// asking a process.
	overridesBy func(path string) ([]admin.Override, error)
	// diff returns what changes for traffic, a line each.
	diff func(before, after texts) ([]string, error)
	// format returns a KDL text in the house style, written in version v; kdl.Auto keeps
	// the version of the text.
	format func(name string, text []byte, v kdl.Version) ([]byte, error)
	// migrate returns a configuration, or a part of one, in the spellings of this version.
	migrate func(name string, text []byte, part bool) (schema.Migrated, error)
	// adminSocket returns the admin socket that a configuration names, or the default.
	adminSocket func(path string) string
	// auditFile returns the audit file that a configuration names, or the default.
	auditFile func(path string) string
	// keptBy returns the history of the configuration at path, textsBy one entry of it, and
	// rollbackFiles prepares to put one into the files, all without asking a process.
	keptBy        func(path string) ([]admin.HistoryEntry, error)
	textsBy       func(path string, number int) (admin.HistoryTexts, error)
	rollbackFiles func(path string, q admin.RollbackRequest) (admin.RollbackResult, error)
}

// summary is what a valid configuration holds.
type summary struct {
	Listeners int      `json:"listeners"`
	Routes    int      `json:"routes"`
	Upstreams int      `json:"upstreams"`
	Notes     []string `json:"notes,omitempty"`
}

func (a *app) main(args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.Execute()
	return a.report(err)
}

// errReported is an error whose message has been written already.
var errReported = errors.New("reported")

// usageError is a command that was called in the wrong way.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// report writes err for a person and returns the exit code for it.
func (a *app) report(err error) int {
	var usage usageError
	var config *lifecycle.ConfigError
	var code exitCode
	var own exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &own):
		a.report(own.error)
		return own.code
	case errors.Is(err, errReported):
		return exitProblem
	case errors.As(err, &usage):
		fmt.Fprintf(a.err, "sentinel: %v\nTry 'sentinel --help'.\n", err)
		return exitUsage
	case errors.Is(err, admin.ErrNotRunning):
		fmt.Fprintf(a.err, "sentinel: %v\nStart it, or name its socket with --admin-socket.\n", err)
		return exitNotRunning
	case errors.As(err, &config):
		a.reportConfig(config)
		return exitProblem
	}
	fmt.Fprintf(a.err, "sentinel: %v\n", err)
	return exitProblem
}

// reportConfig writes all problems of a configuration with their lines.
func (a *app) reportConfig(e *lifecycle.ConfigError) {
	if e.Report != "" {
		io.WriteString(a.err, e.Report)
	} else {
		for _, line := range e.Lines {
			fmt.Fprintln(a.err, line)
		}
	}
	fmt.Fprintf(a.err, "sentinel: %s\n", e.Kind)
}

// configFile returns the file that the flag, the environment or the default names.
func (a *app) configFile() string {
	if a.configFlag != "" {
		return a.configFlag
	}
	if path := a.getenv("SENTINEL_CONFIG"); path != "" {
		return path
	}
	return defaultConfig
}

// exactly is cobra.ExactArgs with a message that says what is wanted.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%s wanted, %d given", what, len(args))
		}
		return nil
	}
}
