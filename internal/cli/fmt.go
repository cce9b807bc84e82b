package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"sentinel/internal/config/kdl"
	"sentinel/internal/control/statefile"

	"github.com/spf13/cobra"
)

// stdinName is how a text from standard input is called in messages.
const stdinName = "<stdin>"

func (a *app) fmtCommand() *cobra.Command {
	var check bool
	var version string
	cmd := &cobra.Command{
		Use:   "fmt [--check] [--kdl-version 1|2] FILE...|-",
		Short: "Lay out KDL files in one style",
		Long: `Lay out KDL files in one style and keep their comments. Any KDL document will do, it
need not be a configuration of Sentinel; --kdl-version also turns one version of the
language into the other. A file is rewritten only when that changes it;
"-" reads standard input and writes standard output. An invalid text is left alone: its
problems are reported and the exit code is 1.`,
		Example: `  sentinel fmt config.kdl
  sentinel fmt --check config.kdl conf.d/*.kdl`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("FILE wanted, or - for standard input")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			v, err := parseKDLVersion(version)
			if err != nil {
				return err
			}
			var failed error
			for _, name := range args {
				if err := a.formatOne(name, v, check); err != nil {
					a.report(err)
					failed = errReported
				}
			}
			return failed
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing, name the files that need it and exit 1 if there are any")
	cmd.Flags().StringVar(&version, "kdl-version", "", "KDL `VERSION` to write, 1 or 2 (default: that of the file)")
	return cmd
}

func parseKDLVersion(s string) (kdl.Version, error) {
	switch s {
	case "":
		return kdl.Auto, nil
	case "1":
		return kdl.V1, nil
	case "2":
		return kdl.V2, nil
	}
	return kdl.Auto, usagef("--kdl-version %s: there are versions 1 and 2", s)
}

// formatOne formats the file of that name, or standard input.
func (a *app) formatOne(name string, v kdl.Version, check bool) error {
	shown, text, err := a.readText(name)
	if err != nil {
		return err
	}
	formatted, err := a.format(shown, text, v)
	if err != nil {
		return err
	}
	same := bytes.Equal(text, formatted)
	switch {
	case check && same:
		return nil
	case check:
		fmt.Fprintln(a.out, shown)
		return errReported
	case name == "-":
		_, err := a.out.Write(formatted)
		return err
	case same:
		return nil
	}
	return replaceFile(name, formatted)
}

// readText reads a file and returns what to call it.
func (a *app) readText(name string) (shown string, text []byte, err error) {
	if name == "-" {
		text, err = io.ReadAll(io.LimitReader(a.in, kdl.DefaultBytesMax+1))
		return stdinName, text, err
	}
	text, err = os.ReadFile(name)
	return name, text, err
}

// replaceFile replaces the text of a file as a whole and keeps its mode. A symbolic link
// stays one: what it points at is replaced.
func replaceFile(name string, text []byte) error {
	path, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return statefile.Replace(path, text, info.Mode().Perm())
}
