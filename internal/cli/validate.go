package cli

import (
	"encoding/json"
	"errors"
	"fmt"

	"sentinel/internal/control/lifecycle"

	"github.com/spf13/cobra"
)

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate [FILE]",
		Short: "Check a configuration",
		Long: `Check a configuration as a start or a reload would and report all its problems at
once, without touching anything that runs. Exit code 0: valid, 1: invalid, 2: usage.`,
		Example: "  sentinel validate /etc/sentinel/config.kdl",
		Args:    atMostOneFile,
		RunE:    func(_ *cobra.Command, args []string) error { return a.validate(a.fileArg(args)) },
	}
}

// atMostOneFile accepts a FILE argument, which --config or its default stands in for.
func atMostOneFile(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef("one FILE wanted, %d given", len(args))
	}
	return nil
}

func (a *app) fileArg(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	return a.configFile()
}

// validity is the answer of validate as JSON.
type validity struct {
	File    string   `json:"file"`
	Valid   bool     `json:"valid"`
	Error   string   `json:"error,omitempty"`
	Details []string `json:"details,omitempty"`
	summary
}

func (a *app) validate(path string) error {
	s, err := a.check(path)
	var config *lifecycle.ConfigError
	if err != nil && (!a.json || !errors.As(err, &config)) {
		return err
	}
	if a.json {
		v := validity{File: path, Valid: err == nil, summary: s}
		if err != nil {
			v.Error, v.Details = config.Kind, config.Lines
		}
		if jsonErr := a.printJSON(v); jsonErr != nil || err == nil {
			return jsonErr
		}
		return errReported
	}
	for _, note := range s.Notes {
		fmt.Fprintln(a.out, "note:", note)
	}
	_, err = fmt.Fprintf(a.out, "%s is valid: %s, %s, %s\n", path,
		count(s.Listeners, "listener"), count(s.Routes, "route"), count(s.Upstreams, "upstream"))
	return err
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
