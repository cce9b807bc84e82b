package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/override"

	"github.com/spf13/cobra"
)

func (a *app) emergencyList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the emergency changes that hold, drains and bans included",
		Args:  exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client := a.client(askTimeout)
			list, err := client.Overrides(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(list)
			}
			bans, err := client.Bans(cmd.Context())
			if err != nil {
				return err
			}
			upstreams, err := client.Upstreams(cmd.Context(), "")
			if err != nil {
				return err
			}
			return printEmergency(a.out, list, bans, upstreams)
		},
	}
	a.socketFlagOn(cmd)
	return cmd
}

func printEmergency(w io.Writer, list []admin.Override, bans []admin.Ban, upstreams []admin.UpstreamStatus) error {
	now := time.Now()
	if len(list) == 0 {
		fmt.Fprintln(w, "No emergency change is laid over the configuration.")
	} else if err := printOverrides(w, list, now); err != nil {
		return err
	}
	if n := len(bans); n > 0 {
		fmt.Fprintf(w, "%s: sentinel bans\n", count(n, "ban"))
	}
	for i := range upstreams {
		u := &upstreams[i]
		if u.Drained {
			fmt.Fprintf(w, "upstream %q is drained: sentinel drain %s --undo\n", u.Name, u.Name)
			continue
		}
		for k := range u.Targets {
			if t := &u.Targets[k]; t.State == admin.TargetDraining || t.State == admin.TargetDrained {
				fmt.Fprintf(w, "target %q of upstream %q is drained: sentinel drain %s/%s --undo\n", t.Address, u.Name, u.Name, t.Address)
			}
		}
	}
	return nil
}

// printOverrides writes a table of overrides.
func printOverrides(w io.Writer, list []admin.Override, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tCHANGE\tENDS IN\tBY\tREASON")
	for i := range list {
		o := &list[i]
		reason := o.Reason
		if reason != "" {
			reason = strconv.Quote(reason)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", o.ID, override.Words(o), span(o.Until.Sub(now)), o.By.Name(), reason)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range list {
		if o := &list[i]; o.Idle != "" {
			fmt.Fprintf(w, "Override %d is WITHOUT EFFECT: %s\n", o.ID, o.Idle)
		}
	}
	return nil
}

// overrideID reads the number of an override.
func overrideID(text string) (int, error) {
	id, err := strconv.Atoi(text)
	if err != nil || id < 1 {
		return 0, usagef("%q is no number of an emergency change: sentinel emergency list shows them", text)
	}
	return id, nil
}

func (a *app) emergencyExtend() *cobra.Command {
	var lasts time.Duration
	cmd := &cobra.Command{
		Use:     "extend ID [--for 30m]",
		Short:   "Let an emergency change last for longer, or end sooner",
		Long:    "Give an emergency change a new end, counted from now.",
		Example: "  sentinel emergency extend 3 --for 2h",
		Args:    exactly(1, "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := overrideID(args[0])
			if err != nil {
				return err
			}
			if lasts < time.Second {
				return usagef("--for %v: at least 1s wanted", lasts)
			}
			r, err := a.client(emergencyTimeout).Extend(cmd.Context(), admin.ExtendRequest{ID: id, Seconds: int64(lasts.Round(time.Second) / time.Second)})
			switch {
			case err != nil:
				return err
			case a.json:
				return a.printJSON(r)
			}
			fmt.Fprintf(a.out, "Override %d holds %s.\n", id, untilWords(r.Override.Until, time.Now()))
			a.printNotes(r.Notes)
			_, err = fmt.Fprintf(a.out, "To undo: %s%s\n", r.Undo, a.whereFlags())
			return err
		},
	}
	cmd.Flags().DurationVar(&lasts, "for", emergencyFor, "how long from now on: a `DURATION` such as 90s or 12h, at most 24h (default 30m)")
	a.socketFlagOn(cmd)
	return cmd
}

func (a *app) emergencyRevert() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:     "revert ID...|--all",
		Short:   "End emergency changes now",
		Long:    "End emergency changes now: the configuration holds again as it stands in its files. Drains\nand bans have commands of their own to undo them.",
		Example: "  sentinel emergency revert 3\n  sentinel emergency revert --all",
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usagef("ID or --all wanted")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			q := admin.RevertRequest{All: all}
			for _, text := range args {
				id, err := overrideID(text)
				if err != nil {
					return err
				}
				q.IDs = append(q.IDs, id)
			}
			return a.revert(cmd.Context(), q)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all of them")
	a.socketFlagOn(cmd)
	return cmd
}

