package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

func (a *app) configHistoryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "history",
		Short: "List the configurations that are kept",
		Long: `List the configurations that are kept, the newest first: every one that served, and what
was in the files when another was put there. The last 20 are kept, in the folder config of
state-dir, with all files that are included. Other files that a configuration names, such
as certificates and lists of addresses, aren't kept.

MARK says * for what serves, F for what the files hold. STATE: good; pending, while it
awaits a confirmation; reverted, when it was taken back, so that it serves again only if
asked for by name; unserved, when it has never served.

When no sentinel runs the list comes from the folder.`,
		Args: a.noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listHistory(cmd.Context()) },
	}
	a.socketFlagOn(cmd)
	show := &cobra.Command{
		Use:   "show N [FILE]",
		Short: "Print a kept configuration",
		Long: `Print the texts of a kept configuration, each after the name of its file where there are
several, or the text of the one file that is named.`,
		Example:           "  sentinel config history show 7\n  sentinel config history show 7 conf.d/api.kdl",
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: a.completeEntry,
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := entryNumber(args[0])
			if err != nil {
				return err
			}
			return a.showKept(cmd.Context(), number, strings.Join(args[1:], ""))
		},
	}
	a.socketFlagOn(show)
	cmd.AddCommand(show)
	return cmd
}

// entryNumber reads the number of a kept configuration.
func entryNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, usagef("%q is no number of a kept configuration: sentinel config history lists them", text)
	}
	return n, nil
}

// history returns what is kept, from the folder when no process answers.
func (a *app) history(ctx context.Context) ([]admin.HistoryEntry, error) {
	list, err := a.client(askTimeout).History(ctx)
	if errors.Is(err, admin.ErrNotRunning) {
		return a.keptBy(a.configFile())
	}
	return list, err
}

// keptTexts returns a kept configuration, from the folder when no process answers.
func (a *app) keptTexts(ctx context.Context, number int) (admin.HistoryTexts, error) {
	h, err := a.client(askTimeout).Kept(ctx, number)
	if errors.Is(err, admin.ErrNotRunning) {
		return a.textsBy(a.configFile(), number)
	}
	return h, err
}

func (a *app) listHistory(ctx context.Context) error {
	list, err := a.history(ctx)
	switch {
	case err != nil:
		return err
	case a.json:
		if list == nil {
			list = []admin.HistoryEntry{}
		}
		return a.printJSON(list)
	case len(list) == 0:
		_, err := fmt.Fprintln(a.out, "No configuration is kept.")
		return err
	}
	return printHistory(a.out, list, time.Now())
}

func printHistory(w io.Writer, list []admin.HistoryEntry, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "N\tMARK\tSTATE\tAGE\tGENERATION\tFILES\tBYTES\tSHA256\tCAUSE\tBY")
	for i := range list {
		e := &list[i]
		generation := "-"
		if e.Generation > 0 {
			generation = strconv.FormatUint(e.Generation, 10)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%d\t%d\t%.12s\t%s\t%s\n", e.Number, markOf(e), e.State, span(now.Sub(e.At)),
			generation, len(e.Files), e.Bytes, e.Hash, e.Cause, whoOf(e.By))
	}
	return t.Flush()
}

func markOf(e *admin.HistoryEntry) string {
	switch {
	case e.Serving && e.InFiles:
		return "*F"
	case e.Serving:
		return "*"
	case e.InFiles:
		return "F"
	}
	return "-"
}

// whoOf names an actor shortly.
func whoOf(by *admin.Actor) string {
	switch {
	case by == nil:
		return "-"
	case by.Login != "":
		return by.Login
	case by.User != "":
		return by.User
	}
	return fmt.Sprintf("uid %d", by.UID)
}

func (a *app) showKept(ctx context.Context, number int, file string) error {
	h, err := a.keptTexts(ctx, number)
	if err != nil {
		return err
	}
	if a.json && file == "" {
		return a.printJSON(h)
	}
	for i, f := range h.Files {
		switch {
		case file == f.Name || file == f.Path:
			_, err := io.WriteString(a.out, h.Texts[i])
			return err
		case file != "":
			continue
		case len(h.Files) > 1:
			fmt.Fprintf(a.out, "// %s\n", f.Path)
		}
		fmt.Fprintln(a.out, strings.TrimSuffix(h.Texts[i], "\n"))
	}
	if file == "" {
		return nil
	}
	var names []string
	for _, f := range h.Files {
		names = append(names, f.Name)
	}
	return fmt.Errorf("configuration %d has no file %q: it has %s", number, file, strings.Join(names, ", "))
}

// completeEntry offers the numbers of kept configurations.
func (a *app) completeEntry(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := a.client(completeTimeout).History(cmd.Context())
	if err != nil {
		list, _ = a.keptBy(a.configFile())
	}
	var numbers []string
	for _, e := range list {
		numbers = append(numbers, strconv.Itoa(e.Number))
	}
	return numbers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
