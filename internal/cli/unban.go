package cli

import (
	"context"
	"fmt"
	"time"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

func (a *app) unbanCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "unban ADDRESS|PREFIX... | --all",
		Short: "Let banned clients in again",
		Long: `Let banned clients in again: those of exactly these bans, or all. An address that a wider
ban holds is told with the name of that ban; nothing is lifted then.

Exit code 1: there is no such ban and nothing was lifted, 3: no sentinel is running.`,
		Example: "  sentinel unban 192.0.2.0/24\n  sentinel unban --all",
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usagef("either ADDRESS or PREFIX wanted, or --all")
			}
			return nil
		},
		ValidArgsFunction: a.completeBan,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.unban(cmd.Context(), admin.UnbanRequest{Prefixes: args, All: all})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "lift all bans")
	a.socketFlagOn(cmd)
	return cmd
}

func (a *app) unban(ctx context.Context, q admin.UnbanRequest) error {
	r, err := a.client(askTimeout).Unban(ctx, q)
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(r)
	case len(r.Bans) == 0:
		fmt.Fprintln(a.out, "Nobody was banned.")
	}
	for i := range r.Bans {
		b := &r.Bans[i]
		if b.Shadow {
			fmt.Fprintf(a.out, "%s is no longer counted; it would have been refused %s.\n", b.Prefix, times(b.Hits))
		} else {
			fmt.Fprintf(a.out, "%s is let in again; it was refused %s.\n", b.Prefix, times(b.Hits))
		}
	}
	a.printNotes(r.Notes)
	for i := range r.Bans {
		if again := banCommand(&r.Bans[i], time.Now()); again != "" {
			fmt.Fprintf(a.out, "To undo: %s%s\n", again, a.whereFlags())
		}
	}
	return nil
}

func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// banCommand returns what bans again for the time that was left; nothing when none was.
func banCommand(b *admin.Ban, now time.Time) string {
	shadow := ""
	if b.Shadow {
		shadow = " --shadow"
	}
	if b.Until.IsZero() {
		return "sentinel ban " + b.Prefix + " --permanent" + shadow
	}
	left := b.Until.Sub(now).Round(time.Second)
	if left < time.Second {
		return ""
	}
	return fmt.Sprintf("sentinel ban %s --for %v%s", b.Prefix, left, shadow)
}
