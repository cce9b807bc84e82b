package cli

import (
	"fmt"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

func (a *app) reloadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make the running sentinel reload its configuration",
		Long: `Make the running sentinel reload its configuration, as SIGHUP does, and report how that
went. A reload that fails changes nothing. Exit code 1: it failed, 3: none is running.`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := a.client(reloadTimeout).Reload(cmd.Context())
			if err != nil {
				return err
			}
			return a.printOutcome(&o)
		},
	}
	a.socketFlagOn(cmd)
	return cmd
}

func (a *app) printOutcome(o *admin.Outcome) error {
	switch {
	case a.json:
		if err := a.printJSON(o); err != nil {
			return err
		}
	case o.OK:
		for _, note := range o.Notes {
			fmt.Fprintln(a.out, "note:", note)
		}
		fmt.Fprintf(a.out, "Configuration reload succeeded: generation %d serves.\n", o.Generation)
		fmt.Fprintln(a.out, "To undo, put the former text back and reload again; the state folder keeps it under config.")
	default:
		for _, line := range o.Details {
			fmt.Fprintln(a.err, line)
		}
		fmt.Fprintf(a.err, "sentinel: Configuration reload failed: %s. Nothing has changed, generation %d serves on.\n", o.Error, o.Generation)
	}
	if !o.OK {
		return errReported
	}
	return nil
}
