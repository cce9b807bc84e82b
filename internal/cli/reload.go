package cli

import (
	"fmt"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

func (a *app) reloadCommand() *cobra.Command {
	var q admin.ReloadRequest
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make the running sentinel reload its configuration",
		Long: `Make the running sentinel reload its configuration, as SIGHUP does, and report how that
went. A reload that fails changes nothing. A configuration that was taken back serves
again only with --again. Exit code 1: it failed, 3: none is running.`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := a.client(reloadTimeout).ReloadWith(cmd.Context(), q)
			if err != nil {
				return err
			}
			return a.printOutcome(&o)
		},
	}
	cmd.Flags().BoolVar(&q.Again, "again", false, "load a configuration that was taken back before")
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
		fmt.Fprintf(a.out, "To undo: sentinel rollback%s\n", a.whereFlags())
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
