package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"sentinel/internal/ops/incident"

	"github.com/spf13/cobra"
)

func (a *app) incidentMessage(f *incidentFlags) *cobra.Command {
	return idFlagOn(&cobra.Command{
		Use:       "message " + strings.Join(incident.Messages(), "|"),
		Short:     "Print a message to those affected, filled with what is known",
		Example:   "  sentinel incident message initial | mail -s incident all@example.com",
		Args:      exactly(1, "one of "+strings.Join(incident.Messages(), ", ")),
		ValidArgs: incident.Messages(),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, from := a.incidents(f)
			r, err := a.incidentOrLast(store, f.id)
			if err != nil {
				return err
			}
			from.Refresh(cmd.Context(), r)
			incident.Infer(r, store.Events(r))
			text, err := incident.Message(args[0], r, time.Now())
			if err != nil {
				return usageError{err}
			}
			_, err = io.WriteString(a.out, text)
			return err
		},
	}, f)
}

// incidentOrLast returns the incident of an id, else the newest that is open, else the newest.
func (a *app) incidentOrLast(store *incident.Store, id string) (*incident.Record, error) {
	r, err := store.Find(id)
	if err != nil && id == "" {
		return store.Last()
	}
	return r, err
}

func (a *app) incidentEnd(f *incidentFlags) *cobra.Command {
	return idFlagOn(&cobra.Command{
		Use:   "end",
		Short: "End an incident: the last snapshot, the post-mortem and the archive",
		Args:  exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, from := a.incidents(f)
			r, taken, err := store.Snapshot(cmd.Context(), f.id, a.caller(), from)
			if err != nil {
				return err
			}
			if err := a.updateIncident(store, r.ID, "ended", func(r *incident.Record) error {
				if !r.Open() {
					return fmt.Errorf("%s ended at %s", r.ID, r.Ended.Format(time.RFC3339))
				}
				r.Ended = time.Now().UTC()
				return nil
			}); err != nil {
				return err
			}
			path, err := store.PostMortem(r.ID)
			if err != nil {
				return err
			}
			archive, err := store.Archive(r.ID)
			if err != nil || a.json {
				return err
			}
			fmt.Fprintf(a.out, "  snapshot: %s\n  post-mortem: %s\n  archive: %s\n", store.Path(r.ID, taken.Folder), path, archive)
			return nil
		},
	}, f)
}

func (a *app) incidentPostMortem(f *incidentFlags) *cobra.Command {
	return idFlagOn(&cobra.Command{
		Use:   "postmortem",
		Short: "Write the post-mortem, filled with what the record holds",
		Long: `Write the post-mortem of the newest incident, filled with its timeline, the times to detect,
mitigate and resolve and the share of requests that failed. One that is there stays: the new
one gets a number.`,
		Args: exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			store, _ := a.incidents(f)
			r, err := a.incidentOrLast(store, f.id)
			if err != nil {
				return err
			}
			path, err := store.PostMortem(r.ID)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"id": r.ID, "path": path})
			}
			_, err = fmt.Fprintln(a.out, path)
			return err
		},
	}, f)
}

func (a *app) incidentList(f *incidentFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the incidents",
		Args:  exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			store, _ := a.incidents(f)
			all, err := store.List()
			if err != nil && len(all) == 0 {
				return err
			}
			if err != nil {
				fmt.Fprintf(a.err, "sentinel: %v\n", err)
			}
			if a.json {
				return a.printJSON(append([]*incident.Record{}, all...))
			}
			return printIncidents(a.out, all, time.Now())
		},
	}
}

func printIncidents(w io.Writer, all []*incident.Record, now time.Time) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "No incident is on record.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tSEVERITY\tSTARTED\tLASTED\tBY\tSUMMARY")
	for _, r := range all {
		lasted := "open for " + span(now.Sub(r.Started))
		if !r.Open() {
			lasted = span(r.Ended.Sub(r.Started))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Severity, r.Started.UTC().Format("2006-01-02 15:04"), lasted, oneLine(r.By), orDash(oneLine(r.Summary)))
	}
	return t.Flush()
}

func (a *app) incidentShow(f *incidentFlags) *cobra.Command {
	return idFlagOn(&cobra.Command{
		Use:   "show",
		Short: "Show an incident with its timeline",
		Args:  exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			store, _ := a.incidents(f)
			r, err := a.incidentOrLast(store, f.id)
			if err != nil {
				return err
			}
			events := store.Events(r)
			incident.Infer(r, events)
			timeline := incident.Timeline(r, events)
			if a.json {
				return a.printJSON(map[string]any{"incident": r, "timeline": timeline})
			}
			if err := printIncidents(a.out, []*incident.Record{r}, time.Now()); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "\n%s\n\n", store.Path(r.ID))
			for _, m := range timeline {
				fmt.Fprintf(a.out, "%s  %s\n", m.At.Format("15:04:05"), oneLine(m.Text))
			}
			return nil
		},
	}, f)
}