func (a *app) revert(ctx context.Context, q admin.RevertRequest) error {
	r, err := a.client(emergencyTimeout).Revert(ctx, q)
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(r)
	case len(r.Overrides) == 0:
		fmt.Fprintln(a.out, "There was none.")
		return nil
	}
	for i := range r.Overrides {
		o := &r.Overrides[i]
		fmt.Fprintf(a.out, "Override %d has ended: %s.\n", o.ID, override.Words(o))
	}
	for _, c := range r.Changes {
		fmt.Fprintln(a.out, " ", c)
	}
	a.printNotes(r.Notes)
	_, err = fmt.Fprintln(a.out, "To undo: make the change again; sentinel events tells what it was.")
	return err
}

func (a *app) emergencyCommit() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "commit ID [--dry-run]",
		Short: "Write an emergency change into the configuration",
		Long: `Write an emergency change into the files of the configuration, so that it holds for good.
Comments and layout stay; what the files held is kept (sentinel config history). The files
serve in the same moment in which the emergency change ends. They must hold what serves.`,
		Example: "  sentinel emergency commit 3 --dry-run\n  sentinel emergency commit 3",
		Args:    exactly(1, "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := overrideID(args[0])
			if err != nil {
				return err
			}
			return a.commit(cmd.Context(), admin.CommitRequest{ID: id, DryRun: dryRun})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only show the edit")
	a.socketFlagOn(cmd)
	return cmd
}

func (a *app) commit(ctx context.Context, q admin.CommitRequest) error {
	r, err := a.client(emergencyTimeout).CommitOverride(ctx, q)
	if err != nil {
		return err
	}
	var left error
	if !q.DryRun && slices.ContainsFunc(r.Files, func(f admin.FileChange) bool { return !f.Done }) {
		left = a.writeLeft(r.Files)
	}
	if a.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		io.WriteString(a.out, r.Diff)
		switch {
		case r.Diff == "":
			fmt.Fprintln(a.out, "The files say as much already.")
		case q.DryRun:
			fmt.Fprintln(a.out, "Nothing was changed.")
		}
		if !q.DryRun {
			fmt.Fprintf(a.out, "Override %d is part of the configuration, which serves as generation %d.\n", r.Override.ID, r.Outcome.Generation)
			if r.Kept > 0 {
				fmt.Fprintf(a.out, "To undo: sentinel rollback %d%s\n", r.Kept, a.whereFlags())
			}
		}
	}
	if left != nil {
		return fmt.Errorf("the files aren't what serves: %w", left)
	}
	return nil
}

// printDryOverride says what a change would do and would have hit.
func (a *app) printDryOverride(r *admin.OverrideResult) error {
	fmt.Fprintf(a.out, "Would hold for %s:\n", span(r.Override.Until.Sub(r.Override.Since)))
	a.printChanges(r.Changes)
	if h := r.Hits; h != nil {
		fmt.Fprintf(a.out, "%s of %s came where it would hold, in the last %s.\n", count(h.Requests, "request"), count(h.Clients, "client"), span(time.Duration(h.Seconds)*time.Second))
		switch {
		case h.WhatIf != nil:
			for i := range h.WhatIf.Limits {
				printWhatIfLimit(a.out, &h.WhatIf.Limits[i])
			}
			t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			for i := range h.WhatIf.Connections {
				printWhatIfBound(t, &h.WhatIf.Connections[i], 60)
			}
			if err := t.Flush(); err != nil {
				return err
			}
		case r.Override.Kind == admin.OverrideChallenge:
			fmt.Fprintf(a.out, "%s would have been challenged.\n", count(h.Challenged, "client"))
		case r.Override.Kind == admin.OverrideDisable:
			fmt.Fprintln(a.out, "All of them would have been refused.")
		}
		if h.Unknown != "" {
			fmt.Fprintf(a.out, "What can't be told: %s\n", h.Unknown)
		}
	}
	a.printNotes(r.Notes)
	_, err := fmt.Fprintln(a.out, "Nothing was changed.")
	return err
}

// holding returns the overrides that are laid over the configuration at path: those of the
// process that runs, or those it has kept. That they can't be known is said.
func (a *app) holding(ctx context.Context, path string) []admin.Override {
	list, err := a.client(askTimeout).Overrides(ctx)
	if errors.Is(err, admin.ErrNotRunning) {
		list, err = a.overridesBy(path)
	}
	if err != nil {
		fmt.Fprintf(a.err, "note: emergency changes, if there are any, are left out: %v\n", err)
		return nil
	}
	return list
}
