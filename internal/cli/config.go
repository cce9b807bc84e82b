package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/lifecycle"

	"github.com/spf13/cobra"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Look into configurations",
		Args:  a.noSuchCommand,
		RunE: func(*cobra.Command, []string) error {
			return usagef("sentinel config wants a command: show, diff, history or migrate")
		},
	}
	cmd.AddCommand(a.configShowCommand(), a.configDiffCommand(), a.configHistoryCommand(), a.configMigrateCommand())
	return cmd
}

func (a *app) configShowCommand() *cobra.Command {
	var bare bool
	cmd := &cobra.Command{
		Use:   "show [FILE]",
		Short: "Print the effective configuration with the origin of each value",
		Long: `Print the effective configuration: every value that holds, defaults included, and
where it comes from. The emergency changes that hold are laid over it (sentinel emergency
list), unless --bare or a FILE is given: those of the sentinel that runs, else those that it
has kept.`,
		Args: atMostOneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := a.fileArg(args)
			var overrides []admin.Override
			if len(args) == 0 && !bare {
				overrides = a.holding(cmd.Context(), path)
			}
			text, err := a.show(path, overrides)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"file": path, "text": text})
			}
			_, err = io.WriteString(a.out, text)
			return err
		},
	}
	cmd.Flags().BoolVar(&bare, "bare", false, "what the files say alone, without emergency changes")
	return cmd
}

func (a *app) configDiffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff OLD [NEW]",
		Short: "Say what changes for traffic between two configurations",
		Long: `Say what changes for traffic between two configurations. OLD and NEW are files, or numbers
of sentinel config history; NEW is the configuration itself unless it is named. A file whose
name is a number wants a path, such as ./7.`,
		Example: "  sentinel config diff /etc/sentinel/config.kdl.backup /etc/sentinel/config.kdl\n  sentinel config diff 7",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usagef("OLD and NEW wanted, %d given", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				args = append(args, a.configFile())
			}
			return a.configDiff(cmd.Context(), args[0], args[1])
		},
	}
	a.socketFlagOn(cmd)
	return cmd
}

func (a *app) configDiff(ctx context.Context, before, after string) error {
	var sides [2]texts
	for i, name := range []string{before, after} {
		side, err := a.side(ctx, name)
		if err != nil {
			return err
		}
		sides[i] = side
	}
	changes, err := a.diff(sides[0], sides[1])
	switch {
	case err != nil:
		return err
	case a.json:
		if changes == nil {
			changes = []string{}
		}
		return a.printJSON(map[string][]string{"changes": changes})
	case len(changes) == 0:
		fmt.Fprintln(a.out, "Nothing changes.")
	}
	for _, c := range changes {
		fmt.Fprintln(a.out, c)
	}
	return nil
}

// texts are a configuration: a file, or texts that stand in for it and what it includes.
type texts struct {
	path string
	kept []lifecycle.Source // nil for the file as it is
}

// side returns what OLD or NEW of a diff means.
func (a *app) side(ctx context.Context, name string) (texts, error) {
	if strings.Trim(name, "0123456789") != "" {
		return texts{path: name}, nil
	}
	number, err := entryNumber(name)
	if err != nil {
		return texts{}, err
	}
	h, err := a.keptTexts(ctx, number)
	if err != nil {
		return texts{}, err
	}
	t := texts{path: h.Files[0].Path}
	for i, f := range h.Files {
		t.kept = append(t.kept, lifecycle.Source{Path: f.Path, Text: []byte(h.Texts[i])})
	}
	return t, nil
}
