package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Look into configurations",
		Args:  a.noSuchCommand,
		RunE: func(*cobra.Command, []string) error {
			return usagef("sentinel config wants a command: show or diff")
		},
	}
	cmd.AddCommand(a.configShowCommand(), a.configDiffCommand())
	return cmd
}

func (a *app) configShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [FILE]",
		Short: "Print the effective configuration with the origin of each value",
		Long: `Print the effective configuration: every value that holds, defaults included, and
where it comes from.`,
		Args: atMostOneFile,
		RunE: func(_ *cobra.Command, args []string) error {
			path := a.fileArg(args)
			text, err := a.show(path)
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
}

func (a *app) configDiffCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "diff OLD NEW",
		Short:   "Say what changes for traffic between two configurations",
		Example: "  sentinel config diff /etc/sentinel/config.kdl.backup /etc/sentinel/config.kdl",
		Args:    exactly(2, "OLD and NEW"),
		RunE: func(_ *cobra.Command, args []string) error {
			changes, err := a.diff(args[0], args[1])
			if err != nil {
				return err
			}
			if a.json {
				if changes == nil {
					changes = []string{}
				}
				return a.printJSON(map[string][]string{"changes": changes})
			}
			if len(changes) == 0 {
				fmt.Fprintln(a.out, "Nothing changes.")
			}
			for _, c := range changes {
				fmt.Fprintln(a.out, c)
			}
			return nil
		},
	}
}
