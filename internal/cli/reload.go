package cli

import (
	"fmt"
	"time"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

func (a *app) reloadCommand() *cobra.Command {
	var q admin.ReloadRequest
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "reload [--confirm 5m]",
		Short: "Make the running sentinel reload its configuration",
		Long: `Make the running sentinel reload its configuration, as SIGHUP does, and report how that
went. A reload that fails changes nothing.

With --confirm what served before serves again when that time is over, unless sentinel
confirm comes first. The deadline outlives a restart, and reloads that come meanwhile
neither confirm nor delay it. A configuration that was taken back serves again only with
--again. Exit code 1: it failed, 3: none is running.`,
		Example: "  sentinel reload --confirm 5m && curl -sf http://localhost:8080/ && sentinel confirm",
		Args:    a.noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("confirm") && within < time.Second {
				return usagef("--confirm %v: at least 1s wanted", within)
			}
			q.ConfirmSeconds = int64(within.Round(time.Second) / time.Second)
			o, err := a.client(reloadTimeout).ReloadWith(cmd.Context(), q)
			if err != nil {
				return err
			}
			return a.printOutcome(&o, within)
		},
	}
	cmd.Flags().BoolVar(&q.Again, "again", false, "load a configuration that was taken back before")
	cmd.Flags().DurationVar(&within, "confirm", 0, "take it back after `DURATION`, such as 5m, unless it is confirmed")
	a.socketFlagOn(cmd)
	confirm := a.confirmCommand()
	confirm.Short = "The same as sentinel confirm"
	cmd.AddCommand(confirm)
	return cmd
}

func (a *app) confirmCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "confirm",
		Short: "Have a configuration stay that awaits a confirmation",
		Long: `Have a configuration stay that was loaded by sentinel reload --confirm and would be taken
back otherwise. Exit code 1: nothing awaits a confirmation, 3: no sentinel is running.`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client(askTimeout).Confirm(cmd.Context())
			switch {
			case err != nil:
				return err
			case a.json:
				return a.printJSON(c)
			}
			fmt.Fprintf(a.out, "Confirmed: generation %d stays.\n", c.Generation)
			if c.Undo > 0 {
				fmt.Fprintf(a.out, "To undo: sentinel rollback %d%s\n", c.Undo, a.whereFlags())
			}
			return nil
		},
	}
	a.socketFlagOn(cmd)
	return cmd
}

func (a *app) printOutcome(o *admin.Outcome, within time.Duration) error {
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
		if within > 0 {
			fmt.Fprintf(a.out, "In %s what served before serves again, unless you confirm: sentinel confirm%s\n", span(within), a.whereFlags())
		}
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
