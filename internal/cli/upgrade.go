package cli

import (
	"fmt"
	"time"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

// upgradeTimeout is more than all limits of an upgrade together.
const upgradeTimeout = 100 * time.Second

func (a *app) upgradeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Replace the running sentinel by the binary that is installed now",
		Long: `Replace the running sentinel by the binary that is installed now, as SIGUSR2 does, and report
how that went. The new binary checks the configuration first. Then a new process starts beside
the one that serves, gets all listening sockets and the admin socket, and serves once it is
ready; the former one finishes what it has within graceful-shutdown-timeout. No connection is
refused. If anything fails before, the former one goes on as if nothing had been asked.

Exit code 1: it failed, 3: none is running.`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := a.client(upgradeTimeout).Upgrade(cmd.Context())
			if err != nil {
				return err
			}
			return a.printUpgrade(&o)
		},
	}
	a.socketFlagOn(cmd)
	return cmd
}

func (a *app) printUpgrade(o *admin.Upgrade) error {
	switch {
	case a.json:
		if err := a.printJSON(o); err != nil {
			return err
		}
	case o.OK:
		fmt.Fprintf(a.out, "Upgrade succeeded: process %d, version %s, serves instead of process %d, version %s, which drains.\n", o.PID, o.Version, o.Former, o.FormerVersion)
		fmt.Fprintln(a.out, "To undo, put the former binary back and upgrade again.")
	default:
		for _, line := range o.Details {
			fmt.Fprintln(a.err, line)
		}
		fmt.Fprintf(a.err, "sentinel: Upgrade failed: %s. Nothing has changed, process %d, version %s, serves on.\n", o.Error, o.Former, o.FormerVersion)
	}
	if !o.OK {
		return errReported
	}
	return nil
}
