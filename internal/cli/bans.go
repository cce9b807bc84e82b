package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

func (a *app) bansCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bans",
		Short: "Show which clients are kept out, by whom, why and until when",
		Long: `Show which clients are kept out by bans: by whom, why, since and until when, and how many
of their connections and requests were refused. A ban in shadow mode keeps nobody out; its
hits are those that would have been refused. Access lists of the configuration are
shown by 'sentinel config show'. Exit code 3: no sentinel is running.`,
		Example: "  sentinel bans\n  sentinel bans --json | jq -r '.[] | select(.hits == 0) | .prefix'",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.client(askTimeout).Bans(cmd.Context())
			switch {
			case err != nil:
				return err
			case a.json:
				return a.printJSON(list)
			}
			return printBans(a.out, list, time.Now())
		},
	}
	a.socketFlagOn(cmd)
	return cmd
}

// printBans writes a line for each ban.
func printBans(w io.Writer, list []admin.Ban, now time.Time) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "Nobody is banned.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PREFIX\tLEFT\tSINCE\tHITS\tMODE\tBY\tREASON")
	for i := range list {
		b := &list[i]
		left := "permanent"
		if !b.Until.IsZero() {
			left = span(b.Until.Sub(now))
		}
		mode := "ban"
		if b.Shadow {
			mode = "shadow"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", b.Prefix, left, since(b.Since, now), b.Hits, mode, oneLine(who(&b.By)), orDash(oneLine(b.Reason)))
	}
	return t.Flush()
}

// who names an actor in short: the login behind a shared user.
func who(by *admin.Actor) string {
	switch {
	case by.Subject != "":
		return by.Subject
	case by.UID < 0:
		return by.Via
	case by.Login != "" && by.User != "":
		return by.Login + " as " + by.User
	case by.Login != "":
		return by.Login
	case by.User != "":
		return by.User
	}
	return fmt.Sprintf("uid %d", by.UID)
}

// completeBan offers the prefixes that are banned.
func (a *app) completeBan(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	list, _ := a.client(completeTimeout).Bans(cmd.Context()) // none when nobody answers: a shell shows no errors
	prefixes := make([]string, len(list))
	for i := range list {
		prefixes[i] = list[i].Prefix
	}
	return prefixes, cobra.ShellCompDirectiveNoFileComp
}
